/* broker/port/front.h, outlet.h and verdict.h: the same cases by each front, on a broker with real
 * workers, have the same verdicts.  The fronts: links (broker/front/link), and peers in the
 * process (test/support/local_front.h). */
#include <criterion/criterion.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/broker_open.h"
#include "../support/h2_client.h"
#include "../support/local_front.h"
#include "../support/token_line.h"
#include "broker/auth/auth.h"
#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/engine/memory/memory.h"
#include "broker/front/door/door.h"
#include "broker/front/link/front.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/crew.h"
#include "web/worker.h"

enum {
	WAIT_MS = 10000,
	BODY = 64 << 10,
	LARGE = 60000, /* bytes of a payload, of which an outlet is full soon */
	KEPT = 256,
};

#define DURABLE "s~work~c" /* a session of the space that the peers may name */

/* What an outlet has brought. */
struct put {
	enum { PUT_NONE, PUT_DELIVERY, PUT_DETACHED, PUT_SUBSCRIBED } what;
	uint64_t epoch, delivery;
	uint32_t mark;
	uint8_t reason; /* of PUT_DETACHED; the first code of PUT_SUBSCRIBED */
	char payload[64];
};

/* A request that is under way. */
struct asked {
	struct h2_response *response;
	struct fake_call *call;
	enum sq_call_kind kind;
	unsigned char body[BODY];
	char path[256];
};

/* What a good answer says. */
struct said {
	uint64_t epoch; /* to an attach */
	uint8_t code;   /* the first one, to messages and to Subscriptions without a mark */
};

struct peer;

/* How the test acts as a peer of a front. */
struct driver {
	struct sq_front *(*open)(void);
	bool (*connect)(struct peer *); /* false: the front takes no more */
	void (*post)(struct peer *, struct asked *, enum sq_call_kind, const char *key,
	    uint64_t epoch, struct sq_buf *body);
	enum sq_verdict (*await)(struct peer *, struct asked *, struct said *);
	bool (*take)(struct peer *, struct put *);
	/* Whether all kept subscriptions have come, "filter options identifier" each, in a line. */
	bool (*kept)(struct peer *, char text[KEPT]);
	bool (*moved)(struct peer *);
	void (*lose)(struct peer *); /* its outlet closes; the peer may go on to ask */
	void (*close)(struct peer *);
};

struct peer {
	uint64_t link, instance, epoch;
	struct h2_client *client;
	struct h2_response *deliveries;
	size_t read; /* of the deliveries */
	bool draining;
	char kept[KEPT];
	struct local_peer *local;
};

static const struct driver *driver;
static struct sq_crew *crew;
static struct sq_broker *broker;
static struct sq_front *front;
static struct sq_auth *auth;
static const struct sq_identity *who;
static struct peer peers[4];

/* --- links --- */

static struct sq_front *
link_front_open(void)
{
	const struct sq_link_front_cfg link = {
	    .crew = crew,
	    .max_packet = 65536,
	    .max_inflight = 100,
	    .stall_ms = 60000,
	    .metrics = &sq_broker_metrics,
	};
	const struct sq_door_cfg cfg = {
	    .listen = "127.0.0.1:0",
	    .auth = auth,
	    .crew = crew,
	    .idle_ms = 10000,
	    .move_ms = 10000,
	    .max_connections = 100,
	    .metrics = &sq_broker_metrics,
	    .services = {sq_link_front_open(&link)},
	};
	struct sq_buf err = {0};
	struct sq_front *f = sq_door_open(&cfg, &err);

	cr_assert_not_null(f, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	return f;
}

static bool
link_connect(struct peer *p)
{
	static char path[SQ_ARRAY_LEN(peers)][64];
	char *at = path[p - peers];

	p->client = h2_open(sq_front_port(front), NULL);
	if (p->client == NULL)
		return false;
	h2_token(p->client, "sesame");
	h2_version(p->client, "2");
	snprintf(at, sizeof path[0], "/v1/links/%016llx/deliveries", (unsigned long long)p->link);
	p->deliveries = h2_start(p->client, "GET", at, NULL, 0);
	return h2_body(p->client, p->deliveries, 5) && p->deliveries->status == 200;
}

static void
link_post(struct peer *p, struct asked *a, enum sq_call_kind kind, const char *key, uint64_t epoch,
    struct sq_buf *body)
{
	static const char *const leaves[] = {
	    [SQ_CALL_MESSAGES] = "messages",
	    [SQ_CALL_SETTLEMENTS] = "settlements",
	    [SQ_CALL_SUBSCRIPTIONS] = "subscriptions",
	    [SQ_CALL_DETACH] = "detach",
	};
	size_t len = sq_buf_len(body);

	cr_assert_leq(len, sizeof a->body);
	if (len > 0)
		memcpy(a->body, sq_buf_data(body), len);
	sq_buf_fini(body);
	a->kind = kind;
	if (kind == SQ_CALL_ATTACH)
		snprintf(a->path, sizeof a->path, "/v1/sessions/%s", key);
	else
		snprintf(a->path, sizeof a->path, "/v1/sessions/%s/%s?epoch=%016llx", key,
		    leaves[kind], (unsigned long long)epoch);
	a->response = h2_start(
	    p->client, kind == SQ_CALL_ATTACH ? "PUT" : "POST", a->path, a->body, len);
}

static bool
link_says(const struct h2_response *r, const char *text)
{
	return memmem(sq_buf_data(&r->body), sq_buf_len(&r->body), text, strlen(text)) != NULL;
}

/* The verdict that a response says. */
static enum sq_verdict
link_verdict(const struct h2_response *r)
{
	if (r->status == 200 || r->status == 204)
		return SQ_VERDICT_OK;
	if (r->status == 503)
		return link_says(r, "draining")         ? SQ_VERDICT_DRAINING
		    : link_says(r, "on their way back") ? SQ_VERDICT_RECOVERING
							: SQ_VERDICT_BUSY;
	if (r->status == 409) {
		const char *words[] = {"epoch", "run", "gap", "superseded"};

		for (unsigned i = 0; i < SQ_ARRAY_LEN(words); i++)
			if (strcmp(r->conflict, words[i]) == 0)
				return (enum sq_verdict)(SQ_VERDICT_EPOCH + i);
	}
	for (unsigned v = 0; v < SQ_VERDICT_COUNT; v++)
		if (sq_verdict_row((enum sq_verdict)v)->http == r->status)
			return (enum sq_verdict)v;
	cr_assert_fail("status %u", r->status);
	return SQ_VERDICT_COUNT;
}

static void
link_said(const struct asked *a, struct said *out)
{
	const unsigned char *p = sq_buf_data(&a->response->body);
	size_t len = sq_buf_len(&a->response->body);
	struct sq_attached attached;
	struct sq_outcomes outcomes;
	struct sq_codes codes;

	switch (a->kind) {
	case SQ_CALL_ATTACH:
		cr_assert_eq(sq_attached_decode(p, len, SQ_LINK_VERSION, &attached), SQ_OK);
		out->epoch = attached.epoch;
		break;
	case SQ_CALL_MESSAGES:
		cr_assert_eq(sq_outcomes_decode(p, len, SQ_LINK_VERSION, &outcomes), SQ_OK);
		out->code = outcomes.codes[0];
		break;
	case SQ_CALL_SUBSCRIPTIONS:
		cr_assert_eq(sq_codes_decode(p, len, SQ_LINK_VERSION, &codes), SQ_OK);
		out->code = codes.codes[0];
		break;
	default:
		cr_assert_fail("a body without a meaning");
	}
}

static enum sq_verdict
link_await(struct peer *p, struct asked *a, struct said *out)
{
	cr_assert(h2_finish(p->client, a->response));
	if (a->response->status == 200)
		link_said(a, out);
	return link_verdict(a->response);
}

static void
put_delivery(struct put *out, const struct sq_deliver *d)
{
	struct sq_bytes targets = d->targets, payload = sq_image_payload(d->image);
	struct sq_target t = sq_target_next(&targets);

	cr_assert_eq(d->n, 1);
	*out = (struct put){.what = PUT_DELIVERY, .epoch = t.epoch, .delivery = t.delivery};
	snprintf(
	    out->payload, sizeof out->payload, "%.*s", (int)payload.len, (const char *)payload.p);
}

static void
put_kept(struct peer *p, const struct sq_frame *f)
{
	struct sq_bytes entries = f->kept;

	cr_assert_eq(f->epoch, p->epoch);
	for (unsigned i = 0; i < f->n_kept; i++) {
		struct sq_kept k = sq_kept_next(&entries);
		size_t at = strlen(p->kept);

		snprintf(p->kept + at, sizeof p->kept - at, "%.*s %u %u\n", (int)k.filter.len,
		    (const char *)k.filter.p, k.options, (unsigned)k.sub_id);
	}
	if (f->last_kept)
		strncat(p->kept, ".\n", sizeof p->kept - strlen(p->kept) - 1);
}

/* What a frame says; false: nothing that counts here. */
static bool
put_frame(struct peer *p, const struct sq_frame *f, struct put *out)
{
	switch (f->type) {
	case SQ_FRAME_DELIVER:
		put_delivery(out, &f->deliver);
		return true;
	case SQ_FRAME_DETACHED:
		*out = (struct put){.what = PUT_DETACHED, .epoch = f->epoch, .reason = f->reason};
		return true;
	case SQ_FRAME_SUBSCRIBED:
		*out = (struct put){.what = PUT_SUBSCRIBED,
		    .epoch = f->epoch,
		    .mark = f->mark,
		    .reason = f->codes[0]};
		return true;
	case SQ_FRAME_DRAINING:
		p->draining = true;
		return false;
	case SQ_FRAME_KEPT:
		put_kept(p, f);
		return false;
	default:
		return false;
	}
}

static bool
link_take(struct peer *p, struct put *out)
{
	struct sq_frame f;
	size_t used;

	h2_turn(p->client, 1);
	while (sq_frame_decode(sq_buf_data(&p->deliveries->body) + p->read,
		   sq_buf_len(&p->deliveries->body) - p->read, 1 << 20, &f, &used) == SQ_OK) {
		p->read += used;
		if (put_frame(p, &f, out))
			return true;
	}
	return false;
}

/* Whether the last line is there. */
static bool
kept_ends(const char *text)
{
	size_t len = strlen(text);

	return len >= 2 && strcmp(text + len - 2, ".\n") == 0;
}

static bool
link_kept(struct peer *p, char text[KEPT])
{
	struct put none;

	while (!kept_ends(p->kept) && link_take(p, &none))
		continue;
	snprintf(text, KEPT, "%s", p->kept);
	return kept_ends(text);
}

static bool
link_moved(struct peer *p)
{
	struct put none;

	while (!p->draining && link_take(p, &none))
		continue;
	return p->draining;
}

static void
link_lose(struct peer *p)
{
	h2_reset(p->client, p->deliveries);
	h2_turn(p->client, 1);
}

static void
link_close(struct peer *p)
{
	h2_close(&p->client);
}

static const struct driver link_driver = {link_front_open, link_connect, link_post, link_await,
    link_take, link_kept, link_moved, link_lose, link_close};

/* --- local peers --- */

static struct sq_front *
local_open(void)
{
	return local_front_open(crew);
}

static bool
local_connect(struct peer *p)
{
	p->local = local_peer_open(front, who);
	return p->local != NULL;
}

static void
local_post(struct peer *p, struct asked *a, enum sq_call_kind kind, const char *key, uint64_t epoch,
    struct sq_buf *body)
{
	a->call = local_peer_post(p->local, kind, key, epoch, body);
}

static void
local_said(const struct sq_call *c, struct said *out)
{
	if (c->kind == SQ_CALL_ATTACH)
		out->epoch = c->out.attached.epoch;
	else if (c->kind == SQ_CALL_MESSAGES)
		out->code = c->out.outcomes.codes[0];
	else if (c->kind == SQ_CALL_SUBSCRIPTIONS && c->in.subs.head.mark == 0)
		out->code = c->out.codes.codes[0];
}

static enum sq_verdict
local_await(struct peer *p, struct asked *a, struct said *out)
{
	enum sq_verdict v;

	(void)p;
	local_call_await(a->call);
	v = a->call->call.verdict;
	if (v == SQ_VERDICT_OK)
		local_said(&a->call->call, out);
	fake_call_free(&a->call);
	return v;
}

static bool
local_take(struct peer *p, struct put *out)
{
	struct fake_delivery d;

	if (!local_peer_take(p->local, &d))
		return false;
	*out = (struct put){.what = d.detached ? PUT_DETACHED
		: d.subscribed                 ? PUT_SUBSCRIBED
					       : PUT_DELIVERY,
	    .epoch = d.epoch,
	    .delivery = d.delivery,
	    .mark = d.mark,
	    .reason = d.subscribed ? d.codes[0] : d.reason};
	memcpy(out->payload, d.payload, sizeof out->payload);
	return true;
}

static bool
local_kept(struct peer *p, char text[KEPT])
{
	local_peer_kept(p->local, text, KEPT);
	return kept_ends(text);
}

static bool
local_moved(struct peer *p)
{
	return local_peer_moved(p->local);
}

static void
local_lose(struct peer *p)
{
	local_peer_lose(p->local);
}

static void
local_close(struct peer *p)
{
	local_peer_lose(p->local);
	local_peer_free(&p->local);
}

static const struct driver local_driver = {local_open, local_connect, local_post, local_await,
    local_take, local_kept, local_moved, local_lose, local_close};

/* --- the broker, on a memory engine that is not always well --- */

static struct sq_engine_ops engine_ops;
static atomic_bool engine_sick, engine_full; /* commits fail; nothing new is taken */

static struct sq_engine *
engine_open(const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	struct sq_engine *e = sq_engine_memory.open(cfg, err);

	e->ops = &engine_ops;
	return e;
}

static bool
engine_is_full(const struct sq_engine *e)
{
	(void)e;
	return atomic_load(&engine_full);
}

static void
commit_failed(struct sq_task *t)
{
	struct sq_txn *txn = SQ_CONTAINER_OF(t, struct sq_txn, task);

	txn->done(txn, SQ_EIO);
}

static void
engine_commit(struct sq_txn *txn)
{
	if (!atomic_load(&engine_sick)) {
		sq_engine_memory.txn.commit(txn);
		return;
	}
	txn->task.run = commit_failed;
	sq_worker_post(txn->worker, &txn->task);
}

static const struct sq_engine_ops *
start_engine(void)
{
	engine_ops = sq_engine_memory;
	engine_ops.open = engine_open;
	engine_ops.full = engine_is_full;
	engine_ops.txn.commit = engine_commit;
	atomic_store(&engine_sick, false);
	atomic_store(&engine_full, false);
	return &engine_ops;
}

static void
start_auth(void)
{
	const char *spaces[] = {"s"};
	struct sq_buf line = {0};
	char path[] = "/tmp/sq_test_front_XXXXXX";
	int fd = mkstemp(path);

	token_line(&line, "web", "s", "sesame");
	cr_assert_eq(write(fd, sq_buf_data(&line), sq_buf_len(&line)), sq_buf_len(&line));
	close(fd);
	sq_buf_fini(&line);
	auth = sq_auth_new(&(struct sq_auth_cfg){.tokens_file = path}, NULL);
	unlink(path);
	who = sq_identity_new(
	    &(struct sq_identity){.id = 7, .name = "token:web", .spaces = spaces, .n_spaces = 1});
}

static void
start(const struct driver *with)
{
	struct sq_broker_cfg cfg = {.engine = start_engine(),
	    .max_packet = 65536,
	    .grace_ms = 30000,
	    .session_expiry_max_s = 3600,
	    .max_inflight = 100,
	    .queue_max_msgs = 1000,
	    .queue_max_bytes = 64 << 20,
	    .recovery_ms = 60000,
	    .retained_max_msgs = 100,
	    .retained_max_bytes = 1 << 20,
	    .key_window_ms = 60000,
	    .max_keys = 100,
	    .max_sessions = 3,
	    .max_will = 64,
	    .max_subs_per_session = 50,
	    .limits = sq_limits_unsaid};
	struct sq_buf err = {0};

	driver = with;
	cfg.limits.client_id = 16;
	start_auth();
	crew = sq_crew_new(2);
	front = driver->open();
	sq_crew_hold(crew);
	broker = broker_open(&cfg, sq_crew_workers(crew), 2, &err);
	sq_crew_go(crew);
	cr_assert_not_null(broker);
	sq_front_serve(front, broker);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(peers); i++)
		peers[i] = (struct peer){.link = i + 1, .instance = i + 1};
}

static void
stop(void)
{
	cr_assert(sq_front_idle(front));
	sq_front_stop(front);
	sq_broker_stop(broker);
	sq_crew_stop(crew);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(peers); i++)
		if (peers[i].client != NULL || peers[i].local != NULL)
			driver->close(&peers[i]);
	sq_broker_free(&broker);
	sq_crew_free(&crew);
	sq_front_free(&front);
	sq_auth_free(&auth);
	sq_identity_unref(&who);
	cr_assert_eq(fake_links(), 0);
}

/* --- what peers say --- */

static struct peer *
connected(unsigned i)
{
	cr_assert(driver->connect(&peers[i]));
	return &peers[i];
}

static enum sq_verdict
ask(struct peer *p, enum sq_call_kind kind, const char *key, uint64_t epoch, struct sq_buf *body,
    struct said *out)
{
	struct asked a = {0};

	driver->post(p, &a, kind, key, epoch, body);
	return driver->await(p, &a, out);
}

/* The same of the durable session, which refuses no entry. */
static enum sq_verdict
tell(struct peer *p, enum sq_call_kind kind, uint64_t epoch, struct sq_buf *body)
{
	struct said said = {0};
	enum sq_verdict v = ask(p, kind, DURABLE, epoch, body, &said);

	cr_assert_lt(said.code, 0x80);
	return v;
}

static enum sq_verdict
attach_with(struct peer *p, const char *key, const struct sq_attach *more)
{
	struct sq_attach a = *more;
	struct sq_buf body = {0};
	struct said said = {0};
	enum sq_verdict v;

	a.instance = p->instance;
	a.ordinal = a.attempt = 1;
	a.link = p->link;
	a.expiry_s = 600;
	a.receive_max = 10;
	sq_attach_encode(&body, &a, NULL);
	v = ask(p, SQ_CALL_ATTACH, key, 0, &body, &said);
	if (v == SQ_VERDICT_OK) {
		cr_assert_neq(said.epoch, 0);
		p->epoch = said.epoch;
	}
	return v;
}

static enum sq_verdict
attach(struct peer *p, const char *key)
{
	return attach_with(p, key, &(struct sq_attach){.flags = SQ_ATTACH_MQTT5});
}

/* A batch of one message of QoS 1. */
static struct sq_buf
batch(uint64_t run, uint64_t first, const char *payload)
{
	struct sq_batch b = {.lane = 1, .n = 1, .run = run, .first = first};
	unsigned char head[SQ_BATCH_HEADER], entry[SQ_ENTRY_HEADER];
	struct sq_msg m = sq_msg_new(1, false, sq_bytes_of("t"), (struct sq_bytes){0},
	    SQ_MSG_NO_EXPIRY, sq_bytes_of(payload));
	struct sq_buf body = {0};

	sq_batch_header(head, &b);
	sq_entry_header(entry, SQ_ENTRY_MESSAGE, 0);
	sq_buf_append(&body, head, sizeof head);
	sq_buf_append(&body, entry, sizeof entry);
	sq_buf_append(&body, m.image, sq_image_size(m.image));
	sq_msg_unref(&m);
	return body;
}

static enum sq_verdict
publish(struct peer *p, uint64_t run, uint64_t first, const char *payload)
{
	struct sq_buf body = batch(run, first, payload);

	return tell(p, SQ_CALL_MESSAGES, p->epoch, &body);
}

static enum sq_verdict
subscribe_at(struct peer *p, uint32_t mark, uint8_t qos)
{
	struct sq_subs_head head = {.mark = mark};
	struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE, .options = qos, .filter = sq_bytes_of("t")};
	struct sq_buf body = {0};

	sq_subs_head_put(&body, 1, &head, SQ_LINK_VERSION);
	sq_sub_put(&body, &sub, SQ_LINK_VERSION);
	return tell(p, SQ_CALL_SUBSCRIPTIONS, p->epoch, &body);
}

static enum sq_verdict
subscribe(struct peer *p, uint32_t mark)
{
	return subscribe_at(p, mark, 1);
}

static enum sq_verdict
settle(struct peer *p, uint64_t credit, uint64_t delivery)
{
	struct sq_settle e = {.kind = SQ_SETTLE_ACK, .n = 1, .delivery = delivery};
	struct sq_buf body = {0};

	sq_settlements_header(&body, credit, credit * 1000);
	if (delivery != 0)
		sq_settle_put(&body, &e);
	return tell(p, SQ_CALL_SETTLEMENTS, p->epoch, &body);
}

static enum sq_verdict
detach(struct peer *p)
{
	struct sq_detach d = {.expiry_s = 600};
	struct sq_buf body = {0};

	sq_detach_encode(&body, &d, SQ_LINK_VERSION);
	return tell(p, SQ_CALL_DETACH, p->epoch, &body);
}

/* The next thing that is put. */
static struct put
next(struct peer *p)
{
	const struct timespec nap = {0, 1000000};
	uint64_t until = sq_clock_ms() + WAIT_MS;
	struct put out = {PUT_NONE};

	while (!driver->take(p, &out) && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
	return out;
}

static bool
moved(struct peer *p)
{
	const struct timespec nap = {0, 1000000};
	uint64_t until = sq_clock_ms() + WAIT_MS;

	while (!driver->moved(p) && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
	return driver->moved(p);
}

#define EXPECT(what, symbol) \
	do { \
		enum sq_verdict v_ = (what); \
		cr_assert_eq(v_, SQ_VERDICT_##symbol, "%s", sq_verdict_row(v_)->name); \
	} while (0)

/* A case runs by each front. */
#define CASE(name) \
	static void name(void); \
	Test(front_contract, link_##name, .timeout = 60) \
	{ \
		start(&link_driver); \
		name(); \
		stop(); \
	} \
	Test(front_contract, local_##name, .timeout = 60) \
	{ \
		start(&local_driver); \
		name(); \
		stop(); \
	} \
	static void name(void)

/* --- cases --- */

CASE(a_message_comes_back_and_is_settled)
{
	struct peer *p = connected(0);
	struct put d;

	EXPECT(attach(p, DURABLE), OK);
	EXPECT(subscribe(p, 0), OK);
	EXPECT(settle(p, 10, 0), OK);
	EXPECT(publish(p, 5, 1, "hello"), OK);
	d = next(p);
	cr_assert_eq(d.what, PUT_DELIVERY);
	cr_assert_eq(d.epoch, p->epoch);
	cr_assert_str_eq(d.payload, "hello");
	EXPECT(settle(p, 10, d.delivery), OK);
	EXPECT(publish(p, 5, 1, "hello"), OK); /* known: the same answer */
	EXPECT(publish(p, 5, 2, "again"), OK);
	d = next(p);
	cr_assert_str_eq(d.payload, "again");
	EXPECT(detach(p), OK);
	EXPECT(publish(p, 5, 3, "late"), EPOCH);
}

CASE(the_answer_to_a_marked_subscription_comes_by_the_outlet)
{
	struct peer *p = connected(0);
	struct put d;

	EXPECT(attach(p, DURABLE), OK);
	EXPECT(subscribe(p, 1), OK);
	d = next(p);
	cr_assert_eq(d.what, PUT_SUBSCRIBED);
	cr_assert_eq(d.mark, 1);
	cr_assert_eq(d.reason, 1);
}

CASE(a_body_that_does_not_read_is_malformed)
{
	const enum sq_call_kind kinds[] = {
	    SQ_CALL_MESSAGES, SQ_CALL_SETTLEMENTS, SQ_CALL_SUBSCRIPTIONS, SQ_CALL_DETACH};
	struct peer *p = connected(0);
	struct sq_buf junk = {0};

	sq_buf_append(&junk, "junk", 4);
	EXPECT(tell(p, SQ_CALL_ATTACH, 0, &junk), MALFORMED);
	EXPECT(attach(p, DURABLE), OK);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(kinds); i++) {
		sq_buf_append(&junk, "j", 1);
		EXPECT(tell(p, kinds[i], p->epoch, &junk), MALFORMED);
	}
}

CASE(another_space_is_denied)
{
	struct peer *p = connected(0);

	EXPECT(attach(p, "other~work~c"), DENIED);
}

CASE(another_epoch_and_another_run_are_conflicts)
{
	struct peer *p = connected(0);

	EXPECT(attach(p, DURABLE), OK);
	p->epoch++;
	EXPECT(publish(p, 5, 1, "1"), EPOCH);
	p->epoch--;
	EXPECT(publish(p, 5, 1, "1"), OK);
	EXPECT(publish(p, 6, 1, "1"), RUN);
}

CASE(what_is_too_far_ahead_is_a_gap)
{
	static struct asked early[5];
	struct peer *p = connected(0);
	struct said said = {0};
	struct sq_buf body;

	EXPECT(attach(p, DURABLE), OK);
	for (unsigned i = 0; i < 5; i++) {
		body = batch(5, i + 2, "early");
		driver->post(p, &early[i], SQ_CALL_MESSAGES, DURABLE, p->epoch, &body);
	}
	EXPECT(driver->await(p, &early[4], &said), GAP);
	EXPECT(publish(p, 5, 1, "first"), OK);
	for (unsigned i = 0; i < 4; i++)
		EXPECT(driver->await(p, &early[i], &said), OK);
}

CASE(who_is_superseded_is_told_and_refused)
{
	struct peer *old = connected(0), *new = connected(1);
	struct put d;

	EXPECT(attach(old, DURABLE), OK);
	EXPECT(attach(new, DURABLE), OK);
	d = next(old);
	cr_assert_eq(d.what, PUT_DETACHED);
	cr_assert_eq(d.epoch, old->epoch);
	EXPECT(publish(old, 5, 1, "1"), SUPERSEDED);
	EXPECT(publish(new, 5, 1, "1"), OK);
}

CASE(without_its_outlet_a_peer_attaches_nothing)
{
	struct peer *p = connected(0), *again = connected(1);

	EXPECT(attach(p, DURABLE), OK);
	driver->lose(p);
	EXPECT(attach(p, DURABLE), GONE);
	EXPECT(attach(again, DURABLE), OK);
}

CASE(limits_are_said)
{
	unsigned char large[128] = {0};
	struct sq_msg will = sq_msg_new(1, false, sq_bytes_of("t"), (struct sq_bytes){0},
	    SQ_MSG_NO_EXPIRY, (struct sq_bytes){large, sizeof large});
	struct peer *p = connected(0);

	EXPECT(attach_with(p, DURABLE,
		   &(struct sq_attach){.flags = SQ_ATTACH_MQTT5 | SQ_ATTACH_WILL,
		       .will = {will.image, sq_image_size(will.image)}}),
	    TOO_LARGE);
	sq_msg_unref(&will);
	EXPECT(attach(p, "s~work~an-id-of-more-than-16"), OVER_LIMIT);
	EXPECT(attach(p, "s~work~1"), OK);
	EXPECT(attach(p, "s~work~2"), OK);
	EXPECT(attach(p, "s~work~3"), OK);
	EXPECT(attach(p, "s~work~4"), FULL);
}

CASE(whoever_is_there_is_asked_to_go_and_served_until_then)
{
	struct peer *p = connected(0);

	EXPECT(attach(p, DURABLE), OK);
	sq_front_move(front);
	cr_assert(moved(p));
	EXPECT(publish(p, 5, 1, "1"), OK);
	(void)connected(1);
}

CASE(a_broker_that_drains_takes_no_more)
{
	struct peer *p = connected(0);

	EXPECT(attach(p, DURABLE), OK);
	EXPECT(subscribe(p, 0), OK);
	sq_broker_drain(broker);
	sq_front_drain(front);
	cr_assert(moved(p));
	EXPECT(attach(p, DURABLE), DRAINING);
	EXPECT(publish(p, 5, 1, "1"), DRAINING);
	EXPECT(settle(p, 1, 0), OK);
	cr_assert_not(driver->connect(&peers[1]));
	EXPECT(detach(p), OK);
}

CASE(who_comes_back_is_told_what_it_has_subscribed_to)
{
	struct peer *old = connected(0), *new = connected(1);
	const struct timespec nap = {0, 1000000};
	uint64_t until = sq_clock_ms() + WAIT_MS;
	char text[KEPT];

	EXPECT(attach(old, DURABLE), OK);
	EXPECT(subscribe(old, 0), OK);
	EXPECT(detach(old), OK);
	EXPECT(attach_with(
		   new, DURABLE, &(struct sq_attach){.flags = SQ_ATTACH_MQTT5 | SQ_ATTACH_TELL}),
	    OK);
	cr_assert_not(driver->kept(new, text), "it may not know its epoch yet");
	EXPECT(settle(new, 10, 0), OK);
	while (!driver->kept(new, text) && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
	cr_assert_str_eq(text, "t 1 0\n.\n");
	cr_assert_not(driver->kept(old, text), "it has not asked");
}

/* Payloads begin with their number. */
static void
publish_large(struct peer *p, const char *key, unsigned from, unsigned to)
{
	static char payload[LARGE];

	memset(payload, 'x', sizeof payload - 1);
	for (unsigned n = from; n <= to; n++) {
		struct said said = {0};
		struct sq_buf body;

		snprintf(payload, sizeof payload, "%u:", n);
		payload[strlen(payload)] = 'x';
		body = batch(5, n, payload);
		EXPECT(ask(p, SQ_CALL_MESSAGES, key, p->epoch, &body, &said), OK);
		cr_assert_lt(said.code, 0x80);
	}
}

CASE(what_a_full_outlet_has_no_room_for_waits_until_it_is_writable)
{
	enum { N = 400 };
	struct peer *slow = connected(0), *from = connected(1);

	EXPECT(attach(slow, DURABLE), OK);
	EXPECT(subscribe_at(slow, 0, 0), OK);
	EXPECT(settle(slow, 1 << 20, 0), OK);
	EXPECT(attach(from, "s~work~from"), OK);
	publish_large(from, "s~work~from", 1, N);
	cr_assert_gt(sq_metric_get(&sq_broker_metrics, SQ_M_QUEUED), N / 4, "it was never full");
	for (unsigned n = 1; n <= N; n++) {
		struct put d = next(slow);

		cr_assert_eq(d.what, PUT_DELIVERY, "after %u", n - 1);
		cr_assert_eq(strtoul(d.payload, NULL, 10), n);
	}
	publish_large(from, "s~work~from", N + 1, N + 1);
	cr_assert_eq(strtoul(next(slow).payload, NULL, 10), N + 1, "nothing waits any more");
}

CASE(messages_wait_while_sessions_are_on_their_way_back)
{
	struct peer *p = connected(0);

	EXPECT(attach_with(
		   p, DURABLE, &(struct sq_attach){.flags = SQ_ATTACH_MQTT5, .incarnation = 99}),
	    OK);
	EXPECT(publish(p, 5, 1, "1"), RECOVERING);
	EXPECT(subscribe(p, 0), OK);
}

CASE(a_commit_that_fails_is_said_and_may_be_tried_again)
{
	struct peer *p = connected(0), *again = connected(1);

	EXPECT(attach(p, DURABLE), OK);
	EXPECT(publish(p, 5, 1, "1"), OK);
	atomic_store(&engine_sick, true);
	EXPECT(publish(p, 5, 2, "2"), FAILED);
	atomic_store(&engine_sick, false);
	EXPECT(publish(p, 5, 2, "2"), EPOCH); /* the attachment has ended with it */
	EXPECT(attach(again, DURABLE), OK);
	EXPECT(publish(again, 5, 2, "2"), OK);
}

CASE(a_store_that_is_full_takes_no_larger_will)
{
	struct sq_msg will = sq_msg_new(1, false, sq_bytes_of("t"), (struct sq_bytes){0},
	    SQ_MSG_NO_EXPIRY, (struct sq_bytes){0});
	const struct sq_attach with_will = {.flags = SQ_ATTACH_MQTT5 | SQ_ATTACH_WILL,
	    .will = {will.image, sq_image_size(will.image)}};
	struct peer *p = connected(0), *other = connected(1), *third = connected(2);

	EXPECT(attach(p, DURABLE), OK);
	atomic_store(&engine_full, true);
	EXPECT(attach_with(other, DURABLE, &with_will), NO_STORE);
	EXPECT(attach_with(other, "s~work~new", &with_will), FULL);
	EXPECT(attach(other, DURABLE), OK);
	atomic_store(&engine_full, false);
	EXPECT(attach_with(third, DURABLE, &with_will), OK);
	sq_msg_unref(&will);
}
