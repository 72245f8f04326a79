/* The checkpoint's side of the tables: one write transaction at a time.
 *
 * A damaged value makes nothing here fail: a deleted value is not verified first, and attempts of a
 * damaged item are left alone.  Otherwise one damaged value would make every later checkpoint
 * fail. */
#include "broker/engine/embedded/table_priv.h"

#include <assert.h>
#include <errno.h>
#include <sys/statvfs.h>

enum {
	/* Values of which two to four fill a page of 4 KiB: see table_fence(). */
	FENCE_VALUE_MIN = 790,
	FENCE_VALUE_MAX = 2014,
	DISK_FULL_BYTES = 4 << 20,
};

static int
table_begin_txn(struct sq_table *t)
{
	int rc = mdb_txn_begin(t->env, NULL, 0, &t->txn);

	if (rc != 0) {
		t->txn = NULL;
		return rc;
	}
	rc = mdb_cursor_open(t->txn, t->dbi[TABLE_ITEMS], &t->items);
	if (rc != 0) {
		t->items = NULL;
		sq_table_abort(t);
	}
	return rc;
}

/* Pages that a transaction frees can be used by the next but one.  After one that
 * found no room, those of the last get free by a commit of nothing. */
static void
table_free_pages(struct sq_table *t)
{
	MDB_txn *txn;

	if (mdb_txn_begin(t->env, NULL, 0, &txn) != 0)
		return;
	if (sq_table_write_state(t, txn) == 0)
		(void)mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
}

int
sq_table_begin(struct sq_table *t)
{
	int rc;

	assert(t->txn == NULL);
	if (t->full)
		table_free_pages(t);
	t->full = t->fenced = false;
	t->format_next = t->format;
	t->mark_next = t->meta.mark;
	rc = table_begin_txn(t);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "beginning a checkpoint");
}

/* LMDB takes a write that ends where the disk is full for an I/O error. */
static bool
table_disk_full(const struct sq_table *t)
{
	struct statvfs fs;
	int fd;

	return mdb_env_get_fd(t->env, &fd) == 0 && fstatvfs(fd, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize < DISK_FULL_BYTES;
}

static int
table_write_fail(struct sq_table *t, int rc, const char *what)
{
	int err = sq_table_lmdb_fail(t, rc == EIO && table_disk_full(t) ? ENOSPC : rc, what);

	t->full = t->full || err == SQ_ENOMEM;
	if (err == SQ_ENOMEM)
		atomic_fetch_add_explicit(&t->fulls, 1, memory_order_relaxed);
	return err;
}

/* Whether something may be added; deletes need pages as well, and the last part of
 * the map is theirs. */
static int
table_room(struct sq_table *t, size_t n)
{
	if (sq_table_live_bytes(t, t->txn) + n <= t->put_max_bytes)
		return SQ_OK;
	return table_write_fail(t, MDB_MAP_FULL, "no room for more");
}

/* Checks the room for a value of 'n' bytes; one that replaces an equally large one needs none. */
static int
table_room_for(struct sq_table *t, enum table_db db, const struct table_key *key, size_t n)
{
	MDB_val k = key->val, old;

	if (sq_table_live_bytes(t, t->txn) + n <= t->put_max_bytes)
		return SQ_OK;
	if (mdb_get(t->txn, t->dbi[db], &k, &old) == 0 && old.mv_size >= n)
		return SQ_OK;
	return table_room(t, n);
}

static int
table_put(struct sq_table *t, enum table_db db, const struct table_key *key, MDB_val *value)
{
	MDB_val k = key->val;
	int rc = table_room_for(t, db, key, value->mv_size);

	if (rc != SQ_OK)
		return rc;
	sq_table_seal(db, &k, value);
	rc = mdb_put(t->txn, t->dbi[db], &k, value, 0);
	return rc == 0 ? SQ_OK : table_write_fail(t, rc, sq_table_db_names[db]);
}

static int
table_delete(struct sq_table *t, enum table_db db, const struct table_key *key)
{
	MDB_val k = key->val;
	int rc = mdb_del(t->txn, t->dbi[db], &k, NULL);

	return rc == 0 || rc == MDB_NOTFOUND ? SQ_OK
					     : table_write_fail(t, rc, sq_table_db_names[db]);
}

/* --- items --- */

static void
item_put_body(unsigned char *p, const struct sq_table_item *i)
{
	size_t n = i->subs.len / 4;

	p[0] = (unsigned char)((i->retain ? TABLE_ITEM_RETAIN : 0) |
	    (i->assured ? TABLE_ITEM_ASSURED : 0) | (i->arrived_ms != 0 ? TABLE_ITEM_TIMED : 0));
	p[1] = i->qos;
	sq_put16(p + 2, i->attempts);
	sq_put32(p + 4, (uint32_t)n);
	sq_put64(p + 8, i->origin.incarnation);
	sq_put64(p + 16, i->origin.run);
	sq_put64(p + 24, i->origin.number);
	p[32] = i->origin.copy;
	sq_put64(p + 33, i->expires_ms);
	p += TABLE_ITEM_HEAD;
	for (size_t k = 0; k < n; k++, p += 4) {
		uint32_t id;

		memcpy(&id, i->subs.p + 4 * k, sizeof id);
		sq_put32(p, id);
	}
	if (i->image.len > 0)
		memcpy(p, i->image.p, i->image.len);
	if (i->arrived_ms != 0) {
		sq_put16(p + i->image.len, (uint16_t)(i->arrived_ms >> 32));
		sq_put32(p + i->image.len + 2, (uint32_t)i->arrived_ms);
	}
}

/* LMDB splits a page that a last key does not fit in before its last key: where three
 * values fill a page, each is left with two.  With something behind the new key it
 * splits before the new one.  So a fence, a key without a value, stands behind the
 * queue that items of such sizes are put to, and is gone when the next begins. */
static int
table_fence(struct sq_table *t, uint64_t queue, size_t value_size)
{
	bool wanted = value_size >= FENCE_VALUE_MIN && value_size <= FENCE_VALUE_MAX;
	MDB_val empty = {0, NULL};
	struct table_key k;
	int rc = 0;

	if (t->fenced && (!wanted || t->fence != queue)) {
		sq_table_key_item(&k, t->fence, UINT64_MAX);
		rc = mdb_del(t->txn, t->dbi[TABLE_ITEMS], &k.val, NULL);
		t->fenced = false;
		if (rc == MDB_NOTFOUND)
			rc = 0;
	}
	if (rc == 0 && wanted && !t->fenced) {
		sq_table_key_item(&k, queue, UINT64_MAX);
		rc = mdb_cursor_put(t->items, &k.val, &empty, 0);
		t->fenced = rc == 0;
		t->fence = queue;
	}
	return rc;
}

int
sq_table_put_item(struct sq_table *t, const struct sq_table_item *i)
{
	struct table_key k;
	MDB_val v = {
	    TABLE_VALUE_HEAD + TABLE_ITEM_HEAD + i->subs.len + i->image.len + sq_table_item_tail(i),
	    NULL};
	int rc = table_room(t, v.mv_size);

	assert(i->subs.len % 4 == 0);
	if (rc != SQ_OK)
		return rc;
	sq_table_key_item(&k, i->queue, i->seq);
	rc = table_fence(t, i->queue, v.mv_size);
	/* The cursor finds the next key of a queue without a walk from the root. */
	if (rc == 0)
		rc = mdb_cursor_put(t->items, &k.val, &v, MDB_RESERVE);
	if (rc != 0)
		return table_write_fail(t, rc, "items");
	item_put_body((unsigned char *)v.mv_data + TABLE_VALUE_HEAD, i);
	sq_table_seal(TABLE_ITEMS, &k.val, &v);
	return SQ_OK;
}

int
sq_table_delete_item(struct sq_table *t, uint64_t queue, uint64_t seq, uint64_t *bytes)
{
	struct table_key k;
	MDB_val v;
	int rc;

	*bytes = 0;
	sq_table_key_item(&k, queue, seq);
	rc = mdb_cursor_get(t->items, &k.val, &v, MDB_SET_KEY);
	if (rc == MDB_NOTFOUND)
		return SQ_OK;
	if (rc == 0) {
		*bytes = sq_table_image_bytes(&v);
		rc = mdb_cursor_del(t->items, 0);
	}
	return rc == 0 ? SQ_OK : table_write_fail(t, rc, "items");
}

int
sq_table_set_attempts(struct sq_table *t, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	struct sq_buf copy = {0};
	struct sq_bytes body;
	struct table_key k;
	MDB_val v;
	int rc;

	sq_table_key_item(&k, queue, seq);
	rc = mdb_cursor_get(t->items, &k.val, &v, MDB_SET);
	if (rc == MDB_NOTFOUND)
		return SQ_OK;
	if (rc != 0)
		return table_write_fail(t, rc, "items");
	if (!sq_table_proven(TABLE_ITEMS, &k.val, &v, &body) || body.len < TABLE_ITEM_HEAD)
		return SQ_OK;
	/* A write may move the memory that LMDB has returned. */
	sq_buf_append(&copy, v.mv_data, v.mv_size);
	v.mv_data = sq_buf_data(&copy);
	sq_put16((unsigned char *)v.mv_data + TABLE_VALUE_HEAD + 2, attempts);
	sq_table_seal(TABLE_ITEMS, &k.val, &v);
	rc = mdb_cursor_put(t->items, &k.val, &v, 0);
	sq_buf_fini(&copy);
	return rc == 0 ? SQ_OK : table_write_fail(t, rc, "items");
}

/* --- queues and records --- */

int
sq_table_put_queue(struct sq_table *t, const struct sq_table_queue *q)
{
	struct sq_buf b = {0};
	struct table_key k;
	MDB_val v;
	int rc;

	sq_buf_u64(&b, 0);
	sq_buf_u64(&b, q->n);
	sq_buf_u64(&b, q->bytes);
	sq_buf_append(&b, q->name, strlen(q->name));
	v = (MDB_val){sq_buf_len(&b), sq_buf_data(&b)};
	sq_table_key_id(&k, q->id);
	rc = table_put(t, TABLE_QUEUES, &k, &v);
	sq_buf_fini(&b);
	return rc;
}

int
sq_table_delete_queue(struct sq_table *t, uint64_t id)
{
	unsigned char body[TABLE_VALUE_HEAD];
	struct table_key k;
	MDB_val v = {sizeof body, body};
	int rc;

	sq_table_key_id(&k, id);
	rc = table_delete(t, TABLE_QUEUES, &k);
	if (rc != SQ_OK)
		return rc;
	/* Not by table_put(): it is what makes room. */
	sq_table_seal(TABLE_GARBAGE, &k.val, &v);
	rc = mdb_put(t->txn, t->dbi[TABLE_GARBAGE], &k.val, &v, 0);
	return rc == 0 ? SQ_OK : table_write_fail(t, rc, "garbage");
}

/* Deletes up to 'n' items of a queue: their number, or -1 with LMDB's error. */
static int
table_sweep_queue(struct sq_table *t, uint64_t id, unsigned n, int *err)
{
	unsigned done = 0;
	int rc = 0;

	while (done < n) {
		struct table_key k;
		MDB_val v;

		sq_table_key_item(&k, id, 0);
		rc = mdb_cursor_get(t->items, &k.val, &v, MDB_SET_RANGE);
		if (rc != 0 || k.val.mv_size != TABLE_ITEM_KEY || sq_get64(k.val.mv_data) != id)
			break;
		rc = mdb_cursor_del(t->items, 0);
		if (rc != 0)
			break;
		done++;
	}
	*err = rc == MDB_NOTFOUND ? 0 : rc;
	return *err == 0 ? (int)done : -1;
}

int
sq_table_sweep(struct sq_table *t, unsigned n)
{
	unsigned left = n < INT32_MAX ? n : INT32_MAX;
	const unsigned all = left;

	while (left > 0) {
		MDB_cursor *c;
		struct table_key id;
		MDB_val k, v;
		int done, rc = mdb_cursor_open(t->txn, t->dbi[TABLE_GARBAGE], &c);

		if (rc != 0)
			return table_write_fail(t, rc, "garbage");
		rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
		if (rc == 0)
			sq_table_key_id(&id, k.mv_size == TABLE_ID_KEY ? sq_get64(k.mv_data) : 0);
		if (rc == MDB_NOTFOUND) {
			mdb_cursor_close(c);
			break;
		}
		done = rc == 0 ? table_sweep_queue(t, sq_get64(id.bytes), left, &rc) : -1;
		/* With room left the queue is empty. */
		if (rc == 0 && (unsigned)done < left)
			rc = mdb_cursor_del(c, 0);
		mdb_cursor_close(c);
		if (rc != 0)
			return table_write_fail(t, rc, "garbage");
		left -= (unsigned)done;
	}
	return (int)(all - left);
}

int
sq_table_put_record(struct sq_table *t, const struct sq_record_key *key, struct sq_bytes value)
{
	struct table_key k;
	MDB_val v = {TABLE_VALUE_HEAD + value.len, NULL};
	int rc;

	sq_table_key_record(&k, key);
	if (value.p == NULL)
		return table_delete(t, TABLE_RECORDS, &k);
	rc = table_room_for(t, TABLE_RECORDS, &k, v.mv_size);
	if (rc != SQ_OK)
		return rc;
	rc = mdb_put(t->txn, t->dbi[TABLE_RECORDS], &k.val, &v, MDB_RESERVE);
	if (rc != 0)
		return table_write_fail(t, rc, "records");
	if (value.len > 0)
		memcpy((unsigned char *)v.mv_data + TABLE_VALUE_HEAD, value.p, value.len);
	sq_table_seal(TABLE_RECORDS, &k.val, &v);
	return SQ_OK;
}

/* --- the end --- */

int
sq_table_raise_format(struct sq_table *t, enum sq_table_format format)
{
	int rc;

	if (format <= t->format_next)
		return SQ_OK;
	rc = sq_table_write_format(t, t->txn, format);
	if (rc != 0)
		return table_write_fail(t, rc, "writing the format");
	t->format_next = format;
	return SQ_OK;
}

int
sq_table_put_mark(struct sq_table *t, const struct sq_log_mark *mark)
{
	int rc;

	assert(t->meta.shared);
	rc = sq_table_write_mark(t, t->txn, mark);
	if (rc != 0)
		return table_write_fail(t, rc, "writing the mark of the log");
	t->mark_next = *mark;
	return SQ_OK;
}

int
sq_table_commit(struct sq_table *t, uint64_t lsn)
{
	uint64_t before = t->meta.lsn, used;
	int rc;

	t->meta.lsn = lsn;
	rc = table_fence(t, 0, 0);
	if (rc == 0)
		rc = sq_table_write_state(t, t->txn);
	mdb_cursor_close(t->items);
	t->items = NULL;
	used = sq_table_live_bytes(t, t->txn);
	if (rc != 0)
		mdb_txn_abort(t->txn);
	else
		rc = mdb_txn_commit(t->txn);
	t->txn = NULL;
	if (rc != 0) {
		t->meta.lsn = before;
		return table_write_fail(t, rc, "committing a checkpoint");
	}
	t->format = t->format_next;
	t->meta.mark = t->mark_next;
	t->used = used;
	return SQ_OK;
}
