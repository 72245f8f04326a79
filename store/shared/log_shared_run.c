/* The thread of the shared log: it asks the rule, calls the driver, and reports. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/thread.h"
#include "store/shared/log_shared_priv.h"

enum {
	UPKEEP_HURRY_MS = 2000,
	SEGMENT_PART = 64 /* of a segment's bytes, that it must have to be ended by its age */
};

static bool
run_is_final(const struct sq_log_shared_run *run)
{
	return run->state == SQ_RULE_FENCED || run->state == SQ_RULE_LOST ||
	    run->state == SQ_RULE_YIELDED || (run->state == SQ_RULE_DIVERGED && run->owned);
}

/* The reason for a result that was not DONE, in the log's words; counts what was doubtful. */
static const char *
run_error(struct sq_log_shared *s, enum sq_shared_result result)
{
	const struct sq_shared_ops *driver = s->shared.driver;
	const char *why = driver->error(s->run.conn);

	if (result == SQ_SHARED_UNKNOWN && driver->doubtful != NULL &&
	    driver->doubtful(s->run.conn)) {
		pthread_mutex_lock(&s->lock);
		s->known.counts.warnings++;
		pthread_mutex_unlock(&s->lock);
	}
	return why != NULL && why[0] != '\0' ? why : "it does not say why";
}

/* A call ended: the log is up, or it is not. */
static void
run_result(struct sq_log_shared *s, enum sq_shared_result result)
{
	if (result == SQ_SHARED_UNKNOWN)
		s->run.headed = false; /* the connection may not be used any more */
	sq_log_shared_answered(s, result == SQ_SHARED_UNKNOWN ? run_error(s, result) : NULL);
}

/* A call was NOT_DONE, which may be so for long: a line now and then. */
static void
run_not_done(struct sq_log_shared *s, const char *what)
{
	uint64_t *line_ms = &s->run.not_done_ms, now_ms = sq_clock_ms();

	if (*line_ms != 0 && now_ms - *line_ms < SQ_LOG_SHARED_LINE_MS)
		return;
	*line_ms = now_ms;
	SQ_WARN("log", "%s: %s", what, run_error(s, SQ_SHARED_NOT_DONE));
}

/* An answer to a call that began at 'sent_ms' proves that nobody else owns the log. */
static void
run_proved(struct sq_log_shared *s, uint64_t sent_ms)
{
	s->run.proved_ms = sent_ms;
	if (s->run.owned)
		atomic_store_explicit(
		    &s->lease_ms, sent_ms + SQ_RULE_LEASE_MS, memory_order_relaxed);
}

void
sq_log_shared_rest(struct sq_log_shared *s, uint64_t until_ms)
{
	(void)sq_cond_wait_until(&s->work, &s->lock, until_ms);
}

/* Steps */

static void
run_dial(struct sq_log_shared *s)
{
	struct sq_log_shared_run *run = &s->run;
	struct sq_buf err = {0};
	int rc;

	s->shared.driver->hang_up(&run->conn);
	run->headed = false;
	rc = s->shared.driver->dial(&run->conn, s->shared.driver_cfg, s->shared.deadline_ms, &err);
	if (rc != SQ_OK) {
		char *why = sq_buf_take_text(&err);

		sq_log_shared_answered(s, why);
		sq_log_shared_stall_on(s, run->why);
		free(why);
	}
	sq_buf_fini(&err);
	sq_rule_dialled(run->rule, sq_clock_ms(), rc == SQ_OK);
}

static void
run_read(struct sq_log_shared *s, const struct sq_rule_step *step)
{
	enum sq_shared_result result;
	bool full;

	pthread_mutex_lock(&s->lock);
	full = s->known.used.bytes >= s->shared.max_used && !s->run.owned;
	if (full && !s->queue.closing) {
		s->queue.full = true;
		sq_log_shared_rest(s, sq_clock_ms() + SQ_RULE_REST_MS);
		s->queue.full = false;
		full = s->known.used.bytes >= s->shared.max_used;
	}
	pthread_mutex_unlock(&s->lock);
	result = sq_log_shared_read(s, step->from, full);
	run_result(s, result);
	sq_rule_read(s->run.rule, sq_clock_ms(), result);
}

static void
run_count_claim(struct sq_log_shared *s, enum sq_shared_result result, bool roll)
{
	struct sq_log_shared_counts *n = &s->known.counts;

	pthread_mutex_lock(&s->lock);
	if (result == SQ_SHARED_DONE) {
		n->claims_won += !s->run.owned;
		n->claims_again += s->run.owned;
		n->segments += roll;
	} else if (result == SQ_SHARED_REFUSED) {
		n->claims_lost += !s->run.owned;
		n->fenced += s->run.owned;
	}
	pthread_mutex_unlock(&s->lock);
}

static void
run_claim(struct sq_log_shared *s, const struct sq_rule_step *step)
{
	struct sq_log_shared_run *run = &s->run;
	const struct sq_shared_claim claim = {
	    .expected = step->expected,
	    .nonce = step->nonce,
	    .holder = s->shared.me.id,
	    .link = s->shared.me.link,
	    .admin = s->shared.me.admin,
	    .again = run->owned,
	    .roll = step->roll,
	};
	struct sq_shared_head head = {0};
	uint64_t sent_ms = sq_clock_ms();
	enum sq_shared_result result;

	if (!run->owned && run->head.nonce == step->expected) /* not again, without an answer */
		run->yielded = run->head.holder[0] == '\0';
	result = s->shared.driver->claim(run->conn, &claim, &head);
	run_result(s, result);
	run_count_claim(s, result, step->roll);
	if (result == SQ_SHARED_NOT_DONE)
		run_not_done(s,
		    step->roll ? "no new segment of the log can be begun"
			       : "the shared log can't be claimed");
	if (result == SQ_SHARED_DONE) {
		SQ_FAULT_IF(!run->owned, "log-claimed");
		run->head = head;
		run->headed = run->stale = true;
		run_proved(s, sent_ms);
		if (step->roll)
			run->segment = (struct sq_log_shared_segment){.since_ms = sent_ms};
	}
	sq_rule_claimed(run->rule, sent_ms, sq_clock_ms(), result, &head);
}

/* The next record's entries, as a record. */
static void
run_seal(struct sq_log_shared *s, uint64_t lsn)
{
	struct sq_log_shared_run *run = &s->run;

	pthread_mutex_lock(&s->lock);
	sq_log_batch_take(&run->batch, &s->queue.pending, sq_clock_us());
	s->queue.pressing -= run->batch.pressing;
	s->queue.patient_ms = 0;
	pthread_mutex_unlock(&s->lock);
	sq_log_batch_seal(&run->batch, sq_rule_chain(run->rule), lsn,
	    sq_log_peers_format(run->crowd.peers, sq_clock_ms(), s->cfg.format),
	    (uint32_t)(sq_clock_wall_ms() / 1000));
	sq_rule_sealed(run->rule, run->batch.chain);
}

static void
run_append(struct sq_log_shared *s, const struct sq_rule_step *step)
{
	struct sq_log_shared_run *run = &s->run;
	enum sq_shared_result result;
	uint64_t sent_ms;

	if (!step->again)
		run_seal(s, step->lsn);
	assert(!sq_log_batch_is_empty(&run->batch) && run->batch.lsn == step->lsn);
	sent_ms = sq_clock_ms();
	result = s->shared.driver->append(run->conn, step->nonce, step->epoch, step->lsn,
	    step->sure, sq_log_batch_bytes(&run->batch));
	run_result(s, result);
	sq_rule_appended(run->rule, sent_ms, sq_clock_ms(), result);
	switch (result) {
	case SQ_SHARED_DONE:
		SQ_FAULT("log-after-append");
		run_proved(s, sent_ms);
		sq_log_shared_commit(s, false);
		break;
	case SQ_SHARED_NOT_DONE:
		sq_log_shared_stall(s, run_error(s, result));
		break;
	case SQ_SHARED_REFUSED:
	case SQ_SHARED_UNKNOWN:
		run->batch.unknown = true;
		break;
	}
}

static void
run_beat(struct sq_log_shared *s, const struct sq_rule_step *step)
{
	uint64_t sent_ms = sq_clock_ms();
	enum sq_shared_result result = s->shared.driver->beat(
	    s->run.conn, step->nonce, step->sure, step->yields);

	run_result(s, result);
	if (result == SQ_SHARED_DONE)
		run_proved(s, sent_ms);
	sq_rule_beaten(s->run.rule, sent_ms, sq_clock_ms(), result);
}

/* Under the lock.  Whether entries are to be written now, or at 'patient_ms': patient ones wait for about
 * two commits' time, since one of their own would hold up what presses behind them. */
static bool
run_presses(struct sq_log_shared *s)
{
	struct sq_log_shared_queue *q = &s->queue;
	uint64_t wait_ms = 1 + s->run.batch.took_us / 500;

	if (sq_list_empty(&q->pending))
		return false;
	if (q->pressing > 0 || q->closing)
		return true;
	if (q->patient_ms == 0)
		q->patient_ms = sq_clock_ms() +
		    (wait_ms < SQ_LOG_SHARED_PATIENT_MS ? wait_ms : SQ_LOG_SHARED_PATIENT_MS);
	return sq_clock_ms() >= q->patient_ms;
}

/* Until something is due, or asked for. */
static void
run_rest(struct sq_log_shared *s, uint64_t until_ms)
{
	struct sq_log_shared_queue *q = &s->queue;
	bool takes = s->run.state == SQ_RULE_OWNS && sq_log_batch_is_empty(&s->run.batch);
	bool room, now;

	if (s->run.headed && s->run.crowd.due_ms < until_ms)
		until_ms = s->run.crowd.due_ms;
	pthread_mutex_lock(&s->lock);
	if (q->closing && q->close_by_ms < until_ms)
		until_ms = q->close_by_ms;
	room = s->known.used.bytes < s->shared.max_used;
	/* What came after the wish. */
	now = (takes && room && run_presses(s)) || q->closing != s->run.closing;
	if (takes && room && q->patient_ms != 0 && q->patient_ms < until_ms)
		until_ms = q->patient_ms;
	if (!now) {
		q->idle = takes && room;
		q->full = !room;
		sq_log_shared_rest(s, until_ms);
		q->idle = q->full = false;
	}
	pthread_mutex_unlock(&s->lock);
}

/* Announcements */

static void
run_see(void *arg, const struct sq_shared_peer *peer)
{
	struct sq_log_shared *s = arg;

	sq_log_peers_see(s->run.crowd.peers, peer, sq_clock_ms());
}

/* Whether a snapshot that is due is this broker's to write. */
static enum sq_snapshots_turn
run_turn(const struct sq_log_shared *s, uint64_t now_ms)
{
	const struct sq_log_shared_run *run = &s->run;
	bool owns = run->state == SQ_RULE_OWNS;
	const char *owner = owns ? s->shared.me.id : run->head.holder;
	const struct sq_shared_peer *writer = sq_log_peers_writer(run->crowd.peers, now_ms, owner);

	if (owns)
		return writer == NULL ? SQ_SNAPSHOTS_OWNER : SQ_SNAPSHOTS_SPARE;
	return writer != NULL && strcmp(writer->id, s->shared.me.id) == 0 ? SQ_SNAPSHOTS_FOLLOWER
									  : SQ_SNAPSHOTS_NONE;
}

static void
run_snapshots(struct sq_log_shared *s, uint64_t now_ms)
{
	const struct sq_log_shared_run *run = &s->run;
	const struct sq_snapshots_news news = {
	    .turn = run_turn(s, now_ms),
	    .owns = run->owned,
	    .applied = sq_rule_applied_lsn(run->rule),
	    .records = run->care.records,
	    .bytes = run->care.bytes,
	};

	if (run->care.snapshots != NULL)
		sq_snapshots_tell(run->care.snapshots, &news);
}

static void
run_announce(struct sq_log_shared *s, uint64_t now_ms)
{
	struct sq_log_shared_run *run = &s->run;
	struct sq_shared_peer me = s->shared.me;
	enum sq_shared_result result;

	if (!run->headed || now_ms < run->crowd.due_ms ||
	    (run->state != SQ_RULE_FOLLOWS && run->state != SQ_RULE_OWNS))
		return;
	pthread_mutex_lock(&s->lock);
	me.applied = s->known.mark.lsn;
	me.kept = s->known.released;
	pthread_mutex_unlock(&s->lock);
	me.beats = ++run->crowd.beats;
	result = s->shared.driver->announce(run->conn, &me, run_see, s);
	run->crowd.due_ms = now_ms + SQ_LOG_SHARED_ANNOUNCE_MS;
	run->stale = true;
	run_result(s, result);
	if (result == SQ_SHARED_NOT_DONE)
		run_not_done(s, "this broker can't announce itself");
	if (result == SQ_SHARED_UNKNOWN)
		sq_rule_broke(run->rule);
	else
		run_snapshots(s, sq_clock_ms()); /* not before rows were seen */
}

/* Now and then, and after each segment, an owner has segments dropped. */
static void
run_upkeep(struct sq_log_shared *s, uint64_t now_ms)
{
	struct sq_log_shared_care *care = &s->run.care;
	uint64_t kept, own, since_ms = now_ms - care->upkeep_ms;
	bool grown = care->bytes - care->upkeep_at >= s->shared.segment_bytes;

	if (s->run.state != SQ_RULE_OWNS || since_ms < UPKEEP_HURRY_MS ||
	    (since_ms < SQ_UPKEEP_EVERY_MS && !grown))
		return;
	kept = sq_log_peers_kept_recent(s->run.crowd.peers, now_ms);
	care->upkeep_ms = now_ms;
	care->upkeep_at = care->bytes;
	pthread_mutex_lock(&s->lock);
	own = s->known.released;
	pthread_mutex_unlock(&s->lock);
	sq_upkeep_drop(care->upkeep, kept < own ? kept : own);
}

/* Wishes */

/* Whether nothing keeps the broker from owning the log. */
static bool
run_may_claim(const struct sq_log_shared *s, uint64_t now_ms)
{
	const struct sq_log_shared_run *run = &s->run;
	int64_t skew_ms = sq_skew_ms(&run->clock.skew, now_ms);
	const struct sq_shared_peer *first;

	if (skew_ms > SQ_SKEW_CLAIM_MS || skew_ms < -SQ_SKEW_CLAIM_MS || run->refused != 0)
		return false;
	if (sq_log_shared_behind(s) <= s->shared.max_behind)
		return true;
	first = sq_log_peers_first(run->crowd.peers, now_ms, s->shared.me.id);
	return first == NULL || first->applied <= sq_rule_applied_lsn(run->rule);
}

/* Whether this broker is the standby of the owner, or of the one before, where nobody owns the log. */
static bool
run_is_next(struct sq_log_shared *s, uint64_t now_ms)
{
	struct sq_log_shared_run *run = &s->run;
	const struct sq_shared_peer *first;

	if (run->head.holder[0] != '\0') {
		first = sq_log_peers_first(run->crowd.peers, now_ms, run->head.holder);
		run->crowd.next = first != NULL && strcmp(first->id, s->shared.me.id) == 0;
	}
	return run->crowd.next;
}

/* One that has little is not worth a table, however old: of those there would be ever more, as a snapshot,
 * which lets them go, is due by bytes. */
static bool
run_roll_is_due(const struct sq_log_shared *s, uint64_t now_ms)
{
	const struct sq_log_shared_segment *g = &s->run.segment;

	return g->bytes >= s->shared.segment_bytes ||
	    (g->bytes > s->shared.segment_bytes / SEGMENT_PART &&
		now_ms - g->since_ms >= s->shared.segment_ms);
}

/* False: it closes, and its time is over.  'full': entries wait for a release. */
static bool
run_wish(struct sq_log_shared *s, uint64_t now_ms, struct sq_rule_wish *wish, bool *full)
{
	struct sq_log_shared_queue *q = &s->queue;
	bool over;

	pthread_mutex_lock(&s->lock);
	*full = s->known.used.bytes >= s->shared.max_used;
	over = q->closing && now_ms >= q->close_by_ms;
	s->run.closing = q->closing;
	*wish = (struct sq_rule_wish){
	    .append = !*full && run_presses(s),
	    .may_claim = q->claim && !q->closing && !*full,
	    .yield = q->closing,
	};
	*full = *full && !sq_list_empty(&q->pending);
	pthread_mutex_unlock(&s->lock);
	wish->may_claim = wish->may_claim && run_may_claim(s, now_ms);
	wish->next = run_is_next(s, now_ms);
	wish->roll = s->run.state == SQ_RULE_OWNS && run_roll_is_due(s, now_ms);
	return !over;
}

/* What follows from a step */

static void
run_settle_batch(struct sq_log_shared *s)
{
	struct sq_log_batch *b = &s->run.batch;

	if (sq_log_batch_is_empty(b) || sq_rule_in_flight(s->run.rule))
		return;
	pthread_mutex_lock(&s->lock);
	s->known.counts.unknown_not += b->unknown;
	sq_log_batch_back(b, &s->queue.pending);
	s->queue.pressing += b->pressing;
	pthread_mutex_unlock(&s->lock);
}

static void
run_settle_owner(struct sq_log_shared *s)
{
	struct sq_log_shared_run *run = &s->run;
	uint64_t epoch = sq_rule_epoch(run->rule);

	if (run->owned || run->closing)
		return;
	SQ_INFO("log", "this broker owns the log, epoch %" PRIu64 ", after record %" PRIu64, epoch,
	    sq_rule_applied_lsn(run->rule));
	run->owned = true;
	run->boot = epoch;
	snprintf(run->said, sizeof run->said, "%s", s->shared.me.id);
	run->care.upkeep_ms = sq_clock_ms();
	run->care.upkeep_at = run->care.bytes;
	if (run->care.upkeep == NULL)
		run->care.upkeep = sq_upkeep_new(s->shared.driver, s->shared.driver_cfg);
	run_proved(s, run->proved_ms);
	run->stale = true;
	sq_log_shared_publish(s, sq_clock_ms());
	s->cfg.role(s->cfg.owner, SQ_LOG_OWNS, epoch, NULL);
}

static void
run_settle(struct sq_log_shared *s)
{
	struct sq_log_shared_run *run = &s->run;
	enum sq_rule_state state = sq_rule_state(run->rule);

	run_settle_batch(s);
	if (state != run->state) {
		if (state == SQ_RULE_DIVERGED)
			SQ_ERROR("log", "the log has diverged: %s", sq_rule_why(run->rule));
		else if (run->state == SQ_RULE_DIVERGED && state == SQ_RULE_FOLLOWS)
			SQ_INFO("log", "the log is good again");
		run->state = state;
		run->stale = true;
		if (state == SQ_RULE_OWNS)
			run_settle_owner(s);
	}
	if (run_is_final(run))
		atomic_store_explicit(&s->lease_ms, 0, memory_order_relaxed);
	sq_log_shared_publish(s, sq_clock_ms());
}

/* The last thing that happens. */
static void
run_end(struct sq_log_shared *s)
{
	struct sq_log_shared_run *run = &s->run;

	if (run->state == SQ_RULE_YIELDED) {
		if (run->owned)
			SQ_INFO("log",
			    "this broker leaves the log to others, after record %" PRIu64,
			    sq_rule_applied_lsn(run->rule));
		return;
	}
	SQ_WARN("log", "this broker serves no more, epoch %" PRIu64 ": %s",
	    sq_rule_epoch(run->rule), sq_rule_why(run->rule));
	sq_log_shared_end(s);
}

static void
run_step(struct sq_log_shared *s, const struct sq_rule_step *step)
{
	switch (step->what) {
	case SQ_RULE_REST:
		run_rest(s, step->until_ms);
		break;
	case SQ_RULE_DIAL:
		run_dial(s);
		break;
	case SQ_RULE_READ:
		run_read(s, step);
		break;
	case SQ_RULE_CLAIM:
		run_claim(s, step);
		break;
	case SQ_RULE_APPEND:
		run_append(s, step);
		break;
	case SQ_RULE_BEAT:
		run_beat(s, step);
		break;
	case SQ_RULE_STOP:
		break;
	}
}

void *
sq_log_shared_thread(void *arg)
{
	struct sq_log_shared *s = arg;
	struct sq_log_shared_run *run = &s->run;
	struct sq_rule_step step = {.what = SQ_RULE_REST};
	struct sq_rule_wish wish;
	bool full = false;

	while (run_wish(s, sq_clock_ms(), &wish, &full)) {
		run_announce(s, sq_clock_ms());
		run_upkeep(s, sq_clock_ms());
		if (full && run->state == SQ_RULE_OWNS)
			sq_log_shared_stall(
			    s, "the tables are behind: too much is in the log only");
		sq_rule_next(run->rule, sq_clock_ms(), &wish, &step);
		run_step(s, &step);
		run_settle(s);
		if (step.what == SQ_RULE_STOP) {
			run_end(s);
			break;
		}
	}
	s->shared.driver->hang_up(&run->conn);
	return NULL;
}
