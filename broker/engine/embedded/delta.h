/* What is durable and not in the tables yet: the live part of the journal.
 *
 * Each committed record is applied here, at a start those of the replay.  Items and
 * records that are gone or overwritten before a checkpoint never reach the tables.
 * A checkpoint takes a chunk of it, writes it, and gives it back.
 *
 * A chunk has an lsn: with it in the tables, a replay need not begin before the next
 * record.  No item of a later record is in the chunk, for a replay would put it a
 * second time; settlements and records may be, for they do no harm twice.
 *
 * One lock guards it all. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_DELTA_H
#define SQ_BROKER_ENGINE_EMBEDDED_DELTA_H

#include "broker/engine/embedded/oplog.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/queue/queue.h"
#include "core/htab.h"

struct sq_delta;

/* A queue as the store knows it. */
struct sq_kept_queue {
	struct sq_hnode by_id;
	uint64_t id;
	char *name; /* NULL: only its id is known yet */
	bool deleted;
	bool news;      /* a checkpoint shall look at it */
	bool forgotten; /* deleted in the tables, too: it goes with its last item */
	size_t n_items; /* struct sq_delta_item */

	/* The checkpoint's. */
	uint64_t n, bytes; /* in the tables */
	uint64_t n_before, bytes_before;
	bool listed; /* there */
	bool touched;

	/* Of a start. */
	struct sq_hnode by_name;
	bool opened;
	struct sq_ring restored; /* items of the journal */
	uint64_t *skip;          /* seqs in the tables that are settled */
	size_t n_skip, cap_skip;
	uint64_t skip_bytes;
};

/* An item whose put is in the journal only. */
struct sq_delta_item {
	struct sq_hnode by_seq;
	struct sq_list node;
	struct sq_kept_queue *queue;
	struct sq_item item; /* references of its own */
	uint64_t expires_ms; /* wall-clock */
	bool writing, settled;
	uint16_t attempts; /* of an item that is being written: its newest */
};

/* What is to happen to an item in the tables. */
struct sq_delta_change {
	struct sq_list node;
	uint64_t lsn, queue, seq;
	uint16_t attempts; /* 0: it is settled */
};

/* The last value of a record, or that it is deleted. */
struct sq_delta_record {
	struct sq_hnode by_key;
	struct sq_list node;
	uint64_t lsn;
	struct sq_record_key key;
	bool deleted;
	size_t len;
	unsigned char value[];
};

/* A queue that is new, or was deleted. */
struct sq_chunk_queue {
	struct sq_kept_queue *queue;
	bool deleted;
};

struct sq_chunk {
	uint64_t lsn;
	size_t n_items;
	struct sq_delta_item **items; /* by queue and seq */
	struct sq_list deferred;      /* struct sq_delta_change, of items of the chunk before */
	struct sq_list changes;       /* struct sq_delta_change */
	struct sq_list records;       /* struct sq_delta_record */
	struct sq_chunk_queue *queues;
	size_t n_queues;
	uint64_t news_bytes; /* that these take in the tables */
};

/* 'table' is asked at a start what an operation means that is not about an item
 * of the journal. */
struct sq_delta *sq_delta_new(struct sq_table *table);
void sq_delta_free(struct sq_delta **);

/* --- commits: of one thread --- */

/* Record 'lsn' is durable and will be applied. */
void sq_delta_begin(struct sq_delta *, uint64_t lsn);
/* Takes no references of the caller's. */
void
sq_delta_put(struct sq_delta *, uint64_t queue, const struct sq_item *item, uint64_t expires_ms);
/* What an operation that is no put says. */
void sq_delta_apply(struct sq_delta *, const struct sq_op_view *);
void sq_delta_end(struct sq_delta *);

/* --- start --- */

/* Takes in what the tables know of queues; before the replay. */
int sq_delta_load(struct sq_delta *) SQ_MUST_CHECK;
/* Applies a record of the journal; SQ_EINVAL: it is malformed. */
int sq_delta_replay(struct sq_delta *, uint64_t lsn, struct sq_bytes data) SQ_MUST_CHECK;
/* Sorts what waits for its queues; after the replay. */
void sq_delta_replayed(struct sq_delta *);
/* A queue of that name that was not opened yet; NULL: none. */
struct sq_kept_queue *sq_delta_open(struct sq_delta *, const char *name);
/* A new queue, which is opened; its record follows. */
void sq_delta_make(struct sq_delta *, uint64_t queue, const char *name);
/* Calls 'fn' for the queues that nobody has opened. */
void sq_delta_unopened(struct sq_delta *, void (*fn)(void *arg, struct sq_kept_queue *), void *arg);
/* The largest id of a queue; one that is still being deleted counts. */
uint64_t sq_delta_last_queue(struct sq_delta *);
/* All records of a kind, those of the tables included, by ascending id and sub. */
int sq_delta_records(struct sq_delta *, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value),
    void *arg) SQ_MUST_CHECK;

/* --- checkpoints: of one thread --- */

/* What is in the journal only will take so many bytes in the tables, about, and so many
 * changes there. */
uint64_t sq_delta_bytes(struct sq_delta *, size_t *n_changes);
/* Takes items of about 'max_bytes', and about 'max_n' of each kind. */
void sq_delta_take(struct sq_delta *, uint64_t max_bytes, size_t max_n, struct sq_chunk *);
/* Takes up to 'max_n' of what needs no room: settlements and deletions, whatever stands before
 * them.  So the chunk has the lsn that the tables have already.  False: there is none. */
bool sq_delta_take_ends(struct sq_delta *, uint64_t lsn, size_t max_n, struct sq_chunk *);
/* The chunk is in the tables, or was not written; it is empty afterwards. */
void sq_delta_give_back(struct sq_delta *, struct sq_chunk *, bool written);
/* The queue of an id, NULL where it is deleted or unknown. */
struct sq_kept_queue *sq_delta_queue(struct sq_delta *, uint64_t id);
/* Its name, "" where that is not known yet. */
const char *sq_delta_name(struct sq_delta *, const struct sq_kept_queue *);

#endif
