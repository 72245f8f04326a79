#include "store/held.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"

#define ASK_FILE "backup"
#define ANSWER_FILE "backup-held"

enum { NUMBER_LEN = 16, ANSWER_MAX = 512 };

static struct flock
held_lock(enum sq_held_part part, short type)
{
	return (struct flock){
	    .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)part, .l_len = 1};
}

static uint64_t
held_number(int fd)
{
	char text[NUMBER_LEN + 1] = {0};
	uint64_t n;

	if (pread(fd, text, NUMBER_LEN, 0) != NUMBER_LEN || sscanf(text, "%16" SCNx64, &n) != 1)
		return 0;
	return n;
}

uint64_t
sq_held_for(int dirfd, enum sq_held_part part)
{
	int fd = openat(dirfd, ASK_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct flock lock = held_lock(part, F_WRLCK);
	uint64_t n = 0;

	if (fd < 0)
		return 0;
	if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		n = held_number(fd);
	close(fd);
	return n;
}

void
sq_held_answer(int dirfd, uint64_t number, uint64_t owner, const char *ended)
{
	int fd = openat(
	    dirfd, ANSWER_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[ANSWER_MAX];
	int n;

	if (fd < 0) {
		(void)unlinkat(dirfd, ANSWER_FILE, 0);
		return;
	}
	if (ended == NULL)
		n = snprintf(
		    text, sizeof text, "%016" PRIx64 " held %016" PRIx64 "\n", number, owner);
	else
		n = snprintf(text, sizeof text, "%016" PRIx64 " ended: %s\n", number, ended);
	if (n < 0 || (size_t)n >= sizeof text || pwrite(fd, text, (size_t)n, 0) != n)
		(void)!ftruncate(fd, 0);
	close(fd);
}

void
sq_held_forget(const char *dir)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return;
	(void)unlinkat(dirfd, ANSWER_FILE, 0);
	close(dirfd);
}

static int
held_fail(struct sq_held *h, const char *dir, int rc, struct sq_buf *err)
{
	sq_buf_printf(err, "%s/" ASK_FILE ": %s", dir,
	    rc == SQ_EEXIST ? "another backup of this store is being made" : strerror(errno));
	sq_held_end(h);
	return rc;
}

/* The file belongs to whoever has the store, who must be able to look at its locks.  One with a
 * second name may be another's file, which is not to be given away. */
static bool
held_give_to_owner(const struct sq_held *h)
{
	struct stat dir, st;

	if (fstat(h->dirfd, &dir) != 0 || fstat(h->fd, &st) != 0)
		return false;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
		errno = EMLINK;
		return false;
	}
	return st.st_uid == dir.st_uid || fchown(h->fd, dir.st_uid, dir.st_gid) == 0;
}

int
sq_held_ask(struct sq_held *h, const char *dir, struct sq_buf *err)
{
	char text[NUMBER_LEN + 1];
	struct flock tables = held_lock(SQ_HELD_TABLES, F_WRLCK);
	struct flock journal = held_lock(SQ_HELD_JOURNAL, F_WRLCK);

	*h = (struct sq_held){.dirfd = -1, .fd = -1, .number = sq_random_u64() | 1};
	h->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->dirfd >= 0)
		h->fd = openat(h->dirfd, ASK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->fd < 0 || !held_give_to_owner(h))
		return held_fail(h, dir, SQ_EIO, err);
	/* Held to the end, so there is one copier.  The owner may answer the number of the last one
	 * before it sees ours. */
	if (fcntl(h->fd, F_OFD_SETLK, &tables) != 0)
		return held_fail(
		    h, dir, errno == EAGAIN || errno == EACCES ? SQ_EEXIST : SQ_EIO, err);
	snprintf(text, sizeof text, "%016" PRIx64, h->number);
	if (pwrite(h->fd, text, NUMBER_LEN, 0) != NUMBER_LEN ||
	    fcntl(h->fd, F_OFD_SETLK, &journal) != 0)
		return held_fail(h, dir, SQ_EIO, err);
	return SQ_OK;
}

uint64_t
sq_held_by(const struct sq_held *h, struct sq_buf *why)
{
	int fd = openat(h->dirfd, ANSWER_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[ANSWER_MAX] = {0}, mine[NUMBER_LEN + 8];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
	uint64_t owner = 0;

	if (fd >= 0)
		close(fd);
	snprintf(mine, sizeof mine, "%016" PRIx64 " ", h->number);
	if (n <= NUMBER_LEN + 1 || strncmp(text, mine, NUMBER_LEN + 1) != 0)
		return 0;
	if (sscanf(text + NUMBER_LEN + 1, "held %16" SCNx64 "\n", &owner) == 1)
		return owner;
	text[strcspn(text, "\n")] = '\0';
	sq_buf_printf(why, "%s", text + NUMBER_LEN + 1);
	return 0;
}

void
sq_held_release(struct sq_held *h, enum sq_held_part part)
{
	struct flock lock = held_lock(part, F_UNLCK);

	(void)fcntl(h->fd, F_OFD_SETLK, &lock);
}

void
sq_held_end(struct sq_held *h)
{
	if (h->fd >= 0)
		close(h->fd);
	if (h->dirfd >= 0)
		close(h->dirfd);
	h->fd = h->dirfd = -1;
}
