/* The lock of a store's directory; see store/dir.h.  An flock(2), which ends with the process in
 * any case. */
#include "store/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE "lock"

/* Whether 'fd' is still the directory's lock file. */
static bool
dir_has(int dirfd, int fd)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && fstatat(dirfd, LOCK_FILE, &there, 0) == 0 &&
	    mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

/* The error for a directory that existed: ENOENT means that the holder of the lock has just removed
 * it. */
static int
dir_error(void)
{
	return errno == ENOENT ? SQ_EEXIST : SQ_EIO;
}

int
sq_store_lock(const char *dir, struct sq_buf *err)
{
	int dirfd, fd, rc = SQ_EIO;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		sq_buf_printf(err, "%s: %s", dir, strerror(errno));
		return SQ_EIO;
	}
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		rc = dir_error();
		sq_buf_printf(err, "%s: %s", dir, strerror(errno));
		return rc;
	}
	fd = openat(dirfd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = dir_error();
		sq_buf_printf(err, "%s/" LOCK_FILE ": %s", dir, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? SQ_EEXIST : SQ_EIO;
		sq_buf_printf(err, "%s: %s", dir,
		    rc == SQ_EEXIST ? "another process has this store" : strerror(errno));
		close(fd);
	} else if (!dir_has(dirfd, fd)) {
		rc = SQ_EEXIST;
		sq_buf_printf(err, "%s: another process has just removed it", dir);
		close(fd);
	} else {
		rc = fd;
	}
	close(dirfd);
	return rc;
}

int
sq_store_dir_check(const char *dir, struct sq_buf *err)
{
	char *copy = strdup(dir);
	struct stat st;
	int rc = SQ_OK;

	if (copy == NULL)
		return SQ_ENOMEM;
	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		rc = SQ_EIO;
	} else if (faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
		/* A missing directory can be made if its parent is writable. */
		if (errno != ENOENT ||
		    faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) != 0)
			rc = SQ_EIO;
	}
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s: %s", dir, strerror(errno));
	free(copy);
	return rc;
}

void
sq_store_unlock(int *lock)
{
	if (*lock >= 0)
		close(*lock);
	*lock = -1;
}

bool
sq_store_locked(const char *dir)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	bool locked;

	if (dirfd >= 0)
		fd = openat(dirfd, LOCK_FILE, O_RDWR | O_CLOEXEC);
	locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	if (dirfd >= 0)
		close(dirfd);
	return locked;
}

/* Removes the directory's content, the lock file last; 0, or -1 with errno. */
static int
dir_empty(int dirfd)
{
	DIR *d = fdopendir(dup(dirfd));
	struct dirent *e;
	int rc = 0;

	if (d == NULL)
		return -1;
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, LOCK_FILE) != 0)
			rc = unlinkat(dirfd, e->d_name, 0);
	closedir(d);
	return rc != 0 ? rc : unlinkat(dirfd, LOCK_FILE, 0);
}

int
sq_store_remove(const char *dir, int *lock, struct sq_buf *err)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

	/* Without its lock file the next one may have it, or may be done with it, too. */
	if (dirfd >= 0 && dir_empty(dirfd) == 0)
		rc = rmdir(dir) == 0 || errno == ENOENT || errno == ENOTEMPTY ? 0 : -1;
	if (rc != 0)
		sq_buf_printf(err, "%s: can't be removed: %s", dir, strerror(errno));
	if (dirfd >= 0)
		close(dirfd);
	sq_store_unlock(lock);
	return rc == 0 ? SQ_OK : SQ_EIO;
}
