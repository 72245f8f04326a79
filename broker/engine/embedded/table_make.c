/* Making and removing tables. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/engine/embedded/table_priv.h"

static int
table_sync_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return sq_table_fail(SQ_EIO, "%s: %s", path, strerror(errno));
	rc = fsync(fd);
	if (rc != 0)
		sq_table_fail(SQ_EIO, "%s: %s", path, strerror(errno));
	close(fd);
	return rc == 0 ? SQ_OK : SQ_EIO;
}

bool
sq_table_there(const char *dir)
{
	char folder[PATH_MAX];

	return snprintf(folder, sizeof folder, "%s/tables", dir) < (int)sizeof folder &&
	    (access(folder, F_OK) == 0 || errno != ENOENT);
}

int
sq_table_fresh_begin(
    struct table_fresh *f, struct sq_table *t, const char *dir, uint64_t max_bytes, unsigned flags)
{
	int rc;

	f->dir[0] = '\0';
	if (strlen(dir) >= sizeof f->dir)
		return sq_table_fail(SQ_EINVAL, "%s: the path is too long", dir);
	snprintf(f->dir, sizeof f->dir, "%s", dir);
	snprintf(f->folder, sizeof f->folder, "%s/tables", f->dir);
	snprintf(f->fresh, sizeof f->fresh, "%s/tables.new", f->dir);
	snprintf(f->data, sizeof f->data, "%s/tables.new/data.mdb", f->dir);
	snprintf(f->lock, sizeof f->lock, "%s/tables.new/lock.mdb", f->dir);
	t->path = f->data;
	unlink(f->data);
	unlink(f->lock);
	if (mkdir(f->fresh, 0700) != 0 && errno != EEXIST)
		return sq_table_fail(SQ_EIO, "%s: %s", f->fresh, strerror(errno));
	rc = sq_table_lock_reserve(t, f->fresh);
	return rc == SQ_OK ? sq_table_env_open(t, f->fresh, max_bytes, flags) : rc;
}

int
sq_table_fresh_end(struct table_fresh *f, struct sq_table *t)
{
	int rc;

	mdb_env_close(t->env);
	t->env = NULL;
	unlink(f->lock);
	rc = table_sync_path(f->data);
	if (rc == SQ_OK)
		rc = table_sync_path(f->fresh);
	if (rc == SQ_OK && rename(f->fresh, f->folder) != 0)
		rc = sq_table_fail(SQ_EIO, "%s: %s", f->folder, strerror(errno));
	return rc == SQ_OK ? table_sync_path(f->dir) : rc;
}

int
sq_table_fresh_meta(struct sq_table *t, MDB_txn *txn)
{
	int rc = sq_table_write_format(t, txn, t->format);

	if (rc == 0)
		rc = sq_table_write_state(t, txn);
	if (rc == 0 && t->meta.shared)
		rc = sq_table_write_mark(t, txn, &t->meta.mark);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "making it");
}

static int
table_make_content(struct sq_table *t)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(t->env, NULL, 0, &txn);

	if (rc != 0)
		return sq_table_lmdb_fail(t, rc, "making it");
	rc = sq_table_open_dbs(t, txn, MDB_CREATE);
	if (rc == SQ_OK)
		rc = sq_table_fresh_meta(t, txn);
	if (rc != SQ_OK) {
		mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? SQ_OK : sq_table_lmdb_fail(t, rc, "making it");
}

int
sq_table_make_as(const char *dir, uint64_t max_bytes, const struct sq_table_meta *meta,
    enum sq_table_format format)
{
	struct sq_table t = {.meta = *meta, .format = format};
	struct table_fresh fresh;
	int rc = sq_table_fresh_begin(&fresh, &t, dir, max_bytes, 0);

	if (rc == SQ_OK)
		rc = table_make_content(&t);
	if (rc == SQ_OK)
		return sq_table_fresh_end(&fresh, &t);
	mdb_env_close(t.env);
	return rc;
}

int
sq_table_make(const char *dir, uint64_t max_bytes, uint64_t store, struct sq_buf *err)
{
	const struct sq_table_meta meta = {.store = store, .shared = true};
	int rc;

	if (sq_table_there(dir))
		rc = sq_table_fail(SQ_EEXIST, "%s/tables: is there already", dir);
	else
		rc = sq_table_make_as(dir, max_bytes, &meta, SQ_TABLE_FORMAT_SHARED);
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s", sq_table_error(NULL));
	return rc;
}

/* The data first: a folder without it is refused, and can be removed again. */
static int
table_remove_folder(const char *dir, const char *name)
{
	static const char *const files[] = {"data.mdb", "lock.mdb", ""};
	char path[PATH_MAX];

	for (size_t i = 0; i < SQ_ARRAY_LEN(files); i++) {
		bool folder = *files[i] == '\0';

		if (snprintf(path, sizeof path, "%s/%s/%s", dir, name, files[i]) >=
		    (int)sizeof path)
			return sq_table_fail(SQ_EINVAL, "%s: the path is too long", dir);
		if ((folder ? rmdir(path) : unlink(path)) != 0 && errno != ENOENT)
			return sq_table_fail(SQ_EIO, "%s: %s", path, strerror(errno));
	}
	return SQ_OK;
}

int
sq_table_remove(const char *dir, struct sq_buf *err)
{
	int rc = table_remove_folder(dir, "tables");

	if (rc == SQ_OK)
		rc = table_remove_folder(dir, "tables.new");
	if (rc == SQ_OK)
		rc = table_sync_path(dir);
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s", sq_table_error(NULL));
	return rc;
}
