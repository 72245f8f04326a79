/* The contract of sidecar/hold/user.h, on every user that there is: an MQTT client with a socket,
 * the keeper of declared subscriptions, and a disk outbox.
 *
 * A spy stands between the hold and its user.  It passes each call on, and sees that both keep
 * their promises, whatever a case is about: the hold in when it calls, the user in what it has done
 * when it returns.  The brokers are a pool without sockets. */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/fake_pool.h"
#include "../support/sidecar_cfg.h"
#include "../support/temp_dir.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "sidecar/app.h"
#include "sidecar/declared/declared.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/mqtt/client.h"
#include "sidecar/outbox/outbox.h"

enum { INCARNATION = 7, CALLS_MAX = 64, ACKS_MAX = 8, TOKEN = 77 };

static struct ev_loop *loop;
static struct sq_sidecar_cfg cfg;
static struct sq_app *app;
static struct sq_uplink *up;
static uint64_t epoch;
static char *folder, file[128];

/* --- the users --- */

struct user {
	const char *name;
	void (*open)(void);  /* has it open its hold, by the time of the next turn */
	void (*leave)(void); /* has it leave */
	bool client, declares;
};

static const struct user *user;
static int app_fd = -1, older_fd = -1; /* the app's ends of its sockets */

static void
send_bytes(const void *p, size_t len)
{
	cr_assert_eq(write(app_fd, p, len), (ssize_t)len);
	ev_run(loop, EVRUN_NOWAIT);
	ev_run(loop, EVRUN_NOWAIT);
}

#define SEND(...) \
	do { \
		static const unsigned char packet_[] = {__VA_ARGS__}; \
		send_bytes(packet_, sizeof packet_); \
	} while (0)

static void
client_connect(void)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	older_fd = app_fd;
	app_fd = fds[0];
	sq_client_new(app->clients, fds[1], "the test");
	/* CONNECT of MQTT 5 from "c": session expiry 600, maximum packet size 200 */
	SEND(0x10, 24, 0, 4, 'M', 'Q', 'T', 'T', 5, 0, 0, 0, 10, 0x11, 0, 0, 2, 0x58, 0x27, 0, 0, 0,
	    200, 0, 1, 'c');
}

static void
client_leave(void)
{
	SEND(0xe0, 0);
}

static void
keeper_open(void)
{
	FILE *f = fopen(file, "w");

	cr_assert(f);
	fputs("sqmqos.io/subscribe=\"x\"\n", f);
	fclose(f);
	cfg.annotations_file = file;
	sq_app_declare(app);
}

static void
keeper_leave(void)
{
	sq_declared_stop(app->declared);
}

static void
disk_open(void)
{
	struct sq_outbox_annotation disk = {.set = true, .mode = SQ_OUTBOX_DISK, .size = 8 << 20};

	sq_outbox_annotated(app->outbox, &disk);
	sq_outbox_start(app->outbox);
}

static void
disk_leave(void)
{
	sq_outbox_stop(app->outbox);
}

/* A new user plugs in here. */
static const struct user users[] = {
    {"client", client_connect, client_leave, .client = true, .declares = true},
    {"keeper", keeper_open, keeper_leave, .client = false, .declares = true},
    {"disk", disk_open, disk_leave, .client = false, .declares = false},
};

/* --- the spy --- */

enum call {
	ATTACHED = 1,
	UNLINKED,
	WAITS,
	DENIED,
	NOT_TAKEN,
	ENDED,
	CATCH_UP,
	WRITABLE,
	ACKED,
	SUBSCRIBED,
	DECLARED,
	ALLOWS,
	RELEASED,
	DELIVER,
	POST,
	GONE,
};

static struct {
	const struct sq_hold_user *real;
	struct sq_hold_user ops;
	struct sq_hold_source source;
	struct sq_hold *hold;
	void *user;
	uint8_t calls[CALLS_MAX]; /* without POST and WRITABLE, which may always come */
	unsigned n, n_writable;
	unsigned n_attached; /* so far */
	bool linked, gone;
	uint16_t acks[ACKS_MAX];
	unsigned n_acks;
	enum sq_hold_end end;
	uint8_t reason; /* of not_taken() */
	uint32_t token; /* of declared() */
	int delivered;  /* what deliver() returned */
} spy;

static bool
has_left(void)
{
	return spy.hold->bye.leaving;
}

static void
spy_called(void *to, enum call what)
{
	cr_assert_eq(to, spy.user, "%s: another user", user->name);
	cr_assert_not(spy.gone, "%s: call %d after gone()", user->name, what);
	cr_assert(!has_left() || spy.real->source != NULL, "%s: call %d after it has left",
	    user->name, what);
	if (what == POST)
		return;
	if (what == WRITABLE) {
		spy.n_writable++;
		return;
	}
	cr_assert_lt(spy.n, CALLS_MAX);
	spy.calls[spy.n++] = (uint8_t)what;
}

/* The call comes to a client alone. */
static void
spy_client(void *to, enum call what)
{
	spy_called(to, what);
	cr_assert_not(spy.real->comes_again, "%s: call %d", user->name, what);
}

/* The call comes behind the first attached(). */
static void
spy_attached(void *to, enum call what)
{
	spy_called(to, what);
	cr_assert_gt(spy.n_attached, 0, "%s: call %d before attached()", user->name, what);
}

static void
on_attached(void *to, const struct sq_hold_attached *a)
{
	spy_called(to, ATTACHED);
	cr_assert_not(spy.linked, "%s: attached twice", user->name);
	cr_assert_eq(a->first, spy.n_attached == 0);
	cr_assert_eq(a->answer->epoch, epoch);
	cr_assert(sq_hold_attached(spy.hold));
	spy.linked = true;
	spy.n_attached++;
	spy.real->attached(to, a);
}

static void
on_unlinked(void *to)
{
	uint8_t state = spy.hold->state;
	uint32_t requests = spy.hold->requests;

	spy_called(to, UNLINKED);
	spy.linked = false;
	if (spy.real->unlinked != NULL)
		spy.real->unlinked(to);
	cr_assert(spy.hold->state == state && spy.hold->requests == requests);
}

static void
on_waits(void *to)
{
	spy_client(to, WAITS);
	spy.real->waits(to);
}

static bool
on_denied(void *to, const struct sq_answer *ans, const char *text)
{
	bool ended;

	spy_called(to, DENIED);
	cr_assert(ans->status == 401 || ans->status == 403);
	cr_assert(text != NULL && text[0] != '\0');
	ended = spy.real->denied(to, ans, text);
	cr_assert(!ended || sq_hold_ended(spy.hold));
	cr_assert(spy.real->comes_again || has_left(), "%s goes on without a session", user->name);
	return ended;
}

static void
on_not_taken(void *to, enum sq_hold_end why, uint8_t reason, const char *text)
{
	spy_client(to, NOT_TAKEN);
	cr_assert(why >= SQ_HOLD_END_FULL && why < SQ_HOLD_ENDS);
	cr_assert(sq_mqtt_reason_failed(reason) && text[0] != '\0');
	spy.end = why;
	spy.reason = reason;
	spy.real->not_taken(to, why, reason, text);
	cr_assert(has_left(), "%s stays, not taken", user->name);
}

static void
on_ended(void *to, enum sq_hold_end why, struct sq_bytes text)
{
	spy_called(to, ENDED);
	cr_assert_lt(why, SQ_HOLD_END_FULL);
	cr_assert(!spy.real->comes_again || why == SQ_HOLD_END_REVOKED);
	spy.end = why;
	spy.real->ended(to, why, text);
	cr_assert_eq(has_left(), !spy.real->comes_again);
}

static void
on_catch_up(void *to)
{
	spy_client(to, CATCH_UP);
	spy.real->catch_up(to);
}

static void
on_writable(void *to)
{
	spy_client(to, WRITABLE);
	spy.real->writable(to);
}

static void
on_acked(void *to, const struct sq_lane_outcome *o)
{
	spy_client(to, ACKED);
	cr_assert_gt(spy.n_attached, 0);
	cr_assert(o->qos > 0 && o->packet_id != 0);
	cr_assert_lt(spy.n_acks, ACKS_MAX);
	spy.acks[spy.n_acks++] = o->packet_id;
	spy.real->acked(to, o);
}

static void
on_subscribed(void *to, const struct sq_sub_answer *a)
{
	spy_client(to, SUBSCRIBED);
	cr_assert(a->type == SQ_MQTT_SUBACK || a->type == SQ_MQTT_UNSUBACK);
	cr_assert(a->n > 0);
	spy.real->subscribed(to, a);
	cr_assert_not(has_left());
}

static void
on_declared(void *to, uint32_t token, uint8_t code, struct sq_bytes note)
{
	spy_attached(to, DECLARED);
	spy.token = token;
	spy.real->declared(to, token, code, note);
}

static bool
on_allows(void *to, const struct sq_topic_filter *f)
{
	spy_client(to, ALLOWS);
	cr_assert(app->holds->strict);
	return spy.real->allows(to, f);
}

static void
on_released(void *to, uint16_t packet_id, uint8_t reason)
{
	spy_attached(to, RELEASED);
	cr_assert(!spy.real->comes_again && packet_id != 0);
	spy.real->released(to, packet_id, reason);
}

static int
on_deliver(void *to, const struct sq_delivery *d, const struct sq_target *t)
{
	spy_attached(to, DELIVER);
	cr_assert(!spy.real->comes_again && spy.linked);
	spy.delivered = spy.real->deliver(to, d, t);
	cr_assert_not(has_left());
	return spy.delivered;
}

static void
on_post(void *to, uint64_t now_ms)
{
	spy_called(to, POST);
	cr_assert(spy.linked && sq_hold_attached(spy.hold));
	spy.real->source->post(to, now_ms);
}

static void
on_gone(void *to)
{
	spy_called(to, GONE);
	cr_assert(sq_hold_ended(spy.hold));
	spy.real->source->gone(to);
	spy.gone = true;
}

/* Stands between the only hold that there is and its user, who was not called yet. */
static void
spy_on(struct sq_hold *hold)
{
	cr_assert(hold != NULL && hold->user != NULL);
	memset(&spy, 0, sizeof spy);
	spy.hold = hold;
	spy.user = hold->user;
	spy.real = hold->ops;
	spy.source = (struct sq_hold_source){.post = on_post, .gone = on_gone};
	spy.ops = (struct sq_hold_user){.comes_again = spy.real->comes_again,
	    .attached = on_attached,
	    .unlinked = on_unlinked,
	    .waits = on_waits,
	    .denied = on_denied,
	    .not_taken = on_not_taken,
	    .ended = spy.real->ended != NULL ? on_ended : NULL,
	    .catch_up = on_catch_up,
	    .writable = on_writable,
	    .acked = on_acked,
	    .subscribed = on_subscribed,
	    .declared = on_declared,
	    .allows = on_allows,
	    .released = on_released,
	    .deliver = on_deliver,
	    .source = spy.real->source != NULL ? &spy.source : NULL};
	hold->ops = &spy.ops;
}

/* How often it was called. */
static unsigned
calls(enum call what)
{
	unsigned n = 0;

	for (unsigned i = 0; i < spy.n; i++)
		n += spy.calls[i] == what;
	return n;
}

/* --- the world --- */

static void
turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
	ev_run(loop, EVRUN_NOWAIT);
}

static void
begin(const struct user *of)
{
	struct sq_buf err = {0};

	user = of;
	epoch = 0;
	folder = temp_dir_new();
	snprintf(file, sizeof file, "%s/annotations", folder);
	loop = ev_loop_new(EVFLAG_AUTO);
	cfg = sidecar_cfg();
	cfg.outbox_dir = folder;
	cfg.attach_timeout_ms = cfg.connect_timeout_ms = 60000;
	cfg.output_bytes = 1 << 20;
	cfg.publish_max = cfg.receive_max = 100;
	cfg.max_clients = 10;
	cfg.limits.topic_levels = 2;
	app = sq_app_new(loop, &cfg, &err);
	cr_assert(app);
	up = fake_link_up(app->holds->pool);
	user->open();
	spy_on(SQ_LIST_FIRST(&app->holds->all, struct sq_hold, all));
	cr_assert_eq(spy.real->comes_again, !user->client);
}

static void
end(void)
{
	if (app_fd >= 0)
		close(app_fd);
	if (older_fd >= 0)
		close(older_fd);
	app_fd = older_fd = -1;
	sq_app_free(&app);
	ev_loop_destroy(loop);
	temp_dir_free(&folder);
}

#define CONTRACT(name) \
	static void contract_##name(void); \
	Test(hold_user, name) \
	{ \
		for (size_t i = 0; i < SQ_ARRAY_LEN(users); i++) { \
			begin(&users[i]); \
			contract_##name(); \
			end(); \
		} \
	} \
	static void contract_##name(void)

/* A case about what comes to clients alone. */
#define CLIENTS(name) \
	static void clients_##name(void); \
	CONTRACT(name) \
	{ \
		if (user->client) \
			clients_##name(); \
	} \
	static void clients_##name(void)

TestSuite(hold_user, .timeout = 60);

static struct sq_request *
request(const char *what)
{
	return fake_await(loop, app->holds->pool, what);
}

static void
answer_status(struct sq_request *r, unsigned status)
{
	fake_answer(r, &(struct sq_answer){.status = status});
	turn();
}

/* Answers with the body, which is freed. */
static void
answer_body(struct sq_request *r, struct sq_buf *b)
{
	fake_answer(
	    r, &(struct sq_answer){.status = 200, .body = sq_buf_data(b), .len = sq_buf_len(b)});
	sq_buf_fini(b);
	turn();
}

/* The attach that comes; waits for it. */
static struct sq_request *
put(void)
{
	struct sq_request *r = NULL;

	turn();
	for (;;) {
		while ((r = fake_request_after(app->holds->pool, r, "/v1/sessions/")) != NULL) {
			if (r->method == SQ_PUT)
				return r;
		}
		ev_run(loop, EVRUN_ONCE);
	}
}

static void
attach(void)
{
	struct sq_request *r = put();
	struct sq_attached a = {.epoch = ++epoch,
	    .incarnation = INCARNATION,
	    .store = 1,
	    .present = epoch > 1,
	    .max_packet = 10000,
	    .expiry_s = 600,
	    .limits = sq_limits_unsaid};
	struct sq_buf b = {0};

	sq_attached_encode(&b, &a, SQ_LINK_VERSION);
	answer_body(r, &b);
}

/* The broker ends the attachment. */
static void
detached(uint8_t reason)
{
	struct sq_buf b = {0};

	sq_frame_detached(&b, epoch, reason, (struct sq_bytes){0}, SQ_LINK_VERSION);
	fake_frames(up, &b);
	sq_buf_fini(&b);
	turn();
}

/* A message of the size comes. */
static void
deliver(unsigned qos, uint16_t packet_id, size_t payload)
{
	unsigned char *bytes = sq_xcalloc(1, payload), *image;
	struct sq_target t = {.epoch = epoch,
	    .delivery = packet_id,
	    .queue = qos != 0,
	    .packet_id = packet_id,
	    .flags = (uint8_t)qos};
	struct sq_origin origin = {.incarnation = 1, .run = 1, .number = packet_id};
	struct sq_buf b = {0};
	size_t at;

	image = sq_xmalloc(SQ_MSG_HEADER + 1 + payload);
	sq_image_write(image, qos, false, sq_bytes_of("t"), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY,
	    (struct sq_bytes){bytes, payload});
	at = sq_deliver_open(&b, &origin, SQ_MSG_NO_EXPIRY, image);
	cr_assert_eq(sq_deliver_target(&b, at, &t, NULL), 0);
	fake_frames(up, &b);
	sq_buf_fini(&b);
	free(image);
	free(bytes);
	turn();
}

/* All entries of the batch are taken. */
static void
take_all(struct sq_request *r)
{
	static const unsigned char codes[ACKS_MAX];
	struct sq_bytes body = fake_body(r);
	struct sq_batch batch;
	struct sq_buf b = {0};

	cr_assert_eq(sq_batch_decode(body.p, body.len, SQ_LINK_VERSION, &batch), 0);
	cr_assert_leq(batch.n, ACKS_MAX);
	sq_outcomes_encode(&b,
	    &(struct sq_outcomes){.first = batch.first, .n = batch.n, .codes = codes},
	    SQ_LINK_VERSION);
	answer_body(r, &b);
}

/* All that the request asks for is granted, by its response. */
static void
grant(struct sq_request *r)
{
	static const uint8_t codes[ACKS_MAX];
	struct sq_bytes body = fake_body(r), entries;
	struct sq_subs_head head;
	struct sq_buf b = {0};
	int n = sq_subs_decode(body.p, body.len, SQ_LINK_VERSION, &head, &entries);

	cr_assert(n > 0 && n <= ACKS_MAX);
	sq_codes_encode(&b, &(struct sq_codes){.n = (uint16_t)n, .codes = codes}, SQ_LINK_VERSION);
	answer_body(r, &b);
}

/* The settlement of the delivery, in the requests that come; the others are accepted. */
static struct sq_settle
settlement(uint64_t delivery)
{
	for (;;) {
		struct sq_request *r = request("/settlements");
		struct sq_bytes body = fake_body(r);
		struct sq_settle e, found = {0};
		struct sq_settlements all;

		cr_assert_eq(sq_settlements_decode(body.p, body.len, &all), 0);
		while (sq_settle_next(&all.entries, &e)) {
			if (e.delivery == delivery)
				found = e;
		}
		answer_status(r, 204);
		if (found.kind != 0)
			return found;
	}
}

/* --- the cases --- */

CONTRACT(attached_comes_first_and_once_for_each_attachment)
{
	turn();
	cr_assert_eq(spy.n, calls(UNLINKED));
	attach();
	cr_assert_eq(calls(ATTACHED), 1);
	for (unsigned again = 2; again < 4; again++) {
		fake_link_down(app->holds->pool, up);
		cr_assert_not(spy.linked, "%s was not told", user->name);
		up = fake_link_up(app->holds->pool);
		attach();
		cr_assert_eq(calls(ATTACHED), again);
	}
	cr_assert_eq(calls(ENDED), 0);
}

CONTRACT(a_move_to_another_link_is_an_attachment)
{
	struct sq_uplink *before = up;

	attach();
	up = fake_link_up(app->holds->pool);
	fake_link_drain(app->holds->pool, before);
	attach();
	cr_assert_eq(calls(ATTACHED), 2);
	cr_assert_eq(calls(ENDED), 0);
}

CONTRACT(an_attach_that_fails_is_tried_again)
{
	for (unsigned i = 1; i < 3; i++) {
		answer_status(put(), 503);
		cr_assert_eq(calls(WAITS), user->client ? i : 0);
	}
	attach();
	cr_assert_eq(calls(ATTACHED), 1);
}

CONTRACT(a_denied_pod_is_told)
{
	answer_status(put(), 401);
	cr_assert_eq(calls(DENIED), 1);
	if (user->client)
		return;
	cr_assert_not(has_left());
	attach();
	cr_assert_eq(calls(ATTACHED), 1);
}

/* A client is told of an attach that is refused for good, and leaves; others come again. */
static void
not_taken(const struct sq_answer *ans, enum sq_hold_end why, uint8_t reason)
{
	fake_answer(put(), ans);
	cr_assert_eq(calls(NOT_TAKEN), user->client);
	if (user->client) {
		cr_assert_eq(spy.end, why);
		cr_assert_eq(spy.reason, reason);
		turn();
		return;
	}
	attach();
	cr_assert_eq(calls(ATTACHED), 1);
}

CONTRACT(a_client_id_that_is_too_long_is_not_taken)
{
	not_taken(
	    &(struct sq_answer){.status = 422}, SQ_HOLD_END_CLIENT_ID, SQ_MQTT_RC_BAD_CLIENT_ID);
}

CONTRACT(a_will_that_is_too_large_is_not_taken)
{
	not_taken(
	    &(struct sq_answer){.status = 413}, SQ_HOLD_END_WILL, SQ_MQTT_RC_PACKET_TOO_LARGE);
}

CONTRACT(a_session_without_room_is_not_taken)
{
	not_taken(&(struct sq_answer){.status = 429, .full = SQ_FULL_BROKER}, SQ_HOLD_END_FULL,
	    SQ_MQTT_RC_QUOTA_EXCEEDED);
}

CONTRACT(an_end_by_the_broker_ends_a_client_alone)
{
	attach();
	detached(SQ_MQTT_RC_QUOTA_EXCEEDED);
	cr_assert_eq(calls(ENDED), user->client);
	if (user->client) {
		cr_assert_eq(spy.end, SQ_HOLD_END_QUOTA);
		cr_assert_eq(app->holds->n, 0);
		return;
	}
	cr_assert_eq(spy.hold->state, SQ_HOLD_DOWN);
	cr_assert_gt(spy.hold->due.attach, 0);
}

CONTRACT(a_right_that_is_revoked_is_told)
{
	attach();
	detached(SQ_MQTT_RC_NOT_AUTHORIZED);
	cr_assert_eq(calls(ENDED), spy.real->ended != NULL);
	cr_assert(spy.real->ended == NULL || spy.end == SQ_HOLD_END_REVOKED);
	cr_assert_eq(app->holds->n, !user->client);
}

CONTRACT(who_has_left_hears_no_more_until_it_is_gone)
{
	struct sq_request *r;
	unsigned before;

	attach();
	while ((r = fake_request(app->holds->pool, "/subscriptions")) != NULL)
		grant(r);
	before = spy.n;
	user->leave();
	while (app->holds->n != 0)
		answer_status(request("?"), 204);
	turn();
	cr_assert_eq(spy.gone, spy.real->source != NULL);
	for (unsigned i = before; i < spy.n; i++)
		cr_assert(spy.calls[i] == UNLINKED || spy.calls[i] == GONE);
	cr_assert_eq(calls(GONE), spy.gone);
}

CONTRACT(a_declaration_is_answered_once)
{
	struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE,
	    .flags = SQ_SUB_DECLARED,
	    .group = sq_bytes_of("g"),
	    .filter = sq_bytes_of("y")};
	struct sq_request *r;

	if (!user->declares)
		return;
	attach();
	while ((r = fake_request(app->holds->pool, "/subscriptions")) != NULL)
		grant(r);
	spy.n = 0;
	sq_hold_declare(spy.hold, &sub, TOKEN);
	grant(request("/subscriptions"));
	cr_assert_eq(calls(DECLARED), 1);
	cr_assert_eq(spy.token, TOKEN);
}

/* --- what comes to a client alone --- */

CLIENTS(each_publish_has_one_outcome_in_its_order)
{
	attach();
	SEND(0x32, 6, 0, 1, 't', 0, 3, 0);
	SEND(0x32, 6, 0, 1, 't', 0, 1, 0);
	SEND(0x34, 6, 0, 1, 't', 0, 2, 0);
	while (spy.n_acks < 3)
		take_all(request("/messages"));
	SEND(0x62, 2, 0, 2); /* PUBREL */
	take_all(request("/messages"));
	cr_assert_eq(spy.n_acks, 4);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(spy.acks[i], ((const uint16_t[]){3, 1, 2, 2})[i]);
}

CLIENTS(writable_follows_eagain)
{
	unsigned char *payload = sq_xcalloc(1, cfg.lane_bytes);
	struct sq_lane_publish m = {.expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = sq_bytes_of("t"),
	    .payload = {payload, cfg.lane_bytes / 4 * 3}};

	attach();
	cr_assert_eq(sq_hold_publish(spy.hold, &m), 0);
	cr_assert_eq(sq_hold_publish(spy.hold, &m), SQ_EAGAIN);
	spy.n_writable = 0;
	turn();
	cr_assert_eq(spy.n_writable, 0);
	take_all(request("/messages"));
	cr_assert_gt(spy.n_writable, 0);
	cr_assert_eq(sq_hold_publish(spy.hold, &m), 0);
	free(payload);
}

CLIENTS(what_deliver_returns_decides_on_the_message)
{
	struct sq_settle e;

	attach();
	deliver(0, 0, 10);
	cr_assert(calls(DELIVER) == 1 && spy.delivered == 0);
	deliver(0, 0, 1000);
	cr_assert(calls(DELIVER) == 2 && spy.delivered == SQ_ETOOBIG);
	deliver(1, 5, 10);
	cr_assert(calls(DELIVER) == 3 && spy.delivered == 0);
	deliver(1, 6, 1000);
	cr_assert(calls(DELIVER) == 4 && spy.delivered == SQ_ETOOBIG);
	e = settlement(6);
	cr_assert_eq(e.reason, SQ_MQTT_RC_PACKET_TOO_LARGE);
	SEND(0x40, 2, 0, 5); /* PUBACK */
	e = settlement(5);
	cr_assert_eq(e.kind, SQ_SETTLE_ACK);
}

CLIENTS(a_message_of_qos_2_is_released_once)
{
	attach();
	deliver(2, 7, 10);
	cr_assert_eq(calls(RELEASED), 0);
	SEND(0x50, 2, 0, 7); /* PUBREC */
	cr_assert_eq(calls(RELEASED), 0);
	cr_assert_eq(settlement(7).kind, SQ_SETTLE_RECEIVED);
	cr_assert_eq(calls(RELEASED), 1);
	SEND(0x70, 2, 0, 7); /* PUBCOMP */
	cr_assert_eq(settlement(7).kind, SQ_SETTLE_COMPLETE);
	cr_assert_eq(calls(RELEASED), 1);
}

CLIENTS(each_subscribe_has_one_answer)
{
	static const uint8_t code[1];

	attach();
	SEND(0x82, 7, 0, 4, 0, 0, 1, 'a', 0);
	cr_assert_eq(calls(SUBSCRIBED), 0);
	answer_status(request("/subscriptions"), 204);
	fake_subscribed(up, epoch, 1, code, 1);
	cr_assert_eq(calls(SUBSCRIBED), 1);
	/* Three levels, which are refused inside the call. */
	SEND(0x82, 11, 0, 5, 0, 0, 5, 'a', '/', 'b', '/', 'c', 0);
	cr_assert_eq(calls(SUBSCRIBED), 2);
	cr_assert_eq(calls(ALLOWS), 0);
}

CLIENTS(allows_is_asked_while_the_rights_restrict)
{
	attach();
	sq_holds_enforce(app->holds, true);
	SEND(0x82, 7, 0, 4, 0, 0, 1, 'a', 0);
	cr_assert_eq(calls(ALLOWS), 1);
	sq_holds_enforce(app->holds, false);
	SEND(0x82, 7, 0, 5, 0, 0, 1, 'b', 0);
	cr_assert_eq(calls(ALLOWS), 1);
}

CLIENTS(who_is_taken_over_catches_up_before_it_ends)
{
	attach();
	spy.n = 0;
	client_connect();
	cr_assert_eq(calls(CATCH_UP), 1);
	cr_assert_eq(calls(ENDED), 1);
	cr_assert_eq(spy.calls[0], CATCH_UP);
	cr_assert_eq(spy.end, SQ_HOLD_END_TAKEN_OVER);
	while (app->holds->n > 1)
		answer_status(request("?"), 204);
}
