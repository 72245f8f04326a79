/* What a verified identity may ask of the broker: names of its own alone, sessions of its
 * own alone, also over a restart. */
#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "proto/mqtt/reason.h"

enum { ALICE = 1001, BOB = 1002 };

static struct world w;

static void
identify(unsigned link, uint64_t id, const char *space, const char *pod)
{
	fake_link_identify(w.links[link],
	    &(struct sq_identity){
		.id = id, .pod = pod, .spaces = &space, .n_spaces = *space != '\0' ? 1 : 0});
}

/* Two accounts of namespace a, each in a pod of its own. */
static void
begin(void)
{
	world_start(&w, 2);
	identify(0, ALICE, "a", "p1");
	identify(1, BOB, "a", "p2");
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
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(session_identity, .init = setup, .fini = teardown);

static void
restart(void)
{
	world_stop(&w);
	begin();
}

static void
expect_put_denied(struct peer *p, enum sq_denied why)
{
	enum sq_broker_metric m = SQ_M_DENIED(why);
	int64_t before = world_metric(m);
	struct fake_call *c;

	p->ordinal++;
	p->attempt = 0;
	c = peer_put(p);
	call_expect_denied(&c, why);
	cr_assert_eq(world_metric(m), before + 1);
}

static struct peer
peer_at(unsigned link, const char *key)
{
	struct peer p = peer_new(&w, key);

	p.link = link;
	return p;
}

/* Names. */

Test(session_identity, a_session_is_of_the_tokens_namespace_and_pod)
{
	struct peer own = peer_at(0, "a~w~c"), mine = peer_at(0, "a~w~c2~p1");
	struct peer space = peer_at(0, "b~w~c"), pod = peer_at(0, "a~w~c~p2");

	peer_connect(&own);
	peer_connect(&mine);
	expect_put_denied(&space, SQ_DENIED_SPACE);
	expect_put_denied(&pod, SQ_DENIED_POD);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 2);
}

Test(session_identity, every_request_of_another_namespace_is_denied)
{
	struct peer own = peer_at(0, "a~w~c"), there = peer_at(1, "b~w~c"), forged;
	struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE, .options = 1, .filter = text("#")};
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_call *c;

	identify(1, BOB, "b", "");
	peer_connect(&own);
	peer_connect(&there);
	forged = own;
	forged.key = there.key;
	c = peer_sub_post(&forged, &sub);
	call_expect_denied(&c, SQ_DENIED_SPACE);
	c = peer_batch(&forged, 1, 7, 1, 0, &e, 1);
	call_expect_denied(&c, SQ_DENIED_SPACE);
	c = peer_settle_post(&forged, SQ_SETTLE_ACK, 1, 1);
	call_expect_denied(&c, SQ_DENIED_SPACE);
	c = peer_detach_post(&forged, 0, false);
	call_expect_denied(&c, SQ_DENIED_SPACE);
}

/* The epoch names the session, the path must, too: even where the caller may say both. */
Test(session_identity, the_epoch_of_one_session_on_the_path_of_another_is_409)
{
	struct peer a = peer_at(0, "a~w~c"), b = peer_at(1, "b~w~c"), forged;
	struct sq_sub share = {.op = SQ_SUB_SUBSCRIBE, .options = 1, .filter = text("$share/g/t")};
	const char *const paths[] = {"b~w~c", "a~w2~c", "a~w~c2", "a~w~c~p1"};
	struct fake_call *c;

	identify(0, SQ_IDENTITY_NOBODY, "", "");
	identify(1, SQ_IDENTITY_NOBODY, "", "");
	peer_connect(&a);
	peer_connect(&b);
	cr_assert_eq(peer_sub(&b, &share), 1);
	for (size_t i = 0; i < SQ_ARRAY_LEN(paths); i++) {
		forged = a;
		forged.key = paths[i];
		c = peer_sub_post(&forged, &share);
		call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	}
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	cr_assert_eq(peer_publish(&b, "t", "1", 1), 0);
	peer_expect_nothing(&a);
	peer_expect(&b, "1");
	cr_assert_eq(peer_credit(&a, 2000, 1 << 20), 204, "its own path is as good as before");
}

static struct sq_sub
declared(const char *group, const char *pod)
{
	return (struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED,
	    .since_ms = 1,
	    .group = text(group),
	    .pod = text(pod),
	    .filter = text("t")};
}

Test(session_identity, nobody_declares_in_the_name_of_another_pod)
{
	struct peer p = peer_at(0, "a~w~%24keeper~p1");
	struct sq_sub good = declared("g", "p1"), own = declared("pod:p1", "p1"),
		      options = declared("g", "p2"), group = declared("pod:p2", "p1");
	struct fake_call *c;

	peer_connect(&p);
	cr_assert_eq(peer_sub(&p, &good), 1);
	cr_assert_eq(peer_sub(&p, &own), 1);
	c = peer_sub_post(&p, &options);
	call_expect_denied(&c, SQ_DENIED_POD);
	c = peer_sub_post(&p, &group);
	call_expect_denied(&c, SQ_DENIED_POD);
	group.op = SQ_SUB_UNSUBSCRIBE;
	c = peer_sub_post(&p, &group);
	call_expect_denied(&c, SQ_DENIED_POD);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 2);
}

/* Sessions. */

Test(session_identity, another_account_gets_no_session)
{
	struct peer alice = peer_at(0, "a~w~c"), bob = peer_other(&alice);
	uint64_t epoch;

	peer_connect(&alice);
	epoch = alice.epoch;
	cr_assert_eq(peer_subscribe(&alice, "t", 1), 1);
	expect_put_denied(&bob, SQ_DENIED_OWNER);
	bob.flags |= SQ_ATTACH_CLEAN_START;
	expect_put_denied(&bob, SQ_DENIED_OWNER);
	cr_assert_eq(peer_detached_reason(&alice, epoch), 0);
	cr_assert_eq(peer_publish(&alice, "t", "1", 1), 0);
	peer_expect(&alice, "1");
	cr_assert_eq(peer_disconnect(&alice, 3600), 204);
	expect_put_denied(&bob, SQ_DENIED_OWNER);
	peer_connect(&alice);
	cr_assert(alice.present);
}

Test(session_identity, a_transient_connect_ends_no_durable_session_of_another)
{
	struct peer alice = peer_at(0, "a~w~c"), bob = peer_at(1, "a~w~c~p2"),
		    own = peer_at(0, "a~w~c~p1");
	uint64_t epoch;

	peer_connect(&alice);
	epoch = alice.epoch;
	peer_connect(&bob);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 2);
	cr_assert_eq(peer_detached_reason(&alice, epoch), 0);
	cr_assert_eq(peer_credit(&alice, 2000, 1 << 20), 204);
	peer_connect(&own);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 2, "its own has ended");
	cr_assert_eq(peer_detached_reason(&alice, epoch), SQ_MQTT_RC_TAKEN_OVER);
}

Test(session_identity, a_full_broker_counts_no_session_that_stays)
{
	struct peer alice = peer_at(0, "a~w~c"), bob = peer_at(1, "a~w~c~p2");
	struct fake_call *c;

	world_stop(&w);
	w.cfg.max_sessions = 1;
	begin();
	peer_connect(&alice);
	bob.ordinal = 1;
	c = peer_put(&bob);
	call_expect(&c, 429);
	cr_assert_eq(peer_credit(&alice, 2000, 1 << 20), 204);
}

Test(session_identity, the_owner_comes_back_over_a_restart)
{
	struct peer alice = peer_at(0, "a~w~c"), bob = peer_other(&alice);

	peer_connect(&alice);
	cr_assert_eq(peer_subscribe(&alice, "t", 1), 1);
	cr_assert_eq(peer_disconnect(&alice, 3600), 204);
	restart();
	expect_put_denied(&bob, SQ_DENIED_OWNER);
	peer_connect(&alice);
	cr_assert(alice.present);
	cr_assert_eq(peer_publish(&alice, "t", "1", 1), 0);
	peer_expect(&alice, "1");
}

/* Whoever owns the session 'key' by its record at the next start. */
static void
make_session(const char *key, uint64_t owner)
{
	struct peer p = peer_at(0, key);

	identify(0, owner, "", "");
	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "t", 1), 1);
	cr_assert_eq(peer_disconnect(&p, 3600), 204);
}

/* Identities are switched on: who comes first has what waits, and keeps it. */
Test(session_identity, what_is_nobodys_goes_to_the_first_who_may_name_it)
{
	struct peer alice = peer_at(0, "a~w~c"), bob = peer_other(&alice),
		    other = peer_at(1, "b~w~c");

	make_session("a~w~c", SQ_IDENTITY_NOBODY);
	make_session("b~w~c", SQ_IDENTITY_OLD_TOKEN);
	restart();
	expect_put_denied(&other, SQ_DENIED_SPACE);
	peer_connect(&alice);
	cr_assert(alice.present);
	cr_assert_eq(world_metric(SQ_M_SESSIONS_ADOPTED), 1);
	cr_assert_eq(peer_publish(&alice, "t", "1", 1), 0);
	peer_expect(&alice, "1");
	cr_assert_eq(peer_disconnect(&alice, 3600), 204);
	restart();
	expect_put_denied(&bob, SQ_DENIED_OWNER);
	identify(1, BOB, "b", "");
	peer_connect(&other);
	cr_assert(other.present, "a token of before is nobody, too");
	peer_connect(&alice);
	cr_assert(alice.present);
	cr_assert_eq(world_metric(SQ_M_SESSIONS_ADOPTED), 2);
}

Test(session_identity, what_is_nobodys_may_stay_so)
{
	struct peer alice = peer_at(0, "a~w~c"), fresh = peer_at(0, "a~w~c2");

	make_session("a~w~c", SQ_IDENTITY_NOBODY);
	w.cfg.owners.keep = true;
	restart();
	expect_put_denied(&alice, SQ_DENIED_OWNER);
	peer_connect(&fresh);
	cr_assert_eq(world_metric(SQ_M_SESSIONS_ADOPTED), 0);
	identify(0, SQ_IDENTITY_NOBODY, "", "");
	peer_connect(&alice);
	cr_assert(alice.present);
}

/* On, off, on: nobody is locked out, and who had a session has it again. */
Test(session_identity, owners_are_kept_while_nobody_is_asked)
{
	struct peer alice = peer_at(0, "a~w~c"), bob = peer_other(&alice);

	peer_connect(&alice);
	cr_assert_eq(peer_disconnect(&alice, 3600), 204);
	world_stop(&w);
	world_start(&w, 2);
	identify(0, SQ_IDENTITY_NOBODY, "", "");
	identify(1, SQ_IDENTITY_NOBODY, "", "");
	peer_connect(&bob);
	cr_assert(bob.present);
	cr_assert_eq(peer_disconnect(&bob, 3600), 204);
	restart();
	expect_put_denied(&bob, SQ_DENIED_OWNER);
	peer_connect(&alice);
	cr_assert(alice.present);
	cr_assert_eq(world_metric(SQ_M_SESSIONS_ADOPTED), 0);
}

Test(session_identity, a_session_may_go_as_far_as_its_namespace)
{
	struct peer alice = peer_at(0, "a~w~c"), bob = peer_other(&alice);

	peer_connect(&alice);
	cr_assert_eq(peer_disconnect(&alice, 3600), 204);
	w.cfg.owners.scope = SQ_OWNER_NAMESPACE;
	restart();
	peer_connect(&bob);
	cr_assert(bob.present);
	cr_assert_eq(peer_disconnect(&bob, 3600), 204);
	w.cfg.owners.scope = SQ_OWNER_ACCOUNT; /* his, whose it was last */
	restart();
	expect_put_denied(&alice, SQ_DENIED_OWNER);
	peer_connect(&bob);
	cr_assert(bob.present);
}
