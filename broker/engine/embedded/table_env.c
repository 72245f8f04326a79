/* Environments: their parts, what is written of the meta data, errors. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/engine/embedded/table_priv.h"

enum {
	TABLE_READERS = 256,         /* reads at a time */
	TABLE_LOCK_BYTES = 20 << 10, /* of LMDB's file of readers: a page or so more than it asks */
	TABLE_ERROR_MAX = 512,
};

static _Thread_local char error_text[TABLE_ERROR_MAX];

int
sq_table_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof error_text, fmt, ap);
	va_end(ap);
	return err;
}

const char *
sq_table_error(const struct sq_table *t)
{
	(void)t;
	return error_text;
}

static int
table_lmdb_err(int rc)
{
	switch (rc) {
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case ENOMEM:
		return SQ_ENOMEM;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_VALSIZE:
		return SQ_EINVAL;
	default:
		return SQ_EIO;
	}
}

int
sq_table_lmdb_fail(const struct sq_table *t, int rc, const char *what)
{
	return sq_table_fail(table_lmdb_err(rc), "%s: %s: %s", t->path, what, mdb_strerror(rc));
}

uint64_t
sq_table_live_bytes(const struct sq_table *t, MDB_txn *txn)
{
	/* LMDB's own two trees, free pages and names of databases, come first. */
	MDB_dbi all[2 + TABLE_DBS] = {0, 1};
	uint64_t pages = 2;

	memcpy(all + 2, t->dbi, sizeof t->dbi);
	for (size_t i = 0; i < SQ_ARRAY_LEN(all); i++) {
		MDB_stat s;

		if (mdb_stat(txn, all[i], &s) == 0)
			pages += s.ms_branch_pages + s.ms_leaf_pages + s.ms_overflow_pages;
	}
	return pages * t->page_bytes;
}

int
sq_table_write_format(struct sq_table *t, MDB_txn *txn, enum sq_table_format format)
{
	unsigned char body[TABLE_VALUE_HEAD + 4];
	struct table_key k;
	MDB_val v = {sizeof body, body};

	sq_put32(body + TABLE_VALUE_HEAD, (uint32_t)format);
	sq_table_key_text(&k, TABLE_FORMAT_KEY);
	sq_table_seal(TABLE_META, &k.val, &v);
	return mdb_put(txn, t->dbi[TABLE_META], &k.val, &v, 0);
}

int
sq_table_write_state(struct sq_table *t, MDB_txn *txn)
{
	unsigned char body[TABLE_VALUE_HEAD + TABLE_STATE];
	struct table_key k;
	MDB_val v = {sizeof body, body};

	sq_put64(body + TABLE_VALUE_HEAD, t->meta.store);
	sq_put64(body + TABLE_VALUE_HEAD + 8, t->meta.boots);
	sq_put64(body + TABLE_VALUE_HEAD + 16, t->meta.lsn);
	sq_table_key_text(&k, TABLE_STATE_KEY);
	sq_table_seal(TABLE_META, &k.val, &v);
	return mdb_put(txn, t->dbi[TABLE_META], &k.val, &v, 0);
}

int
sq_table_write_mark(struct sq_table *t, MDB_txn *txn, const struct sq_log_mark *mark)
{
	unsigned char body[TABLE_VALUE_HEAD + TABLE_MARK];
	struct table_key k;
	MDB_val v = {sizeof body, body};

	sq_put64(body + TABLE_VALUE_HEAD, mark->lsn);
	sq_put64(body + TABLE_VALUE_HEAD + 8, mark->chain);
	sq_table_key_text(&k, TABLE_MARK_KEY);
	sq_table_seal(TABLE_META, &k.val, &v);
	return mdb_put(txn, t->dbi[TABLE_META], &k.val, &v, 0);
}

int
sq_table_open_dbs(struct sq_table *t, MDB_txn *txn, unsigned flags)
{
	for (int i = 0; i < TABLE_DBS; i++) {
		int rc = mdb_dbi_open(txn, sq_table_db_names[i], flags, &t->dbi[i]);

		if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
			return sq_table_fail(SQ_EINVAL,
			    "%s: a file of LMDB, but not the tables of a broker", t->path);
		if (rc != 0)
			return sq_table_lmdb_fail(t, rc, "opening a database");
	}
	return SQ_OK;
}

/* LMDB writes its file of readers through a mapping, where a page that the disk has no room
 * for is a SIGBUS: all of them are there before. */
int
sq_table_lock_reserve(struct sq_table *t, const char *folder)
{
	char path[PATH_MAX];
	int fd, rc = 0;

	snprintf(path, sizeof path, "%s/lock.mdb", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return sq_table_lmdb_fail(t, errno, "lock.mdb");
	if (fallocate(fd, 0, 0, TABLE_LOCK_BYTES) != 0 && errno != EOPNOTSUPP)
		rc = sq_table_lmdb_fail(t, errno, "lock.mdb");
	close(fd);
	return rc;
}

int
sq_table_env_open(struct sq_table *t, const char *folder, uint64_t max_bytes, unsigned flags)
{
	int rc = mdb_env_create(&t->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(t->env, TABLE_DBS);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(t->env, TABLE_READERS);
	if (rc == 0 && max_bytes != 0)
		rc = mdb_env_set_mapsize(t->env, max_bytes);
	/* Reads are made on any thread: their slots belong to transactions. */
	if (rc == 0)
		rc = mdb_env_open(t->env, folder, flags | MDB_NOTLS, 0600);
	if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
		return sq_table_fail(SQ_EINVAL, "%s: not a file of LMDB %d.%d", t->path,
		    MDB_VERSION_MAJOR, MDB_VERSION_MINOR);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "opening");
}
