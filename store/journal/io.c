/* System calls of the journal; see store/journal/io.h. */
#include "store/journal/io.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/err.h"

static int
io_open(int dirfd, const char *name, int flags, mode_t mode)
{
	return openat(dirfd, name, flags, mode);
}

struct sq_io sq_io = {
    .open = io_open,
    .pwritev = pwritev,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .fallocate = fallocate,
};

int
sq_io_write(int fd, struct iovec *iov, int n, off_t offset)
{
	while (n > 0) {
		ssize_t done = sq_io.pwritev(fd, iov, n, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			errno = done == 0 ? EIO : errno;
			return SQ_EIO;
		}
		offset += done;
		for (; n > 0 && (size_t)done >= iov->iov_len; iov++, n--)
			done -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

ssize_t
sq_io_read(int fd, void *p, size_t n, off_t offset)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = pread(fd, (char *)p + have, n - have, offset + (off_t)have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}
