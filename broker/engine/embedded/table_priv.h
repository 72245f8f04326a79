/* The environment and the form of values, for the files table*.c.
 *
 * Every value begins with a CRC-32C of database, key and the rest of the value, and the length of
 * the rest, so that a wrong size from LMDB is noticed before it is used.  Integers are
 * big-endian. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_TABLE_PRIV_H
#define SQ_BROKER_ENGINE_EMBEDDED_TABLE_PRIV_H

#include <limits.h>
#include <lmdb.h>
#include <stdatomic.h>

#include "broker/engine/embedded/table.h"
#include "core/bytes.h"

/* The number is part of each CRC: never renumber one. */
enum table_db {
	TABLE_META = 0,
	TABLE_QUEUES = 1,
	TABLE_ITEMS = 2,
	TABLE_RECORDS = 3,
	TABLE_GARBAGE = 4,
	TABLE_DBS = 5,
};

enum {
	TABLE_VALUE_HEAD = 4 + 4,                              /* CRC, length of the rest */
	TABLE_ITEM_HEAD = 1 + 1 + 2 + 4 + (8 + 8 + 8 + 1) + 8, /* then subs and image */
	TABLE_QUEUE_HEAD = 8 + 8,                              /* then the name */
	TABLE_STATE = 8 + 8 + 8,
	TABLE_MARK = 8 + 8,
	TABLE_ID_KEY = 8,
	TABLE_ITEM_KEY = 8 + 8,
	TABLE_RECORD_KEY = 1 + 8 + 8,
	TABLE_KEY_MAX = 32,
	/* Flags of an item. */
	TABLE_ITEM_RETAIN = 1,
	TABLE_ITEM_ASSURED = 2,
	TABLE_ITEM_TIMED = 4,
};

#define TABLE_FORMAT_KEY "format"
#define TABLE_STATE_KEY "state"
#define TABLE_MARK_KEY "mark" /* of a shared log alone */

struct sq_table {
	MDB_env *env;
	MDB_dbi dbi[TABLE_DBS];
	char *path; /* of LMDB's file, for messages */
	struct sq_table_meta meta;
	enum sq_table_format format, format_next; /* the latter once 'txn' is committed */
	struct sq_log_mark mark_next;             /* also */
	uint64_t page_bytes;
	uint64_t max_bytes;
	uint64_t put_max_bytes; /* limit of puts; deletes need pages too */
	_Atomic uint64_t used;
	MDB_txn *txn;      /* of the checkpoint */
	MDB_cursor *items; /* in 'txn' */
	bool fenced;       /* behind the items of queue 'fence'; table_write.c */
	uint64_t fence;
	bool full;              /* the last checkpoint found no room */
	_Atomic unsigned fulls; /* how often one has found none */
	MDB_txn *pin;           /* reads nothing: see sq_table_pin() */
	size_t pin_last;        /* the last page of the file then */
};

/* A key and its bytes; do not copy it. */
struct table_key {
	MDB_val val;
	unsigned char bytes[TABLE_KEY_MAX];
};

extern const char *const sq_table_db_names[TABLE_DBS];

int sq_table_write_format(struct sq_table *, MDB_txn *, enum sq_table_format); /* LMDB's error */
void sq_table_key_id(struct table_key *, uint64_t id);
void sq_table_key_item(struct table_key *, uint64_t queue, uint64_t seq);
void sq_table_key_record(struct table_key *, const struct sq_record_key *);
void sq_table_key_text(struct table_key *, const char *text);

/* Completes the head of a value whose rest is in place. */
void sq_table_seal(enum table_db, const MDB_val *key, const MDB_val *value);
/* Whether a value verifies; 'body' gets the part behind its head. */
bool
sq_table_proven(enum table_db, const MDB_val *key, const MDB_val *value, struct sq_bytes *body);
/* The size of an item's image, with what is behind it, by the value's own lengths, not verified. */
uint64_t sq_table_image_bytes(const MDB_val *value);

/* Read the fields of a verified body.  False: their lengths do not add up, which never happens in
 * this format.  'subs' gets the identifiers of the item. */
bool sq_table_item_get(
    const MDB_val *key, struct sq_bytes body, struct sq_buf *subs, struct sq_table_item *out);
/* 'name' gets the queue's name, to which 'out' points. */
bool sq_table_queue_get(
    const MDB_val *key, struct sq_bytes body, struct sq_buf *name, struct sq_table_queue *out);
bool sq_table_record_key_get(const MDB_val *key, struct sq_record_key *out);

/* Sets the text of sq_table_error(); returns 'err'. */
int sq_table_fail(int err, const char *fmt, ...) SQ_PRINTF(2, 3);
/* Sets the text for an error of LMDB or the system in 'what'; returns its error code. */
int sq_table_lmdb_fail(const struct sq_table *, int rc, const char *what);

/* Writes the meta data in a transaction; LMDB's error. */
int sq_table_write_state(struct sq_table *, MDB_txn *);
int sq_table_write_mark(struct sq_table *, MDB_txn *, const struct sq_log_mark *);
/* Reads the meta data in the view of a transaction; the errors of sq_table_open(). */
int sq_table_read_heads(struct sq_table *, MDB_txn *, bool read_only);
size_t sq_table_last_page(const struct sq_table *);

/* The parts of opening an environment: its file of readers, itself, and its databases in a transaction. */
int sq_table_lock_reserve(struct sq_table *, const char *folder);
int sq_table_env_open(struct sq_table *, const char *folder, uint64_t max_bytes, unsigned flags);
int sq_table_open_dbs(struct sq_table *, MDB_txn *, unsigned flags);

/* Tables that are made under another name, so that a kill or a power cut on the way leaves either none
 * or all of it. */
struct table_fresh {
	char dir[PATH_MAX - 32], folder[PATH_MAX], fresh[PATH_MAX], data[PATH_MAX], lock[PATH_MAX];
};
/* Opens an empty environment with the flags of LMDB for 't', whose path is then in 'f'. */
int sq_table_fresh_begin(
    struct table_fresh *f, struct sq_table *t, const char *dir, uint64_t max_bytes, unsigned flags);
/* Writes the meta data of 't'; LMDB's databases are open. */
int sq_table_fresh_meta(struct sq_table *t, MDB_txn *);
/* What is committed becomes the tables, durably.  Closes the environment. */
int sq_table_fresh_end(struct table_fresh *f, struct sq_table *t);
/* Makes empty tables. */
int sq_table_make_as(
    const char *dir, uint64_t max_bytes, const struct sq_table_meta *, enum sq_table_format);

/* Bytes of used pages, in the view of a transaction. */
uint64_t sq_table_live_bytes(const struct sq_table *, MDB_txn *);

/* Checks LMDB's structures in the file before LMDB trusts them: heads, every branch page, and with
 * 'leaves' every leaf too.  'fault' gets a text for each fault; returns their number.  The
 * environment need not be open. */
unsigned sq_table_pages_check(
    const char *path, bool leaves, void (*fault)(void *arg, const char *text), void *arg);

#endif
