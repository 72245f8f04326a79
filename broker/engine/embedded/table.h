/* The tables behind the journal: LMDB with what is still alive of it.
 *
 * One environment with five databases: 'meta', 'queues' (what is known of each
 * queue), 'items' (by queue and seq), 'records' (by kind, id and sub) and
 * 'garbage' (queues that are being deleted).  Keys are big-endian, so that a
 * cursor walks a queue in its order; every value carries a CRC-32C of key and
 * value, checked by each read.  docs/store.md has the bytes.
 *
 * Not locked: one thread writes (the checkpoint), and reads may run beside it on
 * other threads; each read function has a transaction of its own that ends with
 * it and stays below 10 ms for the amounts that its caller asks for. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_TABLE_H
#define SQ_BROKER_ENGINE_EMBEDDED_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "core/buf.h"

struct sq_table;

enum { SQ_TABLE_FORMAT = 1 };

struct sq_table_meta {
	uint64_t store; /* drawn when the store was made */
	uint64_t boots; /* how often it was opened */
	uint64_t lsn;   /* everything up to this record of the journal is in the tables */
};

/* What is known of a queue; the name follows in the stored value. */
struct sq_table_queue {
	uint64_t id;       /* from 1, never used again */
	uint64_t n, bytes; /* its items in the table, and the bytes of their images */
	const char *name;
};

/* An item as stored; 'expires_ms' is wall-clock time (ms since 1970), 0: never. */
struct sq_table_item {
	uint64_t queue, seq;
	struct sq_origin origin;
	uint64_t expires_ms;
	uint8_t qos;
	bool retain, assured;
	uint16_t attempts;
	struct sq_bytes subs; /* u32 each, host order in memory */
	struct sq_bytes image;
};

/* Opens or makes the environment of a directory (dir/tables/), of at most
 * 'max_bytes' (0: as its file says).  Refuses a format that it does not know (SQ_EINVAL),
 * files that LMDB does not take or should not trust (SQ_EINVAL), a disk without room
 * (SQ_ENOMEM), and what the system denies (SQ_EIO), with a line in 'err'.  Counts one
 * more boot, durably, unless 'read_only', which makes nothing: SQ_ENOTFOUND. */
int sq_table_open(struct sq_table **, const char *dir, uint64_t max_bytes, bool read_only,
    struct sq_buf *err) SQ_MUST_CHECK;
void sq_table_close(struct sq_table **);
struct sq_table_meta sq_table_meta(const struct sq_table *);
/* Bytes in use, of 'max_bytes', as of the last commit; any thread. */
uint64_t sq_table_used(const struct sq_table *);

/* --- the checkpoint: one write transaction at a time, one thread --- */

/* Each returns 0, SQ_ENOMEM (the map or the disk is full), SQ_EINVAL (LMDB finds its
 * file damaged) or SQ_EIO; sq_table_error() has the text.  After an error only
 * sq_table_abort() is allowed, also after one of sq_table_commit().
 *
 * The last eighth of 'max_bytes' is for deletes.  Puts of items one queue after the
 * other, by ascending seq, cost least and fill pages best.  A damaged value never
 * makes a write fail: it is overwritten or deleted like any other. */
int sq_table_begin(struct sq_table *) SQ_MUST_CHECK;
/* 'seq' is below UINT64_MAX. */
int sq_table_put_item(struct sq_table *, const struct sq_table_item *) SQ_MUST_CHECK;
/* Deletes an item; 'bytes' gets its image's size, 0 where there was none. */
int sq_table_delete_item(
    struct sq_table *, uint64_t queue, uint64_t seq, uint64_t *bytes) SQ_MUST_CHECK;
/* Changes an item's attempts; one that is not there or damaged is left alone. */
int sq_table_set_attempts(
    struct sq_table *, uint64_t queue, uint64_t seq, uint16_t attempts) SQ_MUST_CHECK;
int sq_table_put_queue(struct sq_table *, const struct sq_table_queue *) SQ_MUST_CHECK;
/* Forgets the queue and lists it as garbage. */
int sq_table_delete_queue(struct sq_table *, uint64_t id) SQ_MUST_CHECK;
/* Deletes up to 'n' items of garbage queues; returns how many, or an error. */
int sq_table_sweep(struct sq_table *, unsigned n) SQ_MUST_CHECK;
/* A value without bytes ('p' is NULL) deletes. */
int sq_table_put_record(
    struct sq_table *, const struct sq_record_key *, struct sq_bytes value) SQ_MUST_CHECK;
/* Makes it durable, with 'lsn' in the meta data. */
int sq_table_commit(struct sq_table *, uint64_t lsn) SQ_MUST_CHECK;
void sq_table_abort(struct sq_table *);
/* Of the last call that failed on this thread, reads included. */
const char *sq_table_error(const struct sq_table *);

/* --- reading, any thread --- */

/* Calls 'fn' for the items of a queue with seq >= 'from', in order, until it returns
 * false, 'max_items' were read, or their images have 'max_bytes' (the first is
 * always read).  Views end with the call.  SQ_EINVAL: an item does not verify; those
 * before it were given, 'bad' gets its seq. */
int sq_table_items(struct sq_table *, uint64_t queue, uint64_t from, unsigned max_items,
    uint64_t max_bytes, bool (*fn)(void *arg, const struct sq_table_item *), void *arg,
    uint64_t *bad) SQ_MUST_CHECK;
/* Calls 'fn' for one item: SQ_ENOTFOUND where there is none. */
int sq_table_item(struct sq_table *, uint64_t queue, uint64_t seq,
    void (*fn)(void *arg, const struct sq_table_item *), void *arg) SQ_MUST_CHECK;
/* The size of an item's image; 0: there is none.  Does not verify it. */
uint64_t sq_table_item_bytes(struct sq_table *, uint64_t queue, uint64_t seq);
/* All records, by ascending kind, id and sub. */
int sq_table_records(struct sq_table *,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value),
    void *arg) SQ_MUST_CHECK;
/* Those of one kind. */
int sq_table_records_of(struct sq_table *, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value),
    void *arg) SQ_MUST_CHECK;
/* The largest id of a queue of which anything is there, 0 where there is none. */
uint64_t sq_table_last_queue(struct sq_table *);
int sq_table_queues(struct sq_table *, void (*fn)(void *arg, const struct sq_table_queue *),
    void *arg) SQ_MUST_CHECK;
/* Walks everything and verifies every value; 'line' gets a text for each database
 * and each fault.  Returns the number of faults. */
unsigned sq_table_check(struct sq_table *, void (*line)(void *arg, const char *text), void *arg);

#endif
