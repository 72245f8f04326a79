#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int
sq_store_lock(const char *dir, struct sq_buf *err)
{
	int at, lock;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		sq_buf_printf(err, "%s: can't be made: %s", dir, strerror(errno));
		return SQ_EIO;
	}
	at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lock = at >= 0 ? openat(at, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (lock < 0)
		sq_buf_printf(err, "%s: can't be opened: %s", dir, strerror(errno));
	if (at >= 0)
		close(at);
	if (lock < 0)
		return SQ_EIO;
	if (flock(lock, LOCK_EX | LOCK_NB) == 0)
		return lock;
	sq_buf_printf(err, "%s: another process has this store", dir);
	close(lock);
	return SQ_EEXIST;
}

void
sq_store_unlock(int *lock)
{
	if (*lock >= 0)
		close(*lock);
	*lock = -1;
}
