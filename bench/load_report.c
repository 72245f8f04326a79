/* What a run of the generator says: a table for people, JSON for scripts. */
#include "bench/load.h"

#include <inttypes.h>
#include <stdio.h>

struct report {
	uint64_t sent, lost, duplicates, reordered, unacked;
	double seconds, sent_s, delivered_s, acked_s;
	bool ok;
};

static void
report_track(struct report *r, const struct sq_load *l, const struct sq_track *t,
    const struct sq_load_pub *p)
{
	/* Paced, the last ones still wait. */
	r->lost += l->o.pace ? t->missing : p->sent - sq_track_unique(t);
	r->duplicates += t->duplicate;
}

static struct report
report_make(const struct sq_load *l)
{
	const struct sq_load_opts *o = &l->o;
	struct report r = {.reordered = l->misordered};
	unsigned i, k;

	for (i = 0; i < o->publishers; i++) {
		r.sent += l->pub[i].sent - (l->o.take > 0 ? l->o.expect : l->o.first);
		r.unacked += l->pub[i].unacked;
		if (l->group != NULL && l->fan > 0)
			report_track(&r, l, &l->group[i], &l->pub[i]);
	}
	for (i = 0; i < o->subscribers && l->group == NULL; i++)
		for (k = 0; k < o->publishers; k++) {
			if (o->topology == SQ_LOAD_PAIRS && k != i)
				continue;
			report_track(&r, l, &l->sub[i].track[k], &l->pub[k]);
			r.reordered += l->sub[i].track[k].late;
		}
	r.seconds = l->till > l->from ? (double)(l->till - l->from) / 1e9 : 0;
	if (r.seconds > 0) {
		r.sent_s = (double)l->count.sent / r.seconds;
		r.delivered_s = (double)l->count.delivered / r.seconds;
		r.acked_s = (double)l->count.acked / r.seconds;
	}
	r.ok = o->qos == 0 ||
	    (l->drained && r.lost == 0 && r.reordered == 0 && l->refused == 0 &&
		(o->qos == 1 || r.duplicates == 0));
	return r;
}

static double
us(uint64_t ns)
{
	return (double)ns / 1e3;
}

static void
report_hist_json(const char *name, const struct sq_hist *h)
{
	if (sq_hist_count(h) == 0) {
		printf("\"%s\": null, ", name);
		return;
	}
	printf("\"%s\": {\"n\": %" PRIu64 ", \"mean\": %.1f, \"min\": %.1f, \"p50\": %.1f, "
	       "\"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}, ",
	    name, sq_hist_count(h), sq_hist_mean(h) / 1e3, us(sq_hist_min(h)),
	    us(sq_hist_quantile(h, 0.5)), us(sq_hist_quantile(h, 0.9)),
	    us(sq_hist_quantile(h, 0.99)), us(sq_hist_quantile(h, 0.999)), us(sq_hist_max(h)));
}

static void
report_hist(const char *name, const struct sq_hist *h)
{
	if (sq_hist_count(h) == 0)
		return;
	printf("%-14s p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f µs  (%" PRIu64 ")\n", name,
	    us(sq_hist_quantile(h, 0.5)), us(sq_hist_quantile(h, 0.9)),
	    us(sq_hist_quantile(h, 0.99)), us(sq_hist_quantile(h, 0.999)), us(sq_hist_max(h)),
	    sq_hist_count(h));
}

/* Names come from the command line; what JSON can't hold becomes a '?'. */
static void
report_name_json(const char *s)
{
	for (; *s != '\0'; s++)
		putchar(*s == '"' || *s == '\\' || (unsigned char)*s < ' ' ? '?' : *s);
}

static void
report_pids_json(const struct sq_load *l)
{
	const char *sep = "";

	printf("\"pids\": [");
	for (unsigned i = 0; i < l->o.npids; i++) {
		const struct sq_load_pid *p = &l->o.pid[i];

		if (!p->seen)
			continue;
		printf("%s{\"name\": \"", sep);
		report_name_json(p->name);
		printf("\", \"pid\": %d, \"cpu_s\": %.6f, "
		       "\"anon_kib_before\": %" PRIu64 ", \"anon_kib_after\": %" PRIu64 ", "
		       "\"pss_kib_before\": %" PRIu64 ", \"pss_kib_after\": %" PRIu64 "}",
		    (int)p->pid, p->after.cpu_s - p->before.cpu_s, p->before.anon_kib,
		    p->after.anon_kib, p->before.pss_kib, p->after.pss_kib);
		sep = ", ";
	}
	printf("]}\n");
}

static void
report_pids(const struct sq_load *l, uint64_t delivered)
{
	double cpu = 0;

	for (unsigned i = 0; i < l->o.npids; i++) {
		const struct sq_load_pid *p = &l->o.pid[i];

		if (!p->seen) {
			printf("%-14s no figures: gone, or not ours to see\n", p->name);
			continue;
		}
		cpu += p->after.cpu_s - p->before.cpu_s;
		printf("%-14s %.2f CPU s, anonymous %" PRIu64 " -> %" PRIu64 " KiB, PSS %" PRIu64
		       " -> %" PRIu64 " KiB\n",
		    p->name, p->after.cpu_s - p->before.cpu_s, p->before.anon_kib,
		    p->after.anon_kib, p->before.pss_kib, p->after.pss_kib);
	}
	if (l->o.npids > 0 && delivered > 0)
		printf("%-14s %.2f CPU s per million deliveries, all of them\n", "",
		    cpu * 1e6 / (double)delivered);
}

static void
report_json(const struct sq_load *l, const struct report *r)
{
	static const char *const modes[] = {"rate", "window", "flood"};
	static const char *const topologies[] = {"pairs", "fanout", "fanin"};
	const struct sq_load_opts *o = &l->o;

	printf("{\"ok\": %s, \"mqtt\": %d, \"qos\": %d, \"topology\": \"%s\", \"mode\": \"%s\", "
	       "\"publishers\": %u, \"subscribers\": %u, \"size\": %zu, \"seconds\": %.3f, ",
	    r->ok ? "true" : "false", o->v5 ? 5 : 3, o->qos, topologies[o->topology],
	    modes[o->mode], o->publishers, o->subscribers, o->size, r->seconds);
	printf("\"sent\": %" PRIu64 ", \"delivered\": %" PRIu64 ", \"acked\": %" PRIu64 ", "
	       "\"sent_per_s\": %.0f, \"delivered_per_s\": %.0f, \"acked_per_s\": %.0f, ",
	    l->count.sent, l->count.delivered, l->count.acked, r->sent_s, r->delivered_s,
	    r->acked_s);
	report_hist_json("latency_us", l->latency);
	report_hist_json("ack_us", l->ack);
	report_hist_json("late_us", l->lateness);
	printf("\"sent_total\": %" PRIu64 ", \"received_total\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"duplicates\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"refused\": %" PRIu64
	       ", \"unacked\": %" PRIu64 ", \"foreign\": %" PRIu64 ", \"redelivered\": %" PRIu64
	       ", \"stalls\": %" PRIu64
	       ", \"longest_gap_us\": %.1f, \"drained\": %s, \"own_cpu\": %.3f, ",
	    r->sent, l->received, r->lost, r->duplicates, r->reordered, l->refused, r->unacked,
	    l->foreign, l->redelivered, l->stalls, us(l->longest_gap),
	    l->drained ? "true" : "false", r->seconds > 0 ? l->own_cpu_s / r->seconds : 0);
	report_pids_json(l);
}

static void
report_table(const struct sq_load *l, const struct report *r)
{
	double own = r->seconds > 0 ? l->own_cpu_s / r->seconds : 0;

	printf("%-14s %.3f s, sent %.0f/s, delivered %.0f/s", "measured", r->seconds, r->sent_s,
	    r->delivered_s);
	if (l->o.qos > 0)
		printf(", acknowledged %.0f/s", r->acked_s);
	putchar('\n');
	report_hist("latency", l->latency);
	report_hist("acknowledged", l->ack);
	report_hist("sent late by", l->lateness);
	printf("%-14s sent %" PRIu64 ", received %" PRIu64 ", lost %" PRIu64 ", duplicates %" PRIu64
	       ", reordered %" PRIu64 "\n",
	    "whole run", r->sent, l->received, r->lost, r->duplicates, r->reordered);
	if (l->refused + r->unacked + l->foreign + l->redelivered + l->stalls > 0)
		printf("%-14s refused %" PRIu64 ", unacknowledged %" PRIu64 ", foreign %" PRIu64
		       ", redelivered %" PRIu64 ", stalls %" PRIu64 "\n",
		    "", l->refused, r->unacked, l->foreign, l->redelivered, l->stalls);
	report_pids(l, l->count.delivered > 0 ? l->count.delivered : l->count.sent);
	printf("%-14s %.0f %% of a core%s\n", "generator", own * 100,
	    own > 0.9 ? ": it may be what limits this" : "");
	if (!r->ok)
		printf("NOT IN ORDER: QoS %d was promised\n", l->o.qos);
}

bool
sq_load_report(struct sq_load *l)
{
	struct report r = report_make(l);

	if (l->o.json)
		report_json(l, &r);
	else
		report_table(l, &r);
	return r.ok;
}

void
sq_load_report_idle(struct sq_load *l)
{
	double took = (double)(l->now - l->connect_start) / 1e9 - 0.5;

	if (l->o.json) {
		printf("{\"ready\": %u, \"seconds\": %.3f, ", l->ready, took);
		report_pids_json(l);
	} else {
		printf("ready: %u clients connected in %.3f s\n", l->ready, took);
		report_pids(l, 0);
		for (unsigned i = 0; i < l->o.npids; i++) {
			const struct sq_load_pid *p = &l->o.pid[i];

			if (p->seen)
				printf("%-14s %.2f KiB a client\n", p->name,
				    ((double)p->after.anon_kib - (double)p->before.anon_kib) /
					l->ready);
		}
	}
	fflush(stdout);
}

void
sq_load_report_filters(struct sq_load *l)
{
	double seconds = (double)(l->till - l->from) / 1e9;

	if (l->o.json) {
		printf("{\"ok\": true, \"drained\": true, \"mqtt\": %d, \"qos\": %d, "
		       "\"filters\": %" PRIu32 ", \"window\": %" PRIu64 ", \"seconds\": %.6f, ",
		    l->o.v5 ? 5 : 3, l->o.qos, l->o.filters, l->o.window, seconds);
		report_hist_json("ack_us", l->ack);
		report_pids_json(l);
		return;
	}
	printf("%-14s %" PRIu32 " filters in %.3f s, %.0f/s\n", "subscribed", l->o.filters, seconds,
	    l->o.filters / seconds);
	report_hist("answered", l->ack);
	report_pids(l, 0);
}
