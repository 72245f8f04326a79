/* The ready mark; see mark.h. */
#include "sidecar/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

#define MARK_NAME "ready"
#define MARK_FORMAT "sqmqos ready 1\n"
#define BOOT_FILE "/proc/sys/kernel/random/boot_id"

enum { BOOT_MAX = 64, MARK_MAX = 1024 }; /* bytes */

/* Reads a file of fewer than 'cap' bytes, and puts a NUL behind it.  Returns its length;
 * -1, with errno, where it can't be read, or is longer (EFBIG) or no file (EINVAL). */
static ssize_t
mark_slurp(int dirfd, const char *name, char *to, size_t cap)
{
	/* Neither a link nor a pipe that nobody writes to may lead us astray. */
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), error = 0;
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		error = EINVAL;
	while (error == 0 && n > 0 && len < cap) {
		n = read(fd, to + len, cap - len);
		if (n < 0 && errno != EINTR)
			error = errno;
		len += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	close(fd);
	if (error == 0 && len == cap)
		error = EFBIG;
	errno = error;
	if (error != 0)
		return -1;
	to[len] = '\0';
	return (ssize_t)len;
}

const char *
sq_mark_boot(void)
{
	static char boot[BOOT_MAX];
	ssize_t n = mark_slurp(AT_FDCWD, BOOT_FILE, boot, sizeof boot);

	boot[n < 0 ? 0 : strcspn(boot, "\n")] = '\0';
	return boot;
}

static void
mark_text(struct sq_buf *out, const char *pod, const char *boot)
{
	sq_buf_printf(out, MARK_FORMAT "boot %s\npod %s\n", boot, pod);
}

/* Whether the text is a mark, of any pod. */
static bool
mark_plausible(const char *text, size_t len)
{
	const char *boot = text + sizeof MARK_FORMAT - 1, *pod;

	if (strlen(text) != len || strncmp(text, MARK_FORMAT, sizeof MARK_FORMAT - 1) != 0 ||
	    strncmp(boot, "boot ", 5) != 0)
		return false;
	pod = strchr(boot, '\n');
	return pod != NULL && strncmp(pod, "\npod ", 5) == 0 && text[len - 1] == '\n';
}

bool
sq_mark_read(const char *dir, const char *pod, const char *boot, struct sq_buf *why)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sq_buf want = {0};
	char text[MARK_MAX];
	bool same = false;
	ssize_t n;

	n = dirfd < 0 ? -1 : mark_slurp(dirfd, MARK_NAME, text, sizeof text);
	if (n < 0 && errno != ENOENT)
		sq_buf_printf(why, "%s/" MARK_NAME ": can't be read: %s", dir, strerror(errno));
	if (dirfd >= 0)
		close(dirfd);
	if (n < 0)
		return false;
	mark_text(&want, pod, boot);
	same = boot[0] != '\0' && sq_buf_len(&want) == (size_t)n &&
	    memcmp(sq_buf_data(&want), text, (size_t)n) == 0;
	sq_buf_fini(&want);
	if (!same && !mark_plausible(text, (size_t)n))
		sq_buf_printf(why, "%s/" MARK_NAME ": is not what a sidecar writes", dir);
	return same;
}

int
sq_mark_write(const char *dir, const char *pod, const char *boot, struct sq_buf *why)
{
	struct sq_buf text = {0};
	int rc;

	if (boot[0] == '\0') {
		sq_buf_printf(why, BOOT_FILE ": can't be read");
		return SQ_EIO;
	}
	mark_text(&text, pod, boot);
	/* No sync: after a power cut it is another boot. */
	rc = sq_file_replace(dir, MARK_NAME, sq_buf_data(&text), sq_buf_len(&text), false);
	if (rc != SQ_OK)
		sq_buf_printf(why, "%s/" MARK_NAME ": can't be written: %s", dir, strerror(errno));
	sq_buf_fini(&text);
	return rc;
}
