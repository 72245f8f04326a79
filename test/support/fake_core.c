#include "fake_core.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/broker.h"
#include "broker/port/call.h"
#include "broker/port/outlet.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/crew.h"
#include "web/worker.h"

struct sq_broker fake;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sq_list held = {&held, &held};
static struct sq_msg shared;

struct fake_front_cfg
fake_front_cfg(void)
{
	return (struct fake_front_cfg){
	    .door =
		{
		    .listen = "127.0.0.1:0",
		    .idle_ms = 10000,
		    .move_ms = 1000,
		    .max_connections = 200,
		    .metrics = &sq_broker_metrics,
		},
	    .link =
		{
		    .max_packet = 65536,
		    .heartbeat_ms = 100,
		    .stall_ms = 60000,
		    .metrics = &sq_broker_metrics,
		},
	};
}

struct sq_front *
fake_front_open(const struct fake_front_cfg *from, struct sq_crew *crew, struct sq_buf *err)
{
	struct fake_front_cfg cfg = *from;

	cfg.link.crew = cfg.door.crew = crew;
	cfg.door.services[0] = sq_link_front_open(&cfg.link);
	return sq_door_open(&cfg.door, err);
}

static struct sq_msg
fake_msg(size_t len)
{
	unsigned char *payload = sq_xcalloc(1, len);
	struct sq_msg m = sq_msg_new(1, false, (struct sq_bytes){(const unsigned char *)"t", 1},
	    (struct sq_bytes){NULL, 0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, len});

	free(payload);
	return m;
}

void
fake_start_on(unsigned workers, const struct fake_front_cfg *cfg)
{
	struct sq_buf err = {0};

	shared = fake_msg(10);
	fake.crew = sq_crew_new(workers);
	fake.front = fake_front_open(cfg, fake.crew, &err);
	if (fake.front == NULL) {
		fprintf(stderr, "%.*s\n", (int)sq_buf_len(&err), sq_buf_data(&err));
		abort();
	}
	sq_front_serve(fake.front, &fake);
}

void
fake_start(const struct fake_front_cfg *cfg)
{
	fake_start_on(1, cfg);
}

void
fake_stop(void)
{
	if (fake.front == NULL)
		return;
	sq_front_stop(fake.front);
	fake_release();
	sq_crew_stop(fake.crew);
	sq_crew_free(&fake.crew);
	sq_front_free(&fake.front);
	sq_msg_unref(&shared);
}

static void
fake_put(struct sq_call *c, struct sq_msg m, unsigned n)
{
	struct sq_origin origin = {1, 2, 3, 0};
	uint32_t sub = 7;

	for (unsigned i = 0; i < n; i++) {
		struct sq_target t = {.epoch = c->epoch,
		    .delivery = i + 1,
		    .packet_id = (uint16_t)(i + 1),
		    .flags = 1,
		    .n_subs = 1};

		if (!sq_outlet_writable(c->outlet))
			atomic_store(&fake.blocked, true);
		sq_outlet_deliver(c->outlet, &m, &origin, 60, &t, &sub);
	}
}

/* What a call brings: its body, or the payload of the one message that is published. */
static struct sq_bytes
fake_body(const struct sq_call *c)
{
	if (c->kind == SQ_CALL_PUBLISH)
		return sq_image_payload(c->in.publish.msgs->image);
	return (struct sq_bytes){c->body->bytes, c->body->size};
}

/* With its own body, of which outcomes have the size and, as codes, what they have room for. */
static void
fake_answer(struct sq_call *c)
{
	static const struct sq_published stored = {.how = SQ_PUBLISHED_STORED, .matched = 1};
	size_t size = fake_body(c).len;

	if (c->kind == SQ_CALL_PUBLISH)
		c->out.published = &stored;
	if (c->kind == SQ_CALL_MESSAGES)
		c->out.outcomes = (struct sq_outcomes){.first = size,
		    .n = size < UINT16_MAX ? (uint16_t)size : UINT16_MAX,
		    .codes = c->body->bytes};
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
}

static void
fake_other(struct sq_task *t)
{
	fake_answer(SQ_CONTAINER_OF(t, struct sq_call, task));
}

/* Carries out one word; true when it has answered or kept the call. */
static bool
fake_word(struct sq_call *c, const char *word, unsigned n)
{
	if (strcmp(word, "deliver") == 0) {
		fake_put(c, shared, n);
	} else if (strcmp(word, "single") == 0 || strcmp(word, "big") == 0) {
		for (unsigned i = 0; i < n; i++) {
			struct sq_msg m = fake_msg(word[0] == 'b' ? 65536 : 10);

			fake_put(c, m, 1);
			sq_msg_unref(&m);
		}
	} else if (strcmp(word, "detached") == 0) {
		sq_outlet_detached(c->outlet, c->epoch, 0x8e, NULL);
	} else if (strcmp(word, "hold") == 0) {
		pthread_mutex_lock(&lock);
		sq_list_push_back(&held, &c->node);
		pthread_mutex_unlock(&lock);
		atomic_fetch_add(&fake.held, 1);
		return true;
	} else if (strcmp(word, "other") == 0) {
		c->task.run = fake_other;
		sq_worker_post(
		    sq_crew_workers(fake.crew)[1 - sq_worker_index(sq_worker_self())], &c->task);
		return true;
	} else {
		static const struct {
			const char *word;
			enum sq_verdict verdict;
			enum sq_full full;
		} answers[] = {
		    {"run", SQ_VERDICT_RUN, SQ_FULL_NOT},
		    {"gap", SQ_VERDICT_GAP, SQ_FULL_NOT},
		    {"busy", SQ_VERDICT_BUSY, SQ_FULL_NOT},
		    {"full", SQ_VERDICT_FULL, SQ_FULL_SPACE},
		    {"stale", SQ_VERDICT_SUPERSEDED, SQ_FULL_NOT},
		    {"fail", SQ_VERDICT_FAILED, SQ_FULL_NOT},
		    {"malformed", SQ_VERDICT_MALFORMED, SQ_FULL_NOT},
		};

		for (size_t i = 0; i < SQ_ARRAY_LEN(answers); i++) {
			if (strcmp(word, answers[i].word) != 0)
				continue;
			c->last = 41;
			c->retry_after_s = 3;
			c->full = answers[i].full;
			sq_call_answer(c, answers[i].verdict, NULL);
			return true;
		}
	}
	return false;
}

void
sq_broker_call(struct sq_broker *b, struct sq_call *c)
{
	char text[256], *save, *word;
	struct sq_bytes body;

	atomic_fetch_add(&b->calls, 1);
	if (c->kind == SQ_CALL_ATTACH) {
		c->out.attached = (struct sq_attached){.epoch = 5, .incarnation = 6};
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
		return;
	}
	body = fake_body(c);
	snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.p);
	for (word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
		bool counted = strcmp(word, "deliver") == 0 || strcmp(word, "single") == 0 ||
		    strcmp(word, "big") == 0;
		char *n = counted ? strtok_r(NULL, " ", &save) : NULL;

		if (fake_word(c, word, n != NULL ? (unsigned)atoi(n) : 0))
			return;
	}
	fake_answer(c);
}

void
fake_release(void)
{
	struct sq_list all;

	sq_list_init(&all);
	pthread_mutex_lock(&lock);
	sq_list_splice(&all, &held);
	pthread_mutex_unlock(&lock);
	while (!sq_list_empty(&all)) {
		struct sq_call *c = SQ_LIST_FIRST(&all, struct sq_call, node);

		sq_list_remove(&c->node);
		fake_answer(c);
	}
}

bool
fake_await(const atomic_uint *n, unsigned least)
{
	const struct timespec nap = {0, 1000000};
	uint64_t until = sq_clock_ms() + 10000;

	while (atomic_load(n) < least && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
	return atomic_load(n) >= least;
}

bool
sq_broker_outlet_opens(struct sq_broker *b, struct sq_outlet *l)
{
	return b != NULL && l != NULL;
}

void
sq_broker_outlet_closed(struct sq_broker *b, struct sq_outlet *l)
{
	if (!sq_outlet_open(l))
		atomic_fetch_add(&b->links_closed, 1);
}

void
sq_broker_outlet_writable(struct sq_broker *b, struct sq_outlet *l)
{
	if (sq_outlet_writable(l))
		atomic_fetch_add(&b->writable, 1);
}

void
sq_broker_refused(struct sq_broker *b, const struct sq_refusal_seen *seen)
{
	(void)b;
	(void)seen;
}

/* There are no rules. */
struct sq_acl *
sq_broker_acl(struct sq_broker *b)
{
	(void)b;
	return NULL;
}

/* Nobody asks for replies. */
struct sq_replies *
sq_broker_replies(const struct sq_broker *b)
{
	(void)b;
	return NULL;
}
