/* Reading committed records again; see store/journal/journal.h. */
#include "store/journal/journal_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "store/journal/io.h"

enum { READ_FIRST = 4096 }; /* most records come with their header in one read */

struct place {
	uint64_t size, tag, first;
};

/* Puts the cursor into the segment of its record. */
static int
cursor_place(struct sq_journal *j, struct sq_journal_cursor *c, struct place *out)
{
	int rc = SQ_ENOTFOUND;

	pthread_mutex_lock(&j->lock);
	if (c->lsn > j->written) {
		rc = SQ_EAGAIN;
	} else if (c->lsn > j->released) {
		SQ_LIST_FOR_EACH(s, &j->chain, struct sq_segment, node) {
			if (c->lsn < s->first || c->lsn > s->last)
				continue;
			*out = (struct place){s->size, s->tag, s->first};
			rc = 0;
			if (c->fd >= 0 && c->segment == s->no)
				break;
			sq_journal_cursor_fini(c);
			c->fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
			c->segment = s->no;
			c->offset = c->lsn == s->first ? SQ_SEGMENT_HEADER : 0;
			rc = c->fd >= 0 ? 0 : SQ_EIO;
			break;
		}
	}
	pthread_mutex_unlock(&j->lock);
	return rc;
}

/* Reads the record at the cursor with its header. */
static int
cursor_read(struct sq_journal_cursor *c, const struct place *at, struct sq_buf *out)
{
	struct sq_record r;
	ssize_t n = sq_io_read(
	    c->fd, sq_buf_reserve(out, READ_FIRST), READ_FIRST, (off_t)c->offset);
	size_t len;

	if (n < 0)
		return SQ_EIO;
	sq_buf_commit(out, (size_t)n);
	if (n < SQ_RECORD_HEADER || !sq_record_get(sq_buf_data(out), at->tag, &r) ||
	    r.lsn != c->lsn || r.len > at->size - c->offset)
		return SQ_EINVAL;
	len = sq_buf_len(out);
	if (len < r.len) {
		n = sq_io_read(
		    c->fd, sq_buf_reserve(out, r.len - len), r.len - len, (off_t)(c->offset + len));
		if (n < 0)
			return SQ_EIO;
		sq_buf_commit(out, (size_t)n);
	}
	if (sq_buf_len(out) < r.len || !sq_record_verify(sq_buf_data(out), r.len))
		return SQ_EINVAL;
	out->end = out->start + r.len;
	sq_buf_drain(out, SQ_RECORD_HEADER);
	c->offset += sq_record_space(r.len);
	c->lsn++;
	return 0;
}

/* A segment that was released meanwhile may have been written again. */
static bool
cursor_released(struct sq_journal *j, const struct sq_journal_cursor *c)
{
	bool released;

	pthread_mutex_lock(&j->lock);
	released = c->lsn <= j->released;
	pthread_mutex_unlock(&j->lock);
	return released;
}

int
sq_journal_read(struct sq_journal *j, struct sq_journal_cursor *c, struct sq_buf *out)
{
	struct place at;
	int rc;

	do {
		sq_buf_drain(out, sq_buf_len(out));
		rc = cursor_place(j, c, &at);
		if (rc != 0)
			return rc;
		if (c->offset == 0)
			c->offset = sq_segment_find(c->fd, at.size, at.tag, at.first, c->lsn);
		rc = c->offset != 0 ? cursor_read(c, &at, out) : SQ_EINVAL;
	} while (rc == 0 && sq_buf_len(out) == 0); /* a seal is nobody's */
	if (rc == 0)
		return 0;
	sq_buf_drain(out, sq_buf_len(out));
	sq_journal_cursor_fini(c);
	return rc == SQ_EINVAL && cursor_released(j, c) ? SQ_ENOTFOUND : rc;
}

void
sq_journal_cursor_fini(struct sq_journal_cursor *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}
