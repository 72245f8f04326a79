/* Calls of the journal to the operating system, in a table in which a unit test replaces a call to
 * make it fail.  Private to store/. */
#ifndef SQ_STORE_JOURNAL_IO_H
#define SQ_STORE_JOURNAL_IO_H

#include <sys/types.h>
#include <sys/uio.h>

struct sq_io {
	int (*open)(int dirfd, const char *name, int flags, mode_t mode);
	ssize_t (*pwritev)(int fd, const struct iovec *, int n, off_t offset);
	int (*fdatasync)(int fd); /* of commits */
	int (*fsync)(int fd);     /* of new files and of the directory */
	int (*fallocate)(int fd, int mode, off_t offset, off_t len);
};

extern struct sq_io sq_io;

/* Writes all bytes, changing 'iov'.  SQ_EIO with errno set. */
int sq_io_write(int fd, struct iovec *iov, int n, off_t offset);
/* Reads 'n' bytes, fewer only at the end of the file; -1 with errno set. */
ssize_t sq_io_read(int fd, void *p, size_t n, off_t offset);

#endif
