/* The lock of a store's directory; see store/dir.h.  An flock(2), so that it
 * ends with the process however that ends. */
#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE "lock"

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
		sq_buf_printf(err, "%s: %s", dir, strerror(errno));
		return SQ_EIO;
	}
	fd = openat(dirfd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		sq_buf_printf(err, "%s/" LOCK_FILE ": %s", dir, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? SQ_EEXIST : SQ_EIO;
		sq_buf_printf(err, "%s: %s", dir,
		    rc == SQ_EEXIST ? "another process has this store" : strerror(errno));
		close(fd);
	} else {
		rc = fd;
	}
	close(dirfd);
	return rc;
}

void
sq_store_unlock(int *lock)
{
	if (*lock >= 0)
		close(*lock);
	*lock = -1;
}
