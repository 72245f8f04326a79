/* Small files, whole; see core/file.h. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
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

/* Appends up to one byte more than 'max', so that too much shows. */
static ssize_t
file_take(int fd, size_t max, struct sq_buf *out)
{
	size_t from = sq_buf_len(out);
	ssize_t n = 1;

	while (n != 0 && sq_buf_len(out) - from <= max) {
		n = read(fd, sq_buf_reserve(out, FILE_CHUNK), FILE_CHUNK);
		if (n > 0)
			sq_buf_commit(out, (size_t)n);
		else if (n < 0 && errno != EINTR)
			return -1;
	}
	return (ssize_t)(sq_buf_len(out) - from);
}

int
sq_file_read(const char *path, size_t max, struct sq_buf *out)
{
	return sq_file_read_at(AT_FDCWD, path, max, out);
}

int
sq_file_read_at(int dirfd, const char *path, size_t max, struct sq_buf *out)
{
	/* A pipe that nobody writes to must not hold the caller up. */
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return SQ_EIO;
	if (fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode)) {
			close(fd);
			return SQ_EINVAL;
		}
		n = file_take(fd, max, out);
	}
	error = errno;
	close(fd);
	errno = error;
	return n < 0 ? SQ_EIO : (size_t)n > max ? SQ_ETOOBIG : SQ_OK;
}

const char *
sq_file_reason(int err)
{
	return err == SQ_EIO ? strerror(errno) : err == SQ_EINVAL ? "not a file" : sq_strerror(err);
}
