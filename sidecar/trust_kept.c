/* trust.pem; see trust_kept.h. */
#include "sidecar/trust_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/mem.h"
#include "proto/link/trust.h"

#define KEPT_NAME "trust.pem"
#define KEPT_FORMAT "sqmqos trust 1 of %016" PRIx64 "\n"

enum { KEPT_HEAD_MAX = 64 };

/* dir/KEPT_NAME and 'suffix'; the caller frees it. */
static char *
kept_path(const char *dir, const char *suffix)
{
	size_t size = strlen(dir) + sizeof "/" KEPT_NAME + strlen(suffix);
	char *path = sq_xmalloc(size);

	(void)snprintf(path, size, "%s/" KEPT_NAME "%s", dir, suffix);
	return path;
}

bool
sq_trust_kept_read(const char *dir, uint64_t base, struct sq_buf *out, struct sq_buf *why)
{
	char *path = kept_path(dir, ""), head[KEPT_HEAD_MAX];
	struct sq_buf text = {0};
	size_t n = (size_t)snprintf(head, sizeof head, KEPT_FORMAT, base);
	int rc = sq_file_read(path, SQ_TRUST_MAX + KEPT_HEAD_MAX, &text);
	bool ours = rc == SQ_OK && sq_buf_len(&text) > n &&
	    memcmp(sq_buf_data(&text), head, n) == 0;

	if (ours)
		sq_buf_append(out, sq_buf_data(&text) + n, sq_buf_len(&text) - n);
	else if (rc != SQ_OK && !(rc == SQ_EIO && errno == ENOENT))
		sq_buf_printf(why, "%s: can't be read: %s", path, sq_file_reason(rc));
	sq_buf_fini(&text);
	free(path);
	return ours;
}

/* 0, or -1 with errno. */
static int
kept_put(const char *path, const struct sq_buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t done = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	while (done < sq_buf_len(text) && (n >= 0 || errno == EINTR)) {
		n = write(fd, sq_buf_data(text) + done, sq_buf_len(text) - done);
		done += n > 0 ? (size_t)n : 0;
	}
	/* No sync: what is lost with the machine is lost with its pods. */
	return close(fd) == 0 && n >= 0 ? 0 : -1;
}

int
sq_trust_kept_write(const char *dir, uint64_t base, struct sq_bytes bundle, struct sq_buf *why)
{
	char *path = kept_path(dir, ""), *unfinished = kept_path(dir, ".tmp");
	struct sq_buf text = {0};
	int rc = SQ_OK;

	sq_buf_printf(&text, KEPT_FORMAT, base);
	sq_buf_append(&text, bundle.p, bundle.len);
	if ((mkdir(dir, 0700) != 0 && errno != EEXIST) || kept_put(unfinished, &text) != 0 ||
	    rename(unfinished, path) != 0) {
		sq_buf_printf(why, "%s: can't be written: %s", path, strerror(errno));
		(void)unlink(unfinished);
		rc = SQ_EIO;
	}
	sq_buf_fini(&text);
	free(path);
	free(unfinished);
	return rc;
}
