#include "broker_world.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker_open.h"
#include "broker/engine/engines/engines.h"
#include "core/mem.h"
#include "store/journal/log_file.h"

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

enum { TICK_MS = 100, STOP_MAX_S = 60 };

static uint64_t instances;

void
world_init(struct world *w)
{
	*w = (struct world){.cfg = {
				.engine = &sq_engine_memory,
				.log = &sq_log_file,
				.max_packet = 65536,
				.grace_ms = 30000,
				.session_expiry_max_s = 7 * 86400,
				.max_inflight = 1000,
				.queue_max_msgs = 1000,
				.queue_max_bytes = 1 << 20,
				.queue_expiry_s = 7 * 86400,
				.queue_expiry_max_s = 30 * 86400,
				.retained_max_msgs = 100,
				.retained_max_bytes = 1 << 20,
				.delayed_max_msgs = 100,
				.delayed_max_bytes = 1 << 20,
				.delayed_max_s = 3600,
				.dead_max_msgs = 100,
				.dead_max_bytes = 1 << 20,
				.key_window_ms = 60000,
				.max_keys = 100,
				.max_sessions = 100,
				.max_subs_per_session = 50,
			    }};
}

void
world_start(struct world *w, unsigned n)
{
	struct sq_buf err = {0};

	fake_workers_init(n);
	w->broker = broker_open(&w->cfg, fake_workers(), n, &err);
	cr_assert_not_null(w->broker);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(w->links); i++)
		w->links[i] = fake_link_new(1);
}

void
world_run(void)
{
	cr_assert(fake_run(), "tasks post themselves for ever");
	fake_self(0);
}

void
world_pass(struct world *w, uint64_t ms)
{
	for (uint64_t end = fake_now() + ms; fake_now() < end;) {
		fake_set_now(fake_now() + TICK_MS < end ? fake_now() + TICK_MS : end);
		for (unsigned i = 0; i < FAKE_WORKERS_MAX && fake_workers()[i] != NULL; i++) {
			fake_self(i);
			sq_broker_tick(w->broker, fake_worker(i));
		}
		world_run();
	}
}

void
world_close_link(struct world *w, unsigned i)
{
	sq_outlet_close(w->links[i]);
	sq_broker_outlet_closed(w->broker, w->links[i]);
	world_run();
}

void
world_relink(struct world *w)
{
	for (unsigned i = 0; i < SQ_ARRAY_LEN(w->links); i++) {
		world_close_link(w, i);
		sq_outlet_unref(&w->links[i]);
		w->links[i] = fake_link_new(1);
	}
}

int64_t
world_metric(enum sq_broker_metric m)
{
	return atomic_load(&sq_broker_metrics.values[m]);
}

static void *
stop_main(void *arg)
{
	struct world *w = arg;

	sq_broker_stop(w->broker);
	return NULL;
}

static time_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Ends the test.  Most worlds stop while their test is torn down, where an assertion that fails is none
 * for Criterion, and a broker that is about to stop can't be freed, nor be stopped again. */
static void
stop_must(bool good, const char *what, int64_t is)
{
	if (good)
		return;
	(void)fprintf(stderr, "at the end of a broker: %s is %lld\n", what, (long long)is);
	abort();
}

void
world_stop(struct world *w)
{
	static const enum sq_broker_metric gauges[] = {SQ_M_SESSIONS, SQ_M_ATTACHED,
	    SQ_M_SUBSCRIPTIONS, SQ_M_GROUPS, SQ_M_GROUPS_DISAGREE, SQ_M_GROUPS_WAIT, SQ_M_RETAINED,
	    SQ_M_QUEUED, SQ_M_QUEUED_BYTES};
	time_t end = seconds() + STOP_MAX_S;
	pthread_t thread;

	world_run();
	for (unsigned i = 0; i < SQ_ARRAY_LEN(w->links); i++)
		sq_outlet_close(w->links[i]);
	pthread_create(&thread, NULL, stop_main, w); /* it blocks, and the workers turn */
	while (pthread_tryjoin_np(thread, NULL) != 0) {
		world_run();
		if (w->stopping != NULL)
			w->stopping();
		stop_must(seconds() < end, "seconds that it has not stopped in", STOP_MAX_S);
		sched_yield();
	}
	world_run();
	sq_broker_free(&w->broker);
	world_run();
	for (size_t i = 0; i < SQ_ARRAY_LEN(gauges); i++)
		stop_must(world_metric(gauges[i]) == 0, sq_broker_metrics.defs[gauges[i]].name,
		    world_metric(gauges[i]));
	for (unsigned i = 0; i < SQ_ARRAY_LEN(w->links); i++)
		sq_outlet_unref(&w->links[i]);
	stop_must(fake_links() == 0, "links that somebody still holds", (int64_t)fake_links());
	if (__lsan_do_recoverable_leak_check != NULL)
		stop_must(__lsan_do_recoverable_leak_check() == 0, "a leak", 1);
}

struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, s != NULL ? strlen(s) : 0};
}

/* Calls. */

static struct fake_call *
peer_call(struct peer *p, enum sq_call_kind kind, struct sq_buf *body)
{
	struct fake_call *fc = fake_call_new(
	    kind, p->key, kind == SQ_CALL_ATTACH ? 0 : p->epoch, p->world->links[p->link], body);

	sq_broker_call(p->world->broker, &fc->call);
	return fc;
}

static bool
call_is_answered(void *arg)
{
	const struct fake_call *fc = arg;

	return fc->answers > 0;
}

/* Runs until it is; an engine with threads of its own takes a while. */
static void
call_await(struct fake_call *fc)
{
	world_run();
	if (fc->answers == 0)
		(void)fake_run_until(call_is_answered, fc);
	fake_self(0);
}

void
call_expect(struct fake_call **cp, unsigned status)
{
	call_await(*cp);
	cr_assert_eq((*cp)->answers, 1, "answered %u times", (*cp)->answers);
	cr_assert_eq(fake_call_status(*cp), status, "status %u instead of %u",
	    fake_call_status(*cp), status);
	fake_call_free(cp);
}

void
call_expect_verdict(struct fake_call **cp, enum sq_verdict verdict)
{
	call_await(*cp);
	cr_assert_eq((*cp)->answers, 1);
	cr_assert_eq((*cp)->call.verdict, verdict, "%s", sq_verdict_row((*cp)->call.verdict)->name);
	fake_call_free(cp);
}

void
call_expect_denied(struct fake_call **cp, enum sq_denied why)
{
	call_await(*cp);
	cr_assert_eq((*cp)->answers, 1);
	cr_assert_eq(fake_call_status(*cp), 403, "status %u", fake_call_status(*cp));
	cr_assert_eq((*cp)->call.denied, why, "denied for %s", sq_denied_name((*cp)->call.denied));
	fake_call_free(cp);
}

static unsigned
call_finish(struct fake_call **cp)
{
	unsigned status;

	call_await(*cp);
	cr_assert_eq((*cp)->answers, 1, "answered %u times", (*cp)->answers);
	status = fake_call_status(*cp);
	fake_call_free(cp);
	return status;
}

/* Attach. */

struct peer
peer_new(struct world *w, const char *key)
{
	struct sq_key k;
	struct peer p = {.world = w,
	    .key = key,
	    .instance = ++instances,
	    .receive_max = 100,
	    .flags = SQ_ATTACH_MQTT5};

	cr_assert_eq(sq_key_decode(text(key), &k), SQ_OK);
	p.expiry_s = k.pod[0] == '\0' ? 3600 : 0;
	for (unsigned lane = 0; lane < SQ_LANES; lane++) {
		p.run[lane] = 1000 * p.instance + lane;
		p.next[lane] = 1;
	}
	return p;
}

struct peer
peer_other(const struct peer *p)
{
	struct peer o = peer_new(p->world, p->key);

	o.link = 1 - p->link;
	return o;
}

struct fake_call *
peer_put(struct peer *p)
{
	struct sq_msg will = {0};
	struct sq_attach a = {
	    .instance = p->instance,
	    .ordinal = p->ordinal,
	    .attempt = ++p->attempt,
	    .link = p->link + 1,
	    .flags = (uint8_t)(p->flags | (p->will != NULL ? SQ_ATTACH_WILL : 0)),
	    .expiry_s = p->expiry_s,
	    .receive_max = p->receive_max,
	    .incarnation = p->incarnation,
	    .will_delay_s = p->will_delay_s,
	    .n_open = p->n_open,
	};
	struct sq_buf body = {0};

	if (p->will != NULL) {
		will = sq_msg_new(p->will_qos, false,
		    text(p->will_topic != NULL ? p->will_topic : "will"), text(""),
		    SQ_MSG_NO_EXPIRY, text(p->will));
		a.will = (struct sq_bytes){will.image, sq_image_size(will.image)};
	}
	sq_attach_encode(&body, &a, p->open);
	if (p->will != NULL)
		sq_msg_unref(&will);
	return peer_call(p, SQ_CALL_ATTACH, &body);
}

static void
peer_take_answer(struct peer *p, const struct sq_buf *out)
{
	struct sq_attached a;

	cr_assert_eq(sq_attached_decode(sq_buf_data(out), sq_buf_len(out),
			 fake_link_version(p->world->links[p->link]), &a),
	    SQ_OK);
	p->epoch = a.epoch;
	if (p->incarnation != a.incarnation) {
		for (unsigned lane = 0; lane < SQ_LANES; lane++) {
			p->run[lane] += 1000000;
			p->next[lane] = a.last[lane] + 1;
		}
	}
	p->incarnation = a.incarnation;
	p->present = a.present;
	p->renewed = a.renewed;
	memcpy(p->last, a.last, sizeof p->last);
	cr_assert_leq(a.n_held, SQ_ARRAY_LEN(p->held));
	p->n_held = a.n_held;
	for (uint16_t i = 0; i < a.n_held; i++)
		p->held[i] = sq_get16(a.held.p + 2u * i);
	cr_assert_leq(a.n_open, SQ_ARRAY_LEN(p->listed));
	p->n_listed = a.n_open;
	for (uint16_t i = 0; i < a.n_open; i++)
		p->listed[i] = sq_open_id_next(&a.open, true);
}

unsigned
peer_attached(struct peer *p, struct fake_call **cp)
{
	call_await(*cp);
	cr_assert_eq((*cp)->answers, 1, "the PUT was answered %u times", (*cp)->answers);
	if (fake_call_status(*cp) == 200)
		peer_take_answer(p, &(*cp)->answer);
	return call_finish(cp);
}

unsigned
peer_attach(struct peer *p)
{
	struct fake_call *c = peer_put(p);

	return peer_attached(p, &c);
}

void
peer_connect(struct peer *p)
{
	unsigned status;

	p->ordinal++;
	p->attempt = 0;
	status = peer_attach(p);
	cr_assert_eq(status, 200, "attach: %u", status);
	cr_assert_eq(peer_credit(p, 1000, 1 << 20), 204);
}

/* Up. */

static void
props_put(struct sq_buf *out, const char *const *props)
{
	for (; props != NULL && *props != NULL; props += 2) {
		sq_buf_u8(out, 0x26);
		for (int i = 0; i < 2; i++) {
			sq_buf_u16(out, (uint16_t)strlen(props[i]));
			sq_buf_append(out, props[i], strlen(props[i]));
		}
	}
}

struct sq_msg
entry_message(const struct entry *e)
{
	struct sq_bytes payload = text(e->payload);
	struct sq_buf props = {0};
	struct sq_msg m;

	if (e->payload_len > 0)
		payload = (struct sq_bytes){sq_xcalloc(1, e->payload_len), e->payload_len};
	props_put(&props, e->props);
	m = sq_msg_new(e->qos, e->retain, text(e->topic), sq_buf_bytes(&props),
	    e->expiry_s > 0 ? e->expiry_s : SQ_MSG_NO_EXPIRY, payload);
	sq_buf_fini(&props);
	if (e->payload_len > 0)
		free((void *)(uintptr_t)payload.p);
	return m;
}

static void
entry_put(struct sq_buf *b, const struct entry *e)
{
	unsigned char head[SQ_ENTRY_HEADER];
	struct sq_msg m;

	sq_entry_header(head, e->topic != NULL ? SQ_ENTRY_MESSAGE : SQ_ENTRY_RELEASE, e->id);
	sq_buf_append(b, head, sizeof head);
	if (e->topic == NULL)
		return;
	m = entry_message(e);
	sq_buf_append(b, m.image, sq_image_size(m.image));
	sq_msg_unref(&m);
}

struct fake_call *
peer_batch(struct peer *p, unsigned lane, uint64_t run, uint64_t first, uint64_t upto,
    const struct entry *entries, uint16_t n)
{
	struct sq_batch batch = {.lane = (uint8_t)lane,
	    .n = n,
	    .run = run,
	    .first = first,
	    .upto = upto,
	    .mark = p->mark};
	unsigned char head[SQ_BATCH_HEADER];
	struct sq_buf body = {0};

	sq_batch_header(head, &batch);
	sq_buf_append(
	    &body, head, sq_batch_header_size(fake_link_version(p->world->links[p->link])));
	for (uint16_t i = 0; i < n; i++)
		entry_put(&body, &entries[i]);
	return peer_call(p, SQ_CALL_MESSAGES, &body);
}

struct fake_call *
peer_post(struct peer *p, unsigned lane, const struct entry *entries, uint16_t n)
{
	uint64_t first = p->next[lane];

	p->next[lane] += n;
	return peer_batch(p, lane, p->run[lane], first, 0, entries, n);
}

uint8_t
call_outcome(const struct fake_call *fc, unsigned i)
{
	struct sq_outcomes out;

	cr_assert_eq(fake_call_status(fc), 200, "%s", sq_verdict_row(fc->call.verdict)->name);
	cr_assert_eq(sq_outcomes_decode(sq_buf_data(&fc->answer), sq_buf_len(&fc->answer),
			 fake_link_version(fc->call.outlet), &out),
	    SQ_OK);
	cr_assert_lt(i, out.n);
	return out.codes[i];
}

uint8_t
peer_send(struct peer *p, const struct entry *e)
{
	unsigned lane = e->topic == NULL || e->qos > 0 || e->retain;
	struct fake_call *fc = peer_post(p, lane, e, 1);
	uint8_t code;

	call_await(fc);
	cr_assert_eq(fc->answers, 1);
	code = call_outcome(fc, 0);
	fake_call_free(&fc);
	return code;
}

uint8_t
peer_publish(struct peer *p, const char *topic, const char *payload, uint8_t qos)
{
	static uint16_t id;
	struct entry e = {
	    .topic = topic, .payload = payload, .qos = qos, .id = qos == 2 ? ++id : 0};
	uint8_t code = peer_send(p, &e);

	if (qos == 2)
		cr_assert_eq(peer_send(p, &(struct entry){.id = id}), 0);
	return code;
}

uint8_t
peer_retain(struct peer *p, const char *topic, const char *payload, uint8_t qos)
{
	return peer_send(
	    p, &(struct entry){.topic = topic, .payload = payload, .qos = qos, .retain = true});
}

/* Subscriptions. */

struct fake_call *
peer_ask(
    struct peer *p, uint32_t mark, uint64_t after_0, uint64_t after_1, const struct sq_sub *sub)
{
	struct sq_subs_head head = {.mark = mark, .after = {after_0, after_1}};
	unsigned version = fake_link_version(p->world->links[p->link]);
	struct sq_buf body = {0};

	sq_subs_head_put(&body, 1, &head, version);
	sq_sub_put(&body, sub, version);
	return peer_call(p, SQ_CALL_SUBSCRIPTIONS, &body);
}

struct fake_call *
peer_sub_post(struct peer *p, const struct sq_sub *sub)
{
	return peer_ask(p, 0, 0, 0, sub);
}

uint8_t
peer_sub(struct peer *p, const struct sq_sub *sub)
{
	struct fake_call *fc = peer_sub_post(p, sub);
	struct sq_codes codes;
	uint8_t code;

	call_await(fc);
	cr_assert_eq(fc->answers, 1);
	cr_assert_eq(fake_call_status(fc), 200, "status %u", fake_call_status(fc));
	cr_assert_eq(sq_codes_decode(sq_buf_data(&fc->answer), sq_buf_len(&fc->answer),
			 fake_link_version(p->world->links[p->link]), &codes),
	    SQ_OK);
	cr_assert_eq(codes.n, 1);
	code = codes.codes[0];
	snprintf(p->note, sizeof p->note, "%.*s", (int)sq_note_find(codes.notes, 0).text.len,
	    (const char *)sq_note_find(codes.notes, 0).text.p);
	fake_call_free(&fc);
	return code;
}

uint8_t
peer_subscribe(struct peer *p, const char *filter, uint8_t options)
{
	return peer_sub(p,
	    &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE, .options = options, .filter = text(filter)});
}

uint8_t
peer_unsubscribe(struct peer *p, const char *filter)
{
	return peer_sub(p, &(struct sq_sub){.op = SQ_SUB_UNSUBSCRIBE, .filter = text(filter)});
}

/* Down. */

/* The next delivery, or answer where 'answers' counts. */
static struct fake_delivery *
next_thing(struct peer *p, bool answers)
{
	struct sq_outlet *l = p->world->links[p->link];

	world_run();
	for (size_t i = 0; i < fake_link_count(l); i++) {
		struct fake_delivery *d = fake_link_at(l, i);

		if (d->taken || d->detached || d->epoch != p->epoch || (d->subscribed && !answers))
			continue;
		d->taken = true;
		return d;
	}
	return NULL;
}

struct fake_delivery *
peer_next(struct peer *p)
{
	return next_thing(p, false);
}

void
peer_expect_answer(struct peer *p, uint32_t mark, uint8_t code)
{
	struct fake_delivery *d = next_thing(p, true);

	cr_assert_not_null(d, "no answer to mark %u", mark);
	cr_assert(d->subscribed, "\"%s\" comes before the answer to mark %u", d->payload, mark);
	cr_assert_eq(d->mark, mark, "mark %u is answered", d->mark);
	cr_assert_eq(d->n_codes, 1);
	cr_assert_eq(d->codes[0], code, "answered 0x%02x", d->codes[0]);
}

struct fake_delivery *
peer_expect(struct peer *p, const char *payload)
{
	struct fake_delivery *d = next_thing(p, true);

	cr_assert_not_null(d, "no delivery of \"%s\"", payload);
	cr_assert(!d->subscribed, "an answer comes before \"%s\"", payload);
	cr_assert_str_eq(d->payload, payload);
	return d;
}

void
peer_expect_nothing(struct peer *p)
{
	struct fake_delivery *d = next_thing(p, true);

	cr_assert_null(d, "an unexpected \"%s\"%s", d->payload, d->subscribed ? ", an answer" : "");
}

uint8_t
peer_detached_reason(struct peer *p, uint64_t epoch)
{
	struct sq_outlet *l = p->world->links[p->link];

	world_run();
	for (size_t i = 0; i < fake_link_count(l); i++) {
		struct fake_delivery *d = fake_link_at(l, i);

		if (d->detached && d->epoch == epoch)
			return d->reason;
	}
	return 0;
}

unsigned
peer_credit(struct peer *p, uint64_t msgs, uint64_t bytes)
{
	struct sq_buf body = {0};
	struct fake_call *fc;

	sq_settlements_header(&body, msgs, bytes);
	fc = peer_call(p, SQ_CALL_SETTLEMENTS, &body);
	return call_finish(&fc);
}

struct fake_call *
peer_settle_post(struct peer *p, enum sq_settle_kind kind, uint64_t delivery, uint16_t n)
{
	struct sq_settle e = {.kind = (uint8_t)kind, .n = n, .delivery = delivery};
	struct sq_buf body = {0};

	sq_settlements_header(&body, 0, 0);
	sq_settle_put(&body, &e);
	return peer_call(p, SQ_CALL_SETTLEMENTS, &body);
}

unsigned
peer_settle(struct peer *p, enum sq_settle_kind kind, uint64_t delivery, uint16_t n)
{
	struct fake_call *fc = peer_settle_post(p, kind, delivery, n);

	return call_finish(&fc);
}

const char *
delivery_prop(const struct fake_delivery *d, const char *name)
{
	static char value[512];
	struct sq_bytes props = sq_image_props(d->msg.image), n, v;

	while (sq_props_user_next(&props, &n, &v)) {
		if (n.len != strlen(name) || memcmp(n.p, name, n.len) != 0)
			continue;
		cr_assert_lt(v.len, sizeof value);
		memcpy(value, v.p, v.len);
		value[v.len] = '\0';
		return value;
	}
	return NULL;
}

/* Detach. */

static struct fake_call *
detach_post(struct peer *p, uint32_t expiry_s, bool will, uint8_t flags)
{
	struct sq_detach d = {.expiry_s = expiry_s,
	    .will = will,
	    .flags = flags,
	    .last = {p->next[0] - 1, p->next[1] - 1}};
	struct sq_buf body = {0};

	sq_detach_encode(&body, &d, fake_link_version(p->world->links[p->link]));
	return peer_call(p, SQ_CALL_DETACH, &body);
}

struct fake_call *
peer_detach_post(struct peer *p, uint32_t expiry_s, bool will)
{
	return detach_post(p, expiry_s, will, 0);
}

unsigned
peer_disconnect(struct peer *p, uint32_t expiry_s)
{
	struct fake_call *fc = detach_post(p, expiry_s, false, SQ_DETACH_QUIET);

	return call_finish(&fc);
}

unsigned
peer_detach(struct peer *p, uint32_t expiry_s, bool will)
{
	struct fake_call *fc = peer_detach_post(p, expiry_s, will);

	return call_finish(&fc);
}
