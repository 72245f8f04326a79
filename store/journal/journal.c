/* The journal: opening, closing, and the calls of its owner; see store/journal/journal.h. */
#include "store/journal/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"
#include "store/journal/io.h"
#include "store/journal/journal_priv.h"
#include "store/journal/recover.h"

enum { SEGMENT_MIN = 16 << 10, SEGMENTS_MIN = 2, COPY_CHUNK = 1 << 20, BEGIN_SIZE = 1 << 20 };

void
sq_journal_append(struct sq_journal *j, struct sq_log_entry *e)
{
	bool wake;

	assert(e->data.len <= SQ_LOG_ENTRY_MAX);
	pthread_mutex_lock(&j->lock);
	/* The writer wakes for the first one, then only for one that presses. */
	wake = j->idle && (!e->patient || sq_list_empty(&j->pending));
	sq_list_push_back(&j->pending, &e->node);
	j->pressing += !e->patient;
	if (wake)
		j->idle = false;
	pthread_mutex_unlock(&j->lock);
	if (wake)
		pthread_cond_signal(&j->work);
}

void
sq_journal_release(struct sq_journal *j, uint64_t lsn)
{
	pthread_mutex_lock(&j->lock);
	if (lsn > j->released) {
		j->released = lsn < j->written ? lsn : j->written;
		sq_journal_reap(j);
		if (j->wanting)
			pthread_cond_signal(&j->work);
	}
	pthread_mutex_unlock(&j->lock);
}

uint64_t
sq_journal_last(const struct sq_journal *j)
{
	return atomic_load_explicit(&j->last, memory_order_acquire);
}

uint64_t
sq_journal_busy_ms(const struct sq_journal *j)
{
	uint64_t since = atomic_load_explicit(&j->since, memory_order_relaxed);
	uint64_t now = sq_clock_ms();

	return since == 0 || since > now ? 0 : now - since;
}

uint64_t
sq_journal_used(const struct sq_journal *cj, uint64_t *max)
{
	struct sq_journal *j = (struct sq_journal *)(uintptr_t)cj;
	uint64_t used = 0;

	pthread_mutex_lock(&j->lock);
	SQ_LIST_FOR_EACH(s, &j->chain, struct sq_segment, node) {
		bool newest = s->node.next == &j->chain;

		/* The newest is given up step by step, so it counts by what is in it. */
		if (s->last > j->released)
			used += newest ? s->bytes : s->size;
	}
	pthread_mutex_unlock(&j->lock);
	*max = j->cfg.segment_bytes * j->cfg.max_segments;
	return used;
}

/* Opening */

/* Writes doubtful records again: a record that was found may be in the page cache only, even after
 * a failed sync. */
static int
journal_rewrite(struct sq_segment *s, uint64_t from)
{
	unsigned char *chunk = sq_xmalloc(COPY_CHUNK);
	uint64_t at = from;
	int rc = 0;

	while (at < s->end && rc == 0) {
		size_t n = s->end - at < COPY_CHUNK ? (size_t)(s->end - at) : COPY_CHUNK;
		struct iovec iov = {chunk, n};

		if (sq_io_read(s->fd, chunk, n, (off_t)at) != (ssize_t)n)
			rc = SQ_EIO;
		else
			rc = sq_io_write(s->fd, &iov, 1, (off_t)at);
		at += n;
	}
	free(chunk);
	return rc;
}

/* Syncs the segment, after 'rc' of an earlier step.  A failure is final: the file is never written
 * again. */
static bool
journal_sync_found(struct sq_journal *j, struct sq_segment *s, int rc)
{
	if (rc == 0 && sq_io.fdatasync(s->fd) == 0)
		return true;
	SQ_WARN("journal", "%s/%s: %s; the segment is given up", j->cfg.dir,
	    sq_segment_name(s->no).text, strerror(errno));
	s->broken = true;
	return false;
}

/* Makes the found records durable, and the place behind them the next one to write. */
static void
journal_settle(struct sq_journal *j, const struct sq_recovered *rec)
{
	struct sq_segment *s = sq_list_empty(&j->chain)
	    ? NULL
	    : SQ_CONTAINER_OF(j->chain.prev, struct sq_segment, node);
	uint64_t from = 0;
	bool failed = false;

	if (s == NULL)
		return;
	if (!sq_segment_is_empty(s) && rec->proven >= s->first)
		from = rec->proven >= s->last
		    ? s->end
		    : sq_segment_find(s->fd, s->size, s->tag, s->first, rec->proven + 1);
	SQ_LIST_FOR_EACH(other, &j->chain, struct sq_segment, node) {
		if (other != s && !journal_sync_found(j, other, 0))
			failed = true;
	}
	if (!journal_sync_found(j, s, journal_rewrite(s, from)))
		failed = true;
	if (!failed) {
		j->write.active = rec->tail;
		j->write.synced = rec->last;
		return;
	}
	s->broken = true; /* nothing is written behind what may be lost */
	j->write.synced = rec->proven < rec->last ? rec->proven : rec->last;
	if (sq_segment_is_empty(s)) {
		sq_list_remove(&s->node);
		j->chain_len--;
		sq_list_push_back(&j->make.dead, &s->node);
	} else if (j->write.synced < rec->last) {
		j->write.doubt = s;
	}
}

/* Takes over the result of recovery. */
static void
journal_adopt(struct sq_journal *j, struct sq_recovered *rec)
{
	sq_list_splice(&j->chain, &rec->chain);
	sq_list_splice(&j->make.dead, &rec->rest);
	SQ_LIST_FOR_EACH(s, &j->chain, struct sq_segment, node)
		j->chain_len++;
	j->make.next_no = rec->next_no;
	j->write.sealed = rec->sealed || rec->last == 0;
	j->write.written_ms = j->write.synced_ms = sq_clock_ms();
	if (rec->last < j->released) {
		/* The caller has more than the journal (durability interval or none), so the
		 * numbers go on from there. */
		SQ_WARN("journal", "%s ends at record %" PRIu64 ", and %" PRIu64 " was released",
		    j->cfg.dir, rec->last, j->released);
		rec->tail = NULL;
		rec->last = rec->proven = j->released;
	}
	j->written = rec->last;
	atomic_store(&j->last, rec->last_data);
	journal_settle(j, rec);
	sq_journal_reap(j);
}

static void
journal_init(struct sq_journal *j, const struct sq_journal_cfg *cfg, uint64_t from)
{
	j->cfg = *cfg;
	j->cfg.dir = sq_xstrdup(cfg->dir);
	j->cfg.segment_bytes = cfg->segment_bytes < SEGMENT_MIN ? SEGMENT_MIN : cfg->segment_bytes;
	j->cfg.segment_bytes = (j->cfg.segment_bytes + SQ_SEGMENT_HEADER - 1) / SQ_SEGMENT_HEADER *
	    SQ_SEGMENT_HEADER;
	if (cfg->max_segments < SEGMENTS_MIN)
		j->cfg.max_segments = SEGMENTS_MIN;
	j->released = from;
	sq_list_init(&j->pending);
	sq_list_init(&j->chain);
	sq_list_init(&j->make.dead);
	pthread_mutex_init(&j->lock, NULL);
	sq_cond_init(&j->work);
	pthread_cond_init(&j->chores, NULL);
}

static void
journal_free(struct sq_journal *j)
{
	struct sq_list *const lists[] = {&j->chain, &j->make.dead};

	for (size_t i = 0; i < SQ_ARRAY_LEN(lists); i++) {
		SQ_LIST_FOR_EACH_SAFE(s, lists[i], struct sq_segment, node)
			sq_segment_free(&s);
	}
	sq_segment_free(&j->make.spare);
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->work);
	pthread_cond_destroy(&j->chores);
	sq_buf_fini(&j->write.stage);
	if (j->dirfd >= 0)
		close(j->dirfd);
	free((char *)(uintptr_t)j->cfg.dir);
	free(j);
}

static void
journal_line(void *arg, const char *text)
{
	struct sq_buf *err = arg;

	if (sq_buf_len(err) == 0)
		sq_buf_printf(err, "%s", text);
}

/* Threads that take no signals: those are for the program's loops. */
static int
journal_start(struct sq_journal *j)
{
	sigset_t all, before;
	int rc;

	sq_thread_signals(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&j->maker, NULL, sq_journal_maker, j);
	if (rc == 0) {
		rc = pthread_create(&j->writer, NULL, sq_journal_writer, j);
		if (rc != 0) {
			pthread_mutex_lock(&j->lock);
			j->make.stop = true;
			pthread_cond_signal(&j->chores);
			pthread_mutex_unlock(&j->lock);
			pthread_join(j->maker, NULL);
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0 ? 0 : SQ_EIO;
}

int
sq_journal_open(struct sq_journal **out, const struct sq_journal_cfg *cfg, uint64_t from,
    sq_journal_replay_fn *replay, struct sq_buf *err)
{
	struct sq_journal *j = sq_xcalloc(1, sizeof *j);
	struct sq_recover_cfg rc_cfg = {.dir = cfg->dir,
	    .writable = true,
	    .id = cfg->id,
	    .from = from,
	    .replay = replay,
	    .owner = cfg->owner,
	    .line = journal_line,
	    .arg = err};
	struct sq_recovered rec;
	int rc = SQ_EIO;

	journal_init(j, cfg, from);
	j->dirfd = rc_cfg.dirfd = open(cfg->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dirfd < 0) {
		sq_buf_printf(err, "%s: %s", cfg->dir, strerror(errno));
		goto fail;
	}
	rc = sq_recover(&rc_cfg, &rec);
	if (rc != 0) {
		sq_recovered_fini(&rec);
		if (sq_buf_len(err) == 0)
			sq_buf_printf(err, "%s: the replay was ended", cfg->dir);
		goto fail;
	}
	journal_adopt(j, &rec);
	rc = journal_start(j);
	if (rc != 0) {
		sq_buf_printf(err, "%s: no thread: %s", cfg->dir, strerror(errno));
		goto fail;
	}
	*out = j;
	return 0;
fail:
	journal_free(j);
	return rc;
}

/* The header alone, as before a first record. */
static int
journal_head(const struct sq_segment *s, uint64_t id, uint64_t first)
{
	const struct sq_segment_head head = {.version = SQ_SEGMENT_VERSION,
	    .id = id,
	    .no = s->no,
	    .first = first,
	    .synced = first - 1};
	unsigned char block[SQ_SEGMENT_HEADER];
	struct iovec iov = {block, sizeof block};

	sq_segment_head_put(block, &head);
	if (sq_io_write(s->fd, &iov, 1, 0) != 0 || sq_io.fdatasync(s->fd) != 0)
		return SQ_EIO;
	return SQ_OK;
}

int
sq_journal_begin(const char *dir, uint64_t id, uint64_t first, struct sq_buf *err)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = SQ_EIO;
	struct sq_segment *s = dirfd >= 0 ? sq_segment_make(dirfd, 1, BEGIN_SIZE) : NULL;

	assert(first > 0);
	if (s != NULL)
		rc = journal_head(s, id, first);
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s: a journal can't be made: %s", dir, strerror(errno));
	sq_segment_free(&s);
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

void
sq_journal_close(struct sq_journal **jp)
{
	struct sq_journal *j = *jp;

	if (j == NULL)
		return;
	pthread_mutex_lock(&j->lock);
	j->closing = true;
	pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->writer, NULL);
	pthread_mutex_lock(&j->lock);
	j->make.stop = true;
	pthread_cond_signal(&j->chores);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->maker, NULL);
	SQ_LIST_FOR_EACH_SAFE(e, &j->pending, struct sq_log_entry, node)
		sq_list_remove(&e->node);
	journal_free(j);
	*jp = NULL; /* not before: what was appended is committed first */
}

unsigned
sq_journal_check(const char *dir, uint64_t id, uint64_t from,
    void (*line)(void *arg, const char *text), void *arg)
{
	struct sq_recover_cfg cfg = {.dir = dir,
	    .id = id,
	    .any_id = id == 0,
	    .from = from,
	    .go_on = true,
	    .line = line,
	    .arg = arg};
	struct sq_recovered rec;
	struct sq_buf text = {0};

	cfg.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cfg.dirfd < 0) {
		sq_buf_printf(&text, "%s: %s", dir, strerror(errno));
		sq_buf_append(&text, "", 1);
		line(arg, (const char *)sq_buf_data(&text));
		sq_buf_fini(&text);
		return 1;
	}
	if (sq_recover(&cfg, &rec) != 0 && rec.faults == 0)
		rec.faults = 1;
	sq_recovered_fini(&rec);
	close(cfg.dirfd);
	return rec.faults;
}
