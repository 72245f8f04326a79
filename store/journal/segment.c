/* Segment files; see store/journal/segment.h. */
#include "store/journal/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "store/journal/io.h"

#define UNFINISHED "journal-new"

enum { ZEROS = 1 << 20, ZERO_SYNC = 8 << 20, WINDOW = 1 << 20 };

struct sq_segment_name
sq_segment_name(uint64_t no)
{
	struct sq_segment_name name;

	snprintf(name.text, sizeof name.text, "journal-%016" PRIx64, no);
	return name;
}

bool
sq_segment_name_parse(const char *name, uint64_t *no)
{
	static const char digits[] = "0123456789abcdef";

	if (strncmp(name, "journal-", 8) != 0 || strlen(name) != SQ_SEGMENT_NAME_LEN)
		return false;
	*no = 0;
	for (const char *p = name + 8; *p != '\0'; p++) {
		const char *digit = strchr(digits, *p);

		if (digit == NULL)
			return false;
		*no = *no << 4 | (uint64_t)(digit - digits);
	}
	return *no != 0;
}

/* Zeros from 'from' to 'to', synced every now and then: one flush of all of it
 * at the end would stand in the way of the commits that run beside it. */
static int
segment_zero(int fd, uint64_t from, uint64_t to)
{
	unsigned char *zeros = sq_xcalloc(1, ZEROS);
	int rc = 0;

	for (uint64_t at = from; at < to && rc == 0;) {
		size_t n = to - at < ZEROS ? (size_t)(to - at) : ZEROS;
		struct iovec iov = {zeros, n};

		rc = sq_io_write(fd, &iov, 1, (off_t)at);
		at += n;
		if (rc == 0 && (at % ZERO_SYNC == 0 || at >= to) && sq_io.fsync(fd) != 0)
			rc = SQ_EIO;
	}
	free(zeros);
	return rc;
}

/* fallocate() first: on a full disk nothing is written in vain. */
static int
segment_fill(int fd, uint64_t from, uint64_t to)
{
	if (sq_io.fallocate(fd, 0, (off_t)from, (off_t)(to - from)) != 0 && errno != EOPNOTSUPP)
		return SQ_EIO;
	return segment_zero(fd, from, to);
}

struct sq_segment *
sq_segment_make(int dirfd, uint64_t no, uint64_t size)
{
	struct sq_segment_name name = sq_segment_name(no);
	int fd = sq_io.open(dirfd, UNFINISHED, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct sq_segment *s;
	int saved;

	if (fd < 0)
		return NULL;
	if (segment_fill(fd, 0, size) != 0 || renameat(dirfd, UNFINISHED, dirfd, name.text) != 0) {
		saved = errno;
		close(fd);
		unlinkat(dirfd, UNFINISHED, 0);
		errno = saved;
		return NULL;
	}
	if (sq_io.fsync(dirfd) != 0) {
		saved = errno;
		close(fd);
		unlinkat(dirfd, name.text, 0);
		errno = saved;
		return NULL;
	}
	s = sq_xcalloc(1, sizeof *s);
	sq_list_init(&s->node);
	s->no = no;
	s->size = size;
	s->fd = fd;
	return s;
}

int
sq_segment_grow(struct sq_segment *s, uint64_t size)
{
	if (segment_fill(s->fd, s->size, size) != 0) {
		int saved = errno;

		if (ftruncate(s->fd, (off_t)s->size) != 0)
			s->broken = true; /* its size is not known any more */
		errno = saved;
		return SQ_EIO;
	}
	s->size = size;
	return 0;
}

int
sq_segment_rename(int dirfd, struct sq_segment *s, uint64_t no)
{
	struct sq_segment_name from = sq_segment_name(s->no), to = sq_segment_name(no);

	if (renameat(dirfd, from.text, dirfd, to.text) != 0)
		return SQ_EIO;
	s->no = no;
	return sq_io.fsync(dirfd) == 0 ? 0 : SQ_EIO;
}

void
sq_segment_remove(int dirfd, struct sq_segment *s)
{
	unlinkat(dirfd, sq_segment_name(s->no).text, 0);
}

void
sq_segment_free(struct sq_segment **sp)
{
	if (*sp != NULL)
		close((*sp)->fd);
	free(*sp);
	*sp = NULL;
}

const unsigned char *
sq_segment_view_peek(struct sq_segment_view *w, size_t n)
{
	size_t have = sq_buf_len(&w->buf);

	if (w->error == 0 && have < n) {
		uint64_t left = w->size > w->at + have ? w->size - w->at - have : 0;
		size_t want = n - have < WINDOW ? WINDOW : n - have;
		ssize_t got;

		if (left < n - have)
			return NULL;
		want = want < left ? want : (size_t)left;
		got = sq_io_read(w->fd, sq_buf_reserve(&w->buf, want), want, (off_t)(w->at + have));
		if (got < 0)
			w->error = errno;
		else
			sq_buf_commit(&w->buf, (size_t)got);
	}
	return w->error == 0 && sq_buf_len(&w->buf) >= n ? sq_buf_data(&w->buf) : NULL;
}

void
sq_segment_view_skip(struct sq_segment_view *w, uint64_t n)
{
	size_t have = sq_buf_len(&w->buf);

	sq_buf_drain(&w->buf, n < have ? (size_t)n : have);
	w->at += n;
}

void
sq_segment_view_seek(struct sq_segment_view *w, uint64_t offset)
{
	sq_buf_drain(&w->buf, sq_buf_len(&w->buf));
	w->at = offset;
}

void
sq_segment_view_fini(struct sq_segment_view *w)
{
	sq_buf_fini(&w->buf);
}

enum sq_next
sq_segment_next(
    struct sq_segment_view *w, uint64_t tag, struct sq_record *r, const unsigned char **p)
{
	*p = sq_segment_view_peek(w, SQ_RECORD_HEADER);
	if (*p != NULL && sq_record_get(*p, tag, r)) {
		*p = sq_segment_view_peek(w, r->len);
		if (*p != NULL && sq_record_verify(*p, r->len))
			return SQ_NEXT_RECORD;
	}
	return w->error != 0 ? SQ_NEXT_ERROR : SQ_NEXT_NONE;
}

enum sq_next
sq_segment_scan(struct sq_segment_view *w, uint64_t tag, uint64_t above, struct sq_record *r)
{
	const unsigned char *p;

	while ((p = sq_segment_view_peek(w, SQ_RECORD_HEADER)) != NULL) {
		/* The last place whose header is in the window. */
		size_t end = (sq_buf_len(&w->buf) - SQ_RECORD_HEADER) & ~(size_t)7, i = 0;

		while (i < end && sq_get64(p + i) != tag)
			i += 8;
		sq_segment_view_skip(w, i);
		if (sq_segment_next(w, tag, r, &p) == SQ_NEXT_RECORD && r->lsn > above)
			return SQ_NEXT_RECORD;
		sq_segment_view_skip(w, 8);
	}
	return w->error != 0 ? SQ_NEXT_ERROR : SQ_NEXT_NONE;
}

uint64_t
sq_segment_find(int fd, uint64_t size, uint64_t tag, uint64_t first, uint64_t lsn)
{
	struct sq_segment_view w = {.fd = fd, .size = size, .at = SQ_SEGMENT_HEADER};
	const unsigned char *p;
	struct sq_record r;
	uint64_t at = 0;

	for (; (p = sq_segment_view_peek(&w, SQ_RECORD_HEADER)) != NULL; first++) {
		if (!sq_record_get(p, tag, &r) || r.lsn != first)
			break;
		if (first == lsn) {
			at = w.at;
			break;
		}
		sq_segment_view_skip(&w, sq_record_space(r.len));
	}
	sq_segment_view_fini(&w);
	return at;
}
