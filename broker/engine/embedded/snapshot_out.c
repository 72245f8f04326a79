/* Tables to rows. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "broker/engine/embedded/snapshot.h"
#include "broker/engine/embedded/snapshot_priv.h"
#include "core/mem.h"

enum { GROWTH_PART = 8 }; /* the file may grow by one part of so many of its maximum */

struct sq_rows {
	struct sq_table *table;
	struct sq_table view; /* the meta data of the moment */
	MDB_txn *txn;
	MDB_cursor *cursor; /* in 'db'; NULL: none yet */
	int db;
	size_t last_page; /* of the file, at the begin */
	unsigned fulls;
	bool ended, summed;
	struct sq_buf rest; /* made, and in no row yet */
	uint64_t entries, bytes;
	EVP_MD_CTX *sha;
	unsigned char sha256[32];
};

static void
out_must(int good)
{
	if (good != 1)
		abort(); /* OpenSSL without memory */
}

static void
out_close(struct sq_rows **rp)
{
	struct sq_rows *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	if (r->cursor != NULL)
		mdb_cursor_close(r->cursor);
	if (r->txn != NULL)
		mdb_txn_abort(r->txn);
	EVP_MD_CTX_free(r->sha);
	sq_buf_fini(&r->rest);
	free(r);
}

static void
out_head(struct sq_rows *r)
{
	const struct sq_table_meta *m = &r->view.meta;

	sq_buf_append(&r->rest, SNAPSHOT_MAGIC, 4);
	sq_buf_u8(&r->rest, SQ_SNAPSHOT_FORMAT);
	sq_buf_append(&r->rest, (const unsigned char[3]){0}, 3);
	sq_buf_u32(&r->rest, r->view.format);
	sq_buf_u64(&r->rest, m->store);
	sq_buf_u64(&r->rest, m->lsn);
	sq_buf_u64(&r->rest, m->mark.lsn);
	sq_buf_u64(&r->rest, m->mark.chain);
}

/* The moment. */
static int
out_begin(struct sq_rows *r, struct sq_table *t)
{
	int rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &r->txn);

	r->table = t;
	r->db = TABLE_META;
	r->last_page = sq_table_last_page(t);
	r->fulls = atomic_load_explicit(&t->fulls, memory_order_relaxed);
	r->sha = EVP_MD_CTX_new();
	out_must(r->sha != NULL && EVP_DigestInit_ex(r->sha, EVP_sha256(), NULL) == 1);
	if (rc != 0) {
		r->txn = NULL;
		return sq_table_lmdb_fail(t, rc, "beginning a transaction");
	}
	r->view.path = t->path;
	memcpy(r->view.dbi, t->dbi, sizeof r->view.dbi);
	return sq_table_read_heads(&r->view, r->txn, true);
}

static int
out_open(void *owner, struct sq_rows **out, uint64_t *lsn, struct sq_buf *err)
{
	struct sq_rows *r = sq_xcalloc(1, sizeof *r);
	int rc = out_begin(r, owner);

	*out = NULL;
	if (rc == SQ_OK && !r->view.meta.shared)
		rc = sq_table_fail(SQ_EINVAL, "%s: not of a log of several brokers", r->view.path);
	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s", sq_table_error(NULL));
		out_close(&r);
		return rc;
	}
	out_head(r);
	*lsn = r->view.meta.lsn;
	*out = r;
	return SQ_OK;
}

int
sq_snapshot_open_as(struct sq_table *t, uint64_t store, const struct sq_log_mark *mark,
    struct sq_rows **out, uint64_t *lsn, struct sq_buf *err)
{
	struct sq_rows *r = sq_xcalloc(1, sizeof *r);
	struct sq_table_meta *m = &r->view.meta;
	int rc = out_begin(r, t);

	*out = NULL;
	if (rc == SQ_OK && m->lsn != mark->lsn)
		rc = sq_table_fail(SQ_EINVAL, "%s: has not come to the mark", t->path);
	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s", sq_table_error(NULL));
		out_close(&r);
		return rc;
	}
	m->store = store;
	m->shared = true;
	m->mark = *mark;
	if (r->view.format < SQ_TABLE_FORMAT_SHARED)
		r->view.format = SQ_TABLE_FORMAT_SHARED;
	out_head(r);
	*lsn = m->lsn;
	*out = r;
	return SQ_OK;
}

/* The next entry of any database; MDB_NOTFOUND: there is none. */
static int
out_step(struct sq_rows *r, MDB_val *key, MDB_val *value)
{
	int rc = MDB_NOTFOUND;

	for (;;) {
		if (r->cursor != NULL)
			rc = mdb_cursor_get(r->cursor, key, value, MDB_NEXT);
		if (rc != MDB_NOTFOUND || r->db + 1 == TABLE_DBS)
			return rc;
		if (r->cursor != NULL)
			mdb_cursor_close(r->cursor);
		r->cursor = NULL;
		r->db++;
		rc = mdb_cursor_open(r->txn, r->view.dbi[r->db], &r->cursor);
		if (rc != 0)
			return rc;
	}
}

static void
out_entry(struct sq_rows *r, const MDB_val *key, const MDB_val *value)
{
	sq_buf_u8(&r->rest, (uint8_t)r->db);
	sq_buf_u8(&r->rest, (uint8_t)key->mv_size);
	sq_buf_u32(&r->rest, (uint32_t)value->mv_size);
	sq_buf_append(&r->rest, key->mv_data, key->mv_size);
	sq_buf_append(&r->rest, value->mv_data, value->mv_size);
	r->entries++;
}

static int
out_more(struct sq_rows *r)
{
	struct sq_bytes body;
	MDB_val key = {0}, value = {0};
	int rc = out_step(r, &key, &value);

	if (rc == MDB_NOTFOUND) {
		sq_buf_u8(&r->rest, SNAPSHOT_LAST);
		sq_buf_u64(&r->rest, r->entries);
		r->ended = true;
		return SQ_OK;
	}
	if (rc != 0)
		return sq_table_lmdb_fail(r->table, rc, "reading for a snapshot");
	if (key.mv_size > TABLE_KEY_MAX ||
	    !sq_table_proven((enum table_db)r->db, &key, &value, &body))
		return sq_table_fail(SQ_EINVAL, "%s: a value in '%s' does not verify", r->view.path,
		    sq_table_db_names[r->db]);
	out_entry(r, &key, &value);
	return SQ_OK;
}

/* Whether reading costs the broker too much. */
static int
out_judge(const struct sq_rows *r)
{
	const struct sq_table *t = r->table;
	uint64_t grown = (sq_table_last_page(t) - r->last_page) * t->page_bytes;

	if (atomic_load_explicit(&t->fulls, memory_order_relaxed) != r->fulls)
		return sq_table_fail(SQ_EAGAIN, "the store has no room for what it writes");
	if (grown > t->max_bytes / GROWTH_PART)
		return sq_table_fail(SQ_EAGAIN,
		    "so much was written meanwhile that the tables have grown by an eighth of "
		    "store.max-size");
	return SQ_OK;
}

static int
out_next(struct sq_rows *r, struct sq_buf *row, struct sq_buf *err)
{
	int rc = out_judge(r);
	size_t n;

	while (rc == SQ_OK && !r->ended && sq_buf_len(&r->rest) < SQ_ROWS_ROW)
		rc = out_more(r);
	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s", sq_table_error(NULL));
		return rc;
	}
	n = sq_buf_len(&r->rest);
	if (n > SQ_ROWS_ROW)
		n = SQ_ROWS_ROW;
	out_must(EVP_DigestUpdate(r->sha, sq_buf_data(&r->rest), n));
	sq_buf_append(row, sq_buf_data(&r->rest), n);
	sq_buf_drain(&r->rest, n);
	r->bytes += n;
	if (n == 0 && !r->summed)
		out_must(EVP_DigestFinal_ex(r->sha, r->sha256, NULL));
	r->summed = n == 0;
	return SQ_OK;
}

static void
out_sum(const struct sq_rows *r, struct sq_rows_sum *sum)
{
	*sum = (struct sq_rows_sum){
	    .lsn = r->view.meta.lsn, .bytes = r->bytes, .format = SQ_SNAPSHOT_FORMAT};
	memcpy(sum->sha256, r->sha256, sizeof sum->sha256);
}

const struct sq_rows_source sq_snapshot_source = {
    .open = out_open,
    .next = out_next,
    .sum = out_sum,
    .close = out_close,
};
