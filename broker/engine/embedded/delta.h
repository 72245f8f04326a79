/* The delta: the durable state that is not in the tables yet, i.e. the live part of the log.
 *
 * Each committed record is applied to the delta, and so is each record that is found in the log: at a
 * start, and while another process writes it.  Items and records that are deleted or overwritten
 * before a checkpoint never reach the tables.  A checkpoint takes a chunk of the delta, writes it,
 * and gives it back.
 *
 * A chunk has an lsn: once it is in the tables, a replay begins after this record.  The chunk has
 * no item of a later record, because a replay would put it a second time.  It may have later
 * settlements and records, which may be applied twice.
 *
 * One lock guards all of it.  Each function: Thread: any, unless a heading says otherwise.  Locks:
 * its own. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_DELTA_H
#define SQ_BROKER_ENGINE_EMBEDDED_DELTA_H

#include "broker/engine/embedded/oplog.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/queue/queue.h"
#include "core/htab.h"

struct sq_delta;

/* What a queue has for its owner at a start: sq_delta_promote(). */
struct sq_kept_start {
	struct sq_hnode by_name;
	bool opened;
	struct sq_ring restored; /* items that the tables did not have then */
	bool listed;             /* the tables had items, */
	uint64_t n, bytes;       /* and so many that are not settled */
	uint64_t *skip;          /* settled seqs that are in the tables, or may come there */
	size_t n_skip, cap_skip;
	struct sq_gap_tried *tried; /* attempts of items that are there with fewer */
	size_t n_tried, cap_tried;
};

/* A queue in the store. */
struct sq_kept_queue {
	struct sq_hnode by_id;
	uint64_t id;
	char *name; /* NULL: only the id is known yet */
	bool deleted;
	bool news;      /* made or deleted since the last checkpoint */
	bool forgotten; /* deleted in the tables too: freed with its last item */
	size_t n_items; /* struct sq_delta_item */

	uint64_t n, bytes; /* in the tables, as far as chunks were given back */
	/* The checkpoint's. */
	uint64_t n_next, bytes_next; /* with the chunk that is being written */
	bool listed;                 /* it is in the tables */
	bool touched;                /* by that chunk */

	struct sq_kept_start start;
};

/* An item whose put is in the journal alone. */
struct sq_delta_item {
	struct sq_hnode by_seq;
	struct sq_list node;
	struct sq_kept_queue *queue;
	struct sq_item item; /* references of its own */
	uint64_t expires_ms; /* wall-clock */
	bool writing, settled;
	uint16_t attempts; /* newest number, while the item is being written */
};

/* A pending change of an item in the tables. */
struct sq_delta_change {
	struct sq_list node;
	uint64_t lsn, queue, seq;
	uint32_t bytes; /* of a settled item in the tables; 0: of no use, it was handed out here */
	uint16_t attempts; /* 0: the item is settled */
};

/* The last value of a record, or its deletion. */
struct sq_delta_record {
	struct sq_hnode by_key;
	struct sq_list node;
	uint64_t lsn;
	struct sq_record_key key;
	bool deleted;
	size_t len;
	unsigned char value[];
};

/* A queue that was made or deleted. */
struct sq_chunk_queue {
	struct sq_kept_queue *queue;
	bool deleted;
};

struct sq_chunk {
	uint64_t lsn;
	size_t n_items;
	struct sq_delta_item **items; /* by queue and seq */
	struct sq_list deferred;      /* struct sq_delta_change, of items in the chunk before */
	struct sq_list changes;       /* struct sq_delta_change */
	struct sq_list records;       /* struct sq_delta_record */
	struct sq_chunk_queue *queues;
	size_t n_queues;
	uint64_t news_bytes; /* of these queues in the tables */
	/* Written by the checkpoint: queues whose counts the chunk changes. */
	struct sq_kept_queue **touched;
	size_t n_touched, cap_touched;
};

/* Makes an empty delta.  'table' resolves operations of records that are found in the log on items
 * that are not in the delta. */
struct sq_delta *sq_delta_new(struct sq_table *table);
void sq_delta_free(struct sq_delta **);

/* --- commits: of one thread --- */

/* Begins to apply record 'lsn', which is durable. */
void sq_delta_begin(struct sq_delta *, uint64_t lsn);
/* Applies a put; takes references of its own. */
void
sq_delta_put(struct sq_delta *, uint64_t queue, const struct sq_item *item, uint64_t expires_ms);
/* Applies an operation other than a put. */
void sq_delta_apply(struct sq_delta *, const struct sq_op_view *);
void sq_delta_end(struct sq_delta *);

/* --- start --- */

/* Reads the queues of the tables; before all records.  The table's error. */
int sq_delta_load(struct sq_delta *) SQ_MUST_CHECK;
/* Applies a record that was found in the log; SQ_EINVAL: it is malformed, and its beginning was
 * applied. */
int sq_delta_replay(struct sq_delta *, uint64_t lsn, struct sq_bytes data) SQ_MUST_CHECK;
/* Makes what has been applied the state of a start: sorts it for its queues' owners.  Once; a chunk
 * may be taken, and written at this moment.  Returns the lsn that the tables have in this state: what
 * is of a later record is restored from the delta, and not to be read there. */
uint64_t sq_delta_promote(struct sq_delta *);
/* Opens the queue of that name; NULL: there is none that is not open.  What its 'start' has is the
 * caller's. */
struct sq_kept_queue *sq_delta_open(struct sq_delta *, const char *name);
/* Adds a new, open queue; its record follows. */
void sq_delta_make(struct sq_delta *, uint64_t queue, const char *name);
/* Calls 'fn' for each queue that has not been opened, under the lock. */
void sq_delta_unopened(struct sq_delta *, void (*fn)(void *arg, struct sq_kept_queue *), void *arg);
/* The largest id of a queue, including queues whose deletion is in progress. */
uint64_t sq_delta_last_queue(struct sq_delta *);
/* Calls 'fn' for all records of a kind in delta and tables, by ascending id and sub.  None is applied
 * meanwhile; chunks may be taken and written.  The table's error. */
int sq_delta_records(struct sq_delta *, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value),
    void *arg) SQ_MUST_CHECK;

/* --- checkpoints: of one thread --- */

/* The format that the tables need for what has been applied. */
enum sq_table_format sq_delta_format(struct sq_delta *);
/* An estimate of the bytes that the delta will take in the tables; '*n_changes' gets the number of
 * changes there. */
uint64_t sq_delta_bytes(struct sq_delta *, size_t *n_changes);
/* Takes a chunk: items of about 'max_bytes', and about 'max_n' of each kind.  It stays where it is until
 * it is given back. */
void sq_delta_take(struct sq_delta *, uint64_t max_bytes, size_t max_n, struct sq_chunk *);
/* Takes a chunk of up to 'max_n' changes that need no room: settlements and deletions, out of
 * order.  The chunk keeps the lsn that the tables have already.  False: there are none. */
bool sq_delta_take_ends(struct sq_delta *, uint64_t lsn, size_t max_n, struct sq_chunk *);
/* Gives the chunk back, 'written' to the tables or not; it is empty afterwards. */
void sq_delta_give_back(struct sq_delta *, struct sq_chunk *, bool written);
/* The queue of an id; NULL: deleted or unknown. */
struct sq_kept_queue *sq_delta_queue(struct sq_delta *, uint64_t id);
/* The queue's name; "": not known yet. */
const char *sq_delta_name(struct sq_delta *, const struct sq_kept_queue *);

#endif
