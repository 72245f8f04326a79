/* The tables: opening them, meta data, formats.  The environment's parts are in table_env.c, making is in
 * table_make.c, the checkpoint's writes in table_write.c, reads in table_read.c and table_check.c, the
 * form of keys and values in table_value.c. */
#include "broker/engine/embedded/table_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"

enum {
	TABLE_PUT_SHARE = 8, /* one part of so many is for deletes only */
};

/* Brings the tables from a format to the next one, within the transaction that
 * also writes the new number; LMDB's error. */
typedef int table_upgrade_fn(struct sq_table *, MDB_txn *);

/* By the format that is there.  There was none before 1. */
static table_upgrade_fn *const upgrades[SQ_TABLE_FORMAT_FIRST] = {NULL};

enum sq_table_format
sq_table_format(const struct sq_table *t)
{
	return t->format;
}

struct sq_table_meta
sq_table_meta(const struct sq_table *t)
{
	return t->meta;
}

uint64_t
sq_table_used(const struct sq_table *t)
{
	return t->used;
}

/* --- meta data --- */

/* A value of the meta data of exactly 'n' bytes. */
static int
table_read_meta(
    struct sq_table *t, MDB_txn *txn, const char *key, size_t n, const unsigned char **out)
{
	struct sq_bytes body;
	struct table_key k;
	MDB_val v;
	int rc;

	sq_table_key_text(&k, key);
	rc = mdb_get(txn, t->dbi[TABLE_META], &k.val, &v);
	if (rc == MDB_NOTFOUND)
		return sq_table_fail(SQ_EINVAL, "%s: no '%s' in its meta data", t->path, key);
	if (rc != 0)
		return sq_table_lmdb_fail(t, rc, "reading the meta data");
	if (!sq_table_proven(TABLE_META, &k.val, &v, &body) || body.len < n)
		return sq_table_fail(
		    SQ_EINVAL, "%s: '%s' in its meta data does not verify", t->path, key);
	*out = body.p;
	return SQ_OK;
}

/* Refuses a format that this program can't read, and brings an older one to ours
 * where that is known and allowed. */
static int
table_read_format(struct sq_table *t, MDB_txn *txn, bool read_only)
{
	const unsigned char *p = NULL;
	uint32_t format;
	int rc = table_read_meta(t, txn, TABLE_FORMAT_KEY, 4, &p);

	if (rc != SQ_OK)
		return rc;
	format = sq_get32(p);
	if (format > SQ_TABLE_FORMAT)
		return sq_table_fail(SQ_EINVAL,
		    "%s: format %u is of a newer version; this one knows %d", t->path, format,
		    SQ_TABLE_FORMAT);
	t->format = format > SQ_TABLE_FORMAT_FIRST ? format : SQ_TABLE_FORMAT_FIRST;
	if (format == t->format)
		return SQ_OK;
	for (uint32_t f = format; f < SQ_TABLE_FORMAT_FIRST; f++)
		if (upgrades[f] == NULL)
			return sq_table_fail(SQ_EINVAL,
			    "%s: format %u is older than any that this version can upgrade",
			    t->path, format);
	if (read_only)
		return sq_table_fail(SQ_EINVAL,
		    "%s: format %u is upgraded when a broker of this version starts", t->path,
		    format);
	for (uint32_t f = format; f < SQ_TABLE_FORMAT_FIRST; f++) {
		rc = upgrades[f](t, txn);
		if (rc != 0)
			return sq_table_lmdb_fail(t, rc, "upgrading the format");
	}
	rc = sq_table_write_format(t, txn, t->format);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "upgrading the format");
}

static int
table_read_state(struct sq_table *t, MDB_txn *txn)
{
	const unsigned char *p;
	int rc = table_read_meta(t, txn, TABLE_STATE_KEY, TABLE_STATE, &p);

	if (rc != SQ_OK)
		return rc;
	t->meta = (struct sq_table_meta){
	    .store = sq_get64(p), .boots = sq_get64(p + 8), .lsn = sq_get64(p + 16)};
	return SQ_OK;
}

/* Tables of a log of files have no mark. */
static int
table_read_mark(struct sq_table *t, MDB_txn *txn)
{
	const unsigned char *p;
	struct table_key k;
	MDB_val v;
	int rc;

	sq_table_key_text(&k, TABLE_MARK_KEY);
	t->meta.shared = mdb_get(txn, t->dbi[TABLE_META], &k.val, &v) != MDB_NOTFOUND;
	if (!t->meta.shared)
		return SQ_OK;
	rc = table_read_meta(t, txn, TABLE_MARK_KEY, TABLE_MARK, &p);
	if (rc == SQ_OK)
		t->meta.mark = (struct sq_log_mark){sq_get64(p), sq_get64(p + 8)};
	return rc;
}

int
sq_table_read_heads(struct sq_table *t, MDB_txn *txn, bool read_only)
{
	int rc = table_read_format(t, txn, read_only);

	if (rc == SQ_OK)
		rc = table_read_state(t, txn);
	return rc == SQ_OK ? table_read_mark(t, txn) : rc;
}

/* --- opening --- */

/* Gives tables above their maximum (store.max-size was lowered, or an earlier version filled them)
 * room for deletes, which need pages first. */
static int
table_env_reserve(struct sq_table *t, uint64_t max_bytes)
{
	MDB_envinfo info;
	MDB_stat stat;
	MDB_txn *txn;
	uint64_t wanted;
	int rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return sq_table_lmdb_fail(t, rc, "beginning a transaction");
	rc = sq_table_open_dbs(t, txn, 0);
	if (rc != SQ_OK) {
		mdb_txn_abort(txn);
		return rc;
	}
	(void)mdb_env_stat(t->env, &stat);
	(void)mdb_env_info(t->env, &info);
	t->page_bytes = stat.ms_psize;
	wanted = sq_table_live_bytes(t, txn) + max_bytes / TABLE_PUT_SHARE;
	rc = mdb_txn_commit(txn); /* it keeps the handles */
	wanted = (wanted + stat.ms_psize - 1) / stat.ms_psize * stat.ms_psize;
	if (rc == 0 && wanted > info.me_mapsize)
		rc = mdb_env_set_mapsize(t->env, wanted);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "keeping room for deletes");
}

/* The sizes, which are known only once the environment is open. */
static int
table_env_sizes(struct sq_table *t, uint64_t max_bytes, bool read_only)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int fd;

	if (mdb_env_info(t->env, &info) != 0 || mdb_env_stat(t->env, &stat) != 0 ||
	    mdb_env_get_fd(t->env, &fd) != 0 || fstat(fd, &st) != 0)
		return sq_table_lmdb_fail(t, errno, "its size");
	t->page_bytes = stat.ms_psize;
	t->max_bytes = info.me_mapsize / stat.ms_psize * stat.ms_psize;
	if (max_bytes == 0 || max_bytes > t->max_bytes)
		max_bytes = t->max_bytes;
	t->put_max_bytes = max_bytes - max_bytes / TABLE_PUT_SHARE;
	/* As large as the map, all but what is used being a hole: a wrong length in a
	 * damaged page never leads behind the end, which would be a SIGBUS. */
	if (!read_only && (uint64_t)st.st_size < info.me_mapsize &&
	    ftruncate(fd, (off_t)info.me_mapsize) != 0)
		return sq_table_lmdb_fail(t, errno, "setting its size");
	return SQ_OK;
}

/* Databases and meta data; counts the boot. */
static int
table_load(struct sq_table *t, bool read_only)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(t->env, NULL, read_only ? MDB_RDONLY : 0, &txn);

	if (rc != 0)
		return sq_table_lmdb_fail(t, rc, "beginning a transaction");
	rc = sq_table_open_dbs(t, txn, 0);
	if (rc == SQ_OK)
		rc = sq_table_read_heads(t, txn, read_only);
	if (rc != SQ_OK) {
		mdb_txn_abort(txn);
		return rc;
	}
	t->used = sq_table_live_bytes(t, txn);
	if (!read_only) {
		t->meta.boots++;
		rc = sq_table_write_state(t, txn);
		if (rc != 0) {
			mdb_txn_abort(txn);
			return sq_table_lmdb_fail(t, rc, "counting the boot");
		}
	}
	/* Of a read transaction, too: it keeps the handles. */
	rc = mdb_txn_commit(txn);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "counting the boot");
}

static void
table_page_fault(void *arg, const char *text)
{
	bool *told = arg;

	if (!*told)
		sq_table_fail(SQ_EINVAL, "%s", text);
	*told = true;
}

static int
table_open_existing(struct sq_table *t, const char *folder, uint64_t max_bytes, bool read_only)
{
	bool told = false;
	int rc;

	if (access(t->path, F_OK) != 0)
		return sq_table_fail(
		    errno == ENOENT ? SQ_EINVAL : SQ_EIO, "%s: %s", t->path, strerror(errno));
	if (sq_table_pages_check(t->path, false, table_page_fault, &told) != 0)
		return SQ_EINVAL;
	rc = read_only ? SQ_OK : sq_table_lock_reserve(t, folder);
	if (rc == SQ_OK)
		rc = sq_table_env_open(t, folder, max_bytes, read_only ? MDB_RDONLY : 0);
	if (rc == SQ_OK && !read_only)
		rc = table_env_reserve(t, max_bytes);
	if (rc == SQ_OK)
		rc = table_env_sizes(t, max_bytes, read_only);
	return rc == SQ_OK ? table_load(t, read_only) : rc;
}

int
sq_table_open(
    struct sq_table **out, const char *dir, uint64_t max_bytes, bool read_only, struct sq_buf *err)
{
	char folder[PATH_MAX - 32], path[PATH_MAX];
	const struct sq_table_meta fresh = {.store = sq_random_u64()};
	struct sq_table *t = NULL;
	int rc = SQ_OK;

	*out = NULL;
	if (snprintf(folder, sizeof folder, "%s/tables", dir) >= (int)sizeof folder) {
		rc = sq_table_fail(SQ_EINVAL, "%s: the path is too long", dir);
	} else if (access(folder, F_OK) != 0) {
		if (errno != ENOENT)
			rc = sq_table_fail(SQ_EIO, "%s: %s", folder, strerror(errno));
		else if (read_only)
			rc = sq_table_fail(SQ_ENOTFOUND, "%s: there are no tables", dir);
		else
			rc = sq_table_make_as(dir, max_bytes, &fresh, SQ_TABLE_FORMAT_FIRST);
	}
	if (rc == SQ_OK) {
		snprintf(path, sizeof path, "%s/data.mdb", folder);
		t = sq_xcalloc(1, sizeof *t);
		t->path = sq_xstrdup(path);
		rc = table_open_existing(t, folder, max_bytes, read_only);
	}
	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s", sq_table_error(NULL));
		sq_table_close(&t);
		return rc;
	}
	*out = t;
	return SQ_OK;
}

void
sq_table_abort(struct sq_table *t)
{
	if (t->items != NULL)
		mdb_cursor_close(t->items);
	if (t->txn != NULL)
		mdb_txn_abort(t->txn);
	t->items = NULL;
	t->txn = NULL;
}

int
sq_table_skip_boots(struct sq_table *t, uint64_t n)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(t->env, NULL, 0, &txn);

	if (rc != 0)
		return sq_table_lmdb_fail(t, rc, "beginning a transaction");
	t->meta.boots += n;
	rc = sq_table_write_state(t, txn);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "counting openings");
}

size_t
sq_table_last_page(const struct sq_table *t)
{
	MDB_envinfo info = {0};

	(void)mdb_env_info(t->env, &info);
	return info.me_last_pgno;
}

int
sq_table_pin(struct sq_table *t)
{
	int rc;

	assert(t->pin == NULL && t->txn == NULL);
	rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->pin);
	if (rc != 0) {
		t->pin = NULL;
		return sq_table_lmdb_fail(t, rc, "keeping its pages");
	}
	t->pin_last = sq_table_last_page(t);
	return SQ_OK;
}

void
sq_table_unpin(struct sq_table *t)
{
	if (t->pin != NULL)
		mdb_txn_abort(t->pin);
	t->pin = NULL;
}

uint64_t
sq_table_pin_bytes(const struct sq_table *t)
{
	size_t last = sq_table_last_page(t);

	return t->pin != NULL && last > t->pin_last ? (last - t->pin_last) * t->page_bytes : 0;
}

uint64_t
sq_table_max(const struct sq_table *t)
{
	return t->max_bytes;
}

void
sq_table_close(struct sq_table **tp)
{
	struct sq_table *t = *tp;

	if (t == NULL)
		return;
	sq_table_abort(t);
	sq_table_unpin(t);
	mdb_env_close(t->env);
	free(t->path);
	free(t);
	*tp = NULL;
}
