/* Named queues as fronts see them: the same on every engine, whoever of the workers owns a queue. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/queue_world.h"
#include "broker/auth/acl/acl.h"
#include "broker/auth/identity/identity.h"
#include "broker/engine/record.h"
#include "broker/group/named.h"
#include "broker/subscriber/subscriber.h"
#include "core/mem.h"
#include "core/memory.h"

/* Rules that let everybody manage and consume, but in queues that begin so. */
static struct sq_acl *
rules(void)
{
	char *allowed[] = {(char[]){"consume"}, (char[]){"manage"}, (char[]){"push"}};
	char *denied[] = {(char[]){"manage"}};
	char *deaf[] = {(char[]){"consume"}};
	char *all[] = {(char[]){"*"}};
	char *closed[] = {(char[]){"closed-*"}};
	char *seen[] = {(char[]){"deaf-*"}};
	char *dark[] = {(char[]){"dark-*"}};
	struct sq_acl_rule v[] = {
	    {.allow = {allowed, 3}, .queues = {all, 1}, .where = "a:1"},
	    {.deny = {denied, 1}, .queues = {closed, 1}, .where = "a:2"},
	    {.deny = {deaf, 1}, .queues = {seen, 1}, .where = "a:3"},
	    {.deny = {allowed, 3}, .queues = {dark, 1}, .identity = "token:blind", .where = "a:4"},
	};
	struct sq_buf err = {0};

	return sq_acl_new(v, SQ_ARRAY_LEN(v), false, &err);
}

#define CONTRACT(name) \
	static void name(void); \
	Test(subscribers, name) \
	{ \
		queue_world_in_each(rules, name); \
	} \
	static void name(void)

static void
publish(const char *topic, uint8_t qos)
{
	(void)publisher_send(&http, &(struct entry){.topic = topic, .payload = topic, .qos = qos});
	world_run();
}

struct ready {
	const char *name;
	uint64_t n;
};

static bool
is_ready(void *arg)
{
	const struct ready *at = arg;
	char *group = sq_named_group("s", sq_bytes_of(at->name));
	struct sq_group *g = sq_group_find(w.broker, group);
	struct sq_queue_state q = {0};

	if (g != NULL)
		w.cfg.engine->queue.state(g->sink.queue, &q);
	sq_group_unref(&g);
	free(group);
	return q.n == at->n;
}

/* Messages come into the queue with their commit. */
static void
expect_ready(const char *name, uint64_t n)
{
	struct ready at = {name, n};

	world_run();
	if (!is_ready(&at))
		(void)fake_run_until(is_ready, &at);
	fake_self(0);
	cr_assert_eq(queue_ready(&api, name), n, "%llu instead of %llu",
	    (unsigned long long)queue_ready(&api, name), (unsigned long long)n);
}

/* Declarations. */

CONTRACT(a_declared_queue_is_there_with_what_it_says)
{
	struct fake_queue *q;
	const struct sq_queue_info *info;

	queue_ask(&api, SQ_QUEUE_GET, "jobs", SQ_QUEUE_MISSING);
	queue_declare(&api, "jobs",
	    "{\"bindings\":[{\"filter\":\"a/#\",\"qos\":2},{\"tag\":\"x\"}],\"lease\":\"45s\","
	    "\"ttl\":\"7d\"}",
	    SQ_QUEUE_CREATED);
	q = queue_get(&api, "jobs");
	info = queue_info(q, 0);
	cr_expect_str_eq(info->name, "jobs");
	cr_expect(info->revision != 0 && !info->in_file && !info->paused);
	cr_expect(info->decl.lease_ms == 45000 && info->decl.n_bindings == 2);
	cr_expect(info->decl.ttl_s == 7 * 86400 && info->ready == 0 && info->members == 0);
	queue_free(&q);
}

CONTRACT(what_is_published_comes_into_it_and_stays)
{
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a/#\"},{\"tag\":\"x\"}]}",
	    SQ_QUEUE_CREATED);
	publish("a/1", 1);
	publish("a/2", 2);
	publish("b/1", 1);
	(void)publisher_send(&http,
	    &(struct entry){.topic = "b/2",
		.payload = "",
		.qos = 1,
		.props = (const char *const[]){"tag", "x", NULL}});
	expect_ready("jobs", 3);
	if (queue_world_durable()) {
		queue_world_restart();
		expect_ready("jobs", 3);
	}
}

CONTRACT(what_is_published_at_qos_0_is_stored)
{
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a/#\"}],\"maxMessages\":2}",
	    SQ_QUEUE_CREATED);
	publish("a/1", 0);
	publish("a/2", 0);
	expect_ready("jobs", 2);
	publish("a/3", 0); /* has no room, and nobody is refused */
	expect_ready("jobs", 2);
	if (queue_world_durable()) {
		queue_world_restart();
		expect_ready("jobs", 2);
	}
}

CONTRACT(a_full_queue_refuses_publishes)
{
	struct sq_published p;

	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a/#\"}],\"maxMessages\":1}",
	    SQ_QUEUE_CREATED);
	publish("a/1", 1);
	expect_ready("jobs", 1);
	p = publisher_send(&http, &(struct entry){.topic = "a/2", .payload = "", .qos = 1});
	cr_expect(p.how == SQ_PUBLISHED_REFUSED && p.refusal == SQ_REFUSAL_QUEUE_FULL);
}

CONTRACT(a_limit_of_bytes_counts)
{
	struct sq_published p;

	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a/#\"}],\"maxBytes\":1024}",
	    SQ_QUEUE_CREATED);
	(void)publisher_send(&http, &(struct entry){.topic = "a/1", .payload_len = 900, .qos = 1});
	expect_ready("jobs", 1);
	p = publisher_send(&http, &(struct entry){.topic = "a/2", .payload_len = 900, .qos = 1});
	cr_expect(p.how == SQ_PUBLISHED_REFUSED);
	queue_declare(
	    &api, "jobs", "{\"bindings\":[{\"filter\":\"a/#\"}],\"maxBytes\":2048}", SQ_QUEUE_DONE);
	p = publisher_send(&http, &(struct entry){.topic = "a/2", .payload_len = 900, .qos = 1});
	cr_expect(p.how == SQ_PUBLISHED_STORED);
}

CONTRACT(the_same_again_changes_nothing_and_another_one_does)
{
	struct fake_queue *q;
	uint64_t first;

	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	q = queue_get(&api, "jobs");
	first = queue_info(q, 0)->revision;
	queue_free(&q);
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_DONE);
	q = queue_get(&api, "jobs");
	cr_expect_eq(queue_info(q, 0)->revision, first);
	queue_free(&q);
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"b\"}]}", SQ_QUEUE_DONE);
	q = queue_get(&api, "jobs");
	cr_expect_neq(queue_info(q, 0)->revision, first);
	cr_expect_str_eq(queue_info(q, 0)->decl.bindings[0].filter, "b");
	queue_free(&q);
	publish("a", 1);
	publish("b", 1);
	expect_ready("jobs", 1);
}

CONTRACT(a_change_may_be_of_one_revision_alone)
{
	struct fake_queue *q;
	uint64_t revision;

	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	q = queue_get(&api, "jobs");
	revision = queue_info(q, 0)->revision;
	queue_free(&q);
	q = queue_declaring(&api, "jobs", "{\"lease\":\"9s\"}");
	q->call.in.queue.in.declare.if_revision = revision + 1;
	queue_expect(&q, SQ_QUEUE_CHANGED);
	q = queue_declaring(&api, "jobs", "{\"lease\":\"9s\"}");
	q->call.in.queue.in.declare.must_be_new = true;
	queue_expect(&q, SQ_QUEUE_CHANGED);
	q = queue_declaring(&api, "other", "{}");
	q->call.in.queue.in.declare.if_revision = revision;
	queue_expect(&q, SQ_QUEUE_CHANGED);
	q = queue_declaring(&api, "jobs", "{\"lease\":\"9s\"}");
	q->call.in.queue.in.declare.if_revision = revision;
	queue_expect(&q, SQ_QUEUE_DONE);
}

CONTRACT(a_limit_below_what_waits_is_a_conflict)
{
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	publish("a", 1);
	publish("a", 1);
	expect_ready("jobs", 2);
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}],\"maxMessages\":1}",
	    SQ_QUEUE_CONFLICT);
	queue_declare(
	    &api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}],\"maxMessages\":2}", SQ_QUEUE_DONE);
}

CONTRACT(bindings_come_and_go)
{
	struct fake_queue *q;

	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	q = queue_new(&api, SQ_QUEUE_BIND, "jobs");
	q->call.in.queue.in.bind.binding = (struct sq_declared_binding){
	    .filter = (char[]){"a/+"}, .qos = 1};
	queue_expect(&q, SQ_QUEUE_CREATED);
	publish("a/1", 1);
	expect_ready("jobs", 1);
	q = queue_new(&api, SQ_QUEUE_BIND, "jobs");
	q->call.in.queue.in.bind.binding = (struct sq_declared_binding){
	    .filter = (char[]){"a/+"}, .qos = 2};
	queue_expect(&q, SQ_QUEUE_DONE);
	q = queue_new(&api, SQ_QUEUE_UNBIND, "jobs");
	q->call.in.queue.in.bind.binding = (struct sq_declared_binding){.id = (char[]){"b"}};
	queue_expect(&q, SQ_QUEUE_MISSING);
	q = queue_new(&api, SQ_QUEUE_UNBIND, "jobs");
	q->call.in.queue.in.bind.binding = (struct sq_declared_binding){.id = (char[]){"a/+"}};
	queue_expect(&q, SQ_QUEUE_DONE);
	publish("a/2", 1);
	expect_ready("jobs", 1);
	q = queue_new(&api, SQ_QUEUE_BIND, "none");
	q->call.in.queue.in.bind.binding = (struct sq_declared_binding){
	    .filter = (char[]){"a/+"}, .qos = 1};
	queue_expect(&q, SQ_QUEUE_MISSING);
}

CONTRACT(a_time_to_live_bounds_what_waits)
{
	queue_declare(
	    &api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}],\"ttl\":\"2s\"}", SQ_QUEUE_CREATED);
	publish("a", 1);
	expect_ready("jobs", 1);
	{
		struct peer p = peer_new(&w, "s~w~client");

		world_pass(&w, 3000);
		peer_connect(&p);
		cr_assert_eq(peer_subscribe(&p, "$queue/jobs", 1), 1);
		world_run();
		peer_expect_nothing(&p);
	}
}

/* Ends. */

CONTRACT(a_queue_with_messages_ends_only_with_them)
{
	struct fake_queue *q;

	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	publish("a", 1);
	expect_ready("jobs", 1);
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_NOT_EMPTY);
	expect_ready("jobs", 1);
	q = queue_new(&api, SQ_QUEUE_DELETE, "jobs");
	q->call.in.queue.in.remove.with_messages = true;
	queue_expect(&q, SQ_QUEUE_DONE);
	queue_ask(&api, SQ_QUEUE_GET, "jobs", SQ_QUEUE_MISSING);
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_MISSING);
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	expect_ready("jobs", 0);
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_DONE);
	if (queue_world_durable()) {
		queue_world_restart();
		queue_ask(&api, SQ_QUEUE_GET, "jobs", SQ_QUEUE_MISSING);
	}
}

CONTRACT(a_delete_may_be_of_one_revision_alone)
{
	struct fake_queue *q;

	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	q = queue_new(&api, SQ_QUEUE_DELETE, "jobs");
	q->call.in.queue.in.remove.if_revision = 1;
	queue_expect(&q, SQ_QUEUE_CHANGED);
}

CONTRACT(a_queue_that_nobody_uses_ends)
{
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}],\"expiry\":\"10s\"}",
	    SQ_QUEUE_CREATED);
	queue_declare(&api, "used", "{\"bindings\":[{\"filter\":\"a\"}],\"expiry\":\"10s\"}",
	    SQ_QUEUE_CREATED);
	queue_declare(&api, "kept", "{}", SQ_QUEUE_CREATED);
	world_pass(&w, 8000);
	queue_ask(&api, SQ_QUEUE_DELETE, "used", SQ_QUEUE_DONE);
	queue_declare(&api, "used", "{\"bindings\":[{\"filter\":\"b\"}],\"expiry\":\"10s\"}",
	    SQ_QUEUE_CREATED);
	publish("b", 1);
	world_pass(&w, 12000);
	queue_ask(&api, SQ_QUEUE_GET, "jobs", SQ_QUEUE_MISSING);
	queue_ask(&api, SQ_QUEUE_GET, "kept", SQ_QUEUE_DONE);
	expect_ready("used", 1); /* it has a message */
}

CONTRACT(a_queue_that_somebody_asks_again_and_again_stays)
{
	struct fake_queue *q;

	queue_declare(&api, "jobs", "{\"expiry\":\"10s\"}", SQ_QUEUE_CREATED);
	for (int i = 0; i < 5; i++) {
		world_pass(&w, 6000);
		q = queue_new(&api, SQ_QUEUE_RECEIVE, "jobs");
		q->call.in.queue.in.receive.max = 1; /* and does not wait */
		queue_expect(&q, SQ_QUEUE_DONE);
	}
	world_pass(&w, 12000);
	queue_ask(&api, SQ_QUEUE_GET, "jobs", SQ_QUEUE_MISSING);
}

CONTRACT(a_purge_empties_it)
{
	struct fake_queue *q;

	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	for (int i = 0; i < 5; i++)
		publish("a", 1);
	expect_ready("jobs", 5);
	q = queue_new(&api, SQ_QUEUE_PURGE, "jobs");
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE);
	cr_expect_eq(q->call.out.queue.n, 5);
	queue_free(&q);
	expect_ready("jobs", 0);
	queue_ask(&api, SQ_QUEUE_PURGE, "none", SQ_QUEUE_MISSING);
}

CONTRACT(a_look_takes_nothing)
{
	const struct sq_pulled *m;
	struct fake_queue *q;
	uint64_t seq;

	if (w.cfg.engine->queue.scan == NULL)
		return;
	queue_declare(
	    &api, "jobs", "{\"bindings\":[{\"filter\":\"a/#\"}],\"ttl\":\"1h\"}", SQ_QUEUE_CREATED);
	publish("a/1", 0);
	publish("a/2", 1);
	publish("a/3", 2);
	expect_ready("jobs", 3);
	q = queue_new(&api, SQ_QUEUE_PEEK, "jobs");
	q->call.in.queue.in.peek.max = 2;
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE);
	cr_assert_eq(sq_queue_out_pulled(&q->call.out.queue), 2);
	cr_expect(q->call.out.queue.more);
	m = (const void *)sq_buf_data(&q->call.out.queue.pulled);
	cr_expect(sq_bytes_are(sq_image_topic(m[0].msg.image), "a/1"));
	cr_expect(m[0].qos == 0 && m[1].qos == 1 && m[0].attempt == 1);
	cr_expect(m[0].lease[0] == '\0' && m[0].expires_ms > 0);
	seq = m[1].seq;
	queue_free(&q);
	q = queue_new(&api, SQ_QUEUE_PEEK, "jobs");
	q->call.in.queue.in.peek.max = 2;
	q->call.in.queue.in.peek.after = seq;
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE);
	cr_assert_eq(sq_queue_out_pulled(&q->call.out.queue), 1);
	cr_expect(!q->call.out.queue.more);
	queue_free(&q);
	expect_ready("jobs", 3);
	queue_ask(&api, SQ_QUEUE_PEEK, "none", SQ_QUEUE_MISSING);
}

/* Lists. */

CONTRACT(a_list_has_those_of_the_space_by_name)
{
	struct asker other = {&w, api.who, "t"};
	struct fake_queue *q;
	char name[16];

	queue_declare(&other, "foreign", "{}", SQ_QUEUE_CREATED);
	for (unsigned i = 0; i < SQ_QUEUE_PAGE + 2; i++) {
		(void)snprintf(name, sizeof name, "q-%03u", (i * 7) % (SQ_QUEUE_PAGE + 2));
		queue_declare(&api, name, "{}", SQ_QUEUE_CREATED);
	}
	q = queue_new(&api, SQ_QUEUE_LIST, NULL);
	q->call.in.queue.worker = 2;
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE);
	cr_expect_eq(sq_queue_out_infos(&q->call.out.queue), SQ_QUEUE_PAGE);
	cr_expect(q->call.out.queue.more);
	cr_expect_str_eq(queue_info(q, 0)->name, "q-000");
	cr_expect_str_eq(queue_info(q, SQ_QUEUE_PAGE - 1)->name, "q-099");
	queue_free(&q);
	q = queue_new(&api, SQ_QUEUE_LIST, NULL);
	q->call.in.queue.in.after = "q-099";
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE);
	cr_expect_eq(sq_queue_out_infos(&q->call.out.queue), 2);
	cr_expect(!q->call.out.queue.more);
	queue_free(&q);
}

Test(subscribers, a_list_goes_by_what_it_may_not_show_in_slices)
{
	struct asker blind;
	struct fake_queue *q;
	char name[16];

	queue_world_stored(rules);
	blind = (struct asker){
	    &w, sq_identity_new(&(const struct sq_identity){.id = 9, .name = "token:blind"}), "s"};
	for (unsigned i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof name, "dark-%03u", i);
		queue_declare(&api, name, "{}", SQ_QUEUE_CREATED);
	}
	queue_declare(&api, "a", "{}", SQ_QUEUE_CREATED);
	queue_declare(&api, "z", "{}", SQ_QUEUE_CREATED);
	q = queue_new(&blind, SQ_QUEUE_LIST, NULL);
	queue_post(q);
	fake_run_turn();
	cr_expect_eq(q->answers, 0, "others have their turn meanwhile");
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE);
	cr_assert_eq(sq_queue_out_infos(&q->call.out.queue), 2);
	cr_expect_str_eq(queue_info(q, 0)->name, "a");
	cr_expect_str_eq(queue_info(q, 1)->name, "z");
	cr_expect(!q->call.out.queue.more);
	queue_free(&q);
	sq_identity_unref(&blind.who);
	queue_world_end();
}

/* Rules. */

CONTRACT(rules_say_who_may)
{
	int64_t denied = world_metric(SQ_M_ACL_DENIED_MANAGE);
	struct fake_queue *q;

	q = queue_declaring(&api, "closed-a", "{}");
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DENIED);
	cr_expect_str_eq(
	    queue_detail(q), "not authorized to manage closed-a: acl[1] (line 2) denies it");
	queue_free(&q);
	cr_expect_eq(world_metric(SQ_M_ACL_DENIED_MANAGE), denied + 1);
	queue_declare(&api, "a", "{}", SQ_QUEUE_CREATED);
	queue_declare(&api, "deaf-a", "{}", SQ_QUEUE_CREATED);
	queue_ask(&api, SQ_QUEUE_GET, "closed-a", SQ_QUEUE_MISSING);
	queue_ask(&api, SQ_QUEUE_GET, "deaf-a", SQ_QUEUE_DONE);
	queue_ask(&api, SQ_QUEUE_DELETE, "closed-a", SQ_QUEUE_DENIED);
	queue_ask(&api, SQ_QUEUE_PURGE, "closed-a", SQ_QUEUE_DENIED);
	queue_ask(&api, SQ_QUEUE_PAUSE, "closed-a", SQ_QUEUE_DENIED);
	queue_ask(&api, SQ_QUEUE_RECEIVE, "deaf-a", SQ_QUEUE_DENIED);
	queue_ask(&api, SQ_QUEUE_PEEK, "deaf-a", SQ_QUEUE_DENIED);
	queue_declare(&api, "a b", "{}", SQ_QUEUE_INVALID);
}

/* Older brokers, which know no named queues. */

static void
begin_stored(void)
{
	queue_world_init_stored(rules, 3);
	queue_world_begin();
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	publish("a", 1);
}

Test(subscribers, an_older_broker_has_had_the_store)
{
	enum { FLAGS = 1, NAMED = 8 }; /* of a group's record: docs/store.md */

	begin_stored();
	queue_world_end();
	stored_engine_clear(SQ_RECORD_GROUP, FLAGS, NAMED);
	queue_world_begin();
	expect_ready("jobs", 1);
	publish("a", 1);
	expect_ready("jobs", 2);
	queue_world_restart();
	expect_ready("jobs", 2);
	queue_world_end();
	stored_engine_reset();
}

Test(subscribers, an_older_broker_has_ended_the_queue)
{
	begin_stored();
	queue_world_end();
	stored_engine_forget(SQ_RECORD_GROUP);
	stored_engine_forget(SQ_RECORD_BINDING);
	queue_world_begin();
	queue_ask(&api, SQ_QUEUE_GET, "jobs", SQ_QUEUE_MISSING);
	world_pass(&w, 1000);
	cr_expect_eq(stored_engine_records(SQ_RECORD_DECLARED), 0);
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_CREATED);
	queue_world_end();
	stored_engine_reset();
}

/* Everybody manages all queues, and nobody subscribes below "secret". */
static void
rules_of_secrets(void)
{
	char *allowed[] = {(char[]){"manage"}}, *all[] = {(char[]){"*"}};
	char *denied[] = {(char[]){"subscribe"}}, *secret[] = {(char[]){"secret/#"}};
	struct sq_acl_rule v[] = {
	    {.allow = {allowed, 1}, .queues = {all, 1}, .where = "a:1"},
	    {.deny = {denied, 1}, .topics = {secret, 1}, .where = "a:2"},
	};
	struct sq_buf err = {0};

	sq_broker_set_acl(w.broker, sq_acl_new(v, SQ_ARRAY_LEN(v), false, &err));
}

static void
bind(const char *filter, enum sq_queue_how how)
{
	struct fake_queue *q = queue_new(&api, SQ_QUEUE_BIND, "a");
	char *text = sq_xstrdup(filter);

	q->call.in.queue.in.bind.binding = (struct sq_declared_binding){.filter = text, .qos = 1};
	queue_expect(&q, how);
	free(text);
}

/* Who manages a queue reads by it what he may subscribe to, and nothing else. */
CONTRACT(what_nobody_may_subscribe_to_is_not_bound)
{
	struct fake_queue *q;

	rules_of_secrets();
	q = queue_declaring(&api, "a",
	    "{\"bindings\":[{\"filter\":\"x\"},{\"filter\":\"secret/a\",\"tag\":\"t\"}]}");
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DENIED);
	cr_expect_str_eq(
	    queue_detail(q), "not authorized to subscribe to secret/a: acl[1] (line 2) denies it");
	queue_free(&q);
	queue_declare(&api, "a", "{\"bindings\":[{\"filter\":\"x\"}]}", SQ_QUEUE_CREATED);
	bind("secret/#", SQ_QUEUE_DENIED);
	bind("#", SQ_QUEUE_DENIED);
	bind("a/#/b", SQ_QUEUE_INVALID);
	bind("open/#", SQ_QUEUE_CREATED);
}

CONTRACT(a_space_of_others_is_denied)
{
	const char *spaces[] = {"s"};
	const struct sq_identity who = {.name = "token:a", .spaces = spaces, .n_spaces = 1};
	struct asker a = {&w, sq_identity_new(&who), NULL};
	struct fake_queue *q;

	queue_declare(&a, "mine", "{}", SQ_QUEUE_CREATED); /* of its only space */
	queue_ask(&api, SQ_QUEUE_GET, "mine", SQ_QUEUE_DONE);
	a.space = "t";
	q = queue_declaring(&a, "mine", "{}");
	queue_post(q);
	world_run();
	cr_assert_eq(q->call.verdict, SQ_VERDICT_DENIED);
	queue_free(&q);
	sq_identity_unref(&a.who);
}

/* Bounds. */

CONTRACT(a_store_that_is_full_takes_no_declaration)
{
	if (w.cfg.engine != &stored_engine)
		return;
	queue_declare(&api, "there", "{}", SQ_QUEUE_CREATED);
	stored_engine_full(true);
	queue_declare(&api, "new", "{}", SQ_QUEUE_NO_ROOM);
	queue_declare(&api, "there", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_NO_ROOM);
	queue_declare(&api, "there", "{\"lease\":\"9s\"}", SQ_QUEUE_DONE);
	queue_ask(&api, SQ_QUEUE_DELETE, "there", SQ_QUEUE_DONE);
	stored_engine_full(false);
	queue_declare(&api, "new", "{}", SQ_QUEUE_CREATED);
}

/* Pauses. */

CONTRACT(a_paused_queue_hands_out_nothing)
{
	struct peer p = peer_new(&w, "s~w~client");
	struct fake_queue *q;

	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	if (queue_world_durable())
		queue_world_restart();
	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "$queue/jobs", 1), 1);
	publish("a", 1);
	expect_ready("jobs", 1);
	peer_expect_nothing(&p);
	q = queue_get(&api, "jobs");
	cr_expect(queue_info(q, 0)->paused);
	queue_free(&q);
	queue_ask(&api, SQ_QUEUE_RESUME, "jobs", SQ_QUEUE_DONE);
	expect_ready("jobs", 0);
	(void)peer_expect(&p, "a");
}

/* MQTT. */

CONTRACT(mqtt_clients_join_and_share)
{
	struct peer a = peer_new(&w, "s~w~a"), b = peer_new(&w, "s~w~b");
	struct fake_queue *q;
	unsigned got[2] = {0};

	b.link = 1;
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	peer_connect(&a);
	peer_connect(&b);
	cr_assert_eq(peer_subscribe(&a, "$queue/jobs", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "$queue/jobs", 2), 2);
	q = queue_get(&api, "jobs");
	cr_expect_eq(queue_info(q, 0)->members, 2);
	queue_free(&q);
	for (int i = 0; i < 4; i++)
		publish("a", 1);
	expect_ready("jobs", 0);
	while (peer_next(&a) != NULL)
		got[0]++;
	while (peer_next(&b) != NULL)
		got[1]++;
	cr_expect(got[0] + got[1] == 4, "%u and %u", got[0], got[1]);
	cr_expect(got[0] > 0 && got[1] > 0, "%u and %u", got[0], got[1]);
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_CONFLICT);
	queue_declare(&api, "jobs", "{\"order\":\"topic\"}", SQ_QUEUE_CONFLICT);
	cr_assert_eq(peer_unsubscribe(&a, "$queue/jobs"), 0);
	q = queue_get(&api, "jobs");
	cr_expect_eq(queue_info(q, 0)->members, 1);
	queue_free(&q);
}

CONTRACT(a_member_is_back_after_a_restart)
{
	struct peer p = peer_new(&w, "s~w~a");

	if (!queue_world_durable())
		return;
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "$queue/jobs", 1), 1);
	queue_world_restart();
	{
		struct fake_queue *q = queue_get(&api, "jobs");

		cr_expect_eq(queue_info(q, 0)->members, 1);
		queue_free(&q);
	}
	publish("a", 1);
	p = peer_new(&w, "s~w~a");
	peer_connect(&p);
	expect_ready("jobs", 0);
	(void)peer_expect(&p, "a");
}

CONTRACT(who_may_not_join_hears_why)
{
	struct peer p = peer_new(&w, "s~w~a");

	peer_connect(&p);
	cr_expect_eq(peer_subscribe(&p, "$queue/jobs", 1), 0x8f);
	cr_expect_str_eq(p.note, "filter $queue/jobs: there is no queue of that name");
	queue_declare(&api, "jobs", "{\"order\":\"topic\"}", SQ_QUEUE_CREATED);
	cr_expect_eq(peer_subscribe(&p, "$queue/jobs", 1), 0x8f);
	cr_expect(strstr(p.note, "has an order") != NULL, "%s", p.note);
	cr_expect_eq(peer_subscribe(&p, "$queue/a/b", 1), 0x8f);
	cr_expect(strstr(p.note, "1 to 128 of") != NULL, "%s", p.note);
	cr_expect_eq(peer_subscribe(&p, "$share/g/$queue/jobs", 1), 0x8f);
	queue_declare(&api, "deaf-a", "{}", SQ_QUEUE_CREATED);
	cr_expect_eq(peer_subscribe(&p, "$queue/deaf-a", 1), 0x87);
	cr_expect(strstr(p.note, "not authorized to consume deaf-a") != NULL, "%s", p.note);
	queue_declare(&api, "jobs", "{}", SQ_QUEUE_DONE);
	cr_expect_eq(peer_subscribe(&p, "$queue/jobs", 1), 1);
}

CONTRACT(a_pod_joins_by_what_it_declares)
{
	struct peer keeper = peer_new(&w, "s~w~keeper"), p = peer_new(&w, "s~w~a");
	struct sq_sub e = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE,
	    .filter = text("$queue/jobs"),
	    .group = text("jobs")};
	struct fake_queue *q;

	p.link = 1;
	peer_connect(&keeper);
	peer_connect(&p);
	cr_expect_eq(peer_sub(&keeper, &e), 0x8f);
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"a\"}]}", SQ_QUEUE_CREATED);
	cr_expect_eq(peer_sub(&keeper, &e), 2);
	q = queue_get(&api, "jobs");
	cr_expect_eq(queue_info(q, 0)->members, 0);
	queue_free(&q);
	e.flags |= SQ_SUB_CONSUME;
	cr_expect_eq(peer_sub(&p, &e), 2);
	q = queue_get(&api, "jobs");
	cr_expect_eq(queue_info(q, 0)->members, 1);
	queue_free(&q);
	publish("a", 1);
	expect_ready("jobs", 0);
	(void)peer_expect(&p, "a");
}

/* Pushes. */

#define PUSHING(filter, members) \
	"{\"bindings\":[{\"filter\":\"" filter \
	"\"}],\"push\":{\"url\":\"https://h/{topic.1}\"," members "}}"

CONTRACT(a_push_outlives_a_restart)
{
	static const char json[] = PUSHING("orders/#",
	    "\"retry\":{\"for\":\"24h\"},\"sign\":{\"secret\":\"k\"},\"headers\":{\"x-a\":\"{space}"
	    "\"},"
	    "\"on\":{\"retry\":[404,\"5xx\"]},\"reply\":{\"topic\":\"done/{topic.2}\"}");
	struct sq_declaration wanted;
	struct sq_buf err = {0};
	struct fake_queue *q;

	sq_declaration_init(&wanted);
	cr_assert(sq_declaration_read_json(&wanted, sq_bytes_of(json), &err) == SQ_OK);
	queue_declare(&api, "jobs", json, SQ_QUEUE_CREATED);
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	if (queue_world_durable())
		queue_world_restart();
	q = queue_get(&api, "jobs");
	cr_expect(sq_declaration_equal(&queue_info(q, 0)->decl, &wanted));
	cr_expect(queue_info(q, 0)->paused);
	queue_free(&q);
	/* And so does its end. */
	queue_declare(&api, "jobs", "{\"bindings\":[{\"filter\":\"orders/#\"}]}", SQ_QUEUE_DONE);
	if (queue_world_durable())
		queue_world_restart();
	q = queue_get(&api, "jobs");
	cr_expect(queue_info(q, 0)->decl.push.url == NULL && queue_info(q, 0)->paused);
	queue_free(&q);
	sq_declaration_fini(&wanted);
}

CONTRACT(no_reply_comes_back_into_its_own_queue)
{
	struct fake_queue *q = queue_declaring(
	    &api, "jobs", PUSHING("done/#", "\"reply\":{\"topic\":\"done/{topic.2}\"}"));

	queue_post(q);
	cr_expect_eq(queue_await(q)->how, SQ_QUEUE_INVALID);
	cr_expect_str_eq(queue_detail(q),
	    "push.reply.topic: the queue's own binding done/# may match it: replies would come "
	    "back");
	queue_free(&q);
	queue_declare(&api, "a", PUSHING("orders/#", "\"reply\":{\"topic\":\"{queue}/{topic.2}\"}"),
	    SQ_QUEUE_CREATED);
	bind("a/+", SQ_QUEUE_INVALID);
	bind("a/+/x", SQ_QUEUE_CREATED);
}

/* Files. */

/* What files declare: pairs of a name and its JSON. */
static void
set_files(bool whole, size_t n, const char *const (*v)[2])
{
	struct sq_subscriber_file files[4];
	struct sq_declaration decls[4];
	struct sq_buf err = {0};

	for (size_t i = 0; i < n; i++) {
		sq_declaration_init(&decls[i]);
		cr_assert(sq_declaration_read_json(&decls[i], sq_bytes_of(v[i][1]), &err) == SQ_OK);
		files[i] = (struct sq_subscriber_file){"s", v[i][0], &decls[i], "q.yaml:1"};
	}
	sq_subscribers_set_files(sq_broker_subscribers(w.broker), files, n, whole);
	world_run();
	for (size_t i = 0; i < n; i++)
		sq_declaration_fini(&decls[i]);
	sq_buf_fini(&err);
}

static bool
in_file(const char *name)
{
	struct fake_queue *q = queue_get(&api, name);
	bool is = queue_info(q, 0)->in_file;

	queue_free(&q);
	return is;
}

#define FILES(...) ((const char *const[][2]){__VA_ARGS__})
#define BOUND(filter) "{\"bindings\":[{\"filter\":\"" filter "\"}]}"

CONTRACT(what_files_declare_the_api_does_not_change)
{
	struct fake_queue *q;

	queue_declare(&api, "b", "{}", SQ_QUEUE_CREATED);
	set_files(true, 2, FILES({"a", BOUND("a")}, {"b", BOUND("b")}));
	cr_expect(in_file("a") && in_file("b"));
	publish("b", 1);
	expect_ready("b", 1);
	queue_declare(&api, "a", BOUND("a"), SQ_QUEUE_IN_FILE);
	q = queue_declaring(&api, "a", "{}");
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_IN_FILE);
	cr_expect_str_eq(queue_detail(q), "it is declared at q.yaml:1");
	queue_free(&q);
	queue_ask(&api, SQ_QUEUE_DELETE, "a", SQ_QUEUE_IN_FILE);
	q = queue_new(&api, SQ_QUEUE_BIND, "a");
	q->call.in.queue.in.bind.binding = (struct sq_declared_binding){
	    .filter = (char[]){"c"}, .qos = 1};
	queue_expect(&q, SQ_QUEUE_IN_FILE);
	queue_ask(&api, SQ_QUEUE_PAUSE, "a", SQ_QUEUE_DONE);
	if (queue_world_durable()) {
		queue_world_restart();
		cr_expect(in_file("a"));
	}
}

CONTRACT(what_files_no_longer_declare_stays_and_is_the_apis)
{
	set_files(true, 2, FILES({"a", BOUND("a")}, {"b", BOUND("b")}));
	set_files(false, 1, FILES({"a", BOUND("c")}));
	cr_expect(in_file("a") && in_file("b"), "nobody knows what they all declare");
	publish("c", 1);
	expect_ready("a", 1);
	set_files(true, 1, FILES({"a", BOUND("c")}));
	cr_expect(in_file("a") && !in_file("b"));
	queue_ask(&api, SQ_QUEUE_DELETE, "b", SQ_QUEUE_DONE);
	queue_ask(&api, SQ_QUEUE_DELETE, "a", SQ_QUEUE_IN_FILE);
}

CONTRACT(what_a_file_is_refused_is_tried_again)
{
	struct fake_queue *q;

	queue_declare(&api, "a", BOUND("a"), SQ_QUEUE_CREATED);
	publish("a", 1);
	publish("a", 1);
	expect_ready("a", 2);
	set_files(true, 2,
	    FILES({"a", "{\"bindings\":[{\"filter\":\"a\"}],\"maxMessages\":1}"}, {"b", "{}"}));
	cr_expect(!in_file("a") && in_file("b"));
	q = queue_new(&api, SQ_QUEUE_PURGE, "a");
	queue_expect(&q, SQ_QUEUE_DONE);
	world_pass(&w, 11000);
	cr_expect(in_file("a"));
}
