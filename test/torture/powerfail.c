/* The write-recording layer; see powerfail.h.  It calls the kernel by syscall(2),
 * so that it works at any point of a program's start, also below a sanitizer. */
#include "powerfail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#undef open
#undef openat

enum { FDS = 65536, FILES = 4096, NAME = 512, CHUNK = 1 << 20 };

/* A log that entries are appended to; a sync starts the next one. */
struct pf_log {
	char prefix[64]; /* of its name */
	uint64_t stamp;  /* 0: none yet */
	int fd;
};

/* A file of the store, by inode; or a folder of it. */
struct pf_file {
	ino_t inode;
	dev_t device;
	int fd; /* our own, for reading what is replaced */
	bool folder;
	bool failed;           /* a sync of it has failed: none makes anything of it durable now */
	pthread_rwlock_t lock; /* written by a sync while it changes the log */
	pthread_mutex_t append;
	struct pf_log log;
};

static char pf_dir[NAME], pf_logs[NAME], pf_held[NAME];
static size_t pf_dir_n;
static struct pf_file *pf_by_fd[FDS];
static bool pf_dsync[FDS];
static struct pf_file *pf_files[FILES];
static size_t pf_n_files;
static pthread_mutex_t pf_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t pf_names_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t pf_names_append = PTHREAD_MUTEX_INITIALIZER;
static struct pf_log pf_names = {.prefix = "d", .fd = -1};

static void
pf_copy(char *out, const char *name)
{
	const char *value = getenv(name);

	snprintf(out, NAME, "%s", value != NULL ? value : "");
}

__attribute__((constructor)) static void
pf_start(void)
{
	pf_copy(pf_logs, "POWERFAIL_LOG");
	pf_copy(pf_held, "POWERFAIL_HELD");
	pf_copy(pf_dir, "POWERFAIL_DIR");
	pf_dir_n = strlen(pf_dir);
}

static void
pf_fatal(const char *what)
{
	dprintf(2, "powerfail: %s: %s\n", what, strerror(errno));
	abort();
}

static bool
pf_below(const char *path)
{
	return pf_dir_n > 0 && strncmp(path, pf_dir, pf_dir_n) == 0 &&
	    (path[pf_dir_n] == '/' || path[pf_dir_n] == 0);
}

/* --- logs --- */

static uint64_t
pf_stamp(void)
{
	static _Atomic uint64_t last;
	struct timespec t;
	uint64_t now, before = last;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	do
		now = now > before ? now : before + 1;
	while (!__atomic_compare_exchange_n(
	    (uint64_t *)&last, &before, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return now;
}

/* One write of header and bytes: an entry is whole, or its write never began. */
static void
pf_append(struct pf_log *log, const struct pf_entry *e, const void *bytes)
{
	struct iovec v[2] = {
	    {(void *)(uintptr_t)e, sizeof *e}, {(void *)(uintptr_t)bytes, e->bytes}};
	char path[NAME + 128];

	if (log->stamp == 0) {
		log->stamp = pf_stamp();
		snprintf(path, sizeof path, "%s/%s-%016llx", pf_logs, log->prefix,
		    (unsigned long long)log->stamp);
		log->fd = (int)syscall(
		    SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (log->fd < 0)
			pf_fatal(path);
	}
	if (syscall(SYS_writev, log->fd, v, 2) != (long)(sizeof *e + e->bytes))
		pf_fatal("undo log");
}

/* The next entries go to a new log.  Returns the stamp up to which a sync that
 * begins now makes things durable. */
static uint64_t
pf_turn(struct pf_log *log)
{
	uint64_t stamp = pf_stamp();

	if (log->stamp != 0) {
		syscall(SYS_close, log->fd);
		log->stamp = 0;
		log->fd = -1;
	}
	return stamp;
}

/* Removes the logs of a prefix up to a stamp, those of older lives too. */
static void
pf_forget(const char *prefix, uint64_t stamp)
{
	size_t n = strlen(prefix);
	DIR *d = opendir(pf_logs);
	struct dirent *e;

	if (d == NULL)
		pf_fatal(pf_logs);
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, prefix, n) == 0 && e->d_name[n] == '-' &&
		    strlen(e->d_name) == n + 17 && strtoull(e->d_name + n + 1, NULL, 16) <= stamp)
			syscall(SYS_unlinkat, dirfd(d), e->d_name, 0);
	closedir(d);
}

/* --- files --- */

static struct pf_file *
pf_file_new(const struct stat *st, const char *path)
{
	struct pf_file *f = calloc(1, sizeof *f);

	if (f == NULL || pf_n_files == FILES)
		pf_fatal("files");
	f->inode = st->st_ino;
	f->device = st->st_dev;
	f->folder = S_ISDIR(st->st_mode);
	f->log.fd = -1;
	f->fd = f->folder ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	snprintf(f->log.prefix, sizeof f->log.prefix, "f-%llu", (unsigned long long)st->st_ino);
	pthread_rwlock_init(&f->lock, NULL);
	pthread_mutex_init(&f->append, NULL);
	pf_files[pf_n_files++] = f;
	return f;
}

/* With pf_lock. */
static struct pf_file *
pf_file_of(const struct stat *st, const char *path)
{
	for (size_t i = 0; i < pf_n_files; i++)
		if (pf_files[i]->inode == st->st_ino && pf_files[i]->device == st->st_dev)
			return pf_files[i];
	return pf_file_new(st, path);
}

/* The file of a descriptor, or NULL when it is none of the store. */
static struct pf_file *
pf_of(int fd)
{
	struct pf_file *f = fd >= 0 && fd < FDS ? pf_by_fd[fd] : NULL;
	struct stat st;

	if (f == NULL)
		return NULL;
	/* closed behind our back, by fclose() or so */
	if (fstat(fd, &st) != 0 || st.st_ino != f->inode || st.st_dev != f->device) {
		pf_by_fd[fd] = NULL;
		return NULL;
	}
	return f;
}

static uint64_t
pf_size(const struct pf_file *f)
{
	struct stat st;

	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		pf_fatal("fstat");
	return (uint64_t)st.st_size;
}

/* Puts an entry with what is at offset now, in pieces. */
static void
pf_save(struct pf_file *f, uint32_t kind, uint64_t offset, uint64_t length, uint64_t new_size)
{
	uint64_t size = pf_size(f), done = 0;
	unsigned char *old = malloc(length < CHUNK ? length + 1 : CHUNK);

	if (old == NULL)
		pf_fatal("memory");
	pthread_mutex_lock(&f->append);
	do {
		uint64_t want = length - done < CHUNK ? length - done : CHUNK;
		long n = want == 0 ? 0
				   : syscall(SYS_pread64, f->fd, old, want, (long)(offset + done));
		struct pf_entry e = {
		    kind, (uint32_t)(n > 0 ? n : 0), offset + done, want, size, new_size};

		if (n < 0)
			pf_fatal("read before a write");
		pf_append(&f->log, &e, old);
		done += want;
	} while (done < length);
	pthread_mutex_unlock(&f->append);
	free(old);
}

/* A write on an O_DSYNC descriptor has returned. */
static void
pf_synced(struct pf_file *f, uint64_t offset, uint64_t length)
{
	struct pf_entry e = {PF_SYNCED, 0, offset, length, 0, offset + length};

	pthread_mutex_lock(&f->append);
	pf_append(&f->log, &e, NULL);
	pthread_mutex_unlock(&f->append);
}

static void
pf_name(uint32_t kind, const char *a, const char *b, bool taken, uint64_t held)
{
	char bytes[4 * NAME];
	size_t n = strlen(a) + 1;
	struct pf_entry e = {.kind = kind, .offset = taken, .new_size = held};

	memcpy(bytes, a, n);
	if (b != NULL) {
		memcpy(bytes + n, b, strlen(b) + 1);
		n += strlen(b) + 1;
	}
	e.bytes = (uint32_t)n;
	pthread_mutex_lock(&pf_names_append);
	pf_append(&pf_names, &e, bytes);
	pthread_mutex_unlock(&pf_names_append);
}

/* Links a file that is about to lose its name; returns the link's number, 0: none. */
static uint64_t
pf_hold(const char *path)
{
	char held[NAME + 32];
	uint64_t stamp = pf_stamp();

	if (pf_held[0] == 0)
		return 0;
	snprintf(held, sizeof held, "%s/%016llx", pf_held, (unsigned long long)stamp);
	return syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, held, 0) == 0 ? stamp : 0;
}

/* The folder is synced: names last, and files that had none go. */
static void
pf_release(uint64_t stamp)
{
	DIR *d = pf_held[0] ? opendir(pf_held) : NULL;
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && strtoull(e->d_name, NULL, 16) <= stamp)
			syscall(SYS_unlinkat, dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
}

/* --- open and close --- */

static int
pf_open(int at, const char *path, int flags, mode_t mode)
{
	bool there = true, emptied = false;
	char real[NAME], link[64];
	struct stat st;
	long n;
	int fd, kept = errno;

	if (pf_dir_n > 0 && (flags & (O_CREAT | O_TRUNC)) != 0) {
		there = fstatat(at, path, &st, 0) == 0;
		emptied = there && (flags & O_TRUNC) != 0 && S_ISREG(st.st_mode) && st.st_size > 0;
		errno = kept;
	}
	fd = (int)syscall(SYS_openat, at, path, emptied ? flags & ~O_TRUNC : flags, mode);
	if (fd < 0 || pf_dir_n == 0)
		return fd;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, real, sizeof real - 1);
	real[n > 0 ? n : 0] = 0;
	if (fd >= FDS || !pf_below(real)) {
		if (fd < FDS)
			pf_by_fd[fd] = NULL;
		if (emptied && syscall(SYS_ftruncate, fd, 0L) != 0)
			pf_fatal("O_TRUNC");
		return fd;
	}
	if (fstat(fd, &st) != 0)
		pf_fatal("fstat");
	if (!there) {
		pthread_rwlock_rdlock(&pf_names_lock);
		pf_name(PF_CREATE, real, NULL, false, 0);
		pthread_rwlock_unlock(&pf_names_lock);
	}
	pthread_mutex_lock(&pf_lock);
	pf_by_fd[fd] = pf_file_of(&st, real);
	pf_dsync[fd] = (flags & O_DSYNC) != 0;
	pthread_mutex_unlock(&pf_lock);
	if (emptied && ftruncate(fd, 0) != 0)
		pf_fatal("O_TRUNC");
	errno = kept;
	return fd;
}

static mode_t
pf_mode(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define PF_OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		va_list args; \
		mode_t mode; \
\
		va_start(args, flags); \
		mode = pf_mode(flags, args); \
		va_end(args); \
		return pf_open(AT_FDCWD, path, flags, mode); \
	}
#define PF_OPENAT(name) \
	int name(int at, const char *path, int flags, ...) \
	{ \
		va_list args; \
		mode_t mode; \
\
		va_start(args, flags); \
		mode = pf_mode(flags, args); \
		va_end(args); \
		return pf_open(at, path, flags, mode); \
	}
PF_OPEN(open)
PF_OPEN(open64)
PF_OPENAT(openat)
PF_OPENAT(openat64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags);

int
__open_2(const char *path, int flags)
{
	return pf_open(AT_FDCWD, path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
	return pf_open(AT_FDCWD, path, flags, 0);
}

int
__openat_2(int at, const char *path, int flags)
{
	return pf_open(at, path, flags, 0);
}

int
__openat64_2(int at, const char *path, int flags)
{
	return pf_open(at, path, flags, 0);
}

int
creat(const char *path, mode_t mode)
{
	return pf_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int
close(int fd)
{
	if (fd >= 0 && fd < FDS)
		pf_by_fd[fd] = NULL;
	return (int)syscall(SYS_close, fd);
}

/* --- writes --- */

/* How a write is made, once what it replaces is saved. */
struct pf_call {
	long number;
	int fd;
	const struct iovec *v;
	int n;
	int64_t offset; /* -1: at the file's own position */
	int flags;      /* of pwritev2() */
};

static ssize_t
pf_call(const struct pf_call *c)
{
	int64_t low = c->offset;

	switch (c->number) {
	case SYS_write:
		return syscall(SYS_write, c->fd, c->v->iov_base, c->v->iov_len);
	case SYS_pwrite64:
		return syscall(SYS_pwrite64, c->fd, c->v->iov_base, c->v->iov_len, low);
	case SYS_writev:
		return syscall(SYS_writev, c->fd, c->v, (long)c->n);
	default:
		return syscall(SYS_pwritev2, c->fd, c->v, (long)c->n, low, 0L, (long)c->flags);
	}
}

static ssize_t
pf_write(const struct pf_call *c)
{
	struct pf_file *f = pf_of(c->fd);
	uint64_t length = 0, offset;
	ssize_t n;
	int error;

	if (f == NULL || f->folder)
		return pf_call(c);
	for (int i = 0; i < c->n; i++)
		length += c->v[i].iov_len;
	pthread_rwlock_rdlock(&f->lock);
	offset = (uint64_t)c->offset;
	if (c->offset < 0)
		offset = (fcntl(c->fd, F_GETFL) & O_APPEND) ? pf_size(f)
							    : (uint64_t)lseek(c->fd, 0, SEEK_CUR);
	pf_save(f, PF_WRITE, offset, length, offset + length);
	n = pf_call(c);
	error = errno;
	if (n > 0 && (pf_dsync[c->fd] || (c->flags & (RWF_DSYNC | RWF_SYNC)) != 0))
		pf_synced(f, offset, (uint64_t)n);
	pthread_rwlock_unlock(&f->lock);
	errno = error;
	return n;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	struct iovec v = {(void *)(uintptr_t)p, n};

	return pf_write(&(struct pf_call){SYS_write, fd, &v, 1, -1, 0});
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	return pf_write(&(struct pf_call){SYS_writev, fd, v, n, -1, 0});
}

static ssize_t
pf_pwrite(int fd, const void *p, size_t n, off64_t offset)
{
	struct iovec v = {(void *)(uintptr_t)p, n};

	return pf_write(&(struct pf_call){SYS_pwrite64, fd, &v, 1, offset, 0});
}

static ssize_t
pf_pwritev(int fd, const struct iovec *v, int n, off64_t offset, int flags)
{
	return pf_write(&(struct pf_call){SYS_pwritev2, fd, v, n, offset, flags});
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
	return pf_pwrite(fd, p, n, offset);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t offset)
{
	return pf_pwrite(fd, p, n, offset);
}

ssize_t
pwritev(int fd, const struct iovec *v, int n, off_t offset)
{
	return pf_pwritev(fd, v, n, offset, 0);
}

ssize_t
pwritev64(int fd, const struct iovec *v, int n, off64_t offset)
{
	return pf_pwritev(fd, v, n, offset, 0);
}

ssize_t
pwritev2(int fd, const struct iovec *v, int n, off_t offset, int flags)
{
	return pf_pwritev(fd, v, n, offset, flags);
}

ssize_t
pwritev64v2(int fd, const struct iovec *v, int n, off64_t offset, int flags)
{
	return pf_pwritev(fd, v, n, offset, flags);
}

/* --- sizes --- */

static int
pf_ftruncate(int fd, off64_t length)
{
	struct pf_file *f = pf_of(fd);
	uint64_t size;
	int rc, error;

	if (f == NULL)
		return (int)syscall(SYS_ftruncate, fd, length);
	pthread_rwlock_rdlock(&f->lock);
	size = pf_size(f);
	pf_save(f, PF_SIZE, (uint64_t)length, size > (uint64_t)length ? size - (uint64_t)length : 0,
	    (uint64_t)length);
	rc = (int)syscall(SYS_ftruncate, fd, length);
	error = errno;
	pthread_rwlock_unlock(&f->lock);
	errno = error;
	return rc;
}

int
ftruncate(int fd, off_t length)
{
	return pf_ftruncate(fd, length);
}

int
ftruncate64(int fd, off64_t length)
{
	return pf_ftruncate(fd, length);
}

static int
pf_fallocate(int fd, int mode, off64_t offset, off64_t length)
{
	struct pf_file *f = pf_of(fd);
	uint64_t size, end = (uint64_t)(offset + length);
	int rc, error;

	if (f == NULL)
		return (int)syscall(SYS_fallocate, fd, (long)mode, offset, length);
	pthread_rwlock_rdlock(&f->lock);
	size = pf_size(f);
	if (mode & (FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE))
		pf_save(f, PF_WRITE, (uint64_t)offset, (uint64_t)length,
		    mode & FALLOC_FL_KEEP_SIZE ? 0 : end);
	else if (!(mode & FALLOC_FL_KEEP_SIZE) && end > size)
		pf_save(f, PF_SIZE, end, 0, end);
	rc = (int)syscall(SYS_fallocate, fd, (long)mode, offset, length);
	error = errno;
	pthread_rwlock_unlock(&f->lock);
	errno = error;
	return rc;
}

int
fallocate(int fd, int mode, off_t offset, off_t length)
{
	return pf_fallocate(fd, mode, offset, length);
}

int
fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	return pf_fallocate(fd, mode, offset, length);
}

int
posix_fallocate(int fd, off_t offset, off_t length)
{
	return pf_fallocate(fd, 0, offset, length) == 0 ? 0 : errno;
}

int
posix_fallocate64(int fd, off64_t offset, off64_t length)
{
	return pf_fallocate(fd, 0, offset, length) == 0 ? 0 : errno;
}

/* --- syncs --- */

static int
pf_sync_folder(long number, int fd)
{
	uint64_t stamp;
	int rc;

	pthread_rwlock_wrlock(&pf_names_lock);
	stamp = pf_turn(&pf_names);
	pthread_rwlock_unlock(&pf_names_lock);
	rc = (int)syscall(number, fd);
	if (rc == 0) {
		pf_forget(pf_names.prefix, stamp);
		pf_release(stamp);
	}
	return rc;
}

/* Whether this sync of a journal's file shall fail: LOG/fail-sync stands for one. */
static bool
pf_fails(int fd)
{
	char link[64], real[NAME], path[NAME + 16];
	ssize_t n;

	snprintf(path, sizeof path, "%s/fail-sync", pf_logs);
	if (syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0)
		return false;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, real, sizeof real - 1);
	real[n > 0 ? n : 0] = 0;
	return strstr(real, "/journal-") != NULL && syscall(SYS_unlinkat, AT_FDCWD, path, 0L) == 0;
}

static int
pf_sync(long number, int fd)
{
	struct pf_file *f = pf_of(fd);
	uint64_t stamp;
	int rc, error;

	if (f == NULL)
		return (int)syscall(number, fd);
	if (f->folder)
		return pf_sync_folder(number, fd);
	if (pf_fails(fd)) {
		f->failed = true;
		errno = EIO;
		return -1;
	}
	pthread_rwlock_wrlock(&f->lock);
	stamp = pf_turn(&f->log);
	pthread_rwlock_unlock(&f->lock);
	rc = (int)syscall(number, fd);
	error = errno;
	if (rc == 0 && !f->failed)
		pf_forget(f->log.prefix, stamp);
	errno = error;
	return rc;
}

int
fsync(int fd)
{
	return pf_sync(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return pf_sync(SYS_fdatasync, fd);
}

/* --- names --- */

/* The path that a name means. False when it is not below the folder. */
static bool
pf_resolve(int at, const char *path, char out[NAME])
{
	char base[NAME] = "";
	char link[64];

	if (pf_dir_n == 0)
		return false;
	if (path[0] != '/') {
		ssize_t n;

		snprintf(
		    link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
		n = readlink(link, base, sizeof base - 2);
		base[n > 0 ? n : 0] = '/';
		base[n > 0 ? n + 1 : 1] = 0;
	}
	if (snprintf(out, NAME, "%s%s", base, path) >= NAME)
		return false;
	return pf_below(out);
}

static int
pf_unlink(int at, const char *path, int flags)
{
	char real[NAME];
	int rc;

	if ((flags & AT_REMOVEDIR) != 0 || !pf_resolve(at, path, real))
		return (int)syscall(SYS_unlinkat, at, path, (long)flags);
	pthread_rwlock_rdlock(&pf_names_lock);
	pf_name(PF_UNLINK, real, NULL, false, pf_hold(real));
	rc = (int)syscall(SYS_unlinkat, at, path, (long)flags);
	pthread_rwlock_unlock(&pf_names_lock);
	return rc;
}

int
unlink(const char *path)
{
	return pf_unlink(AT_FDCWD, path, 0);
}

int
unlinkat(int at, const char *path, int flags)
{
	return pf_unlink(at, path, flags);
}

int
remove(const char *path)
{
	struct stat st;

	return pf_unlink(
	    AT_FDCWD, path, lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

static int
pf_rename(int from_at, const char *from, int to_at, const char *to)
{
	char real_from[NAME], real_to[NAME];
	struct stat st;
	bool taken;
	int rc;

	if (!pf_resolve(from_at, from, real_from) || !pf_resolve(to_at, to, real_to))
		return (int)syscall(SYS_renameat, from_at, from, to_at, to);
	pthread_rwlock_rdlock(&pf_names_lock);
	taken = lstat(real_to, &st) == 0;
	pf_name(PF_RENAME, real_from, real_to, taken, taken ? pf_hold(real_to) : 0);
	rc = (int)syscall(SYS_renameat, from_at, from, to_at, to);
	pthread_rwlock_unlock(&pf_names_lock);
	return rc;
}

int
rename(const char *from, const char *to)
{
	return pf_rename(AT_FDCWD, from, AT_FDCWD, to);
}

int
renameat(int from_at, const char *from, int to_at, const char *to)
{
	return pf_rename(from_at, from, to_at, to);
}

/* --- mappings --- */

static void *
pf_mmap(void *at, size_t length, int protection, int flags, int fd, off64_t offset)
{
	struct pf_file *f = (protection & PROT_WRITE) && (flags & MAP_SHARED) ? pf_of(fd) : NULL;
	char link[64], real[NAME], path[NAME + 16];
	ssize_t n;

	if (f != NULL) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		n = readlink(link, real, sizeof real - 1);
		real[n > 0 ? n : 0] = 0;
		if (strstr(real, "/lock.mdb") == NULL && strstr(real, "-lock") == NULL) {
			int mark;

			snprintf(path, sizeof path, "%s/mapped", pf_logs);
			mark = (int)syscall(SYS_openat, AT_FDCWD, path,
			    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
			dprintf(mark, "%s\n", real);
			syscall(SYS_close, mark);
		}
	}
	return (void *)syscall(SYS_mmap, at, length, (long)protection, (long)flags, fd, offset);
}

void *
mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	return pf_mmap(at, length, protection, flags, fd, offset);
}

void *
mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset)
{
	return pf_mmap(at, length, protection, flags, fd, offset);
}
