#include "store/journal/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "store/journal/io.h"
#include "store/journal/record.h"
#include "store/journal/segment.h"

enum {
	COPY_FILES_MAX = 4096,
	COPY_PIECE = 1 << 20,
	HEAD_TRIES = 20, /* of a header that is just being written */
	HEAD_WAIT_MS = 10,
};

struct copied {
	struct sq_segment_head head;
	uint64_t no, size;
	int fd;
};

struct sq_journal_copy {
	char *dir;
	struct copied *files; /* newest first */
	size_t n;
};

static int
copy_fail(const struct sq_journal_copy *c, int rc, uint64_t no, const char *why, struct sq_buf *err)
{
	sq_buf_printf(err, "%s/%s: %s", c->dir, sq_segment_name(no).text, why);
	return rc;
}

/* Reads a header; one that does not verify may be on its way to the file. */
static enum sq_head_state
copy_head(struct copied *f)
{
	const struct timespec wait = {0, HEAD_WAIT_MS * 1000000L};
	enum sq_head_state state = SQ_HEAD_BAD;

	for (int i = 0; i < HEAD_TRIES && state == SQ_HEAD_BAD; i++) {
		unsigned char block[SQ_SEGMENT_HEADER] = {0};

		if (i > 0)
			nanosleep(&wait, NULL);
		if (sq_io_read(f->fd, block, sizeof block, 0) < 0)
			return SQ_HEAD_BAD;
		state = sq_segment_head_get(block, &f->head);
	}
	return state;
}

/* Adds the segment, if it is used; one that is gone was not needed any more. */
static int
copy_add(struct sq_journal_copy *c, int dirfd, const char *name, uint64_t no, struct sq_buf *err)
{
	struct copied f = {.no = no};
	enum sq_head_state state;
	struct stat st;

	f.fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f.fd < 0)
		return errno == ENOENT ? SQ_OK : copy_fail(c, SQ_EIO, no, strerror(errno), err);
	if (fstat(f.fd, &st) != 0) {
		close(f.fd);
		return copy_fail(c, SQ_EIO, no, strerror(errno), err);
	}
	f.size = (uint64_t)st.st_size;
	state = copy_head(&f);
	if (state != SQ_HEAD_VALID || f.head.no != no) {
		close(f.fd);
		return state == SQ_HEAD_BAD
		    ? copy_fail(c, SQ_EINVAL, no, "the header does not verify", err)
		    : SQ_OK;
	}
	if (c->n == COPY_FILES_MAX) {
		close(f.fd);
		return copy_fail(c, SQ_EIO, no, "too many segments", err);
	}
	c->files = sq_xrealloc(c->files, (c->n + 1) * sizeof *c->files);
	c->files[c->n++] = f;
	return SQ_OK;
}

static int
copy_newest_first(const void *a, const void *b)
{
	uint64_t x = ((const struct copied *)a)->no, y = ((const struct copied *)b)->no;

	return x > y ? -1 : x < y;
}

struct sq_journal_copy *
sq_journal_copy_open(const char *dir, struct sq_buf *err)
{
	struct sq_journal_copy *c = sq_xcalloc(1, sizeof *c);
	DIR *d = opendir(dir);
	struct dirent *entry;
	int rc = SQ_OK;
	uint64_t no;

	c->dir = sq_xstrdup(dir);
	if (d == NULL) {
		sq_buf_printf(err, "%s: %s", dir, strerror(errno));
		sq_journal_copy_free(&c);
		return NULL;
	}
	while (rc == SQ_OK && (entry = readdir(d)) != NULL) {
		if (sq_segment_name_parse(entry->d_name, &no))
			rc = copy_add(c, dirfd(d), entry->d_name, no, err);
	}
	closedir(d);
	if (rc != SQ_OK)
		sq_journal_copy_free(&c);
	else if (c->n > 0)
		qsort(c->files, c->n, sizeof *c->files, copy_newest_first);
	return c;
}

void
sq_journal_copy_free(struct sq_journal_copy **cp)
{
	struct sq_journal_copy *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		close(c->files[i].fd);
	free(c->files);
	free(c->dir);
	free(c);
}

uint64_t
sq_journal_copy_bytes(const struct sq_journal_copy *c)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < c->n; i++)
		bytes += c->files[i].size;
	return bytes;
}

/* Copies bytes from 'from' on to the end; zeros, where 'source' is -1. */
static int
copy_bytes(int source, int to, uint64_t from, uint64_t size, unsigned char *piece)
{
	for (uint64_t at = from; at < size;) {
		size_t n = size - at < COPY_PIECE ? (size_t)(size - at) : COPY_PIECE;
		struct iovec iov = {piece, n};
		ssize_t got = source >= 0 ? sq_io_read(source, piece, n, (off_t)at) : (ssize_t)n;

		if (got < (ssize_t)n) {
			errno = got < 0 ? errno : EIO;
			return SQ_EIO;
		}
		if (sq_io_write(to, &iov, 1, (off_t)at) != 0)
			return SQ_EIO;
		at += n;
	}
	return SQ_OK;
}

/* The offset behind the last whole record of a copy. */
static uint64_t
copy_end(const struct copied *f, int fd)
{
	struct sq_segment_view w = {.fd = fd, .size = f->size, .at = SQ_SEGMENT_HEADER};
	uint64_t lsn = f->head.first, tag = sq_record_tag(f->head.id, f->no);
	const unsigned char *p;
	struct sq_record r;
	uint64_t end;

	while (sq_segment_next(&w, tag, &r, &p) == SQ_NEXT_RECORD && r.lsn == lsn) {
		sq_segment_view_skip(&w, sq_record_space(r.len));
		lsn++;
	}
	end = w.at;
	sq_segment_view_fini(&w);
	return end;
}

static int
copy_file(const struct copied *f, int to, bool newest)
{
	unsigned char *piece = sq_xcalloc(1, COPY_PIECE);
	int rc = copy_bytes(f->fd, to, 0, f->size, piece);

	if (rc == SQ_OK && newest) {
		memset(piece, 0, COPY_PIECE);
		rc = copy_bytes(-1, to, copy_end(f, to), f->size, piece);
	}
	if (rc == SQ_OK && fsync(to) != 0)
		rc = SQ_EIO;
	free(piece);
	return rc;
}

int
sq_journal_copy_run(struct sq_journal_copy *c, int dirfd, struct sq_buf *err)
{
	int rc = SQ_OK;

	for (size_t i = 0; i < c->n && rc == SQ_OK; i++) {
		const struct copied *f = &c->files[i];
		struct sq_segment_name name = sq_segment_name(f->no);
		int to = openat(dirfd, name.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (to < 0 || copy_file(f, to, i == 0) != SQ_OK) {
			sq_buf_printf(err, "the copy of %s: %s", name.text, strerror(errno));
			rc = SQ_EIO;
		}
		if (to >= 0)
			close(to);
	}
	return rc;
}
