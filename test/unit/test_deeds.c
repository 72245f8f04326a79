/* broker/deed: what an operator has done to sessions, queues and dead letters, on a broker with
 * fake workers and no store. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "broker/deed/deed.h"
#include "core/clock.h"
#include "core/mem.h"

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASSURED "sqmqos-qos", "3"
#define QUEUE "declared~s~w~g"

static struct world w;
static struct peer pub, sub;
static bool done;
static const char *only; /* the space that the caller may name; NULL: any */
static const char *but;  /* what it may not manage there; NULL: nothing */
static char asked[256];  /* what it was asked for last, as rules name it */

static void
setup(void)
{
	world_init(&w);
	w.cfg.queue_max_msgs = 3000;
	w.cfg.dead_max_msgs = 200;
	world_start(&w, 2);
	pub = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber");
	sub.link = 1;
	peer_connect(&pub);
	peer_connect(&sub);
	only = NULL;
	but = NULL;
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(deeds, .init = setup, .fini = teardown);

static void
deed_done(struct sq_deed *d)
{
	(void)d;
	cr_assert_not(done, "it ends once");
	done = true;
}

static enum sq_deed_right
deed_may(void *arg, const char *space, struct sq_bytes object)
{
	(void)arg;
	snprintf(asked, sizeof asked, "%s %.*s", space, (int)object.len, (const char *)object.p);
	if (only != NULL && strcmp(only, space) != 0)
		return SQ_DEED_FOREIGN;
	return but != NULL && strcmp(but, asked) == 0 ? SQ_DEED_MAY_NOT : SQ_DEED_MAY;
}

/* Has it done, and returns how it ended. */
static enum sq_deed_end
deed(struct sq_deed *d)
{
	d->may = deed_may;
	d->done = deed_done;
	if (d->most == 0)
		d->most = UINT64_MAX;
	if (d->until_ms == 0)
		d->until_ms = sq_clock_ms() + 60000;
	done = false;
	sq_deed_ask(w.broker, d);
	world_run();
	cr_assert(done);
	return d->end;
}

static uint8_t
send_props(const char *topic, const char *payload, uint8_t qos, const char *const *props)
{
	static uint16_t id = 1000;
	struct entry e = {.topic = topic, .payload = payload, .qos = qos, .props = props};
	uint8_t code;

	if (qos == 2)
		e.id = ++id;
	code = peer_send(&pub, &e);
	if (qos == 2 && code < 0x80)
		cr_assert_eq(peer_send(&pub, &(struct entry){.id = id}), 0);
	return code;
}

static uint8_t
send_receipt(const char *payload, const char *key)
{
	return send_props(
	    "t", payload, 2, PROPS(ASSURED, "sqmqos-key", key, "sqmqos-receipt", "done"));
}

static void
declare(struct peer *p, const char *filter, uint8_t flags, uint32_t max_length)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = (uint8_t)(SQ_SUB_DECLARED | SQ_SUB_DURABLE | flags),
	    .max_length = max_length,
	    .queue_expiry_s = 3600,
	    .group = text("g"),
	    .filter = text(filter)};

	cr_assert_lt(peer_sub(p, &s), 0x80);
}

static void
finish(struct peer *p, const struct fake_delivery *d)
{
	uint64_t delivery = d->delivery;

	if (d->qos == 2)
		cr_assert_eq(peer_settle(p, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	cr_assert_eq(
	    peer_settle(p, d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK, delivery, 1), 204);
}

static const char *
expect_outcome(void)
{
	static char outcome[32];
	struct fake_delivery *d = peer_expect(&pub, "");

	cr_assert_str_eq(d->topic, "done");
	snprintf(outcome, sizeof outcome, "%s", delivery_prop(d, "sqmqos-outcome"));
	finish(&pub, d);
	return outcome;
}

/* ---- sessions ---- */

static enum sq_deed_end
removes(const char *key, bool force)
{
	struct sq_deed d = {.kind = SQ_DEED_REMOVE, .name = key, .force = force};
	enum sq_deed_end end = deed(&d);

	cr_assert_eq(d.n, end == SQ_DEED_DONE);
	return end;
}

Test(deeds, an_attached_session_is_removed_with_its_queue_and_its_will)
{
	struct peer heir = peer_new(&w, "s~w~heir~pod");
	uint64_t epoch;

	peer_connect(&heir);
	cr_assert_eq(peer_subscribe(&heir, "will", 1), 1);
	sub.will = "gone";
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	epoch = sub.epoch;
	cr_assert_eq(removes("s~w~subscriber", false), SQ_DEED_DONE);
	cr_assert_eq(peer_detached_reason(&sub, epoch), 0x98);
	(void)peer_expect(&heir, "gone");
	cr_assert_eq(send_props("t", "nobody", 1, NULL), 0x10, "nothing is bound");
	cr_assert_eq(removes("s~w~subscriber", false), SQ_DEED_MISSING);
	peer_connect(&sub);
	cr_assert_not(sub.present, "another session comes");
}

Test(deeds, a_detached_session_is_removed_with_what_waits)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert_eq(peer_disconnect(&sub, 3600), 204);
	cr_assert_eq(send_props("t", "1", 1, NULL), 0);
	cr_assert_eq(removes("s~w~subscriber", false), SQ_DEED_DONE);
	world_run();
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	cr_assert_eq(world_metric(SQ_M_DELETED_SESSION_ENDED), 1);
}

Test(deeds, a_sidecar_s_own_session_is_removed_by_force_alone)
{
	struct peer keeper = peer_new(&w, "s~w~%24keeper~pod");

	peer_connect(&keeper);
	cr_assert_eq(removes("s~w~%24keeper~pod", false), SQ_DEED_REFUSED);
	cr_assert_eq(removes("s~w~%24keeper~pod", true), SQ_DEED_DONE);
	cr_assert_eq(removes("s~w~%24keeper~pod", true), SQ_DEED_MISSING);
}

Test(deeds, a_session_of_another_space_is_not_removed)
{
	only = "other";
	cr_assert_eq(removes("s~w~subscriber", false), SQ_DEED_DENIED);
	cr_assert_eq(removes("s~w~nobody", false), SQ_DEED_DENIED, "nor is it known");
	cr_assert_eq(removes("other~w~nobody", false), SQ_DEED_MISSING);
	cr_assert_eq(removes("no key", false), SQ_DEED_MISSING);
	only = "s";
	cr_assert_eq(removes("s~w~subscriber", false), SQ_DEED_DONE);
}

/* ---- purge ---- */

static uint64_t
purge(const char *name)
{
	struct sq_deed d = {.kind = SQ_DEED_PURGE, .name = name};

	cr_assert_eq(deed(&d), SQ_DEED_DONE, "%s", name);
	cr_assert_not(d.more);
	return d.n;
}

Test(deeds, a_group_s_queue_is_purged_in_slices)
{
	declare(&sub, "t", 0, 0);
	for (unsigned i = 0; i < 1500; i++)
		cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0);
	cr_assert_eq(purge(QUEUE), 1500);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	cr_assert_eq(world_metric(SQ_M_PURGED), 1500);
	cr_assert_eq(peer_publish(&pub, "t", "next", 1), 0);
	cr_assert_eq(purge(QUEUE), 1);
}

Test(deeds, a_session_s_queue_is_purged_of_what_nobody_has)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert_eq(peer_publish(&pub, "t", "in hand", 1), 0);
	(void)peer_expect(&sub, "in hand");
	cr_assert_eq(peer_credit(&sub, 0, 0), 204);
	cr_assert_eq(peer_disconnect(&sub, 3600), 204);
	cr_assert_eq(peer_publish(&pub, "t", "waits", 1), 0);
	cr_assert_geq(purge("s~w~subscriber"), 1);
	peer_connect(&sub);
	for (struct fake_delivery *d; (d = peer_next(&sub)) != NULL;)
		cr_assert_str_neq(d->payload, "waits");
}

Test(deeds, a_shared_queue_is_found_by_the_name_that_is_shown)
{
	cr_assert_eq(peer_subscribe(&sub, "$share/name~with~tildes/t", 1), 1);
	cr_assert_eq(peer_disconnect(&sub, 3600), 204);
	cr_assert_eq(peer_publish(&pub, "t", "1", 1), 0);
	cr_assert_eq(purge("share~s~$share/name~with~tildes/t"), 1);
}

Test(deeds, a_purge_ends_with_its_time_and_goes_on_where_it_was)
{
	struct sq_deed d = {.kind = SQ_DEED_PURGE, .name = QUEUE, .most = 7};

	declare(&sub, "t", 0, 0);
	for (unsigned i = 0; i < 20; i++)
		cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0);
	cr_assert_eq(deed(&d), SQ_DEED_DONE);
	cr_assert_eq(d.n, 7);
	cr_assert(d.more);
	cr_assert_eq(peer_publish(&pub, "t", "later", 1), 0);
	d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = QUEUE, .at = d.at};
	cr_assert_eq(deed(&d), SQ_DEED_DONE);
	cr_assert_eq(d.n, 13, "what has come since stays");
	cr_assert_not(d.more);
	d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = QUEUE, .until_ms = 1};
	cr_assert_eq(deed(&d), SQ_DEED_DONE);
	cr_assert_eq(d.n, 0);
	cr_assert(d.more, "its time was over");
	cr_assert_eq(purge(QUEUE), 1);
}

Test(deeds, receipts_of_purged_messages_say_so)
{
	struct sq_deed bury = {.kind = SQ_DEED_PURGE, .name = QUEUE, .bury = true};

	cr_assert_eq(peer_subscribe(&pub, "done", 1), 1);
	declare(&sub, "t", 0, 0);
	cr_assert_eq(send_receipt("1", "a"), 0);
	cr_assert_eq(purge(QUEUE), 1);
	cr_assert_str_eq(expect_outcome(), "purged");
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 0);
	cr_assert_eq(send_receipt("2", "b"), 0);
	cr_assert_eq(deed(&bury), SQ_DEED_DONE);
	cr_assert_eq(bury.n, 1);
	cr_assert_str_eq(expect_outcome(), "dead-lettered");
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 1);
	cr_assert_eq(purge("dead~s"), 1);
	peer_expect_nothing(&pub);
}

Test(deeds, queues_that_are_none_or_another_s_are_not_purged)
{
	static const char *const none[] = {"declared~s~w~h", "declared~s", "share~s~$share/g/t",
	    "dead~s", "dead~", "dead-others~nobody", "s~w~nobody", "x", "~~~~", "declared~~~",
	    "declared~~~~~~~~~~~~~~~~~~~~~~"};
	struct sq_deed d;

	declare(&sub, "t", 0, 0);
	for (size_t i = 0; i < SQ_ARRAY_LEN(none); i++) {
		d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = none[i]};
		cr_assert_eq(deed(&d), SQ_DEED_MISSING, "%s", none[i]);
	}
	d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = "delayed~s"};
	cr_assert_eq(deed(&d), SQ_DEED_REFUSED);
	d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = QUEUE, .space = "other"};
	cr_assert_eq(deed(&d), SQ_DEED_MISSING);
	only = "other";
	d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = QUEUE};
	cr_assert_eq(deed(&d), SQ_DEED_MISSING);
	d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = "s~w~subscriber"};
	cr_assert_eq(deed(&d), SQ_DEED_MISSING);
}

/* ---- redrive ---- */

/* A client that gives back all it gets, so that these become dead letters. */
static void
kill_all(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct fake_delivery *d = peer_next(&sub);

		cr_assert_not_null(d, "%u", i);
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, d->delivery, 1), 204);
	}
}

/* So many letters, of QoS 1 or 3. */
static void
letters(unsigned n, bool assured)
{
	char payload[16], key[16];

	declare(&sub, "t", SQ_SUB_CONSUME, 0);
	for (unsigned i = 1; i <= n; i++) {
		snprintf(payload, sizeof payload, "%u", i);
		snprintf(key, sizeof key, "k%u", i);
		cr_assert_eq(assured ? send_props("t", payload, 2,
					   PROPS(ASSURED, "sqmqos-key", key, "own", "kept"))
				     : send_props("t", payload, 1, PROPS("own", "kept")),
		    0);
	}
	kill_all(n);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), n);
}

static struct sq_deed
redrive(struct sq_deed d)
{
	d.kind = SQ_DEED_REDRIVE;
	cr_assert_eq(deed(&d), SQ_DEED_DONE);
	return d;
}

Test(deeds, letters_are_published_again_as_they_were)
{
	struct sq_deed d;
	struct fake_delivery *got;

	letters(50, true);
	d = redrive((struct sq_deed){.space = "s"});
	cr_assert_eq(d.n, 50);
	cr_assert_eq(d.stayed, 0);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS_REDRIVEN), 50);
	for (unsigned i = 1; i <= 50; i++) {
		char payload[16];

		snprintf(payload, sizeof payload, "%u", i);
		got = peer_expect(&sub, payload);
		cr_assert_str_eq(got->topic, "t");
		cr_assert_eq(got->qos, 2);
		cr_assert_str_eq(delivery_prop(got, "own"), "kept");
		cr_assert_str_eq(delivery_prop(got, "sqmqos-qos"), "3");
		cr_assert_null(delivery_prop(got, "sqmqos-dead-reason"));
		cr_assert_null(delivery_prop(got, "sqmqos-dead-time"));
		cr_assert_null(delivery_prop(got, "sqmqos-dead-queue"));
		finish(&sub, got);
	}
	peer_expect_nothing(&sub);
	d = redrive((struct sq_deed){.space = "s"});
	cr_assert_eq(d.n + d.stayed, 0);
}

Test(deeds, letters_of_both_queues_of_a_space_are_redriven)
{
	letters(3, false);
	cr_assert_eq(send_props("t", "4", 2, PROPS(ASSURED)), 0);
	kill_all(1);
	cr_assert_eq(redrive((struct sq_deed){.name = "dead~s"}).n, 1);
	kill_all(1);
	cr_assert_eq(redrive((struct sq_deed){.space = "s"}).n, 4);
}

Test(deeds, a_letter_that_nobody_takes_stays)
{
	struct sq_deed d;

	letters(5, false);
	cr_assert_eq(removes("s~w~subscriber", false), SQ_DEED_DONE);
	world_pass(&w, 4000);
	d = (struct sq_deed){.kind = SQ_DEED_PURGE, .name = QUEUE};
	(void)deed(&d);
	world_pass(&w, 3700000); /* and its queue's expiry */
	d = redrive((struct sq_deed){.space = "s"});
	cr_assert_eq(d.n, 0);
	cr_assert_eq(d.stayed, 5);
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert_eq(redrive((struct sq_deed){.space = "s"}).n, 5);
	for (unsigned i = 1; i <= 5; i++) {
		char payload[16];

		snprintf(payload, sizeof payload, "%u", i);
		finish(&sub, peer_expect(&sub, payload));
	}
}

Test(deeds, a_letter_that_a_full_queue_refuses_stays)
{
	struct sq_deed d;

	letters(5, false);
	declare(&sub, "t", SQ_SUB_CONSUME, 2);
	cr_assert_eq(peer_disconnect(&sub, 3600), 204);
	d = redrive((struct sq_deed){.space = "s"});
	cr_assert_eq(d.n + d.stayed, 5);
	cr_assert_geq(d.n, 2);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 5, "none is lost, and none is twice there");
}

Test(deeds, single_letters_are_redriven_by_their_numbers)
{
	struct sq_deed d = {.kind = SQ_DEED_REDRIVE, .name = "dead-others~s", .n_letters = 1};
	uint64_t none = 1 << 20, number;

	letters(4, false);
	d.letters = &none;
	cr_assert_eq(deed(&d), SQ_DEED_MISSING);
	for (number = 1; number < 100; number++) {
		d = (struct sq_deed){.kind = SQ_DEED_REDRIVE,
		    .name = "dead-others~s",
		    .letters = &number,
		    .n_letters = 1};
		if (deed(&d) == SQ_DEED_DONE)
			break;
	}
	cr_assert_eq(d.n, 1);
	finish(&sub, peer_expect(&sub, "1"));
	number += 2;
	d = (struct sq_deed){
	    .kind = SQ_DEED_REDRIVE, .name = "dead-others~s", .letters = &number, .n_letters = 1};
	cr_assert_eq(deed(&d), SQ_DEED_DONE);
	finish(&sub, peer_expect(&sub, "3"));
	peer_expect_nothing(&sub);
	cr_assert_eq(redrive((struct sq_deed){.space = "s"}).n, 2);
}

Test(deeds, a_redrive_is_cut_and_goes_on_behind_what_stays)
{
	struct sq_deed d;

	letters(10, false);
	d = redrive((struct sq_deed){.space = "s", .most = 4});
	cr_assert_eq(d.n, 4);
	cr_assert(d.more);
	kill_all(4); /* again letters, and behind those that were there */
	d = redrive((struct sq_deed){.space = "s", .at = d.at});
	cr_assert_eq(d.n, 6);
	cr_assert_not(d.more);
}

Test(deeds, letters_of_another_space_are_not_redriven)
{
	struct sq_deed d = {.kind = SQ_DEED_REDRIVE, .space = "s"};

	letters(1, false);
	only = "other";
	cr_assert_eq(deed(&d), SQ_DEED_DENIED);
	d = (struct sq_deed){.kind = SQ_DEED_REDRIVE, .name = "dead-others~s"};
	cr_assert_eq(deed(&d), SQ_DEED_DENIED);
	only = NULL;
	d = (struct sq_deed){.kind = SQ_DEED_REDRIVE, .name = QUEUE};
	cr_assert_eq(deed(&d), SQ_DEED_REFUSED);
	d = (struct sq_deed){.kind = SQ_DEED_REDRIVE, .name = "dead-others~s", .space = "other"};
	cr_assert_eq(deed(&d), SQ_DEED_DENIED);
	cr_assert_eq(redrive((struct sq_deed){.name = "dead-others~s", .space = "s"}).n, 1);
}

Test(deeds, letters_are_chosen_by_topic_and_reason)
{
	struct sq_deed d;

	letters(3, false);
	d = redrive((struct sq_deed){.space = "s", .filter = "other/#"});
	cr_assert_eq(d.n, 0);
	cr_assert_eq(d.stayed, 0);
	d = redrive((struct sq_deed){.space = "s", .reason = "expired"});
	cr_assert_eq(d.n + d.stayed, 0);
	d = redrive((struct sq_deed){.space = "s", .filter = "+", .reason = "rejected", .most = 2});
	cr_assert_eq(d.n, 2);
	d = redrive((struct sq_deed){.space = "s", .filter = "t"});
	cr_assert_eq(d.n, 1);
}

Test(deeds, letters_go_to_another_topic)
{
	struct sq_deed d;
	struct fake_delivery *got;

	letters(1, true);
	d = redrive((struct sq_deed){.space = "s", .to = "u"});
	cr_assert_eq(d.n, 0, "nobody takes it there");
	cr_assert_eq(d.stayed, 1);
	declare(&sub, "u", SQ_SUB_CONSUME, 0);
	d = redrive((struct sq_deed){.space = "s", .to = "u"});
	cr_assert_eq(d.n, 1);
	got = peer_next(&sub);
	cr_assert_not_null(got);
	cr_assert_str_eq(got->topic, "u");
	cr_assert_str_eq(got->payload, "1");
}

/* ---- rules ---- */

Test(deeds, rules_know_each_thing_by_one_name)
{
	static const struct {
		enum sq_deed_kind kind;
		const char *name, *space, *rule;
	} rows[] = {
	    {SQ_DEED_PURGE, QUEUE, NULL, "s g"},
	    {SQ_DEED_PURGE, "share~s~$share/a~b/t", NULL, "s a~b"},
	    {SQ_DEED_PURGE, "dead-others~s", NULL, "s $dead"},
	    {SQ_DEED_PURGE, "s~w~subscriber", NULL, "s session:s~w~subscriber"},
	    {SQ_DEED_REDRIVE, NULL, "s", "s $dead"},
	    {SQ_DEED_REDRIVE, "dead-others~s", NULL, "s $dead"},
	    {SQ_DEED_REMOVE, "s~w~subscriber", NULL, "s session:s~w~subscriber"},
	};

	letters(1, false);
	cr_assert_eq(peer_subscribe(&sub, "$share/a~b/t", 1), 1);
	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_deed d = {
		    .kind = rows[i].kind, .name = rows[i].name, .space = rows[i].space};

		but = rows[i].rule;
		cr_expect_eq(deed(&d), SQ_DEED_DENIED, "%zu: %s", i, asked);
		cr_expect_str_eq(asked, rows[i].rule, "%zu", i);
	}
	but = NULL;
	cr_expect_eq(removes("s~w~subscriber", false), SQ_DEED_DONE, "it was there all the time");
}
