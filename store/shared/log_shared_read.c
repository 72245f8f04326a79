/* Records that are read from the log: verified, judged by the rule, and applied. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "store/shared/log_shared_priv.h"
#include "store/shared/record.h"

/* A record of a read, or the one before it, which waits to be said to be sure. */
struct found {
	uint64_t lsn, epoch, sure;
	struct sq_bytes data;
};

struct reading {
	struct sq_log_shared *s;
	struct sq_shared_head head;
	uint64_t sent_wall_ms;
	uint64_t sure;                      /* as this read has said so far */
	uint64_t known_last, known_wall_ms; /* what was known before */
	bool headed, holds;
	struct found held; /* its data is in run.held */
};

static void
reading_say_owner(struct sq_log_shared_run *run, const struct sq_shared_head *h, const char *me)
{
	if (h->moved && !run->head.moved)
		SQ_WARN("log",
		    "the log has moved to the files of %s, after record %" PRIu64
		    ": nobody may own it any more",
		    h->holder, h->last);
	if (h->moved || h->holder[0] == '\0' || strcmp(h->holder, me) == 0 ||
	    strcmp(h->holder, run->said) == 0)
		return;
	SQ_INFO("log", "%s owns the log, epoch %" PRIu64 ", record %" PRIu64, h->holder, h->epoch,
	    h->last);
	snprintf(run->said, sizeof run->said, "%s", h->holder);
}

/* Another broker that lives has this one's id, and owns: one that this broker was is silent. */
static bool
reading_twin(const struct sq_log_shared_run *run, const char *id, const struct sq_shared_head *h)
{
	bool same = run->headed && h->nonce == run->head.nonce;

	return run->state == SQ_RULE_FOLLOWS && same && strcmp(h->holder, id) == 0 &&
	    (run->twin || h->beats != run->head.beats);
}

/* Once, before records. */
static void
reading_head(struct reading *r)
{
	struct sq_log_shared_run *run = &r->s->run;
	const struct sq_shared_head *h = &r->head;
	bool twin;

	if (r->headed)
		return;
	r->headed = true;
	sq_rule_head(run->rule, sq_clock_ms(), h);
	reading_say_owner(run, h, r->s->shared.me.id);
	twin = reading_twin(run, r->s->shared.me.id, h);
	if (twin && !run->twin)
		SQ_ERROR("log", "another broker that owns the log has the same broker.id, %s",
		    h->holder);
	run->twin = twin;
	run->head = *h;
	run->head_wall_ms = r->sent_wall_ms;
	run->headed = run->stale = true;
	r->sure = h->sure;
}

/* A record that was not there when the head was read before was made since then; but for the time that
 * its append took. */
static void
reading_time(const struct reading *r, const struct found *f, uint32_t time_s)
{
	struct sq_log_shared_run *run = &r->s->run;
	uint64_t slack_ms = r->s->shared.deadline_ms;
	int64_t skew_ms;

	if (run->owned || r->known_wall_ms <= slack_ms || f->lsn <= r->known_last)
		return;
	sq_skew_see(&run->clock.skew, sq_clock_ms(), time_s, r->known_wall_ms - slack_ms,
	    sq_clock_wall_ms());
	skew_ms = sq_skew_ms(&run->clock.skew, sq_clock_ms());
	if (skew_ms > -SQ_SKEW_WARN_MS && skew_ms < SQ_SKEW_WARN_MS) {
		run->clock.said = false;
	} else if (!run->clock.said) {
		run->clock.said = true;
		SQ_WARN("log", "the clock of the log's owner differs by %" PRId64 " ms", skew_ms);
	}
}

/* Whether the record can be read, and is the one that follows. */
static bool
reading_verify(const struct reading *r, const struct found *f, struct sq_shared_record *rec)
{
	const struct sq_log_shared *s = r->s;
	uint64_t before = sq_rule_chain(s->run.rule);
	struct sq_buf why = {0};
	bool good = sq_shared_record_read(f->data, rec, &why) == SQ_OK;

	if (!good)
		SQ_WARN("log", "record %" PRIu64 ": %.*s", f->lsn, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	if (!good) {
		*rec = (struct sq_shared_record){0};
		return false;
	}
	reading_time(r, f, rec->time_s);
	if (f->lsn == s->cfg.mark.lsn && s->cfg.mark.chain != 0 && rec->chain != s->cfg.mark.chain)
		return false;
	if (f->lsn != sq_rule_applied_lsn(s->run.rule) + 1 || before == 0)
		return true;
	return rec->chain == sq_shared_chain(before, f->lsn, (uint32_t)rec->entries.len, rec->crc);
}

/* The record can't be applied: it is tried again.  For want of memory alone, that is no fault. */
static void SQ_PRINTF(4, 5)
    reading_refuse(struct sq_log_shared *s, uint64_t lsn, int rc, const char *fmt, ...)
{
	struct sq_log_shared_run *run = &s->run;
	va_list args;

	va_start(args, fmt);
	vsnprintf(run->why, sizeof run->why, fmt, args);
	va_end(args);
	if (run->refused != lsn && rc != SQ_ENOMEM)
		SQ_ERROR("log", "%s", run->why);
	run->refused = lsn;
	run->stale = true;
}

static bool
reading_apply(const struct reading *r, const struct found *f, const struct sq_shared_record *rec)
{
	struct sq_log_shared *s = r->s;
	struct sq_log_shared_run *run = &s->run;
	int rc;

	if (rec->format > s->cfg.format) {
		reading_refuse(s, f->lsn, SQ_EINVAL,
		    "record %" PRIu64 " is of format %u: needs a newer sqmqos-broker", f->lsn,
		    rec->format);
		return false;
	}
	rc = sq_log_shared_apply(s, f->lsn, rec->chain, rec->entries, f->data.len);
	if (rc != SQ_OK) {
		reading_refuse(s, f->lsn, rc, "record %" PRIu64 " can't be applied: %s", f->lsn,
		    sq_strerror(rc));
		return false;
	}
	if (run->refused != 0) {
		run->refused = 0;
		run->why[0] = '\0';
		run->stale = true;
	}
	run->record_bytes = run->record_bytes == 0 ? f->data.len
						   : (run->record_bytes * 15 + f->data.len) / 16;
	return true;
}

/* False: the reading ends here. */
static bool
reading_offer(const struct reading *r, const struct found *f)
{
	struct sq_log_shared *s = r->s;
	struct sq_rule *rule = s->run.rule;
	struct sq_shared_record rec;
	bool good;

	if (!s->run.owned && f->lsn > sq_rule_applied_lsn(rule) && sq_log_shared_is_full(s))
		return false;
	good = reading_verify(r, f, &rec);
	switch (sq_rule_record(rule, f->lsn, f->epoch, f->sure, rec.chain, good)) {
	case SQ_RULE_APPLY:
		good = reading_apply(r, f, &rec);
		sq_rule_applied(rule, good);
		return good;
	case SQ_RULE_OURS:
		sq_log_shared_commit(s, true);
		sq_rule_applied(rule, true);
		return true;
	case SQ_RULE_SKIP:
		return true;
	case SQ_RULE_LATER:
	case SQ_RULE_BAD:
		break;
	}
	return false;
}

static bool
reading_record(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	struct reading *r = arg;
	struct sq_log_shared_run *run = &r->s->run;
	const struct found f = {lsn, epoch, sure, data};

	reading_head(r);
	if (sure > r->sure) {
		r->sure = sure;
		sq_rule_sure(run->rule, sure);
	}
	if (r->holds) {
		r->holds = false;
		if (!reading_offer(r, &r->held))
			return false;
	}
	if (lsn <= r->sure || lsn <= sq_rule_applied_lsn(run->rule))
		return reading_offer(r, &f);
	sq_buf_drain(&run->held, sq_buf_len(&run->held));
	sq_buf_append(&run->held, data.p, data.len);
	r->held = f;
	r->held.data.p = sq_buf_data(&run->held);
	r->holds = true;
	return true;
}

enum sq_shared_result
sq_log_shared_read(struct sq_log_shared *s, uint64_t from, bool full)
{
	struct sq_log_shared_run *run = &s->run;
	struct reading r = {.s = s,
	    .sent_wall_ms = sq_clock_wall_ms(),
	    .known_last = run->head.last,
	    .known_wall_ms = run->headed ? run->head_wall_ms : 0};
	enum sq_shared_result result;

	result = s->shared.driver->read(
	    run->conn, from, full ? 1 : SQ_LOG_SHARED_PAGE, &r.head, reading_record, &r);
	if (result == SQ_SHARED_DONE) {
		reading_head(&r);
		if (r.holds)
			(void)reading_offer(&r, &r.held);
	}
	sq_buf_drain(&run->held, sq_buf_len(&run->held));
	sq_buf_trim(&run->held, 2 * SQ_LOG_BATCH_MAX);
	return result;
}
