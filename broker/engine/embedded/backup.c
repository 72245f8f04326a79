#include "broker/engine/embedded/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "broker/engine/embedded/check.h"
#include "broker/engine/embedded/seed.h"
#include "broker/engine/embedded/table.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "store/dir.h"
#include "store/held.h"
#include "store/journal/copy.h"

#define KEYS_FILE "auth-keys" /* of issuers: see broker/auth */

enum {
	MEET_MS = 30000, /* time for the broker's answer */
	MEET_POLL_MS = 20,
	OPEN_TRIES = 200, /* of a moment without a checkpoint */
	OPEN_WAIT_MS = 5,
	PIECE = 1 << 20,
	LOOK_PIECES = 16, /* between two looks at whether all is held */
	KEYS_MAX = 1 << 20,
	/* Numbers of openings that the store left behind may use; and of so many one is drawn, so
	 * that two backups of it don't go on with the same. */
	BOOTS_SKIP = 1024,
	BOOTS_DRAWN = 16384,
	SPARE_BYTES = 4 << 20,
};
#define RATE (UINT64_C(64) << 20) /* bytes of tables per second */

struct backup {
	const char *from;
	char to[PATH_MAX], partial[PATH_MAX + 16];
	bool alone;          /* no broker had the store when it began */
	struct sq_held held; /* a broker has it, */
	uint64_t owner;      /* which drew this number */
	int tables;          /* its file of tables */
	int dir;             /* of the copy */
	int dir_lock;
	struct sq_journal_copy *journal;
	unsigned char heads[SQ_TABLE_HEADS];
	size_t n_heads;
	struct sq_table_head head;
	struct sq_buf *err;
};

/* ---- folders ---- */

static int
backup_fail(struct backup *b, int rc, const char *what, const char *why)
{
	sq_buf_printf(b->err, "%s: %s", what, why);
	return rc;
}

static void
backup_sleep(unsigned ms)
{
	const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static bool
path_is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool
dir_is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool empty = d != NULL;

	while (empty && (e = readdir(d)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	if (d != NULL)
		closedir(d);
	return empty;
}

/* Judges the folder of the copy, which is empty or does not exist, and names it in full. */
static int
backup_target(struct backup *b, const char *to)
{
	char copy[PATH_MAX], parent[PATH_MAX], store[PATH_MAX], name[NAME_MAX + 1];
	struct stat st, up;
	size_t n = strlen(to);

	while (n > 1 && to[n - 1] == '/')
		n--;
	if (n == 0 || n >= sizeof copy)
		return backup_fail(b, SQ_EINVAL, "--backup", "needs the path of a folder");
	memcpy(copy, to, n);
	copy[n] = '\0';
	snprintf(name, sizeof name, "%s", basename(copy));
	memcpy(copy, to, n);
	copy[n] = '\0';
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "/") == 0)
		return backup_fail(b, SQ_EINVAL, to, "name a folder that is to be made");
	if (realpath(dirname(copy), parent) == NULL)
		return backup_fail(b, SQ_EIO, to, strerror(errno));
	if (realpath(b->from, store) == NULL)
		return backup_fail(b, SQ_ENOTFOUND, b->from, strerror(errno));
	if (snprintf(b->to, sizeof b->to, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name) >=
	    (int)sizeof b->to)
		return backup_fail(b, SQ_EINVAL, to, "the path is too long");
	snprintf(b->partial, sizeof b->partial, "%s.partial", b->to);
	if (path_is_below(b->to, store) || path_is_below(b->partial, store))
		return backup_fail(b, SQ_EINVAL, to, "is the store itself, or in it");
	if (lstat(b->to, &st) != 0)
		return errno == ENOENT ? SQ_OK : backup_fail(b, SQ_EIO, to, strerror(errno));
	if (!S_ISDIR(st.st_mode) || !dir_is_empty(b->to))
		return backup_fail(b, SQ_EEXIST, to, "is there and is not an empty folder");
	if (stat(parent, &up) == 0 && up.st_dev != st.st_dev)
		return backup_fail(
		    b, SQ_EINVAL, to, "is where a volume is mounted: name a folder in it");
	return SQ_OK;
}

/* Whether a copy that is being made has a file of that name. */
static bool
name_is_ours(const char *name)
{
	static const char *const names[] = {
	    ".", "..", "lock", "tables", KEYS_FILE, (KEYS_FILE ".new")};

	for (size_t i = 0; i < SQ_ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return strncmp(name, "journal-", 8) == 0;
}

/* Opens the folder anew, for its names; NULL with errno. */
static DIR *
names_open(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fdopendir(fd) : NULL;
}

/* Whether all that is in the folder can be of a backup that was killed. */
static bool
backup_is_leftover(int dirfd)
{
	DIR *d = names_open(dirfd);
	struct dirent *e;
	bool ours = d != NULL;

	while (ours && (e = readdir(d)) != NULL)
		ours = name_is_ours(e->d_name);
	if (d != NULL)
		closedir(d);
	return ours;
}

/* Removes what is in a folder, and the folder "tables" in it. */
static void
backup_empty(int dirfd)
{
	DIR *d = names_open(dirfd);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, "tables") == 0) {
			int inner = openat(
			    dirfd, "tables", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

			if (inner >= 0) {
				(void)unlinkat(inner, "data.mdb", 0);
				(void)unlinkat(inner, "lock.mdb", 0);
				close(inner);
			}
			(void)unlinkat(dirfd, "tables", AT_REMOVEDIR);
		} else if (strcmp(e->d_name, "lock") != 0) {
			(void)unlinkat(dirfd, e->d_name, 0);
		}
	}
	if (d != NULL)
		closedir(d);
}

/* Opens the folder in which the copy is made: a new one, or what a backup of ours that was killed
 * has left.  All else of that name, as a link to elsewhere, stays as it is. */
static int
backup_open_partial(struct backup *b)
{
	bool fresh = mkdir(b->partial, 0700) == 0;
	struct stat st;
	int fd;

	if (!fresh && errno != EEXIST)
		return backup_fail(b, SQ_EIO, b->partial, strerror(errno));
	fd = open(b->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !fresh &&
	    (fstat(fd, &st) != 0 || st.st_uid != geteuid() || !backup_is_leftover(fd))) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		return backup_fail(b, SQ_EEXIST, b->partial,
		    "is there and is not what a backup leaves behind: rename or remove it");
	b->dir = fd;
	return SQ_OK;
}

/* Makes the folder in which the copy is made; what a backup that was killed has left there goes. */
static int
backup_make(struct backup *b)
{
	int rc = backup_open_partial(b), dir = b->dir;

	b->dir = -1; /* until it is ours alone */
	if (rc != SQ_OK)
		return rc;
	b->dir_lock = sq_store_lock(b->partial, b->err);
	if (b->dir_lock < 0) {
		close(dir);
		return SQ_EIO;
	}
	b->dir = dir;
	backup_empty(b->dir);
	if (mkdirat(b->dir, "tables", 0700) != 0)
		return backup_fail(b, SQ_EIO, b->partial, strerror(errno));
	return SQ_OK;
}

static void
backup_remove(struct backup *b)
{
	if (b->dir < 0)
		return;
	backup_empty(b->dir);
	(void)unlinkat(b->dir, "lock", 0);
	(void)rmdir(b->partial);
}

/* ---- the broker ---- */

/* Either a broker that holds the store for us, or none.  One that starts goes first, and is
 * noticed. */
static int
backup_meet(struct backup *b)
{
	uint64_t until_ms = sq_clock_ms() + MEET_MS;
	struct sq_buf why = {0};
	int rc = SQ_EAGAIN;

	while (rc == SQ_EAGAIN) {
		if (b->held.fd >= 0)
			b->owner = sq_held_by(&b->held, &why);
		if (b->owner != 0) {
			rc = SQ_OK;
			break;
		}
		b->alone = !sq_store_locked(b->from);
		if (b->alone) {
			rc = SQ_OK;
		} else if (b->held.fd < 0 && sq_held_ask(&b->held, b->from, b->err) != SQ_OK) {
			rc = SQ_EIO;
		} else if (sq_buf_len(&why) > 0) {
			sq_buf_printf(b->err, "%s: the broker: %.*s", b->from,
			    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
			rc = SQ_EIO;
		} else if (sq_clock_ms() >= until_ms) {
			sq_buf_printf(b->err,
			    "%s: what has this store does not answer: it is no broker that serves, "
			    "or one of a version without backups",
			    b->from);
			rc = SQ_EIO;
		} else {
			backup_sleep(MEET_POLL_MS);
		}
	}
	sq_buf_fini(&why);
	return rc;
}

/* Whether no broker has opened the store: each one counts its opening before all else. */
static bool
backup_untouched(const struct backup *b)
{
	static unsigned char again[SQ_TABLE_HEADS];
	struct sq_table_head head;
	size_t n;

	return sq_table_head_read(b->tables, again, &n, &head) == SQ_OK && n == b->n_heads &&
	    memcmp(again, b->heads, n) == 0;
}

/* Whether all that is copied has stayed as it was. */
static int
backup_still(struct backup *b)
{
	struct sq_buf why = {0};

	if (b->alone ? backup_untouched(b) : sq_held_by(&b->held, &why) == b->owner)
		return SQ_OK;
	if (sq_buf_len(&why) == 0)
		sq_buf_printf(&why, "it was started meanwhile");
	sq_buf_printf(b->err, "%s: the broker has not waited for the backup: %.*s", b->from,
	    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return SQ_ESTALE;
}

/* A store of files has a journal; tables without one may be the cache of a log of several brokers, which
 * has no more than the log. */
static int
backup_judge(struct backup *b)
{
	struct sq_seed_look look;
	int rc;

	if (sq_journal_copy_bytes(b->journal) > 0)
		return SQ_OK;
	rc = sq_seed_look(b->from, &look, b->err);
	if (rc != SQ_OK || look.kind != SQ_SEED_SHARED)
		return rc;
	return backup_fail(b, SQ_EINVAL, b->from,
	    "has a part of the log of several brokers: back up the database that keeps the log");
}

/* Opens the files of one moment: no checkpoint was committed while the journal's were opened, so
 * these have all records that the tables have not. */
static int
backup_open(struct backup *b)
{
	char path[PATH_MAX];
	int rc;

	if (snprintf(path, sizeof path, "%s/tables/data.mdb", b->from) >= (int)sizeof path)
		return backup_fail(b, SQ_EINVAL, b->from, "the path is too long");
	b->tables = open(path, O_RDONLY | O_CLOEXEC);
	if (b->tables < 0)
		return backup_fail(b, SQ_EIO, path, strerror(errno));
	for (int i = 0; i < OPEN_TRIES; i++) {
		rc = sq_table_head_read(b->tables, b->heads, &b->n_heads, &b->head);
		if (rc != SQ_OK)
			return backup_fail(b, rc, path, "not a file of LMDB 0.9");
		b->journal = sq_journal_copy_open(b->from, b->err);
		if (b->journal == NULL)
			return SQ_EIO;
		if (backup_untouched(b))
			return backup_judge(b);
		sq_journal_copy_free(&b->journal);
		backup_sleep(OPEN_WAIT_MS);
	}
	return backup_fail(b, SQ_EAGAIN, b->from, "checkpoints follow each other too fast");
}

static int
backup_room(struct backup *b)
{
	uint64_t need = b->head.bytes + sq_journal_copy_bytes(b->journal) + SPARE_BYTES, free_bytes;
	struct statvfs fs;

	if (fstatvfs(b->dir, &fs) != 0)
		return backup_fail(b, SQ_EIO, b->to, strerror(errno));
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes >= need)
		return SQ_OK;
	sq_buf_printf(b->err, "%s: there is room for %llu bytes, and %llu are needed", b->to,
	    (unsigned long long)free_bytes, (unsigned long long)need);
	return SQ_ENOMEM;
}

/* ---- copying ---- */

static int
write_at(int fd, const unsigned char *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return SQ_EIO;
		p += done;
		at += (uint64_t)done;
		n -= (size_t)done;
	}
	return SQ_OK;
}

/* The pages behind the heads, in pieces, at RATE. */
static int
backup_pages(struct backup *b, int to, unsigned char *piece)
{
	uint64_t begun_ms = sq_clock_ms(), at = b->n_heads;

	for (unsigned i = 1; at < b->head.bytes; i++) {
		size_t n = b->head.bytes - at < PIECE ? (size_t)(b->head.bytes - at) : PIECE;
		uint64_t due_ms = begun_ms + at * 1000 / RATE, now_ms = sq_clock_ms();

		if (now_ms < due_ms)
			backup_sleep((unsigned)(due_ms - now_ms));
		if (pread(b->tables, piece, n, (off_t)at) != (ssize_t)n)
			return backup_fail(b, SQ_EIO, b->from, "reading the tables failed");
		if (write_at(to, piece, n, at) != SQ_OK)
			return backup_fail(b, SQ_EIO, b->to, strerror(errno));
		at += n;
		if (i % LOOK_PIECES == 0 && backup_still(b) != SQ_OK)
			return SQ_ESTALE;
	}
	return SQ_OK;
}

static int
backup_tables(struct backup *b)
{
	int to = openat(b->dir, "tables/data.mdb", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	unsigned char *piece = sq_xmalloc(PIECE);
	int rc = SQ_OK;

	if (to < 0 || write_at(to, b->heads, b->n_heads, 0) != SQ_OK)
		rc = backup_fail(b, SQ_EIO, b->to, strerror(errno));
	if (rc == SQ_OK)
		rc = backup_pages(b, to, piece);
	if (rc == SQ_OK && fsync(to) != 0)
		rc = backup_fail(b, SQ_EIO, b->to, strerror(errno));
	if (to >= 0)
		close(to);
	free(piece);
	return rc;
}

/* The keys of issuers as they were last heard, if there are any: a broker without them waits for the
 * issuers. */
static int
backup_keys(struct backup *b)
{
	struct sq_buf keys = {0};
	char path[PATH_MAX];
	int rc = SQ_OK;

	snprintf(path, sizeof path, "%.*s/" KEYS_FILE, PATH_MAX - 16, b->from);
	if (sq_file_read(path, KEYS_MAX, &keys) == SQ_OK &&
	    sq_file_replace(b->partial, KEYS_FILE, sq_buf_data(&keys), sq_buf_len(&keys), true) !=
		SQ_OK)
		rc = backup_fail(b, SQ_EIO, b->to, strerror(errno));
	sq_buf_fini(&keys);
	return rc;
}

/* ---- the end ---- */

/* The store left behind may go on for a while: what a restored one numbers anew is above that. */
static int
backup_renumber(struct backup *b)
{
	struct sq_table *t;
	int rc = sq_table_open(&t, b->partial, 0, false, b->err);

	if (rc != SQ_OK)
		return rc;
	rc = sq_table_skip_boots(t, BOOTS_SKIP + sq_random_u64() % BOOTS_DRAWN);
	if (rc != SQ_OK)
		sq_buf_printf(b->err, "%s", sq_table_error(t));
	sq_table_close(&t);
	(void)unlinkat(b->dir, "tables/lock.mdb", 0);
	return rc;
}

/* What sqmqos-broker --check-store says of the copy must be that it is sound. */
static int
backup_check(struct backup *b)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	int rc = SQ_EIO;

	sq_store_unlock(&b->dir_lock);
	if (out != NULL) {
		rc = sq_store_check(b->partial, out) == 0 ? SQ_OK : SQ_EINVAL;
		fclose(out);
	}
	if (rc != SQ_OK)
		sq_buf_printf(
		    b->err, "the copy does not verify:\n%s", text != NULL ? text : "no memory");
	(void)unlinkat(b->dir, "tables/lock.mdb", 0);
	free(text);
	return rc;
}

static int
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return SQ_EIO;
	rc = fsync(fd) == 0 ? SQ_OK : SQ_EIO;
	close(fd);
	return rc;
}

/* Gives the copy its name, durably. */
static int
backup_name(struct backup *b)
{
	char tables[PATH_MAX + 32], parent[PATH_MAX];

	snprintf(tables, sizeof tables, "%s/tables", b->partial);
	snprintf(parent, sizeof parent, "%s", b->to);
	if (sync_dir(tables) != SQ_OK || sync_dir(b->partial) != SQ_OK ||
	    rename(b->partial, b->to) != 0 || sync_dir(dirname(parent)) != SQ_OK)
		return backup_fail(b, SQ_EIO, b->to, strerror(errno));
	return SQ_OK;
}

/* All that the store is needed for. */
static int
backup_copy(struct backup *b)
{
	int rc = backup_meet(b);

	if (rc == SQ_OK)
		rc = backup_make(b);
	if (rc == SQ_OK)
		rc = backup_open(b);
	if (rc == SQ_OK)
		rc = backup_room(b);
	if (rc == SQ_OK)
		rc = sq_journal_copy_run(b->journal, b->dir, b->err);
	if (rc == SQ_OK && b->held.fd >= 0)
		sq_held_release(&b->held, SQ_HELD_JOURNAL);
	if (rc == SQ_OK)
		rc = backup_tables(b);
	if (rc == SQ_OK)
		rc = backup_keys(b);
	return rc == SQ_OK ? backup_still(b) : rc;
}

int
sq_store_backup(const char *from, const char *to, struct sq_buf *said, struct sq_buf *err)
{
	struct backup *b = sq_xcalloc(1, sizeof *b);
	uint64_t begun_ms = sq_clock_ms();
	int rc;

	b->from = from;
	b->err = err;
	b->tables = b->dir = b->dir_lock = b->held.fd = b->held.dirfd = -1;
	rc = backup_target(b, to);
	if (rc == SQ_OK)
		rc = backup_copy(b);
	if (b->tables >= 0)
		close(b->tables);
	sq_held_end(&b->held);
	if (rc == SQ_OK)
		rc = backup_renumber(b);
	if (rc == SQ_OK)
		rc = backup_check(b);
	if (rc == SQ_OK)
		rc = backup_name(b);
	if (rc == SQ_OK)
		sq_buf_printf(said, "%s: a copy of %s, verified, of %llu bytes, made in %llu ms",
		    b->to, from,
		    (unsigned long long)b->head.bytes +
			(unsigned long long)sq_journal_copy_bytes(b->journal),
		    (unsigned long long)(sq_clock_ms() - begun_ms));
	else
		backup_remove(b);
	sq_journal_copy_free(&b->journal);
	if (b->dir >= 0)
		close(b->dir);
	sq_store_unlock(&b->dir_lock);
	free(b);
	return rc;
}
