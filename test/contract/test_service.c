/* broker/front/door/service.h: what a door owes each service, and each service its door.  The same
 * cases by a service of the test's own, by links (broker/front/link) and by the HTTP API
 * (broker/front/http): each has its ops replaced by ones that note the call and its thread before
 * they pass it on.  The broker is test/support/fake_core.h. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/fake_core.h"
#include "../support/h2_client.h"
#include "../support/token_line.h"
#include "broker/auth/identity/identity.h"
#include "broker/front/door/pending.h"
#include "broker/front/http/front.h"
#include "broker/metrics/metrics.h"
#include "broker/port/call.h"
#include "broker/port/place.h"
#include "core/block.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/mem.h"
#include "proto/link/frame.h"
#include "web/crew.h"
#include "web/reply.h"
#include "web/worker.h"

enum { WORKERS = 2, BODY_MAX = 64 << 10, TEXT = 64 };

enum op { SERVE, GREET, REQUEST, REFUSE, TICK, MOVED, ENDED, FREE, OPS };

/* What a service was called with. */
struct seen {
	atomic_uint n[OPS];
	atomic_uint astray;   /* calls on another thread than theirs */
	atomic_uint too_late; /* before serve(), or after free() */
	struct sq_broker *broker;
	atomic_uint ticks[WORKERS];
	/* Of the last request or refusal. */
	char who[TEXT];
	bool proven, leaving;
	enum sq_turned why;
	bool challenged, told_when; /* www-authenticate, retry-after */
};

static struct spy {
	struct sq_service_ops ops; /* in place of 'own' */
	const struct sq_service_ops *own;
	struct seen seen;
} spies[2];

/* A service, and a request of it that the broker answers. */
struct subject {
	struct sq_service *(*open)(void);
	const char *method, *path;
	bool own; /* the test's */
	bool holds, greets;
};

static const struct subject *subject;
static struct spy *spy; /* of the subject */
static struct sq_service *service;
static struct sq_auth *auth;
static struct h2_client *client, *second;
static pthread_t main_thread;
static bool standing; /* the door has stood by */

/* Where the state is, for the services of the broker. */
static struct {
	struct sq_place_source source; /* first */
	pthread_mutex_t lock;
	struct sq_place place;
} places = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
place_get(const struct sq_place_source *s, struct sq_place *out)
{
	(void)s;
	pthread_mutex_lock(&places.lock);
	*out = places.place;
	pthread_mutex_unlock(&places.lock);
}

static void
place_set(bool here, const char *owner, const char *standby)
{
	pthread_mutex_lock(&places.lock);
	places.place = (struct sq_place){.shared = true, .here = here, .store = 0xab, .epoch = 7};
	snprintf(places.place.owner, sizeof places.place.owner, "%s", owner);
	snprintf(places.place.standby, sizeof places.place.standby, "%s", standby);
	pthread_mutex_unlock(&places.lock);
}

/* Notes. */

static struct spy *
spy_of(const struct sq_service *s)
{
	return SQ_CONTAINER_OF(s->ops, struct spy, ops);
}

static void
note(struct spy *p, enum op op, bool thread)
{
	atomic_fetch_add(&p->seen.n[op], 1);
	if (!thread)
		atomic_fetch_add(&p->seen.astray, 1);
	if ((op != SERVE && !standing && atomic_load(&p->seen.n[SERVE]) == 0) ||
	    (op != FREE && atomic_load(&p->seen.n[FREE]) > 0))
		atomic_fetch_add(&p->seen.too_late, 1);
}

static bool
on_main(void)
{
	return pthread_equal(pthread_self(), main_thread) != 0;
}

static bool
on_conn(const struct sq_conn *c)
{
	return sq_worker_self() == sq_conn_worker(c);
}

static void
spy_serve(struct sq_service *s, struct sq_broker *broker)
{
	struct spy *p = spy_of(s);

	note(p, SERVE, on_main());
	p->seen.broker = broker;
	p->own->serve(s, broker);
}

static bool
spy_greet(struct sq_service *s, struct sq_conn *c, h2o_req_t *req)
{
	note(spy_of(s), GREET, on_conn(c));
	return spy_of(s)->own->greet(s, c, req);
}

static void
spy_request(struct sq_service *s, struct sq_conn *c, h2o_req_t *req, const struct sq_identity *who,
    const struct sq_proof *proof)
{
	struct spy *p = spy_of(s);

	snprintf(p->seen.who, sizeof p->seen.who, "%s", who->name);
	p->seen.proven = proof != NULL;
	p->seen.leaving = sq_conn_leaving(c);
	note(p, REQUEST, on_conn(c));
	p->own->request(s, c, req, who, proof);
}

static void
spy_refuse(struct sq_service *s, h2o_req_t *req, enum sq_turned why)
{
	struct spy *p = spy_of(s);

	p->seen.why = why;
	p->seen.challenged = h2o_find_header(&req->res.headers, H2O_TOKEN_WWW_AUTHENTICATE, -1) >=
	    0;
	p->seen.told_when = h2o_find_header(&req->res.headers, H2O_TOKEN_RETRY_AFTER, -1) >= 0;
	note(p, REFUSE, sq_worker_self() != NULL);
	p->own->refuse(s, req, why);
}

static void
spy_tick(struct sq_service *s, unsigned worker, uint64_t now_ms)
{
	struct spy *p = spy_of(s);

	note(p, TICK, sq_worker_self() == sq_crew_workers(fake.crew)[worker]);
	atomic_fetch_add(&p->seen.ticks[worker], 1);
	if (p->own->tick != NULL)
		p->own->tick(s, worker, now_ms);
}

static void
spy_moved(struct sq_conn_hold *h)
{
	note(spy_of(h->service), MOVED, on_conn(h->conn));
	spy_of(h->service)->own->moved(h);
}

static void
spy_ended(struct sq_conn_hold *h)
{
	note(spy_of(h->service), ENDED, on_conn(h->conn));
	spy_of(h->service)->own->ended(h);
}

static void
spy_free(struct sq_service *s)
{
	struct spy *p = spy_of(s);

	note(p, FREE, on_main());
	p->own->free(s);
}

/* Has the service's calls noted.  What it has not, it still has not. */
static struct sq_service *
spy_on(struct spy *p, struct sq_service *s)
{
	p->own = s->ops;
	p->ops = (struct sq_service_ops){.name = s->ops->name,
	    .paths = s->ops->paths,
	    .serve = spy_serve,
	    .greet = s->ops->greet != NULL ? spy_greet : NULL,
	    .request = spy_request,
	    .refuse = spy_refuse,
	    .tick = spy_tick,
	    .moved = s->ops->moved != NULL ? spy_moved : NULL,
	    .ended = s->ops->ended != NULL ? spy_ended : NULL,
	    .free = spy_free};
	s->ops = &p->ops;
	return s;
}

static unsigned
seen(enum op op)
{
	return atomic_load(&spy->seen.n[op]);
}

/* --- the test's own service --- */

/* A request that waits for the broker, as a call of "hold" does. */
struct said {
	struct sq_call call;
	struct sq_pending_req pending;
	struct sq_block *body;
};

static struct sq_conn_hold hold;
static bool holding;

static void
say_serve(struct sq_service *s, struct sq_broker *b)
{
	(void)s;
	(void)b;
}

static bool
say_greet(struct sq_service *s, struct sq_conn *c, h2o_req_t *req)
{
	(void)s;
	(void)c;
	if (!h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("OPTIONS")))
		return false;
	sq_reply_empty(req, 204);
	return true;
}

static void
say_answered(struct sq_task *t)
{
	struct said *p = SQ_CONTAINER_OF(t, struct said, call.task);
	h2o_req_t *req = sq_pending_request(&p->pending);

	if (req != NULL)
		sq_reply_empty(req, 204);
	sq_pending_end(&p->pending);
	sq_block_unref(&p->call.body);
	sq_buf_fini(&p->call.store);
	free(p);
}

static void
say_done(struct sq_call *c)
{
	const struct said *p = SQ_CONTAINER_OF(c, struct said, call);

	c->task.run = say_answered;
	sq_worker_post(sq_conn_worker(p->pending.conn), &c->task);
}

static void
say_request(struct sq_service *s, struct sq_conn *c, h2o_req_t *req, const struct sq_identity *who,
    const struct sq_proof *proof)
{
	struct said *p;

	if (h2o_memis(req->entity.base, req->entity.len, H2O_STRLIT("stay"))) {
		sq_conn_hold_begin(&hold, s, c, who);
		sq_conn_hold_prove(&hold, proof);
		holding = true;
		sq_reply_empty(req, 204);
		return;
	}
	p = sq_xcalloc(1, sizeof *p);
	p->call.kind = SQ_CALL_MESSAGES;
	p->call.done = say_done;
	p->call.body = sq_block_copy(req->entity.base, req->entity.len);
	sq_list_init(&p->call.node);
	sq_pending_begin(&p->pending, c, req, who);
	sq_broker_call(&fake, &p->call);
}

static void
say_refuse(struct sq_service *s, h2o_req_t *req, enum sq_turned why)
{
	(void)s;
	sq_reply_empty(req, sq_turned_status(why));
}

static void
say_moved(struct sq_conn_hold *h)
{
	(void)h;
}

static void
say_ended(struct sq_conn_hold *h)
{
	holding = false;
	sq_conn_hold_end(h);
}

static void
say_free(struct sq_service *s)
{
	(void)s;
}

static struct sq_service *
say_open(void)
{
	static const char *const paths[] = {"/say/", NULL};
	static const struct sq_service_ops ops = {.name = "say",
	    .paths = paths,
	    .serve = say_serve,
	    .greet = say_greet,
	    .request = say_request,
	    .refuse = say_refuse,
	    .moved = say_moved,
	    .ended = say_ended,
	    .free = say_free};
	static struct sq_service say;

	say = (struct sq_service){.ops = &ops, .body_max = BODY_MAX};
	return &say;
}

/* --- the services of the broker --- */

static struct sq_service *
http_open(void)
{
	return sq_http_front_open(&(struct sq_http_front_cfg){.max_body = BODY_MAX,
	    .max_packet = BODY_MAX,
	    .limits = {.max_qos = 2, .topic_levels = 128},
	    .place = standing ? &places.source : NULL,
	    .metrics = &sq_broker_metrics});
}

#define SESSION "/v1/sessions/space~work~client"

static const struct subject say_subject = {
    say_open, "POST", "/say/it", .own = true, .holds = true, .greets = true};
static const struct subject link_subject = {
    NULL, "POST", SESSION "/messages?epoch=0000000000000001", .holds = true};
static const struct subject http_subject = {
    http_open, "POST", "/v1/publish/orders", .greets = true};

/* --- the door --- */

static void
auth_open(void)
{
	char path[] = "/tmp/sq_test_service_XXXXXX";
	struct sq_buf line = {0};
	int fd = mkstemp(path);

	token_line(&line, "web", "space", "sesame");
	token_line(&line, "job", "space", "poppy");
	cr_assert_eq(write(fd, sq_buf_data(&line), sq_buf_len(&line)), sq_buf_len(&line));
	sq_buf_fini(&line);
	close(fd);
	auth = sq_auth_new(&(struct sq_auth_cfg){.tokens_file = path}, NULL);
	unlink(path);
}

/* A door of links, and of the subject beside them if it is another. */
static void
door_open(struct fake_front_cfg *cfg)
{
	struct sq_buf err = {0};

	fake.crew = sq_crew_new(WORKERS);
	cfg->link.crew = cfg->door.crew = fake.crew;
	cfg->door.auth = auth;
	cfg->link.place = standing ? &places.source : NULL;
	cfg->door.services[0] = spy_on(&spies[0], sq_link_front_open(&cfg->link));
	spy = &spies[0];
	service = cfg->door.services[0];
	if (subject->open != NULL) {
		cfg->door.services[1] = service = spy_on(&spies[1], subject->open());
		spy = &spies[1];
	}
	fake.front = sq_door_open(&cfg->door, &err);
	cr_assert_not_null(fake.front);
}

static void
close_all(void)
{
	h2_close(&client);
	h2_close(&second);
	if (fake.front != NULL)
		sq_front_stop(fake.front);
	fake_release();
	if (fake.crew != NULL) {
		sq_crew_stop(fake.crew);
		sq_crew_free(&fake.crew);
	}
	sq_front_free(&fake.front);
	sq_auth_free(&auth);
}

static void
start(const struct subject *with)
{
	struct fake_front_cfg cfg = fake_front_cfg();

	subject = with;
	main_thread = pthread_self();
	auth_open();
	door_open(&cfg);
	sq_front_serve(fake.front, &fake);
}

/* The same, and stands by. */
static void
stand_by(const struct subject *with)
{
	struct fake_front_cfg cfg = fake_front_cfg();

	subject = with;
	standing = true;
	places.source.get = place_get;
	place_set(false, "", "");
	main_thread = pthread_self();
	auth_open();
	door_open(&cfg);
	sq_front_stand_by(fake.front);
}

static struct h2_client *
come(const char *token)
{
	struct h2_client *c = h2_open(sq_front_port(fake.front), NULL);

	cr_assert_not_null(c);
	h2_token(c, token);
	return c;
}

/* Holds the connection, as the subject does. */
static void
stay(struct h2_client *c)
{
	static char path[64]; /* of a link of its own */
	static unsigned links;
	struct h2_response *r;

	if (subject->own) {
		r = h2_ask(c, subject->method, subject->path, "stay", 4);
		cr_assert_eq(r->status, 204);
		return;
	}
	snprintf(path, sizeof path, "/v1/links/%016x/deliveries", ++links);
	r = h2_start(c, "GET", path, NULL, 0);
	cr_assert(h2_body(c, r, 5));
	cr_assert_eq(r->status, 200);
}

/* A connection that may ask. */
static struct h2_client *
ready(const char *token)
{
	struct h2_client *c = come(token);

	if (subject->open == NULL)
		stay(c);
	return c;
}

static struct h2_response *
begin(struct h2_client *c, const char *words)
{
	return h2_start(c, subject->method, subject->path, words, strlen(words));
}

static struct h2_response *
ask(struct h2_client *c, const char *words)
{
	struct h2_response *r = begin(c, words);

	cr_assert(h2_finish(c, r));
	return r;
}

static bool
good(const struct h2_response *r)
{
	return r->status >= 200 && r->status < 300;
}

/* Has the broker keep a request. */
static struct h2_response *
keep(struct h2_client *c)
{
	unsigned before = atomic_load(&fake.held);
	struct h2_response *r = begin(c, "hold");

	h2_write(c);
	cr_assert(fake_await(&fake.held, before + 1));
	return r;
}

static bool
await_idle(bool idle)
{
	const struct timespec nap = {0, 1000000};
	uint64_t until = sq_clock_ms() + H2_WAIT_MS;

	while (sq_front_idle(fake.front) != idle && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
	return sq_front_idle(fake.front) == idle;
}

/* Each call was on its own thread, behind serve() and before free(). */
static void
assert_orderly(void)
{
	cr_assert_eq(atomic_load(&spy->seen.astray), 0);
	cr_assert_eq(atomic_load(&spy->seen.too_late), 0);
}

/* --- cases --- */

static void
served_first_and_freed_last(void)
{
	cr_assert_eq(seen(SERVE), 1);
	cr_assert_eq(spy->seen.broker, &fake);
	client = ready("sesame");
	cr_assert(good(ask(client, "it")));
	sq_front_stop(fake.front);
	cr_assert_eq(seen(FREE), 0, "answers may come until then");
	close_all();
	cr_assert_eq(seen(SERVE), 1);
	cr_assert_eq(seen(FREE), 1);
	assert_orderly();
}

/* One that was opened is freed, also if nobody ever was served. */
static void
freed_without_being_served(void)
{
	close_all();
	memset(spies, 0, sizeof spies);
	door_open(
	    &(struct fake_front_cfg){.door = fake_front_cfg().door, .link = fake_front_cfg().link});
	close_all();
	cr_assert_eq(seen(FREE), 1);
	cr_assert_eq(seen(SERVE) + seen(TICK), 0);
	cr_assert_eq(atomic_load(&spy->seen.astray), 0);
}

static void
a_request_comes_once_with_its_sender(void)
{
	unsigned before;

	client = ready("sesame");
	before = seen(REQUEST);
	cr_assert(good(ask(client, "it")));
	cr_assert_eq(seen(REQUEST), before + 1);
	cr_assert_str_eq(spy->seen.who, "token:web");
	cr_assert_eq(spy->seen.proven, subject->open != NULL, "a link's token is its hold's");
	cr_assert_not(spy->seen.leaving);
	second = ready("poppy");
	cr_assert(good(ask(second, "it")));
	cr_assert_str_eq(spy->seen.who, "token:job");
	cr_assert_eq(seen(REFUSE), 0);
	assert_orderly();
}

static void
a_stranger_is_refused(void)
{
	const struct h2_response *r;

	client = come("onion");
	r = ask(client, "it");
	cr_assert_eq(r->status, 401);
	cr_assert_str_eq(r->authenticate, "Bearer", "the service keeps what the door has added");
	cr_assert_eq(spy->seen.why, SQ_TURNED_CREDENTIAL);
	cr_assert(spy->seen.challenged);
	h2_token(client, NULL);
	cr_assert_eq(ask(client, "it")->status, 401);
	cr_assert_eq(seen(REFUSE), 2);
	cr_assert_eq(seen(REQUEST), 0);
	assert_orderly();
}

/* Whether one more is refused for that reason, and taken as soon as there is room. */
static void
assert_busy(enum sq_turned why)
{
	unsigned before = seen(REQUEST);
	const struct h2_response *kept = keep(client), *r = ask(client, "it");

	cr_assert_eq(r->status, 429);
	cr_assert_str_eq(r->retry_after, "1");
	cr_assert_eq(spy->seen.why, why);
	cr_assert(spy->seen.told_when);
	cr_assert_eq(seen(REFUSE), 1);
	cr_assert_eq(seen(REQUEST), before + 1);
	fake_release();
	cr_assert(h2_finish(client, (struct h2_response *)kept) && good(kept));
	cr_assert(good(ask(client, "it")));
	assert_orderly();
}

static void
a_busy_connection_is_refused(void)
{
	client = ready("sesame");
	service->max_running = 1;
	assert_busy(SQ_TURNED_BUSY);
}

/* Whoever sends it; over HTTP/2 the connection goes on. */
static void
a_body_that_is_too_large_is_refused(void)
{
	size_t size = service->body_max + (1 << 20);
	char *large = sq_xcalloc(1, size);
	const struct h2_response *r;

	client = come("onion");
	h2_lengths(client);
	r = h2_ask(client, subject->method, subject->path, large, size);
	cr_assert(r->status == 413 && r->closed && r->error == 0, "status %u, error %u", r->status,
	    r->error);
	cr_assert_eq(seen(REFUSE), 1);
	cr_assert_eq(spy->seen.why, SQ_TURNED_TOO_LARGE);
	cr_assert_eq(seen(GREET) + seen(REQUEST), 0);
	cr_assert_eq(ask(client, "it")->status, 401);
	assert_orderly();
	free(large);
}

/* Who has a hold is not judged again, so its requests come by their own tokens here. */
static void
a_busy_identity_is_refused(void)
{
	client = ready("sesame");
	if (subject->open == NULL)
		return; /* links count for nobody */
	service->max_identity_running = 1;
	assert_busy(SQ_TURNED_IDENTITY_BUSY);
}

static void
greetings_need_nobody(void)
{
	const struct h2_response *r;

	client = come(NULL);
	r = h2_ask(client, "OPTIONS", subject->path, NULL, 0);
	cr_assert_eq(good(r), subject->greets);
	cr_assert_eq(seen(GREET), subject->greets ? 1 : 0);
	cr_assert_eq(seen(REFUSE), subject->greets ? 0 : 1);
	h2_token(client, "onion");
	cr_assert_eq(ask(client, "it")->status, 401, "what is no greeting goes on");
	cr_assert_eq(seen(GREET), subject->greets ? 2 : 0);
	cr_assert_eq(seen(REQUEST), 0);
	assert_orderly();
}

static void
ticks_come_on_each_worker_until_the_end(void)
{
	unsigned n;

	for (unsigned i = 0; i < WORKERS; i++)
		cr_assert(fake_await(&spy->seen.ticks[i], 3), "worker %u", i);
	sq_front_stop(fake.front);
	n = seen(TICK);
	usleep(300000); /* three ticks' time */
	cr_assert_eq(seen(TICK), n);
	assert_orderly();
}

static void
work_goes_on_while_the_door_drains(void)
{
	struct h2_response *kept;

	client = ready("sesame");
	cr_assert(sq_front_idle(fake.front));
	kept = keep(client);
	cr_assert(await_idle(false));
	sq_front_drain(fake.front);
	cr_assert(good(ask(client, "it")), "a connection that there is, is served");
	cr_assert(spy->seen.leaving);
	cr_assert_not(sq_front_idle(fake.front));
	fake_release();
	cr_assert(h2_finish(client, kept) && good(kept));
	cr_assert(await_idle(true));
	assert_orderly();
}

/* A request that is reset, and one whose connection is lost. */
static void
who_has_left_gets_no_answer(void)
{
	struct h2_response *kept;

	client = ready("sesame");
	kept = keep(client);
	h2_reset(client, kept);
	h2_write(client);
	if (subject->open != NULL)
		cr_assert(good(ask(client, "it")), "the reset has come, too");
	second = ready("poppy");
	(void)keep(second);
	h2_close(&second);
	cr_assert_not(sq_front_idle(fake.front), "the broker has both");
	fake_release();
	cr_assert(await_idle(true));
	cr_assert(good(ask(client, "it")));
	assert_orderly();
}

/* What is under way when the door stops is answered after it, into nothing. */
static void
an_answer_may_come_after_the_stop(void)
{
	client = ready("sesame");
	(void)keep(client);
	sq_front_stop(fake.front);
	cr_assert_not(sq_front_idle(fake.front));
	fake_release();
	cr_assert(await_idle(true));
	close_all();
	cr_assert_eq(seen(FREE), 1);
	assert_orderly();
}

/* With a hold a request needs no credential, is asked to move, and is ended once. */
static void
a_hold_is_told_what_befalls_it(void)
{
	if (!subject->holds)
		return;
	client = come("sesame");
	stay(client);
	h2_token(client, NULL);
	cr_assert(good(ask(client, "it")));
	cr_assert_str_eq(spy->seen.who, "token:web");
	cr_assert_not(spy->seen.proven, "nothing but the hold");
	cr_assert_eq(seen(REFUSE), 0);
	sq_front_move(fake.front);
	cr_assert(fake_await(&spy->seen.n[MOVED], 1));
	cr_assert(good(ask(client, "it")));
	cr_assert(spy->seen.leaving);
	sq_front_stop(fake.front);
	cr_assert_eq(seen(ENDED), 1);
	cr_assert_not(subject->own && holding);
	assert_orderly();
}

/* A path that fits nobody is the last service's. */
static void
each_path_has_one_service(void)
{
	client = come("onion");
	cr_assert_eq(h2_ask(client, "GET", "/elsewhere", NULL, 0)->status, 401);
	cr_assert_eq(seen(REFUSE), 1);
	cr_assert_eq(h2_ask(client, "GET", "/v1/links/x", NULL, 0)->status, 401);
	cr_assert_eq(atomic_load(&spies[0].seen.n[REFUSE]), subject->open == NULL ? 2 : 1);
	assert_orderly();
}

/* --- a door that stands by --- */

/* Takes frames off the response up to one of that type, which is valid until the next call. */
static int
await_frame(
    struct h2_client *c, struct h2_response *r, uint8_t type, struct sq_frame *f, size_t *used)
{
	static unsigned char bytes[1024];
	uint64_t until = sq_clock_ms() + H2_WAIT_MS;

	while (sq_clock_ms() < until) {
		if (sq_frame_decode(sq_buf_data(&r->body), sq_buf_len(&r->body), sizeof bytes, f,
			used) != SQ_OK) {
			h2_turn(c, 10);
			continue;
		}
		memcpy(bytes, sq_buf_data(&r->body), *used);
		sq_buf_drain(&r->body, *used);
		cr_assert_eq(sq_frame_decode(bytes, *used, sizeof bytes, f, used), SQ_OK);
		if (f->type == type)
			return SQ_OK;
	}
	return SQ_EAGAIN;
}

static void
assert_told(const struct h2_response *r, unsigned status, const char *owner, const char *standby)
{
	cr_assert_eq(r->status, status);
	cr_assert_str_eq(r->owner, owner);
	cr_assert_str_eq(r->standby, standby);
	cr_assert_str_eq(r->owner_epoch, "7");
	cr_assert_str_eq(r->store, "00000000000000ab");
	cr_assert_str_eq(r->retry_after, status == 503 ? "1" : "");
}

static void
a_stranger_is_refused_meanwhile(void)
{
	client = come("onion");
	cr_assert_eq(ask(client, "it")->status, 401);
	h2_close(&client);
	cr_assert_eq(seen(REQUEST), 0);
}

/* What the owner says, and the links that it has, when it is this broker after all. */
static void
serves_over_the_same_connection(void)
{
	place_set(true, "here:1", "");
	assert_told(ask(client, "it"), 503, "here:1", "");
	sq_front_serve(fake.front, &fake);
	if (subject->open == NULL)
		stay(client);
	cr_assert(good(ask(client, "it")));
	cr_assert_eq(seen(SERVE), 1);
	cr_assert(await_idle(true));
	assert_orderly();
}

Test(service_contract, a_broker_that_stands_by_link)
{
	const char *path = "/v1/links/00000000000000aa/deliveries?space=s";
	struct h2_response *r;

	stand_by(&link_subject);
	a_stranger_is_refused_meanwhile();
	client = come("sesame");
	assert_told(ask(client, "it"), 503, "", "");
	place_set(false, "b:7443", "c:7443");
	assert_told(ask(client, "it"), 421, "b:7443", "c:7443");
	assert_told(h2_ask(client, "PUT", SESSION, "", 0), 421, "b:7443", "c:7443");
	assert_told(h2_ask(client, "GET", path, NULL, 0), 421, "b:7443", "c:7443");
	r = h2_ask(client, "GET", "/v1/links/00000000000000ab/deliveries", NULL, 0);
	assert_told(r, 503, "b:7443", "c:7443"); /* of a sidecar that does not know 421 */
	serves_over_the_same_connection();
	cr_assert_eq(h2_ask(client, "GET", path, NULL, 0)->status, 409, "it has a link");
}

/* Its next request is to come over another connection, which may lead to another broker. */
static void
client_is_sent_away(void)
{
	uint64_t until = sq_clock_ms() + H2_WAIT_MS;

	while (!h2_is_lost(client) && sq_clock_ms() < until)
		h2_turn(client, 10);
	cr_assert(h2_goaway(client) && h2_is_lost(client));
	h2_close(&client);
	client = come("sesame");
}

Test(service_contract, a_broker_that_stands_by)
{
	struct h2_response *r;

	stand_by(&http_subject);
	a_stranger_is_refused_meanwhile();
	client = come("sesame");
	assert_told(ask(client, "it"), 503, "", "");
	place_set(false, "b:7443", "");
	r = ask(client, "it");
	assert_told(r, 503, "b:7443", "");
	cr_assert_str_eq(r->type, "application/problem+json");
	client_is_sent_away();
	r = h2_ask(client, "POST", "/v1/publish/orders?redirect=1", "it", 2);
	assert_told(r, 307, "b:7443", "");
	cr_assert_str_eq(r->location, "http://b:7443/v1/publish/orders?redirect=1");
	client_is_sent_away();
	cr_assert_eq(h2_ask(client, "GET", "/v1", NULL, 0)->status, 200, "it is about the API");
	cr_assert_not(h2_goaway(client));
	serves_over_the_same_connection();
	cr_assert(good(h2_ask(client, "POST", "/v1/publish/orders?redirect=1", "it", 2)));
}

/* A question that waits is answered once another broker owns, or its time is over; or by a link, once
 * this one serves. */
Test(service_contract, a_question_waits_for_an_owner)
{
#define LINK_PATH(id, wait) \
	"/v1/links/00000000000000" id "/deliveries?space=s&wait=" wait "&epoch=7"
	struct h2_response *r, *other;

	stand_by(&link_subject);
	place_set(false, "b:7443", "c:7443");
	client = come("sesame");
	r = h2_ask(client, "GET", "/v1/links/00000000000000aa/deliveries?space=s&wait=20&epoch=6",
	    NULL, 0);
	assert_told(r, 421, "b:7443", "c:7443"); /* that is news */
	r = h2_ask(client, "GET", LINK_PATH("aa", "1"), NULL, 0);
	assert_told(r, 421, "b:7443", "c:7443"); /* its time is over */
	r = h2_start(client, "GET", LINK_PATH("aa", "30"), NULL, 0);
	second = come("sesame");
	other = h2_start(second, "GET", LINK_PATH("ab", "30"), NULL, 0);
	(void)ask(second, "it");
	cr_assert_eq(other->status, 0);
	h2_close(&second); /* who leaves is not waited for */
	(void)ask(client, "it");
	cr_assert_eq(r->status, 0);
	pthread_mutex_lock(&places.lock);
	places.place.epoch = 8;
	pthread_mutex_unlock(&places.lock);
	cr_assert(h2_finish(client, r));
	cr_assert_eq(r->status, 421);
	cr_assert_str_eq(r->owner_epoch, "8");
	r = h2_start(client, "GET", "/v1/links/00000000000000aa/deliveries?space=s&wait=30&epoch=8",
	    NULL, 0);
	(void)ask(client, "it");
	place_set(true, "here:1", "");
	(void)ask(client, "it");
	cr_assert_eq(r->status, 0, "it serves not yet");
	sq_front_serve(fake.front, &fake);
	cr_assert(h2_body(client, r, 5));
	cr_assert_eq(r->status, 200);
	cr_assert(good(ask(client, "it")));
	cr_assert(await_idle(true));
	assert_orderly();
}

Test(service_contract, a_question_that_waits_ends_with_the_broker)
{
	struct h2_response *r;

	stand_by(&link_subject);
	place_set(false, "b:7443", "c:7443");
	client = come("sesame");
	r = h2_start(client, "GET", LINK_PATH("aa", "30"), NULL, 0);
	(void)ask(client, "it");
	cr_assert_eq(r->status, 0);
	sq_front_drain(fake.front);
	cr_assert(h2_finish(client, r));
	assert_told(r, 421, "b:7443", "c:7443");
#undef LINK_PATH
}

/* One that never serves. */
Test(service_contract, stands_by_until_its_end)
{
	stand_by(&link_subject);
	client = come("sesame");
	assert_told(ask(client, "it"), 503, "", "");
	sq_front_drain(fake.front);
	cr_assert(sq_front_idle(fake.front));
	close_all();
	cr_assert_eq(seen(SERVE), 0);
	cr_assert_eq(seen(FREE), 1);
}

/* The owner says who would be next, and sends there when it ends; one that has lost the state
 * sends to who has it. */
Test(service_contract, an_owner_tells_its_standby)
{
	const char *path = "/v1/links/00000000000000aa/deliveries?space=";
	struct h2_response *r;
	struct sq_frame f;
	size_t used;

	standing = true;
	places.source.get = place_get;
	place_set(true, "here:1", "c:7443");
	start(&link_subject);
	client = come("sesame");
	h2_version(client, "3");
	r = h2_start(client, "GET", path, NULL, 0);
	cr_assert(h2_body(client, r, 5));
	cr_assert_str_eq(r->standby, "c:7443");
	cr_assert_str_eq(r->owner_epoch, "7");
	place_set(true, "here:1", "d:7443");
	cr_assert_eq(await_frame(client, r, SQ_FRAME_STANDBY, &f, &used), 0);
	while (!sq_bytes_are(f.address, "d:7443"))
		cr_assert_eq(await_frame(client, r, SQ_FRAME_STANDBY, &f, &used), 0);
	second = come("sesame");
	cr_assert_eq(h2_ask(second, "GET", "/v1/links/x", NULL, 0)->status, 404, "it is there");
	sq_front_drain(fake.front);
	cr_assert_eq(await_frame(client, r, SQ_FRAME_DRAINING, &f, &used), 0);
	cr_assert(sq_bytes_are(f.address, "d:7443"));
	place_set(false, "d:7443", "");
	assert_told(h2_ask(second, "GET", path, NULL, 0), 421, "d:7443", "");
}

TestSuite(service_contract, .fini = close_all, .timeout = 60);

#define CASE(name) \
	Test(service_contract, say_##name) \
	{ \
		start(&say_subject); \
		name(); \
	} \
	Test(service_contract, link_##name) \
	{ \
		start(&link_subject); \
		name(); \
	} \
	Test(service_contract, http_##name) \
	{ \
		start(&http_subject); \
		name(); \
	}

CASE(served_first_and_freed_last)
CASE(freed_without_being_served)
CASE(a_request_comes_once_with_its_sender)
CASE(a_stranger_is_refused)
CASE(a_busy_connection_is_refused)
CASE(a_busy_identity_is_refused)
CASE(a_body_that_is_too_large_is_refused)
CASE(greetings_need_nobody)
CASE(ticks_come_on_each_worker_until_the_end)
CASE(work_goes_on_while_the_door_drains)
CASE(who_has_left_gets_no_answer)
CASE(an_answer_may_come_after_the_stop)
CASE(a_hold_is_told_what_befalls_it)
CASE(each_path_has_one_service)
