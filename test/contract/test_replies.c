/* Replies to requests: who waits gets the first message that is published to the topic he was given, and
 * nobody else gets any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_publish.h"
#include "broker/auth/acl/acl.h"
#include "broker/broker.h"
#include "broker/publish/replies.h"
#include "core/clock.h"

enum { WAIT_MS = 5000, WORKERS = 2 };

static struct world w;
static struct publisher http;
static struct sq_replies *replies;
static bool there;

/* Who waits. */
struct waiter {
	struct sq_reply_wait wait;
	char topic[SQ_REPLY_TOPIC_MAX];
	unsigned ends;
};

static void
begin(void)
{
	world_init(&w);
	world_start(&w, WORKERS);
	http = (struct publisher){.world = &w, .who = sq_identity_nobody(), .space = "s"};
	replies = sq_broker_replies(w.broker);
	there = true;
}

static void
end(void)
{
	sq_identity_unref(&http.who);
	world_stop(&w);
}

TestSuite(replies, .init = begin, .fini = end);

static void
waiter_ended(struct sq_reply_wait *wait)
{
	SQ_CONTAINER_OF(wait, struct waiter, wait)->ends++;
}

static bool
waiter_alive(struct sq_reply_wait *wait)
{
	(void)wait;
	return there;
}

static int
waiter_try(struct waiter *me, const char *space, unsigned worker)
{
	*me = (struct waiter){.wait = {.ended = waiter_ended,
				  .worker = fake_worker(worker),
				  .ends_ms = fake_now() + WAIT_MS,
				  .alive = waiter_alive}};
	fake_self(worker);
	return sq_replies_open(replies, &me->wait, space, me->topic);
}

static void
waiter_open(struct waiter *me, const char *space, unsigned worker)
{
	int err = waiter_try(me, space, worker);

	cr_assert_eq(err, SQ_OK);
	fake_self(0);
}

static void
waiter_close(struct waiter *me)
{
	fake_self(sq_worker_index(me->wait.worker));
	cr_expect(sq_replies_close(&me->wait));
	fake_self(0);
	world_run();
	cr_expect_eq(me->ends, 0);
}

static void
waiter_got(struct waiter *me, const char *payload)
{
	struct sq_bytes got;

	world_run();
	cr_assert_eq(me->ends, 1);
	cr_assert_eq(me->wait.end, SQ_REPLY_CAME);
	got = sq_image_payload(me->wait.msg.image);
	cr_expect(sq_bytes_are(got, payload));
	sq_msg_unref(&me->wait.msg);
}

static struct sq_published
reply(const char *topic, const char *payload, uint8_t qos)
{
	return publisher_send(
	    &http, &(struct entry){.topic = topic, .payload = payload, .qos = qos});
}

Test(replies, who_waits_gets_the_first_one)
{
	struct waiter me;
	struct sq_published p;

	waiter_open(&me, "s", 0);
	p = reply(me.topic, "yes", 1);
	cr_expect(p.how == SQ_PUBLISHED_STORED && p.matched == 1);
	waiter_got(&me, "yes");
	p = reply(me.topic, "no", 1);
	cr_expect(p.how == SQ_PUBLISHED_NO_MATCH && p.code == 0x10);
	cr_expect_eq(me.ends, 1);
}

Test(replies, each_worker_has_its_own)
{
	struct waiter a, b;

	waiter_open(&a, "s", 0);
	waiter_open(&b, "s", 1);
	cr_expect_str_neq(a.topic, b.topic);
	(void)reply(b.topic, "b", 0);
	(void)reply(a.topic, "a", 2);
	waiter_got(&a, "a");
	waiter_got(&b, "b");
}

Test(replies, a_client_of_the_space_replies_at_each_qos)
{
	struct peer p = peer_new(&w, "s~app~x");

	peer_connect(&p);
	for (uint8_t qos = 0; qos <= 2; qos++) {
		struct waiter me;

		waiter_open(&me, "s", 1);
		cr_expect_eq(peer_publish(&p, me.topic, "from a client", qos), 0);
		waiter_got(&me, "from a client");
		cr_expect_eq(peer_publish(&p, me.topic, "late", qos), qos > 0 ? 0x10 : 0);
		if (qos == 2)
			peer_detach(&p, 0, false);
	}
}

Test(replies, another_space_has_none)
{
	struct publisher other = {.world = &w, .who = http.who, .space = "t"};
	struct waiter me;
	struct sq_published p;

	waiter_open(&me, "s", 0);
	p = publisher_send(&other, &(struct entry){.topic = me.topic, .payload = "x", .qos = 1});
	cr_expect_eq(p.how, SQ_PUBLISHED_NO_MATCH);
	world_run();
	cr_expect_eq(me.ends, 0);
	waiter_close(&me);
}

/* All of a topic counts. */
Test(replies, a_topic_that_nobody_was_given_is_nobodys)
{
	struct waiter me;
	size_t len;

	waiter_open(&me, "s", 0);
	len = strlen(me.topic);
	for (size_t i = sizeof "$reply/" - 1; i < len; i++) {
		char topic[SQ_REPLY_TOPIC_MAX], was = me.topic[i];

		memcpy(topic, me.topic, sizeof topic);
		topic[i] = was == '7' ? '8' : '7';
		cr_expect_eq(reply(topic, "x", 1).how, SQ_PUBLISHED_NO_MATCH, "%s", topic);
		topic[i] = '/';
		cr_expect_eq(reply(topic, "x", 1).how, SQ_PUBLISHED_NO_MATCH, "%s", topic);
		topic[i] = '\0';
		cr_expect_eq(reply(topic, "x", 1).how, SQ_PUBLISHED_NO_MATCH, "%s", topic);
	}
	cr_expect_eq(reply("$reply", "x", 1).how, SQ_PUBLISHED_NO_MATCH);
	cr_expect_eq(reply("$reply/4294967296.0.00000000000000000000000000000000", "x", 1).how,
	    SQ_PUBLISHED_NO_MATCH);
	world_run();
	cr_expect_eq(me.ends, 0);
	waiter_close(&me);
}

Test(replies, a_slot_that_is_used_again_has_another_topic)
{
	struct waiter me, next;

	waiter_open(&me, "s", 0);
	waiter_close(&me);
	waiter_open(&next, "s", 0);
	cr_expect_str_neq(me.topic, next.topic);
	cr_expect_eq(next.wait.slot, me.wait.slot);
	cr_expect_eq(reply(me.topic, "late", 1).how, SQ_PUBLISHED_NO_MATCH);
	cr_expect_eq(next.ends, 0);
	waiter_close(&next);
}

Test(replies, nobody_subscribes_to_them)
{
	struct peer p = peer_new(&w, "s~app~x");
	struct waiter me;

	peer_connect(&p);
	cr_expect_eq(peer_subscribe(&p, "$reply/#", 1), 0x8f);
	cr_expect_eq(peer_subscribe(&p, "$reply", 1), 0x8f);
	cr_expect_eq(peer_subscribe(&p, "$share/g/$reply/+", 1), 0x8f);
	cr_expect_eq(peer_subscribe(&p, "$tag/x/$reply/+", 1), 0x8f);
	cr_expect_eq(peer_subscribe(&p, "#", 1), 1);
	cr_expect_eq(peer_subscribe(&p, "+/#", 1), 1);
	cr_expect_eq(peer_subscribe(&p, "$tag/x", 1), 1);
	waiter_open(&me, "s", 0);
	(void)publisher_send(&http,
	    &(struct entry){.topic = me.topic,
		.payload = "x",
		.qos = 1,
		.props = (const char *const[]){"tag", "x", NULL}});
	waiter_got(&me, "x");
	(void)reply(me.topic, "late", 1);
	peer_expect_nothing(&p);
}

Test(replies, one_that_is_retained_or_delayed_comes_and_is_kept_nowhere)
{
	struct waiter me;

	waiter_open(&me, "s", 0);
	(void)publisher_send(&http,
	    &(struct entry){.topic = me.topic,
		.payload = "kept?",
		.qos = 1,
		.retain = true,
		.props = (const char *const[]){"sqmqos-delay", "10", NULL}});
	waiter_got(&me, "kept?");
	cr_expect_eq(world_metric(SQ_M_RETAINED), 0);
	world_pass(&w, 20000);
	cr_expect_eq(me.ends, 1);
}

Test(replies, no_rule_is_asked)
{
	char *verbs[] = {(char[]){"publish"}}, *topics[] = {(char[]){"#"}};
	struct sq_acl_rule v[] = {{.deny = {verbs, 1}, .topics = {topics, 1}, .where = "a:1"}};
	struct sq_buf err = {0};
	struct waiter me;

	sq_broker_set_acl(w.broker, sq_acl_new(v, 1, true, &err));
	waiter_open(&me, "s", 0);
	cr_expect_eq(reply("a", "x", 1).how, SQ_PUBLISHED_REFUSED);
	cr_expect_eq(reply(me.topic, "x", 1).how, SQ_PUBLISHED_STORED);
	waiter_got(&me, "x");
}

/* A list is looked at before it is carried out. */
Test(replies, a_list_replies_once_or_not_at_all)
{
	struct publisher all = {
	    .world = &w, .who = http.who, .space = "s", .atomic = true, .require_match = true};
	struct fake_publish *p;
	struct waiter me;

	waiter_open(&me, "s", 0);
	p = publisher_post(&all,
	    (const struct entry[]){{.topic = me.topic, .payload = "x", .qos = 1},
		{.topic = "nobody", .payload = "y", .qos = 1}},
	    2);
	cr_expect_eq(publish_outcomes(p)[1].how, SQ_PUBLISHED_REFUSED);
	publish_free(&p);
	cr_expect_eq(me.ends, 0);
	p = publisher_post(&all, &(struct entry){.topic = me.topic, .payload = "x", .qos = 1}, 1);
	cr_expect_eq(publish_outcomes(p)[0].how, SQ_PUBLISHED_STORED);
	publish_free(&p);
	waiter_got(&me, "x");
	p = publisher_post(&all, &(struct entry){.topic = me.topic, .payload = "x", .qos = 1}, 1);
	cr_expect_eq(publish_outcomes(p)[0].how, SQ_PUBLISHED_REFUSED);
	publish_free(&p);
}

Test(replies, a_wait_ends_with_its_time)
{
	struct waiter me;

	waiter_open(&me, "s", 1);
	world_pass(&w, WAIT_MS - 500);
	cr_expect_eq(me.ends, 0);
	world_pass(&w, 1000);
	cr_expect_eq(me.ends, 1);
	cr_expect_eq(me.wait.end, SQ_REPLY_NONE);
	cr_expect_eq(reply(me.topic, "late", 2).how, SQ_PUBLISHED_NO_MATCH);
}

Test(replies, who_leaves_is_found_out)
{
	struct waiter me;

	waiter_open(&me, "s", 0);
	there = false;
	world_pass(&w, 2 * SQ_REPLY_LOOK_MS);
	cr_expect_eq(me.ends, 1);
	cr_expect_eq(me.wait.end, SQ_REPLY_LEFT);
}

/* The end may be on its way when the owner closes. */
Test(replies, a_close_that_comes_too_late_says_so)
{
	struct waiter me;
	struct fake_publish *p;

	waiter_open(&me, "s", 1);
	p = publisher_post(&http, &(struct entry){.topic = me.topic, .payload = "x", .qos = 0}, 1);
	cr_assert_eq(me.ends, 0);
	fake_self(1);
	cr_expect_not(sq_replies_close(&me.wait));
	fake_self(0);
	waiter_got(&me, "x");
	publish_free(&p);
}

Test(replies, a_broker_that_drains_has_nobody_wait)
{
	struct waiter me;

	waiter_open(&me, "s", 1);
	sq_broker_drain(w.broker);
	world_pass(&w, 500);
	cr_expect_eq(me.ends, 1);
	cr_expect_eq(me.wait.end, SQ_REPLY_DRAINING);
}

Test(replies, there_is_a_bound)
{
	struct waiter *all = calloc(SQ_REPLIES_MAX + 1, sizeof *all);

	for (unsigned i = 0; i < SQ_REPLIES_MAX; i++)
		waiter_open(&all[i], "s", 0);
	cr_expect_eq(waiter_try(&all[SQ_REPLIES_MAX], "s", 0), SQ_ENOMEM);
	waiter_open(&all[SQ_REPLIES_MAX], "s", 1); /* another worker's */
	for (unsigned i = 0; i <= SQ_REPLIES_MAX; i++)
		waiter_close(&all[i]);
	free(all);
}

Test(replies, the_end_of_the_broker_ends_them)
{
	static struct waiter me; /* fini looks */

	waiter_open(&me, "s", 1);
}
