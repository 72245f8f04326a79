/* trust.pem; see trust_kept.h. */
#include "net/trust_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "proto/link/trust.h"

#define KEPT_NAME "trust.pem"
#define KEPT_FORMAT "sqmqos trust 1 of %016" PRIx64 "\n"

enum { KEPT_HEAD_MAX = 64 };

bool
sq_trust_kept_read(const char *dir, uint64_t base, struct sq_buf *out, struct sq_buf *why)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char head[KEPT_HEAD_MAX];
	struct sq_buf text = {0};
	size_t n = (size_t)snprintf(head, sizeof head, KEPT_FORMAT, base);
	int rc = dirfd < 0 ? SQ_EIO
			   : sq_file_read_at(dirfd, KEPT_NAME, SQ_TRUST_MAX + KEPT_HEAD_MAX, &text);
	bool ours = rc == SQ_OK && sq_buf_len(&text) > n &&
	    memcmp(sq_buf_data(&text), head, n) == 0;

	if (ours)
		sq_buf_append(out, sq_buf_data(&text) + n, sq_buf_len(&text) - n);
	else if (rc != SQ_OK && !(rc == SQ_EIO && errno == ENOENT))
		sq_buf_printf(why, "%s/" KEPT_NAME ": can't be read: %s", dir, sq_file_reason(rc));
	sq_buf_fini(&text);
	if (dirfd >= 0)
		close(dirfd);
	return ours;
}

int
sq_trust_kept_write(const char *dir, uint64_t base, struct sq_bytes bundle, struct sq_buf *why)
{
	struct sq_buf text = {0};
	int rc;

	sq_buf_printf(&text, KEPT_FORMAT, base);
	sq_buf_append(&text, bundle.p, bundle.len);
	/* No sync: a machine that is lost takes its pods with it. */
	rc = sq_file_replace(dir, KEPT_NAME, sq_buf_data(&text), sq_buf_len(&text), false);
	if (rc != SQ_OK)
		sq_buf_printf(why, "%s/" KEPT_NAME ": can't be written: %s", dir, strerror(errno));
	sq_buf_fini(&text);
	return rc;
}
