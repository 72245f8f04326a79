/* Messages of publishers that have no session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_publish.h"
#include "../support/stored_engine.h"
#include "broker/auth/acl/acl.h"
#include "broker/engine/record.h"
#include "broker/publish/id.h"
#include "broker/shard/shard.h"

static struct world w;
static struct peer pub, sub;
static struct publisher http;

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASSURED "sqmqos-qos", "3"

static void
begin(void)
{
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber");
	sub.link = 1;
	peer_connect(&pub);
	peer_connect(&sub);
	http = (struct publisher){.world = &w, .who = sq_identity_nobody(), .space = "s"};
}

static void
end(void)
{
	sq_identity_unref(&http.who);
	world_stop(&w);
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	begin();
}

static void
teardown(void)
{
	end();
	stored_engine_reset();
}

TestSuite(intake, .init = setup, .fini = teardown);

static void
restart(void)
{
	end();
	begin();
}

static struct sq_published
send(const char *topic, const char *payload, uint8_t qos, const char *const *props)
{
	struct entry e = {.topic = topic, .payload = payload, .qos = qos, .props = props};

	return publisher_send(&http, &e);
}

static struct sq_published
send_key(const char *topic, const char *payload, const char *key)
{
	return send(topic, payload, 2, PROPS(ASSURED, "sqmqos-key", key));
}

/* The same from a client. */
static uint8_t
client_send_key(const char *payload, const char *key)
{
	static uint16_t id = 1000;
	struct entry e = {.topic = "t",
	    .payload = payload,
	    .qos = 2,
	    .id = ++id,
	    .props = PROPS(ASSURED, "sqmqos-key", key)};
	uint8_t code = peer_send(&pub, &e);

	if (code < 0x80)
		cr_assert_eq(peer_send(&pub, &(struct entry){.id = id}), 0);
	return code;
}

static void
expect_how(struct sq_published is, enum sq_published_how how, uint8_t code)
{
	cr_assert_eq(is.how, how, "%u, code 0x%02x", is.how, is.code);
	cr_assert_eq(is.code, code, "0x%02x", is.code);
}

/* The client takes the next delivery to its end. */
static void
take(const char *payload)
{
	const struct fake_delivery *d = peer_expect(&sub, payload);
	uint64_t delivery = d->delivery;

	if (d->qos == 2)
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	if (d->qos > 0)
		cr_assert_eq(peer_settle(&sub, d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK,
				 delivery, 1),
		    204);
}

static bool
same_id(const struct sq_published *a, const struct sq_published *b)
{
	return memcmp(a->id, b->id, sizeof a->id) == 0;
}

/* Outcomes. */

Test(intake, what_somebody_subscribes_to_is_stored)
{
	struct sq_published first, second;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	first = send("t", "1", 1, NULL);
	second = send("t", "2", 2, NULL);
	expect_how(first, SQ_PUBLISHED_STORED, 0);
	expect_how(second, SQ_PUBLISHED_STORED, 0);
	cr_assert_eq(first.matched, 1);
	cr_assert_not(same_id(&first, &second));
	take("1");
	take("2");
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_RECEIVED_QOS1), 1);
	cr_assert_eq(world_metric(SQ_M_RECEIVED_QOS2), 1);
}

Test(intake, the_answer_comes_with_the_commit)
{
	struct entry e = {.topic = "t", .payload = "1", .qos = 1};
	struct fake_publish *p;

	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	stored_engine_hold(true);
	p = publisher_post(&http, &e, 1);
	world_run();
	cr_assert_eq(p->answers, 0);
	stored_engine_release();
	stored_engine_hold(false);
	expect_how(*publish_outcomes(p), SQ_PUBLISHED_STORED, 0);
	publish_free(&p);
	take("1");
}

Test(intake, qos_0_is_answered_at_once)
{
	struct entry e = {.topic = "t", .payload = "0", .retain = true};
	struct fake_publish *p;

	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	stored_engine_hold(true);
	p = publisher_post(&http, &e, 1);
	cr_assert_eq(p->answers, 1, "it waits for something");
	expect_how(*p->call.out.published, SQ_PUBLISHED_ACCEPTED, 0);
	publish_free(&p);
	take("0");
	stored_engine_release();
	stored_engine_hold(false);
}

Test(intake, what_nobody_subscribes_to_is_told)
{
	struct sq_published is = send("t", "1", 1, NULL);

	expect_how(is, SQ_PUBLISHED_NO_MATCH, 0x10);
	cr_assert_eq(is.matched, 0);
	expect_how(send("t", "0", 0, NULL), SQ_PUBLISHED_ACCEPTED, 0);
	expect_how(send_key("t", "3", "k"), SQ_PUBLISHED_NO_MATCH, 0x10);
	cr_assert_eq(stored_engine_records(SQ_RECORD_KEY), 0);
}

Test(intake, who_wants_a_match_is_refused_where_there_is_none)
{
	struct entry kept = {.topic = "t", .payload = "kept", .qos = 1, .retain = true};
	struct sq_published is;

	http.require_match = true;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		is = send("t", "x", qos, NULL);
		expect_how(is, SQ_PUBLISHED_REFUSED, 0x10);
		cr_assert_eq(is.refusal, SQ_REFUSAL_UNMATCHED);
	}
	expect_how(send_key("t", "x", "k"), SQ_PUBLISHED_REFUSED, 0x10);
	cr_assert_eq(world_metric(SQ_M_REFUSED), 4);
	cr_assert_eq(world_metric(SQ_M_REFUSED_BY_UNMATCHED), 4);
	cr_assert_eq(world_metric(SQ_M_RECEIVED_QOS1), 0);
	expect_how(publisher_send(&http, &kept), SQ_PUBLISHED_STORED, 0);
	expect_how(send("t", "later", 1, PROPS("sqmqos-delay", "10")), SQ_PUBLISHED_SCHEDULED, 0);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	take("kept");
	for (uint8_t qos = 0; qos <= 2; qos++) {
		is = send("t", "y", qos, NULL);
		cr_assert_eq(is.code, 0);
		take("y");
	}
	expect_how(send_key("t", "z", "k"), SQ_PUBLISHED_STORED, 0);
	take("z");
}

Test(intake, a_delayed_message_is_durable_before_its_answer)
{
	struct entry e = {.topic = "t", .payload = "1", .props = PROPS("sqmqos-delay", "10")};
	struct fake_publish *p;

	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	stored_engine_hold(true);
	p = publisher_post(&http, &e, 1);
	world_run();
	cr_assert_eq(p->answers, 0, "QoS 0, too");
	stored_engine_release();
	stored_engine_hold(false);
	expect_how(*publish_outcomes(p), SQ_PUBLISHED_SCHEDULED, 0);
	publish_free(&p);
	peer_expect_nothing(&sub);
	world_pass(&w, 11000);
	take("1");
}

/* Keys. */

Test(intake, a_known_key_is_replayed_with_its_id)
{
	struct sq_published first, again;

	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	first = send_key("t", "1", "a");
	again = send_key("t", "1", "a");
	expect_how(first, SQ_PUBLISHED_STORED, 0);
	expect_how(again, SQ_PUBLISHED_REPLAYED, 0);
	cr_assert(same_id(&first, &again));
	cr_assert_eq(world_metric(SQ_M_DUPLICATES), 1);
	take("1");
	peer_expect_nothing(&sub);
	restart();
	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	again = send_key("t", "1", "a");
	expect_how(again, SQ_PUBLISHED_REPLAYED, 0);
	cr_assert(same_id(&first, &again));
	world_pass(&w, 63000);
	again = send_key("t", "1", "a");
	expect_how(again, SQ_PUBLISHED_STORED, 0);
	cr_assert(same_id(&first, &again));
}

/* Who receives a message makes the id that its publisher was told. */
Test(intake, an_id_is_made_of_the_message_again)
{
	const struct entry keyed = {
	    .topic = "t", .payload = "1", .qos = 2, .props = PROPS("sqmqos-key", "a")};
	const struct entry other = {
	    .topic = "t", .payload = "1", .qos = 1, .props = PROPS("sqmqos-key", "a")};
	struct sq_origin origin = {1, 2, 3, 0}, another = {1, 2, 4, 0};
	unsigned char id[SQ_MESSAGE_ID], same[SQ_MESSAGE_ID];
	struct sq_msg m = entry_message(&keyed), one = entry_message(&other);
	const struct fake_delivery *d;
	struct sq_published is;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	is = publisher_send(&http, &keyed);
	sq_message_id("s", m.image, &origin, id);
	cr_assert_arr_eq(id, is.id, sizeof id);
	sq_message_id("s", m.image, &another, id);
	cr_assert_arr_eq(id, is.id, sizeof id, "the key alone counts");
	sq_message_id("s2", m.image, &origin, id);
	cr_assert_neq(memcmp(id, is.id, sizeof id), 0, "a key is its tenant's");
	sq_message_id("s", one.image, &origin, id);
	sq_message_id("s", one.image, &origin, same);
	cr_assert_arr_eq(id, same, sizeof id, "a wrong option is none");
	sq_message_id("s", one.image, &another, same);
	cr_assert_neq(memcmp(id, same, sizeof id), 0);
	sq_msg_unref(&m);
	sq_msg_unref(&one);
	take("1");
	is = send("t", "2", 2, NULL);
	d = peer_expect(&sub, "2");
	cr_assert(d->has_origin);
	sq_message_id("s", d->msg.image, &d->origin, id);
	cr_assert_arr_eq(id, is.id, sizeof id);
}

Test(intake, the_second_waits_for_the_commit_of_the_first)
{
	struct entry e = {
	    .topic = "t", .payload = "1", .qos = 2, .props = PROPS(ASSURED, "sqmqos-key", "a")};
	struct fake_publish *first, *second;

	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	stored_engine_hold(true);
	first = publisher_post(&http, &e, 1);
	second = publisher_post(&http, &e, 1);
	world_run();
	cr_assert_eq(first->answers + second->answers, 0);
	stored_engine_release();
	world_run();
	cr_assert_eq(second->answers, 0);
	stored_engine_release();
	stored_engine_hold(false);
	expect_how(*publish_outcomes(first), SQ_PUBLISHED_STORED, 0);
	expect_how(*publish_outcomes(second), SQ_PUBLISHED_REPLAYED, 0);
	publish_free(&first);
	publish_free(&second);
	take("1");
	peer_expect_nothing(&sub);
}

static void
expect_reused(const char *topic, const char *payload)
{
	struct entry e = {.topic = topic,
	    .payload = payload,
	    .qos = 2,
	    .props = PROPS(ASSURED, "sqmqos-key", "a")};
	struct fake_publish *p = publisher_post(&http, &e, 1);
	const struct sq_published *is = publish_outcomes(p);

	expect_how(*is, SQ_PUBLISHED_KEY_REUSED, 0x83);
	cr_assert_eq(is->refusal, SQ_REFUSAL_PROPERTY);
	cr_assert_gt(is->note.len, 0);
	publish_free(&p);
}

Test(intake, a_key_of_another_message_is_not_taken)
{
	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	expect_how(send_key("t", "1", "a"), SQ_PUBLISHED_STORED, 0);
	take("1");
	expect_reused("t", "2");
	expect_reused("t1", "");
	expect_reused("u", "1");
	restart();
	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	expect_reused("t", "2");
	expect_how(send_key("t", "1", "a"), SQ_PUBLISHED_REPLAYED, 0);
	restart(); /* the record that was written again has the print, too */
	expect_reused("t", "2");
	peer_expect_nothing(&sub);
	world_pass(&w, 63000);
	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	expect_how(send_key("t", "2", "a"), SQ_PUBLISHED_STORED, 0);
	take("2");
	expect_reused("t", "1");
}

Test(intake, copies_of_clients_are_not_compared)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(client_send_key("1", "a"), 0);
	take("1");
	expect_how(send_key("t", "other", "a"), SQ_PUBLISHED_REPLAYED, 0);
	expect_how(send_key("t", "2", "b"), SQ_PUBLISHED_STORED, 0);
	take("2");
	cr_assert_eq(client_send_key("other", "b"), 0);
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_DUPLICATES), 2);
	expect_how(send_key("t", "other", "b"), SQ_PUBLISHED_KEY_REUSED, 0x83);
}

/* Refusals. */

static void
allow_only(char *topic)
{
	char *verb = (char[]){"publish"};
	struct sq_acl_rule rule = {
	    .allow = {&verb, 1}, .topics = {&topic, 1}, .where = "broker.yaml:1"};
	struct sq_buf err = {0};

	sq_broker_set_acl(w.broker, sq_acl_new(&rule, 1, false, &err));
}

Test(intake, rules_hold_for_who_has_no_client_id)
{
	struct sq_published is;

	cr_assert_eq(peer_subscribe(&sub, "#", 1), 1);
	allow_only((char[]){"ok/#"});
	expect_how(send("ok/t", "1", 1, NULL), SQ_PUBLISHED_STORED, 0);
	take("1");
	is = send("no/t", "2", 1, NULL);
	expect_how(is, SQ_PUBLISHED_REFUSED, 0x87);
	cr_assert_eq(is.refusal, SQ_REFUSAL_DENIED);
	is = send("ok/t", "3", 2, PROPS(ASSURED, "sqmqos-receipt", "no/r"));
	expect_how(is, SQ_PUBLISHED_REFUSED, 0x87);
	allow_only((char[]){"{client}/t"});
	expect_how(send("/t", "4", 1, NULL), SQ_PUBLISHED_REFUSED, 0x87);
	peer_expect_nothing(&sub);
}

Test(intake, a_space_is_the_callers)
{
	static const char *const both[] = {"s", "z"};
	struct entry e = {.topic = "t", .payload = "1", .qos = 1};
	struct publisher one = {.world = &w};
	struct fake_publish *p;

	one.who = sq_identity_new(
	    &(struct sq_identity){.id = 9, .name = "token:one", .spaces = both, .n_spaces = 1});
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	expect_how(publisher_send(&one, &e), SQ_PUBLISHED_STORED, 0);
	take("1");
	one.space = "other";
	p = publisher_post(&one, &e, 1);
	cr_assert_eq(p->call.denied, SQ_DENIED_SPACE);
	publish_expect(&p, SQ_VERDICT_DENIED);
	one.space = "";
	p = publisher_post(&one, &e, 1);
	publish_expect(&p, SQ_VERDICT_MALFORMED);
	sq_identity_unref(&one.who);
	one.space = NULL;
	one.who = sq_identity_new(
	    &(struct sq_identity){.id = 9, .name = "token:two", .spaces = both, .n_spaces = 2});
	p = publisher_post(&one, &e, 1);
	publish_expect(&p, SQ_VERDICT_MALFORMED);
	one.space = "z";
	expect_how(publisher_send(&one, &e), SQ_PUBLISHED_NO_MATCH, 0x10);
	sq_identity_unref(&one.who);
}

Test(intake, wrong_options_are_refused)
{
	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	expect_how(send("t", "x", 1, PROPS(ASSURED)), SQ_PUBLISHED_REFUSED, 0x83);
	expect_how(send("t", "x", 1, PROPS("sqmqos-deley", "1")), SQ_PUBLISHED_REFUSED, 0x83);
	expect_how(send("$SYS/x", "x", 1, NULL), SQ_PUBLISHED_REFUSED, 0x90);
	expect_how(send("a/#", "x", 0, NULL), SQ_PUBLISHED_REFUSED, 0x90);
	peer_expect_nothing(&sub);
}

/* A durable queue of that length, with a member of that key. */
static void
declare(const char *group, const char *filter, uint32_t max_length)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .max_length = max_length,
	    .queue_expiry_s = 3600,
	    .group = text(group + 4),
	    .filter = text(filter)};
	struct peer p = peer_new(&w, group);

	p.ordinal = 1;
	cr_assert_eq(peer_attach(&p), 200); /* without credit */
	cr_assert_lt(peer_sub(&p, &s), 0x80);
}

Test(intake, a_full_queue_is_named)
{
	const struct entry v[] = {{.topic = "a", .payload = "1", .qos = 1},
	    {.topic = "a", .payload = "2", .qos = 1}, {.topic = "b", .payload = "3", .qos = 1},
	    {.topic = "c", .payload = "4", .qos = 1}};
	const struct sq_published *is;
	struct fake_publish *p;

	declare("s~w~small", "a", 1);
	declare("s~w~large", "b", 5);
	p = publisher_post(&http, v, SQ_ARRAY_LEN(v));
	is = publish_outcomes(p);
	expect_how(is[0], SQ_PUBLISHED_STORED, 0);
	expect_how(is[1], SQ_PUBLISHED_REFUSED, 0x97);
	cr_assert_eq(is[1].refusal, SQ_REFUSAL_QUEUE_FULL);
	cr_assert_not_null(is[1].queue);
	cr_assert_not_null(strstr(is[1].queue, "small"), "%s", is[1].queue);
	cr_assert_gt(is[1].note.len, 0);
	expect_how(is[2], SQ_PUBLISHED_STORED, 0);
	cr_assert_null(is[2].queue);
	cr_assert_eq(is[2].note.len, 0);
	expect_how(is[3], SQ_PUBLISHED_NO_MATCH, 0x10);
	publish_free(&p);
}

Test(intake, a_full_store_takes_nothing_new)
{
	struct sq_published is;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	stored_engine_full(true);
	expect_how(send("t", "1", 1, NULL), SQ_PUBLISHED_REFUSED, 0x97);
	is = send_key("t", "1", "k");
	expect_how(is, SQ_PUBLISHED_REFUSED, 0x97);
	cr_assert_eq(is.refusal, SQ_REFUSAL_STORE_FULL);
	expect_how(send("t", "1", 1, PROPS("sqmqos-delay", "9")), SQ_PUBLISHED_REFUSED, 0x97);
	stored_engine_full(false);
	expect_how(send_key("t", "1", "k"), SQ_PUBLISHED_STORED, 0);
	take("1");
}

/* Batches. */

enum { MANY = 3000 };

static char payloads[MANY][8];
static struct entry many[MANY];

static void
many_entries(uint8_t qos)
{
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(payloads[i], sizeof payloads[i], "%u", i);
		many[i] = (struct entry){.topic = "t", .payload = payloads[i], .qos = qos};
	}
}

Test(intake, a_large_batch_is_stored_in_order_and_in_slices)
{
	const struct sq_published *is;
	struct fake_publish *p;

	many_entries(1);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	p = publisher_post(&http, many, 900);
	world_run();
	is = publish_outcomes(p);
	for (unsigned i = 0; i < 900; i++)
		expect_how(is[i], SQ_PUBLISHED_STORED, 0);
	for (unsigned i = 0; i < 900; i++)
		take(payloads[i]);
	publish_free(&p);
	many_entries(0);
	p = publisher_post(&http, many, MANY);
	cr_assert_eq(p->answers, 0, "it is taken in at once");
	is = publish_outcomes(p);
	for (unsigned i = 0; i < MANY; i++)
		expect_how(is[i], SQ_PUBLISHED_ACCEPTED, 0);
	publish_free(&p);
}

Test(intake, no_call_is_left_unanswered_when_the_broker_ends)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_publish *p, *late;

	many_entries(1);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	p = publisher_post(&http, many, MANY);
	cr_assert_eq(p->answers, 0);
	sq_broker_close(w.broker);
	late = publisher_post(&http, &e, 1);
	publish_expect(&late, SQ_VERDICT_DRAINING);
	publish_expect(&p, SQ_VERDICT_DRAINING);
}

Test(intake, nothing_is_taken_while_the_broker_drains)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_publish *p;

	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	sq_broker_drain(w.broker);
	p = publisher_post(&http, &e, 1);
	cr_assert_gt(p->call.retry_after_s, 0);
	publish_expect(&p, SQ_VERDICT_DRAINING);
	peer_expect_nothing(&sub);
}
