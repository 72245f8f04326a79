#include "broker/engine/embedded/seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/engine/embedded/table.h"
#include "store/journal/segment.h"

#define JOURNAL_NEW "journal-new" /* one that is being made: store/journal */

static bool
is_journal(const char *name)
{
	uint64_t no;

	return sq_segment_name_parse(name, &no) || strcmp(name, JOURNAL_NEW) == 0;
}

/* Calls 'fn' for the files of the journal until it returns false; SQ_EIO with a line in 'err'. */
static int
journal_each(const char *dir, bool (*fn)(void *arg, int dirfd, const char *name), void *arg,
    struct sq_buf *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int rc = SQ_OK;

	if (d == NULL && errno == ENOENT)
		return SQ_OK;
	errno = d != NULL ? 0 : errno;
	while (d != NULL && errno == 0 && (entry = readdir(d)) != NULL)
		if (is_journal(entry->d_name) && !fn(arg, dirfd(d), entry->d_name))
			break;
	if (errno != 0) {
		sq_buf_printf(err, "%s: %s", dir, strerror(errno));
		rc = SQ_EIO;
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

static bool
journal_found(void *arg, int dirfd, const char *name)
{
	(void)dirfd, (void)name;
	*(bool *)arg = true;
	return false;
}

int
sq_seed_look(const char *dir, struct sq_seed_look *look, struct sq_buf *err)
{
	struct sq_table_meta meta;
	struct sq_table *t;
	bool journal = false;
	int rc = journal_each(dir, journal_found, &journal, err);

	*look = (struct sq_seed_look){.kind = journal ? SQ_SEED_FILES : SQ_SEED_NONE};
	if (rc != SQ_OK || !sq_table_there(dir))
		return rc;
	rc = sq_table_open(&t, dir, 0, true, err);
	if (rc != SQ_OK)
		return rc;
	meta = sq_table_meta(t);
	sq_table_close(&t);
	look->kind = meta.shared ? SQ_SEED_SHARED : SQ_SEED_FILES;
	look->store = meta.store;
	look->lsn = meta.lsn;
	look->mark = meta.mark;
	return SQ_OK;
}

static bool
journal_remove(void *arg, int dirfd, const char *name)
{
	(void)arg;
	return unlinkat(dirfd, name, 0) == 0; /* errno says why not */
}

int
sq_seed_drop_journal(const char *dir, struct sq_buf *err)
{
	return journal_each(dir, journal_remove, NULL, err);
}

int
sq_seed_clear(const char *dir, struct sq_buf *err)
{
	int rc = sq_seed_drop_journal(dir, err);

	return rc == SQ_OK ? sq_table_remove(dir, err) : rc;
}

int
sq_seed_make(const char *dir, uint64_t max_bytes, uint64_t store, struct sq_buf *err)
{
	return sq_table_make(dir, max_bytes, store, err);
}
