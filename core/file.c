/* Small files, whole; see core/file.h. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_CHUNK = 4096 };

void
sq_file_stamp(const char *path, struct sq_file_stamp *out)
{
	struct stat st;

	*out = (struct sq_file_stamp){0};
	if (stat(path, &st) == 0)
		*out = (struct sq_file_stamp){st.st_mtim, st.st_ino, st.st_size};
}

bool
sq_file_stamp_equal(const struct sq_file_stamp *a, const struct sq_file_stamp *b)
{
	return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	    a->inode == b->inode && a->size == b->size;
}

/* Appends up to one byte more than 'max', so that too much shows.  'size' is what the file has
 * now: room for it is made at once, so that a secret is not left behind where 'out' was. */
static ssize_t
file_take(int fd, size_t size, size_t max, struct sq_buf *out)
{
	size_t from = sq_buf_len(out), room = (size < max ? size : max) + 1;
	ssize_t n = 1;

	while (n != 0 && sq_buf_len(out) - from <= max) {
		n = read(fd, sq_buf_reserve(out, room), room);
		if (n > 0)
			room = room > (size_t)n ? room - (size_t)n : FILE_CHUNK;
		if (n > 0)
			sq_buf_commit(out, (size_t)n);
		else if (n < 0 && errno != EINTR)
			return -1;
	}
	return (ssize_t)(sq_buf_len(out) - from);
}

/* sq_file_read_at() of one that has none of the bits 'never' in its mode. */
static int
file_read(int dirfd, const char *path, mode_t never, size_t max, struct sq_buf *out)
{
	/* A pipe that nobody writes to must not hold the caller up. */
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return errno == ENXIO ? SQ_EINVAL : SQ_EIO; /* a socket */
	if (fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode)) {
			close(fd);
			return SQ_EINVAL;
		}
		if ((st.st_mode & never) != 0) {
			close(fd);
			return SQ_EDENIED;
		}
		n = file_take(fd, (size_t)st.st_size, max, out);
	}
	error = errno;
	close(fd);
	errno = error;
	return n < 0 ? SQ_EIO : (size_t)n > max ? SQ_ETOOBIG : SQ_OK;
}

int
sq_file_read(const char *path, size_t max, struct sq_buf *out)
{
	return sq_file_read_at(AT_FDCWD, path, max, out);
}

int
sq_file_read_at(int dirfd, const char *path, size_t max, struct sq_buf *out)
{
	return file_read(dirfd, path, 0, max, out);
}

int
sq_file_read_secret(const char *path, size_t max, struct sq_buf *out)
{
	return file_read(AT_FDCWD, path, S_IRWXO, max, out);
}

/* 0, or -1 with errno. */
static int
file_put(int fd, const unsigned char *p, size_t n, bool sync)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return sync ? fsync(fd) : 0;
}

/* Makes the file 'fresh' and puts it in the place of 'name'; 0, or -1 with errno. */
static int
file_replace_at(int dirfd, const char *fresh, const char *name, const void *p, size_t n, bool sync)
{
	/* Neither a link nor a pipe may lead it astray. */
	int fd = openat(
	    dirfd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return -1;
	rc = file_put(fd, p, n, sync);
	if (close(fd) != 0 || rc != 0 || renameat(dirfd, fresh, dirfd, name) != 0)
		return -1;
	return sync ? fsync(dirfd) : 0;
}

int
sq_file_replace(const char *dir, const char *name, const void *p, size_t n, bool sync)
{
	char fresh[NAME_MAX + 1];
	int dirfd, rc, error;

	if (snprintf(fresh, sizeof fresh, "%s.new", name) >= (int)sizeof fresh) {
		errno = ENAMETOOLONG;
		return SQ_EIO;
	}
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return SQ_EIO;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return SQ_EIO;
	rc = file_replace_at(dirfd, fresh, name, p, n, sync);
	error = errno;
	if (rc != 0)
		(void)unlinkat(dirfd, fresh, 0);
	close(dirfd);
	errno = error;
	return rc == 0 ? SQ_OK : SQ_EIO;
}

const char *
sq_file_reason(int err)
{
	return err == SQ_EIO    ? strerror(errno)
	    : err == SQ_EINVAL  ? "not a regular file"
	    : err == SQ_EDENIED ? "others may read or write it: chmod o= makes it a secret"
				: sq_strerror(err);
}
