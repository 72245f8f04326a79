/* A bridge whose peer is away for long, or takes nothing: what waits keeps its order and costs no more
 * than it may, others notice nothing, one line says it, and all of it flows again by itself. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../support/bridges_world.h"
#include "core/mem.h"
#include "core/memory.h"

enum {
	WORKERS = 3,
	LANES = 4,
	MINUTE_MS = 60 * 1000,
	HOUR_MS = 60 * MINUTE_MS,
	GROWS_MAX = 256 << 10, /* bytes that may come and go without a message */
	BACKLOG = 200000,
	BACKLOG_WINDOW = 500,
	BACKLOG_STEP = 2000,      /* messages of a call */
	BACKLOG_DIGITS = 256,     /* of a number, that is bytes of a message: 70 MiB in all */
	BACKLOG_LIMIT = 64 << 20, /* of memory */
	BACKLOG_MEMORY = 32 << 20,
	WAIT_MAX_S = 60,
};

/* What a peer has got, of which lane each message has its number. */
struct gets {
	unsigned next[LANES], n;
	unsigned wrong;    /* out of their order */
	unsigned attempts; /* more than one */
};

static struct fake_peer *b; /* of the bridge "b" */
static struct gets gets;
static unsigned sent[LANES]; /* messages published */

static void
note(void *arg, const struct sq_offered *o)
{
	struct sq_bytes topic = sq_image_topic(o->msg->image);
	struct sq_bytes payload = sq_image_payload(o->msg->image);
	struct gets *g = arg;
	char text[BACKLOG_DIGITS + 1];
	unsigned lane = (unsigned)(topic.p[topic.len - 1] - '0');

	cr_assert(lane < LANES && payload.len < sizeof text);
	memcpy(text, payload.p, payload.len);
	text[payload.len] = '\0';
	g->wrong += strtoul(text, NULL, 10) != g->next[lane];
	g->next[lane]++;
	g->attempts += o->attempt != 1;
	g->n++;
}

static void
begin(void)
{
	b = fake_peer("b");
	fake_peer_watch(b, note, &gets);
}

static void
init(void)
{
	sq_memory_start();
	bridges_world_init(WORKERS);
	begin();
}

static void
fini(void)
{
	bridges_world_fini();
}

TestSuite(bridges_away, .init = init, .fini = fini);

/* What the log has from now on. */

static int
log_capture(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_neq(dup2(fd, STDERR_FILENO), -1);
	return fd;
}

/* Lines in which that is said. */
static unsigned
log_count(int fd, const char *said)
{
	static char text[1 << 20];
	ssize_t len = pread(fd, text, sizeof text - 1, 0);
	unsigned n = 0;

	cr_assert(len >= 0 && len < (ssize_t)sizeof text - 1);
	text[len] = '\0';
	for (const char *at = text; (at = strstr(at, said)) != NULL; at++)
		n++;
	return n;
}

static void
publish(unsigned lane)
{
	char topic[16], payload[16];

	(void)snprintf(topic, sizeof topic, "t/%u", lane);
	(void)snprintf(payload, sizeof payload, "%u", sent[lane]++);
	bridges_publish(topic, payload);
}

static unsigned
sent_in_all(void)
{
	unsigned n = 0;

	for (unsigned lane = 0; lane < LANES; lane++)
		n += sent[lane];
	return n;
}

static uint64_t
count(const char *outcome)
{
	char line[128];

	(void)snprintf(line, sizeof line,
	    "sqmqos_bridge_messages_total{bridge=\"b\",direction=\"out\",outcome=\"%s\"}", outcome);
	return bridges_metric(line);
}

/* Nothing is with the peer or on its way to be settled; what it says is up to a second old. */
static bool
is_idle(void)
{
	const char *json = bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE);

	return strstr(json, "\"inFlight\":0,") != NULL && strstr(json, "\"settling\":0") != NULL;
}

static void
expect_all(void)
{
	cr_assert_eq(gets.n, sent_in_all(), "%u", gets.n);
	cr_expect_eq(gets.wrong, 0);
	cr_expect_eq(bridges_left("b"), 0);
	cr_expect_eq(count("ok"), sent_in_all());
	cr_expect_eq(count("dead"), 0);
	cr_expect(is_idle());
}

/* Hours. */

Test(bridges_away, an_hour_without_a_peer_is_one_line_and_no_attempt)
{
	static const char *const whys[] = {"connection refused", "no route to host"};
	struct fake_peer *other = fake_peer("a");
	char text[2048];
	int log;

	(void)snprintf(text, sizeof text, "%s%s", bridges_out("a", ""),
	    bridges_out("b", "limits: {max-attempts: 1}"));
	bridges_set(text);
	fake_peer_hold(b, true);
	for (unsigned i = 0; i < 3 * LANES; i++)
		publish(i % LANES);
	cr_assert_eq(fake_peer_held(b), (size_t)LANES, "the first one of each lane");
	log = log_capture();
	fake_peer_away(b, true, true);
	for (unsigned minute = 0; minute < 60; minute++) {
		fake_peer_set_why(b, whys[minute % 2]);
		world_pass(&w, MINUTE_MS);
		for (unsigned lane = 0; lane < LANES; lane++)
			publish(lane);
		cr_assert_eq(
		    fake_peer_got(other), sent_in_all(), "the other one waits for nothing");
	}
	cr_expect_eq(fake_peer_offers(b), (size_t)LANES, "it is offered nothing");
	cr_expect_eq(bridges_left("b"), sent_in_all());
	cr_expect_eq(bridges_metric("sqmqos_bridge_up{bridge=\"b\",direction=\"out\"}"), 0U);
	cr_expect_eq(bridges_metric("sqmqos_bridge_up{bridge=\"a\",direction=\"out\"}"), 1U);
	cr_expect(is_idle());
	cr_expect_eq(log_count(log, " bridge/"), 1U, "one line, of both bridges");
	cr_expect_eq(log_count(log, " bridge/b out: the peer is away: "), 1U);
	fake_peer_hold(b, false);
	fake_peer_away(b, false, false);
	world_pass(&w, 1000);
	expect_all();
	cr_expect_eq(gets.attempts, 0, "being away is none");
	cr_expect_eq(log_count(log, " bridge/"), 2U, "and one that it is back");
	cr_expect_eq(log_count(log, " bridge/b out: the peer is there"), 1U);
}

Test(bridges_away, an_hour_of_not_now_is_no_attempt_and_takes_no_more_memory)
{
	const struct sq_offer_end later = {.how = SQ_OFFER_LATER, .after_ms = 5000};
	uint64_t before;

	bridges_set(bridges_out("b", "limits: {max-attempts: 1}"));
	fake_peer_refuse(b, &later);
	for (unsigned i = 0; i < 10 * LANES; i++)
		publish(i % LANES);
	world_pass(&w, 5 * MINUTE_MS);
	before = sq_memory_bytes();
	world_pass(&w, HOUR_MS - 5 * MINUTE_MS);
	cr_expect_leq(sq_memory_bytes(), before + GROWS_MAX);
	cr_expect_leq(fake_peer_offers(b), 10U * LANES * (HOUR_MS / 5000 + 1));
	cr_expect_geq(count("later"), (uint64_t)LANES * HOUR_MS / 10000, "it is asked again");
	cr_expect_eq(gets.n, 0);
	cr_expect_eq(bridges_left("b"), 10U * LANES);
	fake_peer_refuse(b, NULL);
	world_pass(&w, 6000);
	expect_all();
	cr_expect_eq(gets.attempts, 0);
}

/* One that says it has room, and takes nothing, and does not say when it would. */
Test(bridges_away, not_now_without_a_time_is_not_asked_all_the_time)
{
	const struct sq_offer_end later = {.how = SQ_OFFER_LATER};
	const unsigned s = 10, a_second = 10 * (256 + 10 * LANES); /* between rests of 100 ms */

	bridges_set(bridges_out("b", "limits: {max-attempts: 1}"));
	fake_peer_refuse(b, &later);
	for (unsigned i = 0; i < 10 * LANES; i++)
		publish(i % LANES);
	world_pass(&w, s * 1000);
	cr_expect_leq(fake_peer_offers(b), (s + 1) * a_second);
	cr_expect_eq(gets.n, 0);
	fake_peer_refuse(b, NULL);
	world_pass(&w, 1000);
	expect_all();
	cr_expect_eq(gets.attempts, 0);
}

Test(bridges_away, an_hour_of_failures_is_tried_by_the_queues_retry)
{
	const struct sq_offer_end failed = {.how = SQ_OFFER_FAILED, .why = "no"};
	struct fake_peer *other = fake_peer("a");
	char text[2048];
	/* 1 s, 2 s .. 10 min, each at least half of it */
	const uint64_t most = 11 + HOUR_MS / (5 * MINUTE_MS);
	uint64_t before, attempts;
	int log;

	(void)snprintf(text, sizeof text, "%s%s", bridges_out("a", ""), bridges_out("b", ""));
	bridges_set(text);
	log = log_capture();
	fake_peer_refuse(b, &failed);
	for (unsigned i = 0; i < 10 * LANES; i++)
		publish(i % LANES);
	cr_assert_eq(fake_peer_got(other), 10U * LANES);
	world_pass(&w, 5 * MINUTE_MS);
	before = sq_memory_bytes();
	world_pass(&w, HOUR_MS - 5 * MINUTE_MS);
	cr_expect_leq(sq_memory_bytes(), before + GROWS_MAX);
	attempts = count("failed");
	cr_expect_geq(attempts, 8U * LANES);
	cr_expect_leq(attempts, most * LANES, "%llu", (unsigned long long)attempts);
	cr_expect_leq(fake_peer_offers(b), most * 10 * LANES, "those behind it in its lane, too");
	cr_expect_eq(count("ok"), 0);
	cr_expect_eq(count("dead"), 0, "attempts are not bounded");
	cr_expect_eq(bridges_left("b"), 10U * LANES);
	cr_expect_not_null(
	    strstr(bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE), "\"lastError\":\"no\""));
	cr_expect_eq(log_count(log, " bridge/"), 1U, "one line, of both bridges");
	cr_expect_eq(log_count(log,
			 " bridge/b out: a message has failed at the peer, and is tried again: no"),
	    1U);
	fake_peer_refuse(b, NULL);
	world_pass(&w, 10 * MINUTE_MS + 1000);
	expect_all();
	cr_expect_eq(gets.attempts, LANES, "the first one of each lane");
	cr_expect_eq(log_count(log, " bridge/"), 2U, "and one that it takes them again");
	cr_expect_eq(log_count(log, " bridge/b out: the peer takes messages again"), 1U);
}

/* A peer that fails each second message, for ten minutes. */
Test(bridges_away, a_peer_that_fails_now_and_then_does_not_fill_the_log)
{
	const struct sq_offer_end failed = {.how = SQ_OFFER_FAILED, .why = "no"};
	const unsigned minutes = 10;
	int log;

	bridges_set(bridges_out("b", ""));
	log = log_capture();
	for (unsigned i = 0; i < minutes * 6; i++) {
		fake_peer_refuse(b, i % 2 == 0 ? &failed : NULL);
		publish(i % LANES);
		world_pass(&w, 10 * 1000);
	}
	cr_expect_geq(log_count(log, "a message has failed"), 2U);
	cr_expect_leq(log_count(log, "a message has failed"), minutes);
	cr_expect_leq(log_count(log, "takes messages again"), minutes);
}

/* A backlog, on files. */

static void
init_on_files(void)
{
	sq_memory_start();
	bridges_world_init_on_files(1, BACKLOG, UINT64_C(256) << 20);
	begin();
}

TestSuite(bridges_backlog, .init = init_on_files, .fini = fini);

static time_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Lets time pass until it is so; the store takes its own. */
static void
await(bool (*over)(void))
{
	time_t end = seconds() + WAIT_MAX_S;

	while (!over()) {
		cr_assert_lt(seconds(), end, "it is never so");
		world_pass(&w, 100);
		sched_yield();
	}
}

static struct fake_publish *posted;

static bool
is_answered(void)
{
	return posted->answers > 0;
}

static void
publish_many(unsigned n)
{
	struct entry *e = sq_xcalloc(n, sizeof *e);
	char(*texts)[2][BACKLOG_DIGITS + 1] = sq_xcalloc(n, sizeof *texts);
	const struct sq_published *outcomes;

	for (unsigned i = 0; i < n; i++) {
		unsigned lane = i % LANES;

		(void)snprintf(texts[i][0], sizeof texts[i][0], "t/%u", lane);
		(void)snprintf(
		    texts[i][1], sizeof texts[i][1], "%0*u", BACKLOG_DIGITS, sent[lane]++);
		e[i] = (struct entry){.topic = texts[i][0], .payload = texts[i][1], .qos = 1};
	}
	posted = publisher_post(&http, e, (uint16_t)n);
	await(is_answered);
	outcomes = publish_outcomes(posted);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(outcomes[i].how, SQ_PUBLISHED_STORED);
	publish_free(&posted);
	free(texts);
	free(e);
}

static bool
is_open(void)
{
	return fake_peer_opened(b, SQ_BRIDGE_OUT) > 0;
}

static bool
has_some(void)
{
	return fake_peer_held(b) > 0;
}

static bool
has_none(void)
{
	return fake_peer_held(b) == 0;
}

static bool
has_all(void)
{
	return gets.n >= sent_in_all() && bridges_left("b") == 0;
}

Test(bridges_backlog, waits_on_disk_and_comes_in_order)
{
	uint64_t before;
	char more[128];
	size_t offers;

	(void)snprintf(more, sizeof more, "window: %u, limits: {max-attempts: 1}", BACKLOG_WINDOW);
	bridges_set(bridges_out("b", more));
	await(is_open);
	fake_peer_hold(b, true);
	publish_many(BACKLOG_STEP);
	await(has_some);
	before = sq_memory_bytes();
	sq_memory_limit_set(before + BACKLOG_LIMIT);
	fake_peer_away(b, true, true);
	await(has_none);
	offers = fake_peer_offers(b);
	for (unsigned i = 1; i < BACKLOG / BACKLOG_STEP; i++)
		publish_many(BACKLOG_STEP);
	world_pass(&w, 1000);
	cr_expect_leq(sq_memory_bytes(), before + BACKLOG_MEMORY);
	cr_expect_eq(fake_peer_offers(b), offers, "it is offered nothing");
	cr_expect_eq(bridges_left("b"), BACKLOG);
	cr_expect(is_idle());
	fake_peer_hold(b, false);
	fake_peer_away(b, false, false);
	await(has_all);
	cr_expect_leq(fake_peer_held_most(b), BACKLOG_WINDOW);
	cr_expect_eq(gets.attempts, 0);
	await(is_idle);
	expect_all();
	sq_memory_limit_set(0);
}
