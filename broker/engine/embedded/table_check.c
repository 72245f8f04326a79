/* Verifies every value of the tables, and the consistency of the databases with each other. */
#include "broker/engine/embedded/table_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/mem.h"

enum { CHECK_TEXTS_MAX = 100 /* faults of a database that are told; all are counted */ };

struct check {
	struct sq_table *table;
	MDB_txn *txn;
	void (*line)(void *arg, const char *text);
	void *arg;
	enum table_db db;
	uint64_t values;
	unsigned faults, all_faults;
	struct sq_buf scratch;
	/* Of the queue whose items are walked. */
	uint64_t queue, n, bytes;
	bool in_queue;
};

static void check_fault(struct check *, const char *fmt, ...) SQ_PRINTF(2, 3);

static void
check_fault(struct check *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	c->faults++;
	if (c->faults > CHECK_TEXTS_MAX)
		return;
	n = snprintf(text, sizeof text, "%s: ", sq_table_db_names[c->db]);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
	va_end(ap);
	c->line(c->arg, text);
}

/* Whether a database has a key of a queue. */
static bool
check_has(const struct check *c, enum table_db db, uint64_t id)
{
	struct table_key k;
	MDB_val v;

	sq_table_key_id(&k, id);
	return mdb_get(c->txn, c->table->dbi[db], &k.val, &v) == 0;
}

static bool
check_is_key(const MDB_val *k, const char *text)
{
	return k->mv_size == strlen(text) && memcmp(k->mv_data, text, k->mv_size) == 0;
}

static void
check_meta(struct check *c, const MDB_val *k, struct sq_bytes body)
{
	size_t want = 4;

	if (check_is_key(k, TABLE_STATE_KEY))
		want = TABLE_STATE;
	else if (check_is_key(k, TABLE_MARK_KEY))
		want = TABLE_MARK;
	if (body.len != want)
		check_fault(c, "a value of a wrong size");
}

/* The items of a queue have ended: compares them with the queue's counts. */
static void
check_queue_end(struct check *c)
{
	struct sq_table_queue q;
	struct sq_bytes body;
	struct table_key k;
	MDB_val v;

	if (!c->in_queue)
		return;
	c->in_queue = false;
	if (check_has(c, TABLE_GARBAGE, c->queue))
		return;
	sq_table_key_id(&k, c->queue);
	if (mdb_get(c->txn, c->table->dbi[TABLE_QUEUES], &k.val, &v) != 0) {
		check_fault(c, "%llu of queue %llu, which is not known", (unsigned long long)c->n,
		    (unsigned long long)c->queue);
		return;
	}
	/* One that does not verify has its line already. */
	if (!sq_table_proven(TABLE_QUEUES, &k.val, &v, &body) ||
	    !sq_table_queue_get(&k.val, body, &c->scratch, &q))
		return;
	if (q.n != c->n || q.bytes != c->bytes)
		check_fault(c,
		    "queue %llu has %llu items of %llu bytes, and should have %llu of %llu",
		    (unsigned long long)c->queue, (unsigned long long)c->n,
		    (unsigned long long)c->bytes, (unsigned long long)q.n,
		    (unsigned long long)q.bytes);
}

static void
check_item_key(struct check *c, const MDB_val *k, uint64_t bytes)
{
	uint64_t queue = sq_get64(k->mv_data);

	if (!c->in_queue || c->queue != queue) {
		check_queue_end(c);
		c->in_queue = true;
		c->queue = queue;
		c->n = c->bytes = 0;
	}
	c->n++;
	c->bytes += bytes;
}

static void
check_queue(struct check *c, const MDB_val *k, struct sq_bytes body)
{
	struct sq_table_queue q;
	struct table_key first;
	MDB_cursor *cursor;
	MDB_val at, v;
	bool empty = true;

	if (!sq_table_queue_get(k, body, &c->scratch, &q)) {
		check_fault(c, "an entry that is malformed");
		return;
	}
	if (check_has(c, TABLE_GARBAGE, q.id))
		check_fault(c, "queue %llu is listed as garbage, too", (unsigned long long)q.id);
	if (q.n == 0 && q.bytes == 0)
		return;
	/* The walk of the items does not come by a queue that has none. */
	if (mdb_cursor_open(c->txn, c->table->dbi[TABLE_ITEMS], &cursor) != 0)
		return;
	sq_table_key_item(&first, q.id, 0);
	at = first.val;
	if (mdb_cursor_get(cursor, &at, &v, MDB_SET_RANGE) == 0)
		empty = at.mv_size != TABLE_ITEM_KEY || sq_get64(at.mv_data) != q.id;
	mdb_cursor_close(cursor);
	if (empty)
		check_fault(c, "queue %llu has no items, and should have %llu",
		    (unsigned long long)q.id, (unsigned long long)q.n);
}

static size_t
check_key_bytes(enum table_db db)
{
	switch (db) {
	case TABLE_ITEMS:
		return TABLE_ITEM_KEY;
	case TABLE_RECORDS:
		return TABLE_RECORD_KEY;
	case TABLE_QUEUES:
	case TABLE_GARBAGE:
		return TABLE_ID_KEY;
	default:
		return 0;
	}
}

static void
check_name_key(const MDB_val *k, char *out, size_t size)
{
	struct sq_reader r = sq_reader(k->mv_data, k->mv_size);
	int n = 0;

	if (k->mv_size == TABLE_RECORD_KEY)
		n = snprintf(out, size, "kind %u ", sq_read8(&r));
	while (sq_reader_left(&r) >= 8 && n >= 0 && (size_t)n < size)
		n += snprintf(
		    out + n, size - (size_t)n, "%llu ", (unsigned long long)sq_read64(&r));
	if (n <= 0)
		snprintf(out, size, "'%.*s' ", (int)k->mv_size, (const char *)k->mv_data);
}

static void
check_value(struct check *c, const MDB_val *k, const MDB_val *v)
{
	size_t want = check_key_bytes(c->db);
	struct sq_table_item item;
	struct sq_bytes body;
	char name[96];
	bool ok;

	c->values++;
	if (want != 0 && k->mv_size != want) {
		check_fault(c, "a key of %zu bytes, which should have %zu", k->mv_size, want);
		return;
	}
	ok = sq_table_proven(c->db, k, v, &body);
	if (c->db == TABLE_ITEMS) {
		check_item_key(c, k, sq_table_image_bytes(v));
		ok = ok && sq_table_item_get(k, body, &c->scratch, &item);
	}
	if (!ok) {
		check_name_key(k, name, sizeof name);
		check_fault(c, "%sdoes not verify", name);
	} else if (c->db == TABLE_META) {
		check_meta(c, k, body);
	} else if (c->db == TABLE_QUEUES) {
		check_queue(c, k, body);
	}
}

static void
check_db(struct check *c)
{
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	char text[96];
	int rc = mdb_cursor_open(c->txn, c->table->dbi[c->db], &cursor);

	c->values = c->faults = 0;
	c->in_queue = false;
	if (rc == 0)
		rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
	while (rc == 0) {
		check_value(c, &k, &v);
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	check_queue_end(c);
	if (rc != MDB_NOTFOUND)
		check_fault(c, "the walk ended: %s", mdb_strerror(rc));
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	snprintf(text, sizeof text, "%s: %llu values, %u faults", sq_table_db_names[c->db],
	    (unsigned long long)c->values, c->faults);
	c->line(c->arg, text);
	c->all_faults += c->faults;
}

unsigned
sq_table_check(struct sq_table *t, void (*line)(void *arg, const char *text), void *arg)
{
	struct check c = {.table = t, .line = line, .arg = arg};
	int rc;

	/* LMDB is not asked for anything that its own structure could mislead it in. */
	c.all_faults = sq_table_pages_check(t->path, true, line, arg);
	if (c.all_faults > 0)
		return c.all_faults;
	rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &c.txn);
	if (rc != 0) {
		line(arg, mdb_strerror(rc));
		return 1;
	}
	for (int db = 0; db < TABLE_DBS; db++) {
		c.db = (enum table_db)db;
		check_db(&c);
	}
	mdb_txn_abort(c.txn);
	sq_buf_fini(&c.scratch);
	return c.all_faults;
}
