/* The tables behind the journal: LMDB with the journal's state that was not deleted before a
 * checkpoint.
 *
 * One environment with five databases: 'meta', 'queues', 'items' (by queue and seq), 'records' (by
 * kind, id and sub) and 'garbage' (queues whose deletion is in progress).  Keys are big-endian, so
 * that a cursor walks a queue in its order.  Every value has a CRC-32C of key and value, which each
 * read checks. docs/store.md has the bytes.
 *
 * No lock: one thread writes (the checkpoint), and other threads may read meanwhile.  Each read
 * function has a transaction of its own that ends with it, and takes less than 10 ms for the
 * amounts that callers ask for. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_TABLE_H
#define SQ_BROKER_ENGINE_EMBEDDED_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/txn.h"
#include "core/buf.h"
#include "core/err.h"
#include "proto/link/frame.h"
#include "store/log.h"

struct sq_table;

/* Formats have one layout, and differ in what is in the records: a broker refuses those that it does
 * not know.  New tables have the first, so that older brokers open what they know all of. */
enum sq_table_format {
	SQ_TABLE_FORMAT_FIRST = 1,
	SQ_TABLE_FORMAT_NAMED =
	    2, /* there is, or was, a named queue or a bridge: records 13 to 20 */
	SQ_TABLE_FORMAT_SHARED = 3, /* made by sq_table_make(): of a log of several brokers */
	SQ_TABLE_FORMAT = SQ_TABLE_FORMAT_SHARED, /* the newest */
};

struct sq_table_meta {
	uint64_t store;          /* drawn when the store was made */
	uint64_t boots;          /* number of times the store has been opened */
	uint64_t lsn;            /* the tables have the log up to this record */
	bool shared;             /* the log is one of several brokers, whose id 'store' is */
	struct sq_log_mark mark; /* only if it is shared: sq_table_put_mark() */
};

/* A queue; its name follows in the stored value. */
struct sq_table_queue {
	uint64_t id;       /* from 1, never used again */
	uint64_t n, bytes; /* items in the table, and bytes of their images */
	const char *name;
};

/* A stored item.  'expires_ms' is on the wall clock (ms since 1970); 0: never. */
struct sq_table_item {
	uint64_t queue, seq;
	struct sq_origin origin;
	uint64_t expires_ms;
	uint8_t qos;
	bool retain, assured;
	uint16_t attempts;
	struct sq_bytes subs; /* u32 each, host order in memory */
	struct sq_bytes image;
	uint64_t arrived_ms; /* 48 bits; 0: not kept */
};

enum { SQ_TABLE_ITEM_TAIL = 6 }; /* bytes behind the image of an item that keeps when it arrived */

/* The bytes that the item has behind its image.  They count with the image's wherever bytes of stored
 * images are counted: older brokers take them for a part of it. */
static inline uint32_t
sq_table_item_tail(const struct sq_table_item *i)
{
	return i->arrived_ms != 0 ? SQ_TABLE_ITEM_TAIL : 0;
}

/* Opens or makes the environment of a directory (dir/tables/), of at most 'max_bytes' (0: the
 * file's).  Counts an opening, durably, unless 'read_only', which makes nothing.  Errors with a
 * line in 'err': SQ_EINVAL for an unknown format, or for files that LMDB refuses or should not
 * trust; SQ_ENOMEM for a full disk; SQ_EIO; SQ_ENOTFOUND with 'read_only'. */
int sq_table_open(struct sq_table **, const char *dir, uint64_t max_bytes, bool read_only,
    struct sq_buf *err) SQ_MUST_CHECK;
void sq_table_close(struct sq_table **);
/* Whether the directory has tables, or something in their place. */
bool sq_table_there(const char *dir);
/* Makes empty tables for a log of several brokers, where there are none.  Errors as of
 * sq_table_open(). */
int sq_table_make(
    const char *dir, uint64_t max_bytes, uint64_t store, struct sq_buf *err) SQ_MUST_CHECK;
/* Removes the tables, and what an interrupted making has left.  SQ_EIO with a line in 'err'. */
int sq_table_remove(const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
struct sq_table_meta sq_table_meta(const struct sq_table *);
enum sq_table_format sq_table_format(const struct sq_table *);
/* Bytes in use, of 'max_bytes', at the last commit.  Thread: any. */
uint64_t sq_table_used(const struct sq_table *);

/* Has the tables of a log of files be those of a log of several brokers that has the same id, and begins
 * behind their lsn; durably.  What is in the log of files alone is lost by it: sq_move_settle(). */
int sq_table_share(struct sq_table *) SQ_MUST_CHECK;
/* The other way; they count as opened 'boots' times at least. */
int sq_table_unshare(struct sq_table *, uint64_t boots) SQ_MUST_CHECK;

/* Adds to the number of openings, durably.  The table is open for writing, and no checkpoint. */
int sq_table_skip_boots(struct sq_table *, uint64_t n) SQ_MUST_CHECK;

/* The newest head of LMDB's file, as far as a copy needs it. */
struct sq_table_head {
	uint64_t txn;       /* number of the commit */
	uint64_t bytes;     /* of all pages that it knows */
	uint64_t map_bytes; /* the most that the file may become */
};
/* Reads the first pages of the file, SQ_TABLE_HEADS bytes at most, to 'heads' and its newest head
 * from them.  SQ_EINVAL: it is none of LMDB; SQ_EIO. */
enum { SQ_TABLE_HEADS = 2 * 65536 };
int sq_table_head_read(
    int fd, unsigned char *heads, size_t *n, struct sq_table_head *out) SQ_MUST_CHECK;

/* --- the checkpoint: one write transaction at a time, one thread --- */

/* Each returns 0, SQ_ENOMEM (the map or the disk is full), SQ_EINVAL (LMDB finds its file damaged)
 * or SQ_EIO; sq_table_error() has the text.  After an error, also of sq_table_commit(), only
 * sq_table_abort() is allowed.
 *
 * The last eighth of 'max_bytes' is for deletes.  Puts of items queue by queue, by ascending seq,
 * cost least and fill pages best.  A damaged value never makes a write fail: it is overwritten or
 * deleted like any other. */
int sq_table_begin(struct sq_table *) SQ_MUST_CHECK;
/* 'seq' is below UINT64_MAX. */
int sq_table_put_item(struct sq_table *, const struct sq_table_item *) SQ_MUST_CHECK;
/* Deletes an item; 'bytes' gets the size of its image; 0: there was no item. */
int sq_table_delete_item(
    struct sq_table *, uint64_t queue, uint64_t seq, uint64_t *bytes) SQ_MUST_CHECK;
/* Sets an item's attempts; leaves a missing or damaged item alone. */
int sq_table_set_attempts(
    struct sq_table *, uint64_t queue, uint64_t seq, uint16_t attempts) SQ_MUST_CHECK;
int sq_table_put_queue(struct sq_table *, const struct sq_table_queue *) SQ_MUST_CHECK;
/* Deletes the queue and lists it as garbage. */
int sq_table_delete_queue(struct sq_table *, uint64_t id) SQ_MUST_CHECK;
/* Deletes up to 'n' items of garbage queues; returns their number, or an error. */
int sq_table_sweep(struct sq_table *, unsigned n) SQ_MUST_CHECK;
/* A value without bytes ('p' is NULL) deletes. */
int sq_table_put_record(
    struct sq_table *, const struct sq_record_key *, struct sq_bytes value) SQ_MUST_CHECK;
/* Has the tables be of that format at least, with the commit. */
int sq_table_raise_format(struct sq_table *, enum sq_table_format) SQ_MUST_CHECK;
/* Has the tables, which are of a shared log, keep that mark with the commit. */
int sq_table_put_mark(struct sq_table *, const struct sq_log_mark *) SQ_MUST_CHECK;
/* Commits durably, with 'lsn' in the meta data. */
int sq_table_commit(struct sq_table *, uint64_t lsn) SQ_MUST_CHECK;
void sq_table_abort(struct sq_table *);
/* The text of the last failed call of this thread, reads included. */
const char *sq_table_error(const struct sq_table *);

/* --- pages that are kept for a backup (hold.h); the checkpoint's thread --- */

/* Keeps all pages of the last commit, and of later ones, from being used again, so that their bytes
 * in the file stay.  What is freed meanwhile makes the file grow. */
int sq_table_pin(struct sq_table *) SQ_MUST_CHECK;
void sq_table_unpin(struct sq_table *);
/* Bytes by which the file has grown since sq_table_pin(). */
uint64_t sq_table_pin_bytes(const struct sq_table *);
/* The most that the tables may become. */
uint64_t sq_table_max(const struct sq_table *);

/* --- reading, any thread --- */

/* Calls 'fn' for the items of a queue with seq >= 'from', in order, until it returns false,
 * 'max_items' were read, or their images have 'max_bytes' (the first is always read).  Views are
 * valid during the call.  SQ_EINVAL: an item does not verify; 'fn' has got those before it, and
 * 'bad' its seq. */
int sq_table_items(struct sq_table *, uint64_t queue, uint64_t from, unsigned max_items,
    uint64_t max_bytes, bool (*fn)(void *arg, const struct sq_table_item *), void *arg,
    uint64_t *bad) SQ_MUST_CHECK;
/* Calls 'fn' for one item.  SQ_ENOTFOUND: there is none. */
int sq_table_item(struct sq_table *, uint64_t queue, uint64_t seq,
    void (*fn)(void *arg, const struct sq_table_item *), void *arg) SQ_MUST_CHECK;
/* The size of an item's image, not verified; 0: there is no item. */
uint64_t sq_table_item_bytes(struct sq_table *, uint64_t queue, uint64_t seq);
/* Calls 'fn' for all records, by ascending kind, id and sub. */
int sq_table_records(struct sq_table *,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value),
    void *arg) SQ_MUST_CHECK;
/* Calls 'fn' for the records of one kind. */
int sq_table_records_of(struct sq_table *, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value),
    void *arg) SQ_MUST_CHECK;
/* The largest id of a queue in any database; 0: there is none. */
uint64_t sq_table_last_queue(struct sq_table *);
int sq_table_queues(struct sq_table *, void (*fn)(void *arg, const struct sq_table_queue *),
    void *arg) SQ_MUST_CHECK;
/* Verifies every value; 'line' gets a text for each database and each fault.  Returns the number of
 * faults. */
unsigned sq_table_check(struct sq_table *, void (*line)(void *arg, const char *text), void *arg);

#endif
