/* What is asked for, and how that went. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/links.h"
#include "bench/procstat.h"
#include "core/clock.h"

#define TICK_S 0.001

enum { QUIET_US = 2000000 /* what has not arrived for so long is not to be expected */ };

static const char *const phase_names[] = {
    [SQ_LINKS_LINKED] = "linked",
    [SQ_LINKS_READY] = "ready",
    [SQ_LINKS_ATTACH] = "attach",
    [SQ_LINKS_LOAD] = "load",
    [SQ_LINKS_OUTAGE] = "outage",
    [SQ_LINKS_ROUND] = "round",
};

/* --- the answer --- */

static void
phase_hist(const char *name, const struct sq_hist *h)
{
	printf(",\"%s\":{\"n\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64
	       "}",
	    name, sq_hist_count(h), sq_hist_quantile(h, 0.5), sq_hist_quantile(h, 0.99),
	    sq_hist_max(h));
}

static void
phase_when(const char *name, uint64_t us)
{
	if (us != 0)
		printf(",\"%s\":%.3f", name, (double)us / 1e6);
	else
		printf(",\"%s\":null", name);
}

static void
phase_say(const struct sq_links *l, uint64_t now)
{
	const struct sq_links_run *r = &l->run;
	const struct sq_links_sums *a = &r->before, *b = &l->sums;

	printf("{\"phase\":\"%s\",\"seconds\":%.3f,\"attached\":%u,\"subscribed\":%u,\"gone\":%u",
	    phase_names[r->phase], (double)(now - r->began_us) / 1e6, l->attached, l->subscribed,
	    l->gone);
#define SUM(name) printf(",\"%s\":%" PRIu64, #name, b->name - a->name)
	SUM(sent);
	SUM(acked);
	SUM(unmatched);
	SUM(arrived);
	SUM(duplicates);
	SUM(late);
	SUM(unlinked);
	SUM(waits);
	SUM(told);
#undef SUM
	phase_when("began_at", r->began_us);
	phase_when("attached_at", r->attached_us);
	phase_when("acked_at", r->acked_us);
	phase_when("arrived_at", r->arrived_us);
	phase_hist("ack_us", r->ack);
	phase_hist("latency_us", r->latency);
	printf(",\"cpu_s\":%.3f}\n", sq_procstat_own_s() - r->cpu_s);
	(void)fflush(stdout);
}

/* --- its life --- */

static void
phase_enter(struct sq_links *l, enum sq_links_phase phase)
{
	struct sq_links_run *r = &l->run;

	sq_hist_free(&r->ack);
	sq_hist_free(&r->latency);
	*r = (struct sq_links_run){.phase = phase,
	    .before = l->sums,
	    .began_us = sq_clock_us(),
	    .cpu_s = sq_procstat_own_s(),
	    .ack = sq_hist_new(),
	    .latency = sq_hist_new()};
	if (phase == SQ_LINKS_READY)
		ev_timer_stop(l->loop->ev, &l->tick);
	else
		ev_timer_again(l->loop->ev, &l->tick);
}

static bool
phase_linked(const struct sq_links *l)
{
	for (unsigned i = 0; i < l->o.links; i++)
		if (sq_list_empty(&l->tables[i]->links))
			return false;
	return true;
}

/* The next session without a message in flight; NULL: each has one. */
static struct sq_links_session *
phase_next(struct sq_links *l)
{
	for (uint32_t i = 0; i < l->o.sessions && l->busy < l->o.sessions; i++) {
		struct sq_links_session *s = &l->sessions[l->cursor];

		l->cursor = (l->cursor + 1) % l->o.sessions;
		if (s->hold != NULL && s->due_us == 0)
			return s;
	}
	return NULL;
}

/* Publishes what is due by now.  What finds no free session stays due. */
static void
phase_load(struct sq_links *l, uint64_t now)
{
	struct sq_links_run *r = &l->run;
	uint64_t until = now < r->end_us ? now : r->end_us;
	uint64_t due = (uint64_t)((double)(until - r->began_us) * r->rate / 1e6);
	struct sq_links_session *s;

	while (r->due < due && (s = phase_next(l)) != NULL) {
		r->due++;
		sq_links_session_publish(
		    s, r->began_us + (uint64_t)((double)r->due * 1e6 / r->rate));
	}
}

static bool
phase_drained(const struct sq_links *l, uint64_t now)
{
	const struct sq_links_run *r = &l->run;
	uint64_t last = r->arrived_us > r->acked_us ? r->arrived_us : r->acked_us;

	if (l->busy > 0 || l->attached + l->gone < l->o.sessions)
		return false;
	return l->sums.arrived - r->before.arrived >= l->sums.sent - r->before.sent ||
	    now - last > QUIET_US;
}

static bool
phase_over(const struct sq_links *l, uint64_t now)
{
	switch (l->run.phase) {
	case SQ_LINKS_LINKED:
		return phase_linked(l);
	case SQ_LINKS_ATTACH:
		return l->attached + l->gone == l->o.sessions &&
		    l->subscribed + l->gone >= l->o.sessions;
	case SQ_LINKS_LOAD:
		return now >= l->run.end_us && phase_drained(l, now);
	case SQ_LINKS_OUTAGE:
		return l->sums.unlinked - l->run.before.unlinked + l->gone >= l->o.sessions &&
		    phase_drained(l, now);
	case SQ_LINKS_ROUND:
		return phase_drained(l, now);
	case SQ_LINKS_READY:
		break;
	}
	return false;
}

static void
phase_on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sq_links *l = w->data;
	uint64_t now = sq_clock_us();

	(void)loop;
	(void)events;
	if (l->run.phase == SQ_LINKS_LOAD)
		phase_load(l, now);
	if (!phase_over(l, now))
		return;
	phase_say(l, now);
	phase_enter(l, SQ_LINKS_READY);
}

/* --- commands --- */

static bool
phase_ask(struct sq_links *l, const char *line)
{
	double rate, seconds;

	if (l->run.phase != SQ_LINKS_READY)
		return false;
	if (strcmp(line, "attach") == 0 && l->sessions[0].hold == NULL) {
		phase_enter(l, SQ_LINKS_ATTACH);
		for (uint32_t i = 0; i < l->o.sessions; i++)
			sq_links_session_open(&l->sessions[i]);
	} else if (strcmp(line, "round") == 0 || strcmp(line, "outage") == 0) {
		phase_enter(l, line[0] == 'r' ? SQ_LINKS_ROUND : SQ_LINKS_OUTAGE);
		for (uint32_t i = 0; i < l->o.sessions; i++)
			if (l->sessions[i].hold != NULL)
				sq_links_session_publish(&l->sessions[i], l->run.began_us);
	} else if (sscanf(line, "load %lf %lf", &rate, &seconds) == 2 && rate > 0 && seconds > 0) {
		phase_enter(l, SQ_LINKS_LOAD);
		l->run.rate = rate;
		l->run.end_us = l->run.began_us + (uint64_t)(seconds * 1e6);
	} else {
		return false;
	}
	return true;
}

static void
phase_on_input(struct ev_loop *loop, ev_io *w, int events)
{
	struct sq_links *l = w->data;
	ssize_t n = read(w->fd, l->line + l->line_len, sizeof l->line - 1 - l->line_len);
	char *end;

	(void)events;
	if (n <= 0) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	l->line_len += (size_t)n;
	l->line[l->line_len] = '\0';
	while ((end = strchr(l->line, '\n')) != NULL) {
		*end = '\0';
		if (!phase_ask(l, l->line))
			fprintf(stderr, "bench_links: not now, or never: %s\n", l->line);
		l->line_len -= (size_t)(end + 1 - l->line);
		memmove(l->line, end + 1, l->line_len + 1);
	}
	if (l->line_len == sizeof l->line - 1)
		l->line_len = 0;
}

void
sq_links_phases_start(struct sq_links *l)
{
	ev_timer_init(&l->tick, phase_on_tick, TICK_S, TICK_S);
	l->tick.data = l;
	ev_io_init(&l->input, phase_on_input, STDIN_FILENO, EV_READ);
	l->input.data = l;
	ev_io_start(l->loop->ev, &l->input);
	phase_enter(l, SQ_LINKS_LINKED);
}

void
sq_links_phases_stop(struct sq_links *l)
{
	ev_timer_stop(l->loop->ev, &l->tick);
	ev_io_stop(l->loop->ev, &l->input);
	sq_hist_free(&l->run.ack);
	sq_hist_free(&l->run.latency);
}
