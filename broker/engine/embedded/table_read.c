/* Reads of the tables: each with a transaction of its own, on any thread. */
#include "broker/engine/embedded/table_priv.h"

static int
table_read_begin(struct sq_table *t, MDB_txn **txn)
{
	int rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, txn);

	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "beginning a read");
}

static int
item_bad(const struct sq_table *t, uint64_t queue, uint64_t seq)
{
	return sq_table_fail(SQ_EINVAL, "%s: item %llu of queue %llu does not verify", t->path,
	    (unsigned long long)seq, (unsigned long long)queue);
}

struct items_walk {
	struct sq_table *table;
	uint64_t queue;
	unsigned max_items;
	uint64_t max_bytes;
	bool (*fn)(void *arg, const struct sq_table_item *);
	void *arg;
	uint64_t *bad;
};

/* One after the other from 'from' on; 'subs' is scratch. */
static int
items_walk(const struct items_walk *w, MDB_cursor *c, uint64_t from, struct sq_buf *subs)
{
	struct table_key key;
	uint64_t bytes = 0;
	MDB_val k, v;
	int rc;

	sq_table_key_item(&key, w->queue, from);
	k = key.val;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	for (unsigned n = 0; n < w->max_items && rc == 0; n++) {
		struct sq_table_item item;
		struct sq_bytes body;

		if (k.mv_size != TABLE_ITEM_KEY || sq_get64(k.mv_data) != w->queue)
			return SQ_OK;
		if (!sq_table_proven(TABLE_ITEMS, &k, &v, &body) ||
		    !sq_table_item_get(&k, body, subs, &item)) {
			*w->bad = sq_get64((const unsigned char *)k.mv_data + 8);
			return item_bad(w->table, w->queue, *w->bad);
		}
		bytes += item.image.len;
		if (n > 0 && bytes > w->max_bytes)
			return SQ_OK;
		if (!w->fn(w->arg, &item))
			return SQ_OK;
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		return sq_table_lmdb_fail(w->table, rc, "reading items");
	return SQ_OK;
}

int
sq_table_items(struct sq_table *t, uint64_t queue, uint64_t from, unsigned max_items,
    uint64_t max_bytes, bool (*fn)(void *arg, const struct sq_table_item *), void *arg,
    uint64_t *bad)
{
	const struct items_walk w = {t, queue, max_items, max_bytes, fn, arg, bad};
	struct sq_buf subs = {0};
	MDB_cursor *c;
	MDB_txn *txn;
	int rc = table_read_begin(t, &txn);

	if (rc != SQ_OK)
		return rc;
	rc = mdb_cursor_open(txn, t->dbi[TABLE_ITEMS], &c);
	if (rc == 0) {
		rc = items_walk(&w, c, from, &subs);
		mdb_cursor_close(c);
	} else {
		rc = sq_table_lmdb_fail(t, rc, "reading items");
	}
	mdb_txn_abort(txn);
	sq_buf_fini(&subs);
	return rc;
}

int
sq_table_item(struct sq_table *t, uint64_t queue, uint64_t seq,
    void (*fn)(void *arg, const struct sq_table_item *), void *arg)
{
	struct sq_table_item item;
	struct sq_buf subs = {0};
	struct sq_bytes body;
	struct table_key k;
	MDB_txn *txn;
	MDB_val v;
	int rc = table_read_begin(t, &txn);

	if (rc != SQ_OK)
		return rc;
	sq_table_key_item(&k, queue, seq);
	rc = mdb_get(txn, t->dbi[TABLE_ITEMS], &k.val, &v);
	if (rc == MDB_NOTFOUND)
		rc = SQ_ENOTFOUND;
	else if (rc != 0)
		rc = sq_table_lmdb_fail(t, rc, "reading an item");
	else if (!sq_table_proven(TABLE_ITEMS, &k.val, &v, &body) ||
	    !sq_table_item_get(&k.val, body, &subs, &item))
		rc = item_bad(t, queue, seq);
	else
		fn(arg, &item);
	mdb_txn_abort(txn);
	sq_buf_fini(&subs);
	return rc;
}

uint64_t
sq_table_item_bytes(struct sq_table *t, uint64_t queue, uint64_t seq)
{
	uint64_t bytes = 0;
	struct table_key k;
	MDB_txn *txn;
	MDB_val v;

	if (table_read_begin(t, &txn) != SQ_OK)
		return 0;
	sq_table_key_item(&k, queue, seq);
	if (mdb_get(txn, t->dbi[TABLE_ITEMS], &k.val, &v) == 0)
		bytes = sq_table_image_bytes(&v);
	mdb_txn_abort(txn);
	return bytes;
}

/* --- everything of a database --- */

/* One value that verifies; an error of ours ends the walk. */
typedef int
table_each_fn(void *owner, const struct sq_table *, const MDB_val *key, struct sq_bytes body);

static bool
table_begins(const MDB_val *key, struct sq_bytes prefix)
{
	return prefix.len == 0 ||
	    (key->mv_size >= prefix.len && memcmp(key->mv_data, prefix.p, prefix.len) == 0);
}

/* Walks the values of a database whose keys begin with 'prefix'. */
static int
table_each(
    struct sq_table *t, enum table_db db, struct sq_bytes prefix, table_each_fn *fn, void *owner)
{
	MDB_val k = {prefix.len, (void *)(uintptr_t)prefix.p}, v;
	const char *name = sq_table_db_names[db];
	MDB_cursor *c = NULL;
	MDB_txn *txn;
	int rc = table_read_begin(t, &txn), end;

	if (rc != SQ_OK)
		return rc;
	end = mdb_cursor_open(txn, t->dbi[db], &c);
	if (end == 0)
		end = mdb_cursor_get(c, &k, &v, prefix.len > 0 ? MDB_SET_RANGE : MDB_FIRST);
	while (end == 0 && rc == SQ_OK && table_begins(&k, prefix)) {
		struct sq_bytes body;

		if (sq_table_proven(db, &k, &v, &body))
			rc = fn(owner, t, &k, body);
		else
			rc = sq_table_fail(
			    SQ_EINVAL, "%s: a value of '%s' does not verify", t->path, name);
		end = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	if (rc == SQ_OK && end != 0 && end != MDB_NOTFOUND)
		rc = sq_table_lmdb_fail(t, end, name);
	if (c != NULL)
		mdb_cursor_close(c);
	mdb_txn_abort(txn);
	return rc;
}

struct records_walk {
	void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value);
	void *arg;
};

static int
records_one(void *owner, const struct sq_table *t, const MDB_val *key, struct sq_bytes body)
{
	const struct records_walk *w = owner;
	struct sq_record_key k;

	if (!sq_table_record_key_get(key, &k))
		return sq_table_fail(SQ_EINVAL, "%s: a key of 'records' is malformed", t->path);
	w->fn(w->arg, &k, body);
	return SQ_OK;
}

int
sq_table_records(struct sq_table *t,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	struct records_walk w = {fn, arg};

	return table_each(t, TABLE_RECORDS, (struct sq_bytes){0}, records_one, &w);
}

int
sq_table_records_of(struct sq_table *t, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	struct records_walk w = {fn, arg};

	return table_each(t, TABLE_RECORDS, (struct sq_bytes){&kind, 1}, records_one, &w);
}

static uint64_t
table_last_id(struct sq_table *t, MDB_txn *txn, enum table_db db)
{
	uint64_t id = 0;
	MDB_cursor *c;
	MDB_val k, v;

	if (mdb_cursor_open(txn, t->dbi[db], &c) != 0)
		return 0;
	if (mdb_cursor_get(c, &k, &v, MDB_LAST) == 0 && k.mv_size >= TABLE_ID_KEY)
		id = sq_get64(k.mv_data);
	mdb_cursor_close(c);
	return id;
}

uint64_t
sq_table_last_queue(struct sq_table *t)
{
	static const enum table_db dbs[] = {TABLE_QUEUES, TABLE_ITEMS, TABLE_GARBAGE};
	uint64_t last = 0, id;
	MDB_txn *txn;

	if (table_read_begin(t, &txn) != SQ_OK)
		return 0;
	for (size_t i = 0; i < SQ_ARRAY_LEN(dbs); i++) {
		id = table_last_id(t, txn, dbs[i]);
		last = id > last ? id : last;
	}
	mdb_txn_abort(txn);
	return last;
}

struct queues_walk {
	void (*fn)(void *arg, const struct sq_table_queue *);
	void *arg;
	struct sq_buf name;
};

static int
queues_one(void *owner, const struct sq_table *t, const MDB_val *key, struct sq_bytes body)
{
	struct queues_walk *w = owner;
	struct sq_table_queue q;

	if (!sq_table_queue_get(key, body, &w->name, &q))
		return sq_table_fail(SQ_EINVAL, "%s: an entry of 'queues' is malformed", t->path);
	w->fn(w->arg, &q);
	return SQ_OK;
}

int
sq_table_queues(struct sq_table *t, void (*fn)(void *arg, const struct sq_table_queue *), void *arg)
{
	struct queues_walk w = {fn, arg, {0}};
	int rc = table_each(t, TABLE_QUEUES, (struct sq_bytes){0}, queues_one, &w);

	sq_buf_fini(&w.name);
	return rc;
}
