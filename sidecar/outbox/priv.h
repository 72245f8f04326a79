/* Layout of a disk outbox, for outbox_open.c, _store.c, _held.c and _send.c.
 *
 * A journal record is a sequence of entries, each: u8 kind, u8 flags, u16 packet
 * id, u32 size of the entry, then
 *   message:  u64 sequence, u64 bytes of all messages up to it, bytes16 client
 *             id, image.  Flag 1: its packet id is held
 *   release, forget:  bytes16 client id
 *   again:    nothing; only the order of acknowledgements needs it
 *   state:    see sq_outbox_state_put() */
#ifndef SQ_SIDECAR_OUTBOX_PRIV_H
#define SQ_SIDECAR_OUTBOX_PRIV_H

#include <pthread.h>

#include "core/htab.h"
#include "sidecar/outbox/store.h"
#include "store/journal/journal.h"

/* Stored: never renumber one. */
enum sq_outbox_kind {
	SQ_OUTBOX_MESSAGE = 1,
	SQ_OUTBOX_RELEASE = 2,
	SQ_OUTBOX_FORGET = 3,
	SQ_OUTBOX_STATE = 4,
	SQ_OUTBOX_AGAIN = 5,
};

enum {
	SQ_OUTBOX_HOLDS = 1,           /* flag of a message */
	SQ_OUTBOX_ENTRY_HEADER = 8,    /* kind, flags, packet id, size */
	SQ_OUTBOX_AHEAD_MAX = 1 << 20, /* bytes in memory that wait for a broker */
	SQ_OUTBOX_UNSYNCED_MAX = 256 << 10,
	SQ_OUTBOX_CLIENTS_MAX = 4096, /* whose ids are held */
	SQ_OUTBOX_BATCH_ENTRIES_MAX = 1024,
};

enum sq_outbox_send {
	SQ_OUTBOX_WAITS, /* never sent under its number, or to be sent again */
	SQ_OUTBOX_FLIES,
	SQ_OUTBOX_REFUSED, /* for a while */
	SQ_OUTBOX_DONE,
};

struct sq_outbox_entry {
	struct sq_log_entry journal; /* in a list of the store once synced */
	struct sq_list mine;         /* its port's pending */
	struct sq_list all;          /* store->appended, until synced */
	struct sq_outbox_port *port;
	uint64_t lsn, seq, end, number;
	uint32_t size, image; /* of the entry; where the image starts */
	uint16_t packet_id;
	uint8_t kind, qos, reason; /* for the acknowledgement */
	uint8_t send;              /* enum sq_outbox_send */
	bool sent;                 /* at least once under this number */
	bool dropped;              /* refused for good: only its number goes */
	bool answered;             /* it had an outcome, be it that it was refused */
	bool gates;                /* a state that sending waits for */
	uint64_t low;              /* of a state: records from here on are needed */
	unsigned char bytes[];
};

/* Sequences that were finished before an older one. */
struct sq_outbox_skip {
	uint64_t first, n;
};

/* A client with QoS 2 ids that await their PUBREL. */
struct sq_outbox_client {
	struct sq_hnode node;
	struct sq_list used; /* store->clients_used, longest ago first */
	uint32_t n;
	uint64_t bits[65536 / 64];
	char id[];
};

struct sq_outbox_store {
	struct sq_outbox_store_cfg cfg;
	struct sq_journal *journal;
	int lock;
	uint64_t id;          /* of the journal */
	uint64_t session_id;  /* of the session at the brokers */
	uint64_t opened_size; /* what the journal has room for */
	/* Shared with the journal's thread. */
	pthread_mutex_t mutex;
	struct sq_list synced; /* struct sq_log_entry */
	struct sq_buf stall;   /* why; empty: it goes on */
	struct sq_buf stalled; /* as of the last turn, NUL-terminated */
	/* Sequences and bytes, as totals. */
	uint64_t next_seq, tail_bytes;     /* of what was appended */
	uint64_t loaded_seq, loaded_bytes; /* of what went into 'ahead' */
	struct sq_list appended;
	size_t unsynced;
	bool refused; /* somebody waits for room */
	/* Entries to send, in order; those at the head are not finished. */
	struct sq_list ahead;
	size_t ahead_bytes;
	/* Up to it each had an outcome, when that was asked last; NULL: none that is there. */
	struct sq_outbox_entry *outcome;
	bool behind; /* the next one is on disk only, at 'cursor' */
	bool broken; /* what is on disk can't be read */
	struct sq_journal_cursor cursor;
	struct sq_buf record;
	struct sq_outbox_skip *skips;
	size_t n_skips;
	uint64_t last_lsn; /* of what the turns have seen */
	/* Numbers. */
	uint64_t run, incarnation, next_number;
	uint64_t highest; /* number that was sent */
	uint64_t renumber_last, renumber_run;
	bool run_lost, renumber, attached;
	bool rewind;  /* something was refused for a while */
	bool slow;    /* one at a time, until one is taken */
	uint64_t bar; /* from this sequence on nothing is sent */
	unsigned flying, gates;
	uint64_t due_ms;
	uint32_t retry_ms;
	struct sq_list batches;
	/* The state that is written down. */
	uint64_t state_lsn; /* of the last one that was replayed */
	bool state_flies, dirty;
	size_t since_state, state_size;
	struct sq_htab clients;
	struct sq_list clients_used;
};

/* outbox_store.c */
struct sq_outbox_entry *sq_outbox_entry_new(enum sq_outbox_kind, uint16_t packet_id, size_t size);
void sq_outbox_append(struct sq_outbox_store *, struct sq_outbox_entry *);
/* Writes the state down; 'gates': nothing is sent before it is synced. */
void sq_outbox_write_state(struct sq_outbox_store *, bool gates);
void sq_outbox_entry_free(struct sq_outbox_entry *);
/* The size of the entry at 'p', of which 'left' bytes are there; 0: malformed. */
size_t sq_outbox_entry_size(const unsigned char *p, size_t left);
/* The client id of an entry, and where what follows it starts; 0: malformed. */
size_t sq_outbox_entry_client(const unsigned char *p, size_t size, struct sq_bytes *client);

/* outbox_held.c */
void sq_outbox_hold(struct sq_outbox_store *, const char *client_id, size_t len, uint16_t id);
void sq_outbox_unhold(struct sq_outbox_store *, const char *client_id, size_t len, uint16_t id);
void sq_outbox_unhold_all(struct sq_outbox_store *, const char *client_id, size_t len);
void sq_outbox_held_fini(struct sq_outbox_store *);
/* The state behind an entry's header; and from a record. */
void sq_outbox_state_put(const struct sq_outbox_store *, struct sq_buf *, uint64_t low);
int sq_outbox_state_get(struct sq_outbox_store *, struct sq_bytes, uint64_t *low) SQ_MUST_CHECK;

/* outbox_send.c */
/* Drops finished entries from the head of 'ahead'. */
void sq_outbox_finish(struct sq_outbox_store *);
/* Takes an entry that is next in sequence into 'ahead', or finishes it. */
void sq_outbox_load(struct sq_outbox_store *, struct sq_outbox_entry *);
/* Gives new numbers where that is due and nothing is on its way. */
void sq_outbox_settle_numbers(struct sq_outbox_store *);
/* The first sequence and bytes that are not finished. */
uint64_t sq_outbox_done_seq(const struct sq_outbox_store *);
uint64_t sq_outbox_done_bytes(const struct sq_outbox_store *);
uint64_t sq_outbox_first_number(const struct sq_outbox_store *);

#endif
