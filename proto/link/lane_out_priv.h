/* Layout of a lane, for lane_*.c of the sender. */
#ifndef SQ_PROTO_LINK_LANE_OUT_PRIV_H
#define SQ_PROTO_LINK_LANE_OUT_PRIV_H

#include "core/buf.h"
#include "core/list.h"
#include "proto/link/lane_out.h"

enum sq_lane_batch_state { SQ_LB_OPEN, SQ_LB_SEALED, SQ_LB_FLYING, SQ_LB_ANSWERED };

/* The part of an entry that its acknowledgement needs. */
struct sq_lane_meta {
	uint16_t packet_id;
	uint8_t bits; /* enum sq_lane_meta_bits */
	uint8_t reason;
};

enum sq_lane_meta_bits {
	SQ_META_QOS = 3,
	SQ_META_IMAGE_QOS_SHIFT = 2,
	SQ_META_KIND_SHIFT = 4,
	SQ_META_FORCED = 0x80, /* the outcome is decided here, not by the broker */
};

/* A list of notes that is read in the order of the entries. */
struct sq_lane_notes {
	struct sq_notes list;
	size_t at; /* bytes of it that were read */
	struct sq_note last;
};

/* Notes on a batch's refused entries. */
struct sq_lane_words {
	struct sq_lane_notes own;  /* on entries that are refused here */
	struct sq_lane_notes told; /* the broker's */
};

struct sq_lane_batch {
	struct sq_list node;
	enum sq_lane_batch_state state;
	bool flown;       /* posted at least once under this number */
	bool retry;       /* the held message, once more */
	bool waits;       /* it and later ones wait for sq_lane_out_go() */
	bool listed;      /* it is in the lane; else only flights hold it */
	bool forced;      /* its one entry is above the broker's limit (413) */
	uint32_t flights; /* open requests that use its bytes */
	uint32_t turn;
	uint32_t mark; /* the last one given out before its entries */
	uint64_t first;
	uint16_t n, handed; /* entries; outcomes handed out */
	uint16_t metas_cap;
	struct sq_lane_meta *metas;
	struct sq_buf bytes;
	struct sq_lane_words *words; /* NULL: none */
};

struct sq_lane_out {
	unsigned lane;
	uint64_t run, next; /* 'next': number of the next entry */
	uint64_t top;       /* the highest number of this run that was answered; 0: none */
	bool started;       /* a batch was posted in this run */
	bool run_lost;
	bool wait_next; /* the next entry starts a batch that waits */
	uint32_t mark;  /* the last one given out */
	unsigned flying;
	size_t bytes, bytes_max;
	size_t hint; /* size of the last batch that was sealed */
	struct sq_list batches;
	struct sq_list *scan; /* no batch before it can be sent */
	/* The held message: its entry and meta. */
	bool held, retrying, settled;
	struct sq_lane_meta held_meta;
	struct sq_buf held_entry;
	uint8_t held_refusal; /* of its last answer, with the text */
	struct sq_buf held_text;
	/* For sq_lane_out_hold(): the place of the outcome just handed out. */
	struct sq_lane_batch *last_batch;
	uint16_t last_index;
};

/* lane_batch.c */
/* The batch that takes an entry of 'size' bytes. */
struct sq_lane_batch *sq_lane_open_batch(struct sq_lane_out *, size_t size);
/* The one writer of a batch's state. */
void sq_lane_enter(struct sq_lane_out *, struct sq_lane_batch *, enum sq_lane_batch_state to);
void sq_lane_batch_meta(struct sq_lane_batch *, struct sq_lane_meta);
/* Takes the batch out of the lane; its memory goes with its last flight. */
void sq_lane_unlist(struct sq_lane_out *, struct sq_lane_batch *);
/* Frees a batch that no flight holds. */
void sq_lane_batch_free(struct sq_lane_batch *);
size_t sq_lane_words_bytes(const struct sq_lane_words *);
void sq_lane_words_free(struct sq_lane_words **);
/* Notes that entry 'index', which is above all before, is refused here. */
void sq_lane_say(struct sq_lane_out *, struct sq_lane_batch *, uint16_t index, uint8_t refusal,
    struct sq_bytes text);

/* lane_outcome.c */
/* Stores the outcomes of an answered batch. */
void sq_lane_answer(struct sq_lane_out *, struct sq_lane_batch *, const struct sq_outcomes *);

#endif
