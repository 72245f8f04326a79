/* Rows to tables: they are filled in key order under another name, without a sync until the end. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "broker/engine/embedded/snapshot.h"
#include "broker/engine/embedded/snapshot_priv.h"
#include "core/log.h"
#include "core/mem.h"
#include "store/log.h"

enum { TXN_BYTES = 32 << 20 };

struct sq_snapshot_in {
	struct sq_table t;
	struct table_fresh fresh;
	MDB_txn *txn;
	uint64_t txn_bytes; /* put in it */
	bool headed, ended, done;
	struct sq_buf rest; /* of what is not whole yet */
	uint64_t entries, bytes;
	EVP_MD_CTX *sha;
};

static int
in_txn(struct sq_snapshot_in *in)
{
	int rc = mdb_txn_begin(in->t.env, NULL, 0, &in->txn);

	in->txn_bytes = 0;
	if (rc == 0)
		return SQ_OK;
	in->txn = NULL;
	return sq_table_lmdb_fail(&in->t, rc, "beginning a transaction");
}

static int
in_commit(struct sq_snapshot_in *in)
{
	int rc = mdb_txn_commit(in->txn);

	in->txn = NULL;
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(&in->t, rc, "writing a snapshot");
}

static int
in_begin(struct sq_snapshot_in *in, const char *dir, uint64_t max_bytes)
{
	int rc;

	if (sq_table_there(dir))
		return sq_table_fail(SQ_EEXIST, "%s/tables: is there already", dir);
	rc = sq_table_fresh_begin(&in->fresh, &in->t, dir, max_bytes, MDB_NOSYNC);
	if (rc == SQ_OK)
		rc = in_txn(in);
	return rc == SQ_OK ? sq_table_open_dbs(&in->t, in->txn, MDB_CREATE) : rc;
}

int
sq_snapshot_in_new(struct sq_snapshot_in **out, const char *dir, uint64_t max_bytes, uint64_t store,
    struct sq_buf *err)
{
	struct sq_snapshot_in *in = sq_xcalloc(1, sizeof *in);
	int rc;

	in->sha = EVP_MD_CTX_new();
	if (in->sha == NULL || EVP_DigestInit_ex(in->sha, EVP_sha256(), NULL) != 1)
		abort(); /* OpenSSL without memory */
	in->t.meta = (struct sq_table_meta){.store = store, .shared = true};
	*out = in;
	rc = in_begin(in, dir, max_bytes);
	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s", sq_table_error(NULL));
		sq_snapshot_in_free(out);
	}
	return rc;
}

void
sq_snapshot_in_free(struct sq_snapshot_in **inp)
{
	struct sq_snapshot_in *in = *inp;
	struct sq_buf err = {0};

	*inp = NULL;
	if (in == NULL)
		return;
	if (in->txn != NULL)
		mdb_txn_abort(in->txn);
	mdb_env_close(in->t.env);
	if (!in->done && in->fresh.dir[0] != '\0' && sq_table_remove(in->fresh.dir, &err) != SQ_OK)
		SQ_WARN("store", "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	EVP_MD_CTX_free(in->sha);
	sq_buf_fini(&in->rest);
	sq_buf_fini(&err);
	free(in);
}

static int
in_bad(const char *what)
{
	return sq_table_fail(SQ_EINVAL, "the snapshot does not verify: %s", what);
}

static int
in_head(struct sq_snapshot_in *in, const unsigned char *p)
{
	struct sq_table_meta *m = &in->t.meta;
	uint32_t format = sq_get32(p + 8);

	if (memcmp(p, SNAPSHOT_MAGIC, 4) != 0)
		return in_bad("it does not begin as one");
	if (p[4] != SQ_SNAPSHOT_FORMAT || format > SQ_TABLE_FORMAT)
		return sq_table_fail(SQ_EINVAL,
		    "the snapshot is of a newer version: format %u, of tables %" PRIu32, p[4],
		    format);
	if (sq_get64(p + 12) != m->store)
		return in_bad("it is of another log");
	in->t.format = (enum sq_table_format)format;
	m->lsn = sq_get64(p + 20);
	m->mark = (struct sq_log_mark){sq_get64(p + 28), sq_get64(p + 36)};
	return sq_table_fresh_meta(&in->t, in->txn);
}

static int
in_put(struct sq_snapshot_in *in, int db, MDB_val *key, MDB_val *value)
{
	struct sq_bytes body;
	int rc;

	if (!sq_table_proven((enum table_db)db, key, value, &body))
		return in_bad("a value is damaged");
	if (in->txn_bytes >= TXN_BYTES) {
		rc = in_commit(in);
		if (rc == SQ_OK)
			rc = in_txn(in);
		if (rc != SQ_OK)
			return rc;
	}
	rc = mdb_put(in->txn, in->t.dbi[db], key, value, MDB_APPEND);
	if (rc == MDB_KEYEXIST)
		return in_bad("its order is wrong");
	in->txn_bytes += value->mv_size;
	in->entries++;
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(&in->t, rc, "writing a snapshot");
}

/* Takes what is whole at 'p'; '*used' gets its length, 0: nothing is. */
static int
in_take(struct sq_snapshot_in *in, const unsigned char *p, size_t n, size_t *used)
{
	MDB_val key, value;
	int db;

	*used = 0;
	if (!in->headed) {
		in->headed = n >= SNAPSHOT_HEAD;
		*used = in->headed ? SNAPSHOT_HEAD : 0;
		return in->headed ? in_head(in, p) : SQ_OK;
	}
	if (n == 0)
		return SQ_OK;
	if (in->ended)
		return in_bad("it goes on behind its end");
	if (p[0] == SNAPSHOT_LAST) {
		in->ended = n >= SNAPSHOT_END;
		*used = in->ended ? SNAPSHOT_END : 0;
		return in->ended && sq_get64(p + 1) != in->entries ? in_bad("entries are missing")
								   : SQ_OK;
	}
	if (n < SNAPSHOT_ENTRY)
		return SQ_OK;
	db = p[0];
	key.mv_size = p[1];
	value.mv_size = sq_get32(p + 2);
	if (db <= TABLE_META || db >= TABLE_DBS || key.mv_size == 0 ||
	    key.mv_size > TABLE_KEY_MAX || value.mv_size > 2 * SQ_LOG_ENTRY_MAX)
		return in_bad("a length is damaged");
	if (n - SNAPSHOT_ENTRY < key.mv_size + value.mv_size)
		return SQ_OK;
	key.mv_data = (void *)(uintptr_t)(p + SNAPSHOT_ENTRY);
	value.mv_data = (unsigned char *)key.mv_data + key.mv_size;
	*used = SNAPSHOT_ENTRY + key.mv_size + value.mv_size;
	return in_put(in, db, &key, &value);
}

int
sq_snapshot_in_row(struct sq_snapshot_in *in, struct sq_bytes row, struct sq_buf *err)
{
	size_t used = 1;
	int rc = SQ_OK;

	if (EVP_DigestUpdate(in->sha, row.p, row.len) != 1)
		abort(); /* it can't */
	in->bytes += row.len;
	sq_buf_append(&in->rest, row.p, row.len);
	while (rc == SQ_OK && used > 0) {
		rc = in_take(in, sq_buf_data(&in->rest), sq_buf_len(&in->rest), &used);
		sq_buf_drain(&in->rest, used);
	}
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s", sq_table_error(NULL));
	return rc;
}

static int
in_verify(struct sq_snapshot_in *in, const struct sq_rows_sum *sum)
{
	unsigned char sha256[sizeof sum->sha256];

	if (EVP_DigestFinal_ex(in->sha, sha256, NULL) != 1)
		abort(); /* it can't */
	if (!in->ended || sq_buf_len(&in->rest) != 0)
		return in_bad("it has no end");
	if (in->bytes != sum->bytes || memcmp(sha256, sum->sha256, sizeof sha256) != 0)
		return in_bad("its digest is another one");
	if (in->t.meta.lsn != sum->lsn)
		return in_bad("it is of another record");
	return SQ_OK;
}

int
sq_snapshot_in_end(struct sq_snapshot_in *in, const struct sq_rows_sum *sum, struct sq_buf *err)
{
	int rc = in_verify(in, sum);

	if (rc == SQ_OK)
		rc = in_commit(in);
	if (rc == SQ_OK) {
		rc = mdb_env_sync(in->t.env, 1);
		if (rc != 0)
			rc = sq_table_lmdb_fail(&in->t, rc, "writing a snapshot");
	}
	if (rc == SQ_OK)
		rc = sq_table_fresh_end(&in->fresh, &in->t);
	in->done = rc == SQ_OK;
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s", sq_table_error(NULL));
	return rc;
}
