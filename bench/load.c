/* A run from its start to its end: connect, warm up, measure, drain, report. */
#include "bench/load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

enum {
	EVENTS = 256,
	HANDSHAKES = 128,     /* at a time */
	SPIN_RATE_MAX = 2000, /* polling costs 1/6 of a core there */
};

static const uint64_t SECOND = 1000000000;
static const uint64_t SETUP_MAX = 20 * SECOND; /* and the time of --connect-rate */
static const uint64_t STALL = SECOND;          /* a QoS 0 window is lost after it */
static const uint64_t QUIET = 2 * SECOND;      /* nothing comes any more */
static const uint64_t LINGER = SECOND / 20;
static const uint64_t WAIT_MAX = SECOND / 10;
static const uint64_t SPIN = 80000; /* timers are late by up to this */

static volatile sig_atomic_t interrupts;

static void
load_interrupt(int sig)
{
	(void)sig;
	if (++interrupts > 2)
		_exit(130);
}

bool
sq_load_interrupted(void)
{
	return interrupts > 0;
}

uint64_t
sq_load_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

bool
sq_load_measuring(const struct sq_load *l)
{
	return l->phase == SQ_LOAD_MEASURE || (l->o.count > 0 && l->phase == SQ_LOAD_DRAIN);
}

bool
sq_load_sending(const struct sq_load *l)
{
	/* What an open loop owes is still sent after its end. */
	return l->phase == SQ_LOAD_WARMUP || l->phase == SQ_LOAD_MEASURE ||
	    (l->phase == SQ_LOAD_DRAIN && l->o.mode == SQ_LOAD_RATE);
}

void
sq_load_pids_before(struct sq_load *l)
{
	for (unsigned i = 0; i < l->o.npids; i++)
		l->o.pid[i].seen = sq_procstat_read(l->o.pid[i].pid, &l->o.pid[i].before) == 0;
}

void
sq_load_pids_after(struct sq_load *l)
{
	for (unsigned i = 0; i < l->o.npids; i++)
		if (sq_procstat_read(l->o.pid[i].pid, &l->o.pid[i].after) < 0)
			l->o.pid[i].seen = false;
}

static unsigned
load_total(const struct sq_load *l)
{
	if (l->o.idle > 0)
		return l->o.idle;
	return (l->o.take > 0 ? 0 : l->o.publishers) + (l->o.raw ? 0 : l->o.subscribers);
}

static uint64_t
load_ns(double seconds)
{
	return (uint64_t)(seconds * 1e9);
}

/* Opens the next connections: subscribers first, all of them ready before the
 * first publisher, so that no message is sent before it is subscribed to. */
static bool
load_connect(struct sq_load *l)
{
	unsigned subs = l->o.raw || l->o.idle > 0 ? 0 : l->o.subscribers;
	unsigned allowed = load_total(l);
	const struct sq_load_addrs *to;
	struct sq_load_conn *c;
	bool pub;

	if (l->o.connect_rate > 0) {
		uint64_t n = (l->now - l->connect_start) * l->o.connect_rate / SECOND + 1;

		if (n < allowed)
			allowed = (unsigned)n;
	}
	while (l->opened < allowed && l->opened - l->ready < HANDSHAKES) {
		if (l->opened >= subs && l->ready < subs)
			break;
		pub = l->o.filters == 0 && l->opened >= subs;
		if (l->o.idle > 0)
			c = &l->idle[l->opened];
		else if (pub)
			c = &l->pub[l->opened - subs].c;
		else
			c = &l->sub[l->opened].c;
		to = pub ? &l->o.pub : &l->o.sub;
		if (!sq_load_conn_open(l, c, &to->at[c->idx % to->n]))
			return false;
		l->opened++;
	}
	return true;
}

static void
load_enter(struct sq_load *l, enum sq_load_phase to)
{
	l->phase = to;
	l->phase_end = 0;
	switch (to) {
	case SQ_LOAD_SETTLE:
		l->phase_end = l->now + load_ns(l->o.settle_s);
		break;
	case SQ_LOAD_WARMUP:
		l->start = l->last_delivery = l->last_progress = l->now;
		l->phase_end = l->now + load_ns(l->o.warmup_s);
		for (unsigned i = 0; i < l->o.publishers; i++)
			sq_load_conn_dirty(l, &l->pub[i].c);
		break;
	case SQ_LOAD_MEASURE:
		sq_load_pids_before(l);
		l->own_cpu_s = sq_procstat_own_s();
		l->now = l->from = sq_load_clock_ns();
		l->last_ack = l->now;
		if (l->o.count == 0)
			l->phase_end = l->till = l->from + load_ns(l->o.duration_s);
		for (unsigned i = 0; i < l->o.publishers && l->o.count > 0; i++)
			l->pub[i].quota = l->pub[i].sent + l->pub[i].due +
			    (l->o.take > 0 ? 0 : l->o.count);
		break;
	case SQ_LOAD_DRAIN:
		if (l->o.count == 0) {
			l->till = l->now;
			l->own_cpu_s = sq_procstat_own_s() - l->own_cpu_s;
			sq_load_pids_after(l);
		}
		l->last_progress = l->now;
		l->phase_end = l->now + load_ns(l->o.drain_s);
		break;
	case SQ_LOAD_LINGER:
		l->phase_end = l->now + LINGER;
		break;
	case SQ_LOAD_SETUP:
	case SQ_LOAD_DONE:
		break;
	}
}

/* Everything sent is acknowledged and has arrived everywhere. */
static bool
load_drained(const struct sq_load *l)
{
	uint64_t sent = 0;

	for (unsigned i = 0; i < l->o.publishers; i++) {
		const struct sq_load_pub *p = &l->pub[i];

		if (p->unacked > 0 || p->due > 0 || p->c.out_at < p->c.out_len)
			return false;
		sent += p->sent - l->o.expect;
	}
	return l->o.pace || l->received >= sent * l->fan;
}

/* All of --count is sent. */
static bool
load_sent(const struct sq_load *l)
{
	for (unsigned i = 0; i < l->o.publishers; i++)
		if (l->pub[i].sent < l->pub[i].quota)
			return false;
	return true;
}

/* The open loop's clock: hands what is due to the publishers in turn. */
static void
load_schedule(struct sq_load *l)
{
	while (l->phase == SQ_LOAD_WARMUP || l->phase == SQ_LOAD_MEASURE) {
		unsigned idx = (unsigned)(l->scheduled % l->o.publishers);
		struct sq_load_pub *p = &l->pub[idx];

		if (p->sent + p->due >= p->quota ||
		    sq_load_pub_time(l, idx, l->scheduled / l->o.publishers) > l->now)
			return;
		p->due++;
		l->scheduled++;
		sq_load_conn_dirty(l, &p->c);
	}
}

static void
load_write_off(struct sq_load *l)
{
	if (l->o.qos > 0 || l->o.mode != SQ_LOAD_WINDOW || !sq_load_sending(l) ||
	    l->now - l->last_delivery < STALL)
		return;
	l->stalls++;
	l->last_delivery = l->now;
	for (unsigned i = 0; i < l->o.publishers; i++)
		sq_load_pub_write_off(l, &l->pub[i]);
}

/* The end of what is measured when messages were counted, not seconds. */
static void
load_stop_count(struct sq_load *l)
{
	if (l->o.count == 0)
		return;
	l->till = l->fan > 0 && l->last_delivery > l->from ? l->last_delivery : l->now;
	l->own_cpu_s = sq_procstat_own_s() - l->own_cpu_s;
	sq_load_pids_after(l);
}

bool
sq_load_step(struct sq_load *l)
{
	bool over = l->phase_end != 0 && l->now >= l->phase_end;

	switch (l->phase) {
	case SQ_LOAD_SETUP:
		if (l->ready == load_total(l) &&
		    (l->fan == 0 || !l->o.raw || l->nsinks == l->o.publishers))
			load_enter(l, SQ_LOAD_SETTLE);
		else if (over || interrupts > 0)
			return sq_load_fail(
			    l, "%u of %u connections came up", l->ready, load_total(l));
		return load_connect(l);
	case SQ_LOAD_SETTLE:
		if (over)
			load_enter(l, SQ_LOAD_WARMUP);
		if (over && l->o.warmup_s <= 0)
			load_enter(l, SQ_LOAD_MEASURE);
		break;
	case SQ_LOAD_WARMUP:
		if (over)
			load_enter(l, SQ_LOAD_MEASURE);
		break;
	case SQ_LOAD_MEASURE:
		if (over || interrupts > 0 || (l->o.count > 0 && load_sent(l)))
			load_enter(l, SQ_LOAD_DRAIN);
		break;
	case SQ_LOAD_DRAIN:
		l->drained = load_drained(l);
		if (l->drained || over || interrupts > 1 || l->now - l->last_progress > QUIET) {
			load_stop_count(l);
			load_enter(l, l->drained ? SQ_LOAD_LINGER : SQ_LOAD_DONE);
		}
		break;
	case SQ_LOAD_LINGER:
		if (over)
			load_enter(l, SQ_LOAD_DONE);
		break;
	case SQ_LOAD_DONE:
		break;
	}
	return true;
}

/* How long nothing will be due, in ns. */
static uint64_t
load_wait(const struct sq_load *l)
{
	uint64_t until = l->now + WAIT_MAX, next;
	unsigned idx;

	if (l->ndirty > 0)
		return 0;
	if (l->phase_end != 0 && l->phase_end < until)
		until = l->phase_end;
	if (l->tick.due != 0 && l->tick.due < until)
		until = l->tick.due;
	if (l->phase == SQ_LOAD_SETUP && l->o.connect_rate > 0)
		until = l->now + SECOND / 1000;
	if (l->o.mode == SQ_LOAD_RATE &&
	    (l->phase == SQ_LOAD_WARMUP || l->phase == SQ_LOAD_MEASURE)) {
		idx = (unsigned)(l->scheduled % l->o.publishers);
		next = sq_load_pub_time(l, idx, l->scheduled / l->o.publishers);
		if (next < until && l->pub[idx].sent + l->pub[idx].due < l->pub[idx].quota) {
			/* Slow schedules are kept to the microsecond by polling. */
			until = next - (l->o.rate <= SPIN_RATE_MAX ? SPIN : 0);
		}
	}
	return until > l->now ? until - l->now : 0;
}

bool
sq_load_turn(struct sq_load *l)
{
	struct epoll_event ev[EVENTS];
	uint64_t wait_ns = load_wait(l);
	struct timespec ts = {(time_t)(wait_ns / SECOND), (long)(wait_ns % SECOND)};
	unsigned n_dirty;
	int n = epoll_pwait2(l->epfd, ev, EVENTS, &ts, NULL);

	if (n < 0 && errno != EINTR)
		return sq_load_fail(l, "epoll: %s", strerror(errno));
	l->now = sq_load_clock_ns();
	for (int i = 0; i < n; i++)
		if (!sq_load_conn_event(l, ev[i].data.ptr, ev[i].events))
			return false;
	l->now = sq_load_clock_ns();
	if (l->o.mode == SQ_LOAD_RATE && l->o.idle == 0)
		load_schedule(l);
	/* A connection with more to write puts itself on the list again. */
	n_dirty = l->ndirty;
	for (unsigned i = 0; i < n_dirty; i++)
		if (!sq_load_conn_flush(l, l->dirty[i]))
			return false;
	l->ndirty -= n_dirty;
	memmove(l->dirty, l->dirty + n_dirty, l->ndirty * sizeof l->dirty[0]);
	return true;
}

static void *
load_calloc(size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size);

	if (p == NULL) {
		fputs("sqmqos-bench: out of memory\n", stderr);
		exit(3);
	}
	return p;
}

/* The same in each run with this prefix: they know each other's messages. */
static uint32_t
load_magic(const char *prefix)
{
	uint32_t h = 2166136261u;

	for (; *prefix != '\0'; prefix++)
		h = (h ^ (unsigned char)*prefix) * 16777619u;
	return h;
}

static void
load_init(struct sq_load *l)
{
	struct rlimit rl;
	unsigned total = load_total(l);

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	prctl(PR_SET_TIMERSLACK, 1UL);
	l->magic = l->o.keep || l->o.resume ? load_magic(l->o.prefix) : (uint32_t)sq_random_u64();
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	l->fan = l->o.subscribers == 0                              ? 0
	    : l->o.topology == SQ_LOAD_PAIRS || l->o.shared != NULL ? 1
								    : l->o.subscribers;
	/* Twice, as a flush may put a connection on the list again. */
	l->dirty = load_calloc(2 * ((size_t)total + l->o.publishers), sizeof *l->dirty);
	l->rbuf_cap = SQ_LOAD_READ + l->o.size;
	l->rbuf = load_calloc(1, l->rbuf_cap);
	l->latency = sq_hist_new();
	l->ack = sq_hist_new();
	l->lateness = sq_hist_new();
	if (l->o.idle > 0) {
		l->idle = load_calloc(total, sizeof *l->idle);
		for (unsigned i = 0; i < total; i++)
			l->idle[i] = (struct sq_load_conn){
			    .kind = l->o.filters > 0 ? SQ_LOAD_FILTERS : SQ_LOAD_IDLE, .idx = i};
		return;
	}
	l->pub = load_calloc(l->o.publishers, sizeof *l->pub);
	l->sub = load_calloc(l->o.subscribers, sizeof *l->sub);
	l->sink = load_calloc(l->o.publishers, sizeof(struct sq_load_conn *));
	if (l->o.shared != NULL)
		l->group = load_calloc(l->o.publishers, sizeof *l->group);
	for (unsigned i = 0; i < l->o.publishers; i++)
		sq_load_pub_init(l, i);
	for (unsigned i = 0; i < l->o.subscribers; i++)
		sq_load_sub_init(l, i);
}

/* Says goodbye, so that the peers forget durable sessions and log no loss. */
static void
load_goodbye(struct sq_load *l, struct sq_load_conn *c)
{
	unsigned char packet[SQ_WIRE_SMALL];
	size_t n;

	if (c->state == SQ_LOAD_READY && !l->o.raw && !c->blocked && c->out_at == c->out_len) {
		n = sq_wire_put_disconnect(packet, l->o.v5, l->o.durable && !l->o.keep);
		(void)!send(c->fd, packet, n, MSG_NOSIGNAL);
	}
	sq_load_conn_close(l, c);
}

static void
load_fini(struct sq_load *l)
{
	for (unsigned i = 0; l->idle != NULL && i < l->o.idle; i++)
		load_goodbye(l, &l->idle[i]);
	for (unsigned i = 0; l->pub != NULL && i < l->o.publishers; i++) {
		load_goodbye(l, &l->pub[i].c);
		free(l->pub[i].tmpl.bytes);
		free(l->pub[i].slot);
		if (l->group != NULL)
			sq_track_fini(&l->group[i]);
	}
	for (unsigned i = 0; l->sub != NULL && i < l->o.subscribers; i++) {
		load_goodbye(l, &l->sub[i].c);
		for (unsigned k = 0; l->sub[i].track != NULL && k < l->o.publishers; k++)
			sq_track_fini(&l->sub[i].track[k]);
		free(l->sub[i].track);
		free(l->sub[i].order);
		free(l->sub[i].held);
		free(l->sub[i].late);
	}
	for (unsigned i = 0; i < l->nsinks; i++) {
		sq_load_conn_close(l, l->sink[i]);
		free(l->sink[i]);
	}
	sq_load_conn_close(l, &l->listener);
	close(l->epfd);
	free(l->idle);
	free(l->pub);
	free(l->sub);
	free(l->sink);
	free(l->group);
	free(l->dirty);
	free(l->rbuf);
	sq_hist_free(&l->latency);
	sq_hist_free(&l->ack);
	sq_hist_free(&l->lateness);
}

static int
load_run(struct sq_load *l)
{
	if (l->o.raw && l->fan > 0 && !sq_load_conn_listen(l, &l->o.sub.at[0]))
		return 3;
	while (l->phase != SQ_LOAD_DONE) {
		if (!sq_load_step(l) || !sq_load_turn(l))
			return 3;
		load_write_off(l);
		sq_load_tick(l);
	}
	return sq_load_report(l) ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static struct sq_load l;
	struct sigaction sa = {.sa_handler = load_interrupt};
	int status;

	sq_load_opts_parse(&l.o, argc, argv);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	load_init(&l);
	l.now = l.connect_start = sq_load_clock_ns();
	l.phase_end = l.now + SETUP_MAX +
	    (l.o.connect_rate > 0 ? load_total(&l) * SECOND / l.o.connect_rate : 0);
	l.till = UINT64_MAX;
	l.from = UINT64_MAX;
	status = l.o.filters > 0 ? sq_load_filters_run(&l)
	    : l.o.idle > 0       ? sq_load_idle_run(&l)
				 : load_run(&l);
	load_fini(&l);
	return status;
}
