#include "sidecar/declared/annotations_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"

#define KEPT_NAME "annotations"
#define KEPT_FORMAT "sqmqos annotations 1 since "

/* A value grows by its escapes, fourfold at most. */
enum { KEPT_MAX = 5 * SQ_ANNOTATIONS_SIZE_MAX };

/* Reads the first line up to its end.  False: it is none. */
static bool
kept_head(const char *text, size_t len, uint64_t *since_ms, const char **pod, size_t *pod_len)
{
	size_t n = sizeof KEPT_FORMAT - 1;
	const char *nl = memchr(text, '\n', len);
	uint64_t v = 0;

	if (nl == NULL || len <= n || memcmp(text, KEPT_FORMAT, n) != 0)
		return false;
	for (; text[n] >= '0' && text[n] <= '9' && v <= (uint64_t)INT64_MAX / 10 - 10; n++)
		v = v * 10 + (uint64_t)(text[n] - '0');
	if (v == 0 || strncmp(text + n, " pod ", 5) != 0)
		return false;
	*since_ms = v;
	*pod = text + n + 5;
	*pod_len = (size_t)(nl - *pod);
	return true;
}

/* True: it is that of 'pod'. */
static bool
kept_parse(const char *text, size_t len, const char *pod, struct sq_annotation_pairs *out,
    uint64_t *since_ms, bool *wrong)
{
	struct sq_annotation_problems problems = {0};
	const char *whose;
	size_t whose_len, head;
	bool ok;

	*wrong = !kept_head(text, len, since_ms, &whose, &whose_len);
	if (*wrong || whose_len != strlen(pod) || memcmp(whose, pod, whose_len) != 0)
		return false;
	head = (size_t)(whose + whose_len + 1 - text);
	ok = sq_annotations_file(text + head, len - head, out, &problems) == 0;
	sq_annotation_problems_free(&problems);
	*wrong = !ok;
	return ok;
}

bool
sq_annotations_kept_read(const char *dir, const char *pod, struct sq_annotation_pairs *out,
    uint64_t *since_ms, struct sq_buf *why)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = SQ_EIO;
	struct sq_buf text = {0};
	bool found = false, wrong = false;

	*out = (struct sq_annotation_pairs){0};
	if (dirfd >= 0)
		rc = sq_file_read_at(dirfd, KEPT_NAME, KEPT_MAX, &text);
	if (rc == 0)
		found = kept_parse(sq_buf_len(&text) > 0 ? (char *)sq_buf_data(&text) : "",
		    sq_buf_len(&text), pod, out, since_ms, &wrong);
	else if (rc != SQ_EIO || errno != ENOENT)
		sq_buf_printf(why, "%s/" KEPT_NAME ": can't be read: %s", dir, sq_file_reason(rc));
	if (wrong)
		sq_buf_printf(why, "%s/" KEPT_NAME ": is not what a sidecar writes", dir);
	if (dirfd >= 0)
		close(dirfd);
	sq_buf_fini(&text);
	return found;
}

int
sq_annotations_kept_write(const char *dir, const char *pod, const struct sq_annotation_pairs *pairs,
    uint64_t since_ms, struct sq_buf *why)
{
	struct sq_buf text = {0};
	int rc;

	sq_buf_printf(&text, KEPT_FORMAT "%" PRIu64 " pod %s\n", since_ms, pod);
	for (size_t i = 0; i < pairs->n; i++)
		sq_annotations_file_line(&text, &pairs->v[i]);
	/* No sync: it need not outlive the machine. */
	rc = sq_file_replace(dir, KEPT_NAME, sq_buf_data(&text), sq_buf_len(&text), false);
	if (rc != SQ_OK)
		sq_buf_printf(why, "%s/" KEPT_NAME ": can't be written: %s", dir, strerror(errno));
	sq_buf_fini(&text);
	return rc;
}
