#include "broker/group/group_declare.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "broker/shard/source.h"
#include "broker/group/group_queue.h"
#include "broker/group/group_store.h"
#include "core/log.h"

/* For people. */

static const char *
declare_name(const struct sq_group *g)
{
	return sq_source_name(g->sink.source);
}

/* "pod w-1 (since 2026-01-31T12:00:00Z: durable true, max-length 7)" */
static void
declare_print_word(
    struct sq_buf *out, const char *pod, uint64_t since_ms, const struct sq_options *o)
{
	time_t seconds = (time_t)(since_ms / 1000);
	char since[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
	sq_buf_printf(out, "pod %s (since %s: ", pod, since);
	sq_options_print(o, out);
	sq_buf_printf(out, ")");
}

static void
declare_log_changed(const struct sq_group *g)
{
	const struct sq_group_options *go = &g->options;
	struct sq_buf line = {0};

	declare_print_word(&line, go->pod, go->since_ms, &go->now);
	SQ_INFO("group", "queue %s has the options of %.*s", declare_name(g),
	    (int)sq_buf_len(&line), (const char *)sq_buf_data(&line));
	sq_buf_fini(&line);
}

static void
declare_log_disagreement(const struct sq_group *g, const struct sq_declarer *other)
{
	const struct sq_declarer *first = g->options.first;
	struct sq_buf line = {0};

	declare_print_word(&line, first->pod, first->since_ms, sq_declarer_options(first));
	sq_buf_printf(&line, " and ");
	declare_print_word(&line, other->pod, other->since_ms, sq_declarer_options(other));
	SQ_WARN("group",
	    "queue %s: pods declare different options: %.*s; those of the newest pod count",
	    declare_name(g), (int)sq_buf_len(&line), (const char *)sq_buf_data(&line));
	sq_buf_fini(&line);
}

static void
declare_log_waits(const struct sq_group *g)
{
	SQ_WARN("group", "queue %s is %s; durable: %s counts once it has no member",
	    declare_name(g), g->durable ? "durable" : "not durable",
	    g->options.now.durable ? "true" : "false");
}

void
sq_group_declare_note(
    const struct sq_group *g, bool durable, uint32_t expiry_s, struct sq_buf *note)
{
	uint32_t granted_s = sq_group_expiry_s(g->broker, expiry_s);

	if (durable && granted_s < expiry_s)
		sq_buf_printf(note, "expiry is cut from %us to %us, the broker's queue.max-expiry",
		    expiry_s, granted_s);
	if (!g->waits || durable != g->options.now.durable)
		return;
	sq_buf_printf(note, "%s", sq_buf_len(note) > 0 ? "; " : "");
	sq_buf_printf(note,
	    "the queue is %s and stays so until it has no member: durable: %s counts then",
	    g->durable ? "durable" : "not durable", durable ? "true" : "false");
}

/* In force. */

static void
declare_gauge(struct sq_group *g, bool *is, bool now, enum sq_broker_metric m)
{
	sq_count(g->broker, m, (int)now - (int)*is);
	*is = now;
}

static void
declare_apply(struct sq_group *g)
{
	const struct sq_options *o = &g->options.now;

	g->cfg.expiry_s = o->expiry_s;
	g->cfg.max_length = o->max_length;
	g->cfg.max_attempts = o->max_attempts;
	g->cfg.overflow = o->overflow;
	g->expiry_s = g->durable ? sq_group_expiry_s(g->broker, o->expiry_s) : 0;
	sq_group_set_limits(g);
	sq_count(g->broker, SQ_M_GROUP_OPTIONS, 1);
	declare_log_changed(g);
}

void
sq_group_declared(struct sq_group *g, uint64_t now_ms, struct sq_txn *txn)
{
	struct sq_group_options *go = &g->options;
	enum sq_chosen chosen = sq_group_options_choose(go, now_ms, g->broker->cfg.grace_ms);
	bool disagrees = sq_group_options_disagree(go), waits = go->now.durable != g->durable;
	const struct sq_declarer *other;

	assert(sq_group_held(g));
	if (chosen == SQ_CHOSEN_OTHER)
		declare_apply(g);
	if (chosen != SQ_CHOSEN_SAME)
		g->unsaved = true;
	/* The record needs the pod of the options in force if other pods' options differ: after a
	 * restart they compete. */
	if (g->unsaved && (chosen == SQ_CHOSEN_OTHER || disagrees))
		sq_group_store(g, txn);
	if (waits && !g->waits)
		declare_log_waits(g);
	declare_gauge(g, &g->disagrees, disagrees, SQ_M_GROUPS_DISAGREE);
	declare_gauge(g, &g->waits, waits, SQ_M_GROUPS_WAIT);
	if ((other = sq_group_options_tell(go)) != NULL)
		declare_log_disagreement(g, other);
}

void
sq_group_declare_end(struct sq_group *g)
{
	declare_gauge(g, &g->disagrees, false, SQ_M_GROUPS_DISAGREE);
	declare_gauge(g, &g->waits, false, SQ_M_GROUPS_WAIT);
}

/* Words. */

void
sq_group_declare(struct sq_group *g, struct sq_declarer **dp, const struct sq_word *w,
    uint64_t now_ms, struct sq_txn *txn)
{
	struct sq_declarer *old = *dp;

	/* Before the old one goes: the pod was never away. */
	*dp = w->since_ms == 0 ? NULL
			       : sq_declarer_join(&g->options, &w->options, w->since_ms, w->pod);
	sq_declarer_leave(&g->options, &old);
	sq_group_declared(g, now_ms, txn);
}

void
sq_group_undeclare(struct sq_group *g, struct sq_declarer **dp, uint64_t now_ms, struct sq_txn *txn)
{
	if (*dp == NULL)
		return;
	sq_declarer_leave(&g->options, dp);
	sq_group_declared(g, now_ms, txn);
}
