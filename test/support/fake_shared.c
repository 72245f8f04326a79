/* A driver on a log in memory; see test/support/fake_shared.h. */
#include "fake_shared.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "core/mem.h"
#include "fake_log.h"

enum { WAYS = 16, PEERS = 16, SNAPSHOTS = 8, LATE = 16 };

struct fake_way {
	struct fake_shared *log;
	bool cut;
};

struct snapshot {
	struct sq_shared_snapshot head;
	bool done;
	struct sq_buf *rows;
	uint32_t n_rows;
};

/* A write as it was asked for. */
struct write {
	enum fake_call call;
	struct sq_shared_claim claim;
	char holder[SQ_SHARED_NAME], link[SQ_SHARED_ADDRESS], admin[SQ_SHARED_ADDRESS];
	uint64_t nonce, epoch, lsn, sure;
	bool yields;
	struct sq_buf data;
};

struct fake_shared {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fake_log *log;
	struct fake_way ways[WAYS];
	unsigned n_ways;
	unsigned generation; /* connections of others are lost */
	bool stalled, unreachable;
	struct {
		enum fake_fault fault;
		unsigned times, begun;
	} calls[FAKE_CALLS];
	struct write late[LATE];
	unsigned n_late;
	struct sq_shared_peer peers[PEERS];
	unsigned n_peers;
	struct snapshot snapshots[SNAPSHOTS];
	unsigned n_snapshots;
	uint64_t last_snapshot;
};

struct sq_shared {
	struct fake_way *way;
	unsigned generation, deadline_ms;
	bool over, doubtful;
	const char *error;
};

struct fake_shared *
fake_shared_new(uint64_t store)
{
	struct fake_shared *f = sq_xcalloc(1, sizeof *f);
	pthread_condattr_t attr;

	f->log = fake_log_new(store);
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->changed, &attr);
	pthread_condattr_destroy(&attr);
	return f;
}

static void
snapshot_fini(struct snapshot *s)
{
	for (uint32_t i = 0; i < s->n_rows; i++)
		sq_buf_fini(&s->rows[i]);
	free(s->rows);
}

void
fake_shared_free(struct fake_shared **fp)
{
	struct fake_shared *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	for (unsigned i = 0; i < f->n_snapshots; i++)
		snapshot_fini(&f->snapshots[i]);
	for (unsigned i = 0; i < f->n_late; i++)
		sq_buf_fini(&f->late[i].data);
	fake_log_free(&f->log);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct fake_way *
fake_shared_way(struct fake_shared *f)
{
	struct fake_way *way;

	pthread_mutex_lock(&f->lock);
	assert(f->n_ways < WAYS);
	way = &f->ways[f->n_ways++];
	way->log = f;
	pthread_mutex_unlock(&f->lock);
	return way;
}

/* --- connections --- */

static bool
reachable(const struct fake_way *way)
{
	return !way->cut && !way->log->unreachable;
}

static int
fake_dial(struct sq_shared **out, const void *cfg, unsigned deadline_ms, struct sq_buf *err)
{
	struct fake_way *way = (struct fake_way *)cfg;
	struct fake_shared *f = way->log;
	struct sq_shared *c = NULL;

	pthread_mutex_lock(&f->lock);
	if (reachable(way)) {
		c = sq_xcalloc(1, sizeof *c);
		*c = (struct sq_shared){.way = way,
		    .generation = f->generation,
		    .deadline_ms = deadline_ms,
		    .error = ""};
	}
	pthread_mutex_unlock(&f->lock);
	if (c == NULL) {
		sq_buf_printf(err, "the log can't be reached");
		return SQ_EIO;
	}
	*out = c;
	return SQ_OK;
}

static void
fake_hang_up(struct sq_shared **cp)
{
	free(*cp);
	*cp = NULL;
}

static const char *
fake_error(const struct sq_shared *c)
{
	return c->error;
}

static bool
fake_doubtful(const struct sq_shared *c)
{
	return c->doubtful;
}

static bool
alive(const struct sq_shared *c)
{
	return reachable(c->way) && c->generation == c->way->log->generation;
}

static enum sq_shared_result
unknown(struct sq_shared *c, const char *why)
{
	c->over = true;
	c->error = why;
	return SQ_SHARED_UNKNOWN;
}

static struct timespec
deadline_of(const struct sq_shared *c)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += c->deadline_ms / 1000;
	at.tv_nsec += (long)(c->deadline_ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* Waits until the second copy has what is before 'at'; never, if 'at' is UINT64_MAX. */
static enum sq_shared_result
await(struct sq_shared *c, uint64_t at)
{
	struct fake_shared *f = c->way->log;
	struct timespec until = deadline_of(c);

	while (alive(c) && !fake_log_has(f->log, at)) {
		if (pthread_cond_timedwait(&f->changed, &f->lock, &until) != 0)
			return unknown(c, "no answer before the deadline");
	}
	return alive(c) ? SQ_SHARED_DONE : unknown(c, "the connection was lost");
}

/* Begins a call: locks, and says which fault it has.  'result' is its end if it must not happen. */
static enum fake_fault
call_begins(struct sq_shared *c, enum fake_call call, enum sq_shared_result *result)
{
	struct fake_shared *f = c->way->log;
	enum fake_fault fault = FAKE_NONE;

	pthread_mutex_lock(&f->lock);
	assert(!c->over); /* only hang_up() may follow */
	f->calls[call].begun++;
	pthread_cond_broadcast(&f->changed);
	*result = SQ_SHARED_DONE;
	if (!alive(c)) {
		*result = unknown(c, "the connection was lost");
		return FAKE_LOST;
	}
	if (f->calls[call].times > 0) {
		f->calls[call].times--;
		fault = f->calls[call].fault;
	}
	if (fault == FAKE_LOST) {
		*result = unknown(c, "the connection was lost");
	} else if (fault == FAKE_HANGS) {
		*result = await(c, UINT64_MAX);
	} else if (fault == FAKE_NOT_DONE) {
		c->error = "no space left on the log's disk";
		*result = SQ_SHARED_NOT_DONE;
	}
	return fault;
}

static enum sq_shared_result
call_ends(struct sq_shared *c, enum sq_shared_result result)
{
	if (result == SQ_SHARED_REFUSED)
		c->error = "another nonce, or another record";
	pthread_mutex_unlock(&c->way->log->lock);
	return result;
}

/* --- writes --- */

static enum sq_shared_result
carry_out(struct fake_shared *f, struct write *w, struct sq_shared_head *head, uint64_t *at)
{
	if (w->call == FAKE_APPEND)
		return fake_log_append(
		    f->log, w->nonce, w->epoch, w->lsn, w->sure, sq_buf_bytes(&w->data), at);
	if (w->call == FAKE_BEAT)
		return fake_log_beat(f->log, w->nonce, w->sure, w->yields, at);
	w->claim.holder = w->holder;
	w->claim.link = w->link;
	w->claim.admin = w->admin;
	return fake_log_claim(f->log, &w->claim, head, at);
}

static void
copy_all(struct fake_shared *f)
{
	if (!f->stalled)
		fake_log_copy(f->log, fake_log_uncopied(f->log));
	pthread_cond_broadcast(&f->changed);
}

/* Takes over w->data. */
static enum sq_shared_result
write_now(struct sq_shared *c, struct write *w, struct sq_shared_head *head)
{
	struct fake_shared *f = c->way->log;
	enum sq_shared_result result;
	enum fake_fault fault = call_begins(c, w->call, &result);
	uint64_t at = 0;

	if (result == SQ_SHARED_DONE && fault == FAKE_LATE) {
		assert(f->n_late < LATE);
		f->late[f->n_late++] = *w;
		return call_ends(c, unknown(c, "the connection was lost"));
	}
	if (result == SQ_SHARED_DONE)
		result = carry_out(f, w, head, &at);
	sq_buf_fini(&w->data);
	if (result != SQ_SHARED_DONE)
		return call_ends(c, result == SQ_SHARED_UNKNOWN ? unknown(c, c->error) : result);
	if (fault == FAKE_DOUBTFUL) {
		c->doubtful = true;
		return call_ends(c, unknown(c, "committed locally, perhaps not replicated"));
	}
	copy_all(f);
	if (fault == FAKE_UNANSWERED)
		return call_ends(c, unknown(c, "the connection was lost"));
	return call_ends(c, await(c, at));
}

static enum sq_shared_result
fake_append(struct sq_shared *c, uint64_t nonce, uint64_t epoch, uint64_t lsn, uint64_t sure,
    struct sq_bytes data)
{
	struct write w = {
	    .call = FAKE_APPEND, .nonce = nonce, .epoch = epoch, .lsn = lsn, .sure = sure};

	sq_buf_append(&w.data, data.p, data.len);
	return write_now(c, &w, NULL);
}

static enum sq_shared_result
fake_claim(struct sq_shared *c, const struct sq_shared_claim *claim, struct sq_shared_head *head)
{
	struct write w = {.call = FAKE_CLAIM, .claim = *claim};

	snprintf(w.holder, sizeof w.holder, "%s", claim->holder);
	snprintf(w.link, sizeof w.link, "%s", claim->link != NULL ? claim->link : "");
	snprintf(w.admin, sizeof w.admin, "%s", claim->admin != NULL ? claim->admin : "");
	return write_now(c, &w, head);
}

static enum sq_shared_result
fake_beat(struct sq_shared *c, uint64_t nonce, uint64_t sure, bool yields)
{
	struct write w = {.call = FAKE_BEAT, .nonce = nonce, .sure = sure, .yields = yields};

	return write_now(c, &w, NULL);
}

/* --- reads --- */

/* A record that is given once the log is unlocked: others' calls do not wait for its reader. */
struct given {
	uint64_t lsn, epoch, sure;
	size_t len;
};

static void
take_records(struct fake_shared *f, uint64_t from, size_t max_bytes, struct sq_buf *heads,
    struct sq_buf *datas)
{
	const struct sq_shared_head *h = fake_log_seen(f->log);

	if (from + 1 < h->first)
		from = h->first - 1;
	while (from < h->last && (sq_buf_len(heads) == 0 || sq_buf_len(datas) < max_bytes)) {
		const struct fake_record *r = fake_log_record(f->log, ++from);
		struct given g = {.lsn = r->lsn, .epoch = r->epoch, .sure = r->sure, .len = r->len};

		sq_buf_append(heads, &g, sizeof g);
		sq_buf_append(datas, r->data, r->len);
	}
}

static enum sq_shared_result
fake_read(struct sq_shared *c, uint64_t from, size_t max_bytes, struct sq_shared_head *head,
    sq_shared_record_fn *fn, void *arg)
{
	struct fake_shared *f = c->way->log;
	struct sq_buf heads = {0}, datas = {0};
	enum sq_shared_result result;
	enum fake_fault fault = call_begins(c, FAKE_READ, &result);
	bool more = true;

	if (result == SQ_SHARED_DONE && fault != FAKE_NONE)
		result = unknown(c, "the connection was lost");
	if (result == SQ_SHARED_DONE) {
		*head = *fake_log_seen(f->log);
		take_records(f, from, max_bytes, &heads, &datas);
	}
	result = call_ends(c, result);
	while (more && sq_buf_len(&heads) > 0) {
		struct given g;

		memcpy(&g, sq_buf_data(&heads), sizeof g);
		more = fn(
		    arg, g.lsn, g.epoch, g.sure, (struct sq_bytes){sq_buf_data(&datas), g.len});
		sq_buf_drain(&heads, sizeof g);
		sq_buf_drain(&datas, g.len);
	}
	sq_buf_fini(&heads);
	sq_buf_fini(&datas);
	return result;
}

static enum sq_shared_result
fake_announce(
    struct sq_shared *c, const struct sq_shared_peer *me, sq_shared_peer_fn *fn, void *arg)
{
	struct fake_shared *f = c->way->log;
	struct sq_shared_peer peers[PEERS];
	enum sq_shared_result result;
	unsigned n = 0, i = 0;

	call_begins(c, FAKE_ANNOUNCE, &result);
	if (result == SQ_SHARED_DONE) {
		while (i < f->n_peers && strcmp(f->peers[i].id, me->id) != 0)
			i++;
		assert(i < PEERS);
		f->n_peers += i == f->n_peers;
		f->peers[i] = *me;
		n = f->n_peers;
		memcpy(peers, f->peers, n * sizeof peers[0]);
	}
	result = call_ends(c, result);
	for (i = 0; i < n; i++)
		fn(arg, &peers[i]);
	return result;
}

static enum sq_shared_result
fake_drop(struct sq_shared *c, uint64_t lsn)
{
	enum sq_shared_result result;

	call_begins(c, FAKE_SNAP, &result);
	if (result == SQ_SHARED_DONE)
		fake_log_drop(c->way->log->log, lsn);
	return call_ends(c, result);
}

/* --- snapshots --- */

static struct snapshot *
snapshot_of(struct fake_shared *f, uint64_t n)
{
	for (unsigned i = 0; i < f->n_snapshots; i++) {
		if (f->snapshots[i].head.n == n)
			return &f->snapshots[i];
	}
	return NULL;
}

static void
snapshot_remove(struct fake_shared *f, unsigned i)
{
	snapshot_fini(&f->snapshots[i]);
	f->n_snapshots--;
	memmove(
	    &f->snapshots[i], &f->snapshots[i + 1], (f->n_snapshots - i) * sizeof f->snapshots[0]);
}

static enum sq_shared_result
not_done(struct sq_shared *c, const char *why)
{
	c->error = why;
	return SQ_SHARED_NOT_DONE;
}

static enum sq_shared_result
fake_snap_begin(struct sq_shared *c, struct sq_shared_snapshot *s)
{
	struct fake_shared *f = c->way->log;
	enum sq_shared_result result;

	call_begins(c, FAKE_SNAP, &result);
	if (result == SQ_SHARED_DONE) {
		for (unsigned i = f->n_snapshots; i-- > 0;) {
			if (!f->snapshots[i].done)
				snapshot_remove(f, i);
		}
		s->n = ++f->last_snapshot;
		f->snapshots[f->n_snapshots++] = (struct snapshot){.head = *s};
	}
	return call_ends(c, result);
}

static enum sq_shared_result
fake_snap_put(struct sq_shared *c, uint64_t n, uint32_t row, struct sq_bytes data)
{
	enum sq_shared_result result;
	struct snapshot *s;

	call_begins(c, FAKE_SNAP, &result);
	s = snapshot_of(c->way->log, n);
	if (result == SQ_SHARED_DONE && s == NULL)
		result = not_done(c, "there is no such snapshot");
	if (result == SQ_SHARED_DONE) {
		if (row >= s->n_rows) {
			s->rows = sq_xrealloc(s->rows, (row + 1) * sizeof s->rows[0]);
			memset(s->rows + s->n_rows, 0, (row + 1 - s->n_rows) * sizeof s->rows[0]);
			s->n_rows = row + 1;
		}
		sq_buf_fini(&s->rows[row]);
		sq_buf_append(&s->rows[row], data.p, data.len);
	}
	return call_ends(c, result);
}

static enum sq_shared_result
fake_snap_done(struct sq_shared *c, const struct sq_shared_snapshot *head)
{
	struct fake_shared *f = c->way->log;
	enum sq_shared_result result;
	struct snapshot *s;
	unsigned done = 0;

	call_begins(c, FAKE_SNAP, &result);
	s = snapshot_of(f, head->n);
	if (result == SQ_SHARED_DONE && s == NULL)
		result = not_done(c, "there is no such snapshot");
	if (result == SQ_SHARED_DONE) {
		s->head = *head;
		s->done = true;
		for (unsigned i = f->n_snapshots; i-- > 0;) {
			done += f->snapshots[i].done;
			if (f->snapshots[i].done && done > 2)
				snapshot_remove(f, i);
		}
	}
	return call_ends(c, result);
}

static enum sq_shared_result
fake_snap_newest(
    struct sq_shared *c, struct sq_shared_snapshot *out, struct sq_shared_snapshot *older)
{
	struct fake_shared *f = c->way->log;
	struct sq_shared_snapshot found[2] = {{.n = 0}};
	enum sq_shared_result result;
	unsigned n = 0;

	call_begins(c, FAKE_SNAP, &result);
	for (unsigned i = f->n_snapshots; i-- > 0 && n < 2;) {
		if (f->snapshots[i].done)
			found[n++] = f->snapshots[i].head;
	}
	*out = found[0];
	if (older != NULL)
		*older = found[1];
	return call_ends(c, result);
}

static enum sq_shared_result
fake_snap_get(struct sq_shared *c, uint64_t n, uint32_t row, struct sq_buf *out)
{
	enum sq_shared_result result;
	struct snapshot *s;

	call_begins(c, FAKE_SNAP, &result);
	s = snapshot_of(c->way->log, n);
	if (result == SQ_SHARED_DONE && (s == NULL || row >= s->n_rows))
		result = not_done(c, "there is no such row");
	if (result == SQ_SHARED_DONE)
		sq_buf_append(out, sq_buf_data(&s->rows[row]), sq_buf_len(&s->rows[row]));
	return call_ends(c, result);
}

const struct sq_shared_ops fake_shared_ops = {
    .name = "fake",
    .dial = fake_dial,
    .hang_up = fake_hang_up,
    .error = fake_error,
    .doubtful = fake_doubtful,
    .append = fake_append,
    .claim = fake_claim,
    .beat = fake_beat,
    .read = fake_read,
    .announce = fake_announce,
    .drop = fake_drop,
    .snap_begin = fake_snap_begin,
    .snap_put = fake_snap_put,
    .snap_done = fake_snap_done,
    .snap_newest = fake_snap_newest,
    .snap_get = fake_snap_get,
};

/* --- what the test does --- */

void
fake_shared_fault(struct fake_shared *f, enum fake_call call, enum fake_fault fault, unsigned times)
{
	pthread_mutex_lock(&f->lock);
	f->calls[call].fault = fault;
	f->calls[call].times = times;
	pthread_mutex_unlock(&f->lock);
}

void
fake_shared_late(struct fake_shared *f)
{
	struct sq_shared_head head;
	uint64_t at;

	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < f->n_late; i++) {
		(void)carry_out(f, &f->late[i], &head, &at);
		sq_buf_fini(&f->late[i].data);
	}
	f->n_late = 0;
	copy_all(f);
	pthread_mutex_unlock(&f->lock);
}

void
fake_shared_stall(struct fake_shared *f, bool stalled)
{
	pthread_mutex_lock(&f->lock);
	f->stalled = stalled;
	copy_all(f);
	pthread_mutex_unlock(&f->lock);
}

void
fake_shared_fail_over(struct fake_shared *f)
{
	pthread_mutex_lock(&f->lock);
	fake_log_fail_over(f->log);
	f->generation++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void
fake_shared_restart(struct fake_shared *f)
{
	pthread_mutex_lock(&f->lock);
	fake_log_restart(f->log);
	f->generation++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void
fake_shared_unreachable(struct fake_shared *f, bool unreachable)
{
	pthread_mutex_lock(&f->lock);
	f->unreachable = unreachable;
	f->generation += unreachable;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void
fake_way_cut(struct fake_way *way, bool cut)
{
	pthread_mutex_lock(&way->log->lock);
	way->cut = cut;
	pthread_cond_broadcast(&way->log->changed);
	pthread_mutex_unlock(&way->log->lock);
}

void
fake_shared_head(struct fake_shared *f, struct sq_shared_head *head)
{
	pthread_mutex_lock(&f->lock);
	*head = *fake_log_seen(f->log);
	pthread_mutex_unlock(&f->lock);
}

void
fake_shared_set(struct fake_shared *f, const struct sq_shared_head *head)
{
	pthread_mutex_lock(&f->lock);
	fake_log_set(f->log, head);
	pthread_mutex_unlock(&f->lock);
}

bool
fake_shared_record(struct fake_shared *f, uint64_t lsn, uint64_t *epoch, struct sq_buf *out)
{
	const struct fake_record *r = NULL;

	pthread_mutex_lock(&f->lock);
	if (lsn > 0 && lsn <= fake_log_seen(f->log)->last)
		r = fake_log_record(f->log, lsn);
	if (r != NULL) {
		*epoch = r->epoch;
		sq_buf_append(out, r->data, r->len);
	}
	pthread_mutex_unlock(&f->lock);
	return r != NULL;
}

void
fake_shared_usurp(struct fake_shared *f, uint64_t nonce, const char *holder)
{
	struct sq_shared_head head;
	struct sq_shared_claim claim = {.nonce = nonce, .holder = holder};
	enum sq_shared_result result;
	uint64_t at;

	pthread_mutex_lock(&f->lock);
	fake_log_copy(f->log, fake_log_uncopied(f->log));
	claim.expected = fake_log_seen(f->log)->nonce;
	result = fake_log_claim(f->log, &claim, &head, &at);
	assert(result == SQ_SHARED_DONE);
	(void)result;
	copy_all(f);
	pthread_mutex_unlock(&f->lock);
}

void
fake_shared_foreign(struct fake_shared *f, uint64_t sure, struct sq_bytes data)
{
	const struct sq_shared_head *h;
	enum sq_shared_result result;
	uint64_t at;

	pthread_mutex_lock(&f->lock);
	fake_log_copy(f->log, fake_log_uncopied(f->log));
	h = fake_log_seen(f->log);
	result = fake_log_append(f->log, h->nonce, h->epoch, h->last + 1, sure, data, &at);
	assert(result == SQ_SHARED_DONE);
	(void)result;
	copy_all(f);
	pthread_mutex_unlock(&f->lock);
}

unsigned
fake_shared_segments(struct fake_shared *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = fake_log_segments(f->log);
	pthread_mutex_unlock(&f->lock);
	return n;
}

unsigned
fake_shared_calls(struct fake_shared *f, enum fake_call call)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->calls[call].begun;
	pthread_mutex_unlock(&f->lock);
	return n;
}
