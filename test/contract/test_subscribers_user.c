/* Who serves named queues beside those who pull, as broker/push: what they are asked, and told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_publish.h"
#include "../support/fake_queue.h"
#include "../support/stored_engine.h"
#include "broker/auth/acl/acl.h"
#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/subscriber/subscriber.h"
#include "broker/subscriber/table.h"
#include "broker/subscriber/user.h"
#include "core/mem.h"

#define PUSH(url) "\"push\":{\"url\":\"" url "\"}"
#define A_URL "https://a.example/"
#define PUSHED "{" PUSH(A_URL) "}"

enum { WORKERS = 2 };

static struct world w;
static struct asker api, weak, reader;

static struct {
	unsigned declared, ended, judged, tested;
	bool paused; /* as it was declared last */
	char why[200];
	int verdict;
	struct sq_subscriber *last;
} user;

static const struct sq_subscribers_user ops;

static int
user_judge(void *arg, const char *space, const struct sq_declaration *d, struct sq_buf *err)
{
	cr_expect_eq(arg, &user);
	cr_expect_str_eq(space, "s");
	cr_expect_not_null(d->push.url);
	user.judged++;
	if (user.verdict != SQ_OK)
		sq_buf_printf(err, "not to that host");
	return user.verdict;
}

static void
user_declared(void *arg, struct sq_subscriber *s, void **own)
{
	cr_expect_eq(arg, &user);
	cr_expect_not_null(s->pull);
	*own = &user;
	user.last = s;
	user.declared++;
	user.paused = s->paused;
	(void)snprintf(user.why, sizeof user.why, "%s", s->pause_why != NULL ? s->pause_why : "");
}

static void
user_ended(void *arg, struct sq_subscriber *s, void **own)
{
	cr_expect_eq(arg, &user);
	cr_expect_eq(*own, (void *)&user);
	cr_expect_eq(sq_subscriber_own(s, &ops), own);
	*own = NULL;
	user.ended++;
}

static void
user_test(void *arg, struct sq_subscriber *s, void **own, struct sq_call *c)
{
	cr_expect_eq(arg, &user);
	cr_expect_eq(*own, (void *)&user);
	cr_expect_not_null(s->decl->push.url);
	user.tested++;
	c->out.queue.tested = (struct sq_queue_tested){.taken = true, .status = 204, .took_us = 17};
	sq_buf_printf(&c->out.queue.tested.type, "text/plain");
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
}

static void
user_describe(void *arg, const struct sq_subscriber *s, void *const *own, struct sq_buf *out)
{
	cr_expect_eq(arg, &user);
	cr_expect_eq(*own, (void *)&user);
	sq_buf_printf(out, "\"url\":\"%s\"", s->decl->push.url);
}

static const struct sq_subscribers_user ops = {
    user_judge, user_declared, user_ended, user_test, user_describe, &user};

/* Another user, which is asked nothing about pushes. */
static struct {
	unsigned declared, ended;
} other;

static void
other_declared(void *arg, struct sq_subscriber *s, void **own)
{
	cr_expect_eq(arg, &other);
	cr_expect_neq(own, sq_subscriber_own(s, &ops), "each has a place of its own");
	*own = &other;
	other.declared++;
}

static void
other_ended(void *arg, struct sq_subscriber *s, void **own)
{
	cr_expect_eq(arg, &other);
	(void)s;
	cr_expect_eq(*own, (void *)&other);
	*own = NULL;
	other.ended++;
}

static const struct sq_subscribers_user other_ops = {
    .declared = other_declared, .ended = other_ended, .arg = &other};

/* Everybody manages and consumes; "weak" does not push. */
static void
rules(void)
{
	char *both[] = {(char[]){"consume"}, (char[]){"manage"}}, *push[] = {(char[]){"push"}};
	struct sq_acl_rule v[] = {
	    {.allow = {both, 2}, .identity = "token:strong", .where = "a:1"},
	    {.allow = {both, 2}, .identity = "token:weak", .where = "a:1"},
	    {.allow = {push, 1}, .identity = "token:strong", .where = "a:2"},
	};
	struct sq_buf err = {0};

	sq_broker_set_acl(w.broker, sq_acl_new(v, SQ_ARRAY_LEN(v), false, &err));
}

static const struct sq_identity *
somebody(const char *name)
{
	return sq_identity_new(&(struct sq_identity){.id = (unsigned char)name[6], .name = name});
}

static void
begin(void)
{
	memset(&user, 0, sizeof user);
	world_start(&w, WORKERS);
	rules();
	api = (struct asker){&w, somebody("token:strong"), "s"};
	weak = (struct asker){&w, somebody("token:weak"), "s"};
	reader = (struct asker){&w, somebody("token:reader"), "s"};
	memset(&other, 0, sizeof other);
	sq_subscribers_add_user(sq_broker_subscribers(w.broker), &ops);
	sq_subscribers_add_user(sq_broker_subscribers(w.broker), &other_ops);
}

static void
end(void)
{
	sq_identity_unref(&api.who);
	sq_identity_unref(&weak.who);
	sq_identity_unref(&reader.who);
	world_stop(&w);
}

static void
init(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	begin();
}

static void
fini(void)
{
	end();
	stored_engine_reset();
}

TestSuite(subscribers_user, .init = init, .fini = fini);

static struct fake_queue *
patching(const struct asker *who, const char *name, const char *json)
{
	struct fake_queue *q = queue_new(who, SQ_QUEUE_PATCH, name);

	q->call.in.queue.in.declare.patch = sq_bytes_of(json);
	return q;
}

static void
patch(const struct asker *who, const char *name, const char *json, enum sq_queue_how how)
{
	struct fake_queue *q = patching(who, name, json);

	queue_expect(&q, how);
}

Test(subscribers_user, it_is_told_of_each_change_and_of_the_end)
{
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	cr_expect_eq(user.declared, 1);
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_DONE);
	cr_expect_eq(user.declared, 1);
	queue_declare(&api, "jobs", "{\"lease\":\"9s\"}", SQ_QUEUE_DONE);
	cr_expect_eq(user.declared, 2);
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	cr_expect(user.declared == 3 && user.paused);
	queue_ask(&api, SQ_QUEUE_RESUME, "jobs", SQ_QUEUE_DONE);
	cr_expect(user.declared == 4 && !user.paused && user.ended == 0);
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_DONE);
	cr_expect(user.declared == 4 && user.ended == 1);
	cr_expect_eq(user.judged, 0);
	cr_expect(other.declared == 4 && other.ended == 1);
}

Test(subscribers_user, it_is_told_of_those_that_the_store_has)
{
	queue_declare(&api, "jobs", PUSHED, SQ_QUEUE_CREATED);
	queue_declare(&api, "other", "{}", SQ_QUEUE_CREATED);
	end();
	cr_expect_eq(user.ended, 2);
	begin();
	cr_expect_eq(user.declared, 2);
}

Test(subscribers_user, it_judges_a_push_that_is_new_or_another)
{
	struct fake_queue *q;

	user.verdict = SQ_EDENIED;
	q = queue_declaring(&api, "jobs", PUSHED);
	queue_post(q);
	cr_expect_eq(queue_await(q)->how, SQ_QUEUE_DENIED);
	cr_expect_str_eq(queue_detail(q), "not to that host");
	queue_free(&q);
	user.verdict = SQ_EINVAL;
	queue_declare(&api, "jobs", PUSHED, SQ_QUEUE_INVALID);
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	cr_expect_eq(user.judged, 2);
	user.verdict = SQ_OK;
	queue_declare(&api, "jobs", PUSHED, SQ_QUEUE_DONE);
	cr_expect_eq(user.judged, 3);
	user.verdict = SQ_EDENIED; /* by now; what is there already stays */
	patch(&api, "jobs", "{\"lease\":\"9s\"}", SQ_QUEUE_DONE);
	patch(&api, "jobs", "{\"push\":{\"concurrency\":3}}", SQ_QUEUE_DENIED);
	cr_expect_eq(user.judged, 4);
}

Test(subscribers_user, who_may_not_push_redirects_nothing)
{
	queue_declare(&weak, "jobs", PUSHED, SQ_QUEUE_DENIED);
	queue_declare(&weak, "jobs", "{}", SQ_QUEUE_CREATED);
	queue_declare(&weak, "jobs", PUSHED, SQ_QUEUE_DENIED);
	patch(&weak, "jobs", PUSHED, SQ_QUEUE_DENIED);
	queue_declare(&api, "jobs", PUSHED, SQ_QUEUE_DONE);
	cr_expect_str_eq(user.last->declarer, "token:strong");
	/* all but the push is his to change */
	queue_declare(&weak, "jobs", "{\"lease\":\"9s\"," PUSH(A_URL) "}", SQ_QUEUE_DONE);
	patch(&weak, "jobs", "{\"maxMessages\":7}", SQ_QUEUE_DONE);
	queue_ask(&weak, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	cr_expect_str_eq(user.last->declarer, "token:strong");
	/* where to, with what, and what comes of it is not */
	queue_declare(&weak, "jobs", "{" PUSH("https://b.example/") "}", SQ_QUEUE_DENIED);
	for (size_t i = 0; i < 6; i++) {
		static const char *const changes[] = {"\"url\":\"https://b.example/\"",
		    "\"sign\":{\"secret\":\"k\"}", "\"auth\":{\"bearer\":\"k\"}",
		    "\"headers\":{\"x-a\":\"b\"}", "\"reply\":{\"topic\":\"a\"}",
		    "\"concurrency\":2"};
		char text[128];

		(void)snprintf(text, sizeof text, "{\"push\":{%s}}", changes[i]);
		patch(&weak, "jobs", text, SQ_QUEUE_DENIED);
		patch(&api, "jobs", text, SQ_QUEUE_DONE);
	}
	queue_ask(&weak, SQ_QUEUE_TEST, "jobs", SQ_QUEUE_DENIED);
	cr_expect_eq(user.tested, 0);
	/* he may end it, as he may delete the queue */
	patch(&weak, "jobs", "{\"push\":null}", SQ_QUEUE_DONE);
	cr_expect_null(user.last->decl->push.url);
}

Test(subscribers_user, the_api_uses_no_file_of_anothers)
{
	struct sq_declaration d;
	struct sq_subscriber_file file = {"s", "jobs", &d, "billing.yaml:3"};
	struct sq_buf err = {0};

	sq_declaration_init(&d);
	cr_assert_eq(
	    sq_declaration_set(&d, sq_bytes_of("push.url"), sq_bytes_of(A_URL), &err), SQ_OK);
	cr_assert_eq(sq_declaration_set(
			 &d, sq_bytes_of("push.sign.secret-file"), sq_bytes_of("/etc/key"), &err),
	    SQ_OK);
	sq_subscribers_set_files(sq_broker_subscribers(w.broker), &file, 1, true);
	world_run();
	cr_assert_eq(user.declared, 1);
	cr_expect_str_eq(user.last->declarer, "subscriber:s/jobs");
	patch(&api, "jobs", "{\"push\":{\"concurrency\":3}}", SQ_QUEUE_IN_FILE);
	sq_subscribers_set_files(sq_broker_subscribers(w.broker), NULL, 0, true);
	world_run();
	patch(&api, "jobs", "{\"push\":{\"url\":\"https://b.example/\"}}", SQ_QUEUE_INVALID);
	patch(&api, "jobs", "{\"lease\":\"9s\"}", SQ_QUEUE_DONE);
	cr_expect_str_eq(user.last->declarer, "subscriber:s/jobs");
	sq_declaration_fini(&d);
}

Test(subscribers_user, it_tests_what_has_a_push)
{
	struct fake_queue *q;
	const struct sq_queue_out *out;

	queue_ask(&api, SQ_QUEUE_TEST, "jobs", SQ_QUEUE_MISSING);
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	queue_ask(&api, SQ_QUEUE_TEST, "jobs", SQ_QUEUE_CONFLICT);
	queue_declare(&api, "jobs", PUSHED, SQ_QUEUE_DONE);
	q = queue_new(&api, SQ_QUEUE_TEST, "jobs");
	queue_post(q);
	out = queue_await(q);
	cr_expect(out->how == SQ_QUEUE_DONE && out->tested.taken && out->tested.status == 204);
	cr_expect_eq(user.tested, 1);
	queue_free(&q);
}

Test(subscribers_user, it_describes_itself)
{
	struct fake_queue *q;

	queue_declare(&api, "jobs", PUSHED, SQ_QUEUE_CREATED);
	q = queue_get(&api, "jobs");
	cr_expect_eq(sq_buf_len(&queue_info(q, 0)->user), strlen("\"url\":\"" A_URL "\""));
	queue_free(&q);
	/* who only takes from it sees nothing of that: the URL may be a secret */
	q = queue_get(&reader, "jobs");
	cr_expect_null(queue_info(q, 0)->decl.push.url);
	cr_expect_eq(sq_buf_len(&queue_info(q, 0)->user), 0);
	queue_free(&q);
	q = queue_new(&reader, SQ_QUEUE_LIST, NULL);
	queue_post(q);
	cr_expect_eq(sq_queue_out_infos(queue_await(q)), 1);
	cr_expect_null(queue_info(q, 0)->decl.push.url);
	queue_free(&q);
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_DONE);
	q = queue_get(&api, "jobs");
	cr_expect_eq(sq_buf_len(&queue_info(q, 0)->user), 0);
	queue_free(&q);
}

static void
pause(const char *why)
{
	unsigned at = sq_worker_index(user.last->shard->worker);

	fake_self(at);
	sq_subscriber_pause(user.last, why);
	fake_self(0);
	world_run();
}

Test(subscribers_user, it_pauses_a_queue_and_says_why)
{
	struct fake_queue *q;
	char longer[2 * SQ_PAUSE_WHY_MAX];

	queue_declare(&api, "jobs", PUSHED, SQ_QUEUE_CREATED);
	pause("status 410");
	cr_expect(user.declared == 2 && user.paused);
	pause("again");
	cr_expect_eq(user.declared, 2);
	q = queue_get(&api, "jobs");
	cr_expect(queue_info(q, 0)->paused);
	cr_expect_str_eq(queue_info(q, 0)->pause_why, "status 410");
	queue_free(&q);
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE); /* it is paused */
	end();
	begin();
	cr_expect(user.paused);
	cr_expect_str_eq(user.why, "status 410");
	cr_expect_str_eq(user.last->declarer, "token:strong");
	queue_ask(&api, SQ_QUEUE_RESUME, "jobs", SQ_QUEUE_DONE);
	cr_expect(!user.paused && user.why[0] == '\0');
	memset(longer, 'x', sizeof longer);
	memcpy(&longer[SQ_PAUSE_WHY_MAX - 1], "\xc3\xa4", 3);
	pause(longer);
	cr_expect_eq(strlen(user.why), SQ_PAUSE_WHY_MAX - 1);
	queue_ask(&api, SQ_QUEUE_RESUME, "jobs", SQ_QUEUE_DONE);
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	q = queue_get(&api, "jobs");
	cr_expect_null(queue_info(q, 0)->pause_why);
	queue_free(&q);
}

/* Settings that are named change, and nothing else (RFC 7396). */
Test(subscribers_user, a_patch_changes_what_it_names)
{
	struct fake_queue *q;
	uint64_t revision;

	patch(&api, "jobs", "{}", SQ_QUEUE_MISSING);
	queue_declare(&api, "jobs",
	    "{\"bindings\":[{\"filter\":\"a\"}],\"lease\":\"45s\",\"maxMessages\":9," PUSH(
		A_URL) "}",
	    SQ_QUEUE_CREATED);
	patch(&api, "jobs", "{\"lease\":null,\"push\":{\"timeout\":\"9s\"}}", SQ_QUEUE_DONE);
	q = queue_get(&api, "jobs");
	revision = queue_info(q, 0)->revision;
	cr_expect_eq(queue_info(q, 0)->decl.lease_ms, 30000);
	cr_expect_eq(queue_info(q, 0)->decl.max_messages, 9);
	cr_expect_eq(queue_info(q, 0)->decl.n_bindings, 1);
	cr_expect_eq(queue_info(q, 0)->decl.push.timeout_ms, 9000);
	cr_expect_str_eq(queue_info(q, 0)->decl.push.url, A_URL);
	queue_free(&q);
	patch(&api, "jobs", "{\"lease\":\"1ms\"}", SQ_QUEUE_INVALID);
	patch(&api, "jobs", "{\"leese\":\"9s\"}", SQ_QUEUE_INVALID);
	q = patching(&api, "jobs", "{\"bindings\":[]}");
	q->call.in.queue.in.declare.if_revision = revision + 1;
	queue_expect(&q, SQ_QUEUE_CHANGED);
	q = patching(&api, "jobs", "{\"bindings\":[]}");
	q->call.in.queue.in.declare.if_revision = revision;
	queue_expect(&q, SQ_QUEUE_DONE);
	q = queue_get(&api, "jobs");
	cr_expect_eq(queue_info(q, 0)->decl.n_bindings, 0);
	queue_free(&q);
}
