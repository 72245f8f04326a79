/* The writer thread: commits, seals, and the reaction to failures.
 *
 * Recovery relies on one rule: a record is written only when the one before it is durable
 * (durability always), and each record tells the last durable lsn. */
#include "store/journal/journal_priv.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/crc32c.h"
#include "core/fault.h"
#include "core/histogram.h"
#include "core/log.h"
#include "store/journal/io.h"

enum {
	PAGE = 4096,
	COPY_MAX = 64 << 10, /* longer entries are written from where they are */
	PARTS = 2 * (SQ_JOURNAL_RECORD_MAX / COPY_MAX) + 4,
	PATIENCE_MAX_US = 400,
};

/* The entries of one record. */
struct batch {
	struct sq_list entries;
	uint64_t len; /* header and data */
};

/* The bytes of a write, being put together. */
struct image {
	struct iovec iov[PARTS];
	int n;
	unsigned char *start, *at; /* what is staged and not yet in 'iov' */
	uint64_t len;              /* of all */
};

static void
image_flush(struct image *m)
{
	if (m->at == m->start)
		return;
	assert(m->n < PARTS);
	m->iov[m->n++] = (struct iovec){m->start, (size_t)(m->at - m->start)};
	m->len += (uint64_t)(m->at - m->start);
	m->start = m->at;
}

static void
image_zeros(struct image *m, uint64_t n)
{
	memset(m->at, 0, (size_t)n);
	m->at += n;
}

static void
image_data(struct image *m, struct sq_bytes data)
{
	if (data.len == 0)
		return;
	if (data.len < COPY_MAX) {
		memcpy(m->at, data.p, data.len);
		m->at += data.len;
		return;
	}
	image_flush(m);
	assert(m->n < PARTS);
	m->iov[m->n++] = (struct iovec){(void *)(uintptr_t)data.p, data.len};
	m->len += data.len;
}

/* Makes room for all that image_...() will copy. */
static void
image_init(struct sq_journal *j, struct image *m, const struct batch *b)
{
	size_t copied = SQ_SEGMENT_HEADER + SQ_RECORD_HEADER + 8 + PAGE;

	SQ_LIST_FOR_EACH(e, &b->entries, struct sq_log_entry, node)
		copied += e->data.len < COPY_MAX ? e->data.len : 0;
	sq_buf_drain(&j->write.stage, sq_buf_len(&j->write.stage));
	m->n = 0;
	m->len = 0;
	m->start = m->at = sq_buf_reserve(&j->write.stage, copied);
}

/* The segment whose records end where those of 's' begin. */
static uint64_t
image_prev(struct sq_journal *j, struct sq_segment *s)
{
	struct sq_list *at = s->node.prev;
	uint64_t no = 0;

	pthread_mutex_lock(&j->lock);
	for (; at != &j->chain; at = at->prev) {
		struct sq_segment *p = SQ_CONTAINER_OF(at, struct sq_segment, node);

		/* All records of a segment may be in doubt. */
		if (p->first >= s->first)
			continue;
		no = p->last + 1 >= s->first ? p->no : 0;
		break;
	}
	pthread_mutex_unlock(&j->lock);
	return no;
}

static void
image_header(struct sq_journal *j, struct image *m)
{
	struct sq_segment *s = j->write.active;
	struct sq_segment_head head = {.version = SQ_SEGMENT_VERSION,
	    .id = j->cfg.id,
	    .no = s->no,
	    .first = s->first,
	    .synced = j->write.synced};

	head.prev = image_prev(j, s);
	sq_segment_head_put(m->at, &head);
	m->at += SQ_SEGMENT_HEADER;
}

static void
image_record(struct sq_journal *j, struct image *m, const struct batch *b, uint64_t lsn)
{
	unsigned char *head = m->at;
	struct sq_record r = {.lsn = lsn, .synced = j->write.synced, .len = (uint32_t)b->len};
	uint32_t crc = sq_record_begin(head, j->write.active->tag, &r);

	m->at += SQ_RECORD_HEADER;
	SQ_LIST_FOR_EACH(e, &b->entries, struct sq_log_entry, node) {
		crc = sq_crc32c(crc, e->data.p, e->data.len);
		image_data(m, e->data);
	}
	sq_record_end(head, crc);
	image_zeros(m, sq_record_space(b->len) - b->len);
}

static void __attribute__((format(printf, 2, 3)))
writer_why(struct sq_journal *j, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->write.why, sizeof j->write.why, fmt, ap);
	va_end(ap);
}

/* The active segment is written no more.  One that nothing was committed to is
 * given up as a whole: the next one's header does not know it. */
static void
writer_leave(struct sq_journal *j)
{
	struct sq_segment *s = j->write.active;

	pthread_mutex_lock(&j->lock);
	j->write.active = NULL;
	if (sq_segment_is_empty(s)) {
		sq_list_remove(&s->node);
		j->chain_len--;
		sq_list_push_back(&j->make.dead, &s->node);
		pthread_cond_signal(&j->chores);
	} else {
		sq_journal_reap(j);
	}
	pthread_mutex_unlock(&j->lock);
}

/* A write or a sync of the active segment failed. */
static int
writer_break(struct sq_journal *j, const char *what)
{
	struct sq_segment *s = j->write.active;

	writer_why(
	    j, "%s %s/%s: %s", what, j->cfg.dir, sq_segment_name(s->no).text, strerror(errno));
	SQ_WARN("journal", "%s; the segment is given up", j->write.why);
	s->broken = true;
	if (j->cfg.durability == SQ_DURABILITY_INTERVAL && j->write.synced < j->written &&
	    !sq_segment_is_empty(s))
		j->write.doubt = s;
	writer_leave(j);
	return SQ_EIO;
}

static int
writer_sync(struct sq_journal *j)
{
	struct sq_segment *s = j->write.active;
	uint64_t begun_us = sq_clock_us(), now_us;

	if (sq_io.fdatasync(s->fd) != 0)
		return writer_break(j, "sync of");
	now_us = sq_clock_us();
	s->dirty = false;
	j->write.synced_ms = now_us / 1000;
	j->write.sync_us = (j->write.sync_us * 7 + (now_us - begun_us)) / 8;
	return 0;
}

/* The spare segment, of 'need' bytes at least, made if there is none; its records
 * begin at 'first'. */
static struct sq_segment *
writer_take(struct sq_journal *j, uint64_t need, uint64_t first)
{
	struct sq_segment *s = NULL;

	pthread_mutex_lock(&j->lock);
	j->make.want = need;
	j->make.error = 0;
	j->wanting = true;
	while (j->make.spare == NULL || j->make.spare->size < need) {
		if (j->make.error != 0) {
			writer_why(j, "no segment can be made in %s: %s", j->cfg.dir,
			    strerror(j->make.error));
			break;
		}
		if (j->make.spare == NULL && !j->make.busy && sq_list_empty(&j->make.dead) &&
		    j->chain_len >= j->cfg.max_segments) {
			writer_why(j, "all %u segments in %s hold what is still needed",
			    j->cfg.max_segments, j->cfg.dir);
			break;
		}
		pthread_cond_signal(&j->chores);
		pthread_cond_wait(&j->work, &j->lock);
	}
	j->wanting = false;
	if (j->make.spare != NULL && j->make.spare->size >= need) {
		s = j->make.spare;
		j->make.spare = NULL;
		j->make.want = 0;
		s->tag = sq_record_tag(j->cfg.id, s->no);
		s->end = 0;
		s->broken = s->dirty = false;
		s->first = first;
		s->last = first - 1;
		s->bytes = 0;
		sq_list_push_back(&j->chain, &s->node);
		j->chain_len++;
		pthread_cond_signal(&j->chores); /* the next one */
	}
	pthread_mutex_unlock(&j->lock);
	return s;
}

/* Writes one record behind the others, the segment's header before it if it is
 * the first. */
static int
writer_write(struct sq_journal *j, const struct batch *b, uint64_t lsn)
{
	struct sq_segment *s = j->write.active;
	uint64_t offset = s->end, end;
	struct image m;

	image_init(j, &m, b);
	if (offset == 0)
		image_header(j, &m);
	image_record(j, &m, b, lsn);
	image_flush(&m);
	end = offset + m.len;
	/* To the end of the page: it is new then as a whole, and need not be read. */
	image_zeros(&m, -end % PAGE < s->size - end ? -end % PAGE : s->size - end);
	image_flush(&m);
	SQ_FAULT("journal-before-write");
	if (sq_io_write(s->fd, m.iov, m.n, (off_t)offset) != 0)
		return writer_break(j, "write to");
	SQ_FAULT("journal-after-write");
	s->end = end;
	s->dirty = true;
	j->write.written_ms = sq_clock_ms();
	return 0;
}

/* Reads a record of the segment whose sync failed; an empty one if it no longer exists. */
static void
writer_read_doubtful(
    struct sq_journal *j, struct sq_segment_view *w, uint64_t lsn, struct sq_bytes *data)
{
	struct sq_record r;
	const unsigned char *p;

	*data = (struct sq_bytes){NULL, 0};
	if (sq_segment_next(w, j->write.doubt->tag, &r, &p) != SQ_NEXT_RECORD || r.lsn != lsn) {
		SQ_ERROR("journal", "record %" PRIu64 " is lost: its sync failed", lsn);
		return;
	}
	*data = (struct sq_bytes){p + SQ_RECORD_HEADER, r.len - SQ_RECORD_HEADER};
	sq_segment_view_skip(w, sq_record_space(r.len));
}

/* For durability interval, after a failed sync: records reported as committed since the last sync
 * are still in memory (the file's pages), and are written to a new segment. */
static int
writer_rescue(struct sq_journal *j)
{
	struct sq_segment *from = j->write.doubt, *to = j->write.active;
	struct sq_segment_view w = {.fd = from->fd, .size = from->size};
	int rc = 0;

	sq_segment_view_seek(
	    &w, sq_segment_find(from->fd, from->size, from->tag, from->first, to->first));
	for (uint64_t lsn = to->first; lsn <= j->written && rc == 0; lsn++) {
		struct sq_log_entry entry;
		struct batch b;

		sq_list_init(&b.entries);
		sq_list_init(&entry.node);
		writer_read_doubtful(j, &w, lsn, &entry.data);
		b.len = SQ_RECORD_HEADER + entry.data.len;
		if (entry.data.len > 0)
			sq_list_push_back(&b.entries, &entry.node);
		rc = writer_write(j, &b, lsn);
	}
	sq_segment_view_fini(&w);
	if (rc == 0)
		rc = writer_sync(j);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&j->lock);
	to->last = j->written;
	to->bytes = to->end;
	from->last = to->first - 1;
	if (sq_segment_is_empty(from)) {
		sq_list_remove(&from->node);
		j->chain_len--;
		sq_list_push_back(&j->make.dead, &from->node);
	}
	pthread_mutex_unlock(&j->lock);
	j->write.doubt = NULL;
	j->write.synced = j->written;
	return 0;
}

/* Goes to the next segment. */
static int
writer_switch(struct sq_journal *j, uint64_t need)
{
	uint64_t first = j->written + 1;

	if (j->write.active != NULL) {
		if (j->cfg.durability == SQ_DURABILITY_INTERVAL && j->write.active->dirty) {
			if (writer_sync(j) != 0)
				return SQ_EIO;
			j->write.synced = j->written;
		}
		writer_leave(j);
	}
	need += SQ_SEGMENT_HEADER + SQ_RECORD_HEADER;
	if (j->write.doubt != NULL) {
		need += j->write.doubt->end;
		first = j->write.doubt->first > j->write.synced ? j->write.doubt->first
								: j->write.synced + 1;
	}
	need = (need + PAGE - 1) / PAGE * PAGE;
	j->write.active = writer_take(j, need, first);
	if (j->write.active == NULL)
		return SQ_EAGAIN;
	return j->write.doubt != NULL ? writer_rescue(j) : 0;
}

/* One try at a commit. */
static int
writer_commit(struct sq_journal *j, const struct batch *b)
{
	uint64_t space = sq_record_space(b->len), lsn = j->written + 1;
	/* Room for a seal is kept free. */
	uint64_t room = space + (sq_list_empty(&b->entries) ? 0 : SQ_RECORD_HEADER);
	int rc;

	if (j->write.active == NULL ||
	    (j->write.active->end != 0 && j->write.active->end + room > j->write.active->size)) {
		rc = writer_switch(j, space);
		if (rc != 0)
			return rc;
	}
	rc = writer_write(j, b, lsn);
	if (rc == 0 && j->cfg.durability == SQ_DURABILITY_ALWAYS)
		rc = writer_sync(j);
	if (rc != 0)
		return rc;
	SQ_FAULT("journal-after-sync");
	pthread_mutex_lock(&j->lock);
	j->written = j->write.active->last = lsn;
	j->write.active->bytes = j->write.active->end;
	sq_journal_reap(j);
	pthread_mutex_unlock(&j->lock);
	if (!j->write.active->dirty)
		j->write.synced = lsn;
	j->write.sealed = sq_list_empty(&b->entries);
	return 0;
}

static void
writer_deadline(struct timespec *ts, uint64_t at_us)
{
	ts->tv_sec = (time_t)(at_us / 1000000);
	ts->tv_nsec = (long)(at_us % 1000000) * 1000;
}

/* Waits until something may have changed; false when the journal closes. */
static bool
writer_stall(struct sq_journal *j)
{
	struct timespec ts;
	bool closing;

	if (!j->write.stalled) {
		j->write.stalled = true;
		j->cfg.stalled(j->cfg.owner, j->write.why);
	}
	writer_deadline(&ts, (sq_clock_ms() + SQ_JOURNAL_RETRY_MS) * 1000);
	pthread_mutex_lock(&j->lock);
	j->wanting = true;
	if (!j->closing)
		pthread_cond_timedwait(&j->work, &j->lock, &ts);
	j->wanting = false;
	closing = j->closing;
	pthread_mutex_unlock(&j->lock);
	return !closing;
}

/* From now on sq_journal_busy_ms() counts. */
static void
writer_begin(struct sq_journal *j)
{
	atomic_store_explicit(&j->since, sq_clock_ms(), memory_order_relaxed);
}

/* Commits, however long it takes; false: the journal closes without it. */
static bool
writer_place(struct sq_journal *j, const struct batch *b)
{
	uint64_t begun_us = j->cfg.commits != NULL ? sq_clock_us() : 0;
	unsigned failures = 0;
	int rc;

	while ((rc = writer_commit(j, b)) != 0) {
		/* After the first failure another segment is tried at once. */
		if (rc == SQ_EIO && ++failures == 1)
			continue;
		if (!writer_stall(j))
			return false;
	}
	if (j->write.stalled) {
		j->write.stalled = false;
		writer_begin(j); /* the stall had its reason */
		j->cfg.stalled(j->cfg.owner, NULL);
	}
	if (j->cfg.commits != NULL && !sq_list_empty(&b->entries))
		sq_histogram_observe(j->cfg.commits, sq_clock_us() - begun_us);
	return true;
}

/* An empty record: proves, when it is found, that the one before it was durable.
 * Nobody waits for it, so a failure only ends the segment. */
static void
writer_seal(struct sq_journal *j)
{
	struct batch b = {.len = SQ_RECORD_HEADER};

	sq_list_init(&b.entries);
	j->write.sealed = true;
	if (j->write.active != NULL &&
	    j->write.active->end + SQ_RECORD_HEADER <= j->write.active->size &&
	    writer_commit(j, &b) != 0)
		SQ_DEBUG("journal", "not sealed");
}

/* The sync of durability interval. */
static void
writer_flush(struct sq_journal *j)
{
	struct batch b = {.len = SQ_RECORD_HEADER};

	sq_list_init(&b.entries);
	if (j->write.active == NULL || !j->write.active->dirty)
		return;
	if (writer_sync(j) == 0)
		j->write.synced = j->written;
	else
		(void)writer_place(j, &b); /* what is in doubt goes with it */
}

static bool
writer_flush_is_due(const struct sq_journal *j)
{
	return j->cfg.durability == SQ_DURABILITY_INTERVAL && j->write.active != NULL &&
	    j->write.active->dirty;
}

/* When there is something to do without entries; 0: never. */
static uint64_t
writer_due_ms(const struct sq_journal *j)
{
	if (writer_flush_is_due(j))
		return j->write.synced_ms + j->cfg.interval_ms;
	if (!j->write.sealed && j->write.active != NULL && j->cfg.durability != SQ_DURABILITY_NONE)
		return j->write.written_ms + SQ_JOURNAL_SEAL_MS;
	return 0;
}

static void
writer_do_due(struct sq_journal *j)
{
	uint64_t due_ms = writer_due_ms(j);

	if (due_ms == 0 || sq_clock_ms() < due_ms)
		return;
	if (writer_flush_is_due(j))
		writer_flush(j);
	else
		writer_seal(j);
}

/* How long patient entries wait for others: a sync of their own would take as long. */
static uint64_t
writer_patience_us(const struct sq_journal *j)
{
	if (j->cfg.durability != SQ_DURABILITY_ALWAYS)
		return 0;
	return j->write.sync_us < PATIENCE_MAX_US / 2 ? 2 * j->write.sync_us : PATIENCE_MAX_US;
}

/* Waits until there is something to write, or something else is due; under the lock. */
static void
writer_wait(struct sq_journal *j)
{
	uint64_t due_us = writer_due_ms(j) * 1000, until_us;
	uint64_t patient_us = 0; /* until when; 0: nothing patient is there */
	struct timespec ts;

	while (j->pressing == 0 && !j->closing) {
		if (patient_us == 0 && !sq_list_empty(&j->pending))
			patient_us = sq_clock_us() + writer_patience_us(j);
		until_us = patient_us != 0 ? patient_us : due_us;
		j->idle = true;
		writer_deadline(&ts, until_us);
		if (until_us == 0)
			pthread_cond_wait(&j->work, &j->lock);
		else if (pthread_cond_timedwait(&j->work, &j->lock, &ts) != 0)
			break;
	}
	j->idle = false;
}

/* The next record's entries, in order; waits for some until something else is
 * due.  False: the journal closes and all is written. */
static bool
writer_collect(struct sq_journal *j, struct batch *b)
{
	bool go_on;

	b->len = SQ_RECORD_HEADER;
	pthread_mutex_lock(&j->lock);
	writer_wait(j);
	go_on = !sq_list_empty(&j->pending) || !j->closing;
	while (!sq_list_empty(&j->pending)) {
		struct sq_log_entry *e = SQ_LIST_FIRST(&j->pending, struct sq_log_entry, node);

		if (!sq_list_empty(&b->entries) && b->len + e->data.len > SQ_JOURNAL_RECORD_MAX)
			break;
		sq_list_remove(&e->node);
		sq_list_push_back(&b->entries, &e->node);
		j->pressing -= !e->patient;
		b->len += e->data.len;
	}
	pthread_mutex_unlock(&j->lock);
	return go_on;
}

/* Syncs the records that durability interval and none have left, and writes the last seal. */
static void
writer_finish(struct sq_journal *j)
{
	bool synced = true;

	if (j->write.stalled)
		return;
	SQ_LIST_FOR_EACH(s, &j->chain, struct sq_segment, node) {
		if (!s->dirty || s->broken)
			continue;
		if (sq_io.fdatasync(s->fd) != 0) {
			SQ_ERROR("journal", "sync of %s/%s: %s", j->cfg.dir,
			    sq_segment_name(s->no).text, strerror(errno));
			synced = false;
			s->broken = true;
		}
		s->dirty = false;
	}
	if (!synced || j->write.doubt != NULL)
		return;
	j->write.synced = j->written;
	if (!j->write.sealed) {
		writer_seal(j);
		if (j->write.active != NULL && j->write.active->dirty)
			(void)writer_sync(j);
	}
}

void *
sq_journal_writer(void *arg)
{
	struct sq_journal *j = arg;
	struct batch b;

	sq_list_init(&b.entries);
	while (writer_collect(j, &b)) {
		writer_begin(j);
		if (!sq_list_empty(&b.entries)) {
			if (!writer_place(j, &b))
				break;
			atomic_store_explicit(&j->last, j->written, memory_order_release);
			j->cfg.committed(j->cfg.owner, j->written, &b.entries);
			sq_list_init(&b.entries);
		}
		writer_do_due(j);
		atomic_store_explicit(&j->since, 0, memory_order_relaxed);
	}
	SQ_LIST_FOR_EACH_SAFE(e, &b.entries, struct sq_log_entry, node)
		sq_list_remove(&e->node);
	writer_finish(j);
	return NULL;
}
