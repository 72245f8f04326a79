/* Options of a declared group's queue: those of the newest pod that is there, through
 * link moves, rollouts, rollbacks and restarts of the broker. */
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "../support/temp_dir.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/record.h"

enum { GRACE_MS = 30000 };

static struct world w;
static struct peer pub;
static char *dir;            /* of an engine with files */
static int64_t base_changed; /* the counter goes on */

static void
begin(void)
{
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	peer_connect(&pub);
}

static void
begin_on(const struct sq_engine_ops *engine)
{
	base_changed = world_metric(SQ_M_GROUP_OPTIONS);
	stored_engine_reset();
	dir = temp_dir_new();
	world_init(&w);
	w.cfg.engine = engine;
	w.cfg.store_dir = dir;
	w.cfg.journal_size = 8 << 20;
	w.cfg.store_max_size = 64 << 20;
	w.cfg.store_cache_size = 1 << 20;
	begin();
}

static void
setup(void)
{
	begin_on(&stored_engine);
}

static void
teardown(void)
{
	world_stop(&w);
	temp_dir_free(&dir);
	stored_engine_reset();
}

TestSuite(group_declare, .init = setup, .fini = teardown);

/* A test that runs on the store of tests, and on the one that there is. */
#define OVER_RESTARTS(name) \
	static void restarts_##name(void); \
	Test(group_declare, name) \
	{ \
		restarts_##name(); \
		teardown(); \
		begin_on(&sq_engine_embedded); \
		restarts_##name(); \
	} \
	static void restarts_##name(void)

static void
restart(void)
{
	world_stop(&w);
	begin();
}

static int64_t
changed(void)
{
	return world_metric(SQ_M_GROUP_OPTIONS) - base_changed;
}

/* Groups that the store has; the engine with files doesn't show it. */
static void
expect_stored(size_t n)
{
	if (w.cfg.engine != &stored_engine)
		return;
	cr_assert_eq(stored_engine_records(SQ_RECORD_GROUP), n);
	cr_assert_eq(stored_engine_records(SQ_RECORD_BINDING), n);
}

/* What a pod's annotations say of the group. */
struct word {
	const char *pod;
	uint64_t since_ms;
	uint32_t max_length;
	bool not_durable;
	uint32_t expiry_s, max_attempts;
	uint8_t flags; /* SQ_SUB_CONSUME */
};

static void
say(struct peer *p, const struct word *word)
{
	struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = (uint8_t)(SQ_SUB_DECLARED | word->flags |
		(word->not_durable ? 0 : SQ_SUB_DURABLE)),
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .queue_expiry_s = word->expiry_s,
	    .max_length = word->max_length,
	    .max_attempts = word->max_attempts,
	    .since_ms = word->since_ms,
	    .group = text("w"),
	    .filter = text("t"),
	    .pod = word->pod != NULL ? text(word->pod) : (struct sq_bytes){0}};

	cr_assert_eq(peer_sub(p, &sub), 1);
}

/* The keeper of a pod that declares so. */
static struct peer
pod_new(const char *key, const struct word *word)
{
	struct peer p = peer_new(&w, key);

	p.flags = SQ_ATTACH_KEEPER | SQ_ATTACH_CLEAN_START;
	peer_connect(&p);
	say(&p, word);
	return p;
}

static void
pod_end(struct peer *p)
{
	cr_assert_eq(peer_detach(p, 0, false), 204);
}

/* Over another link, as the same sidecar. */
static void
pod_move(struct peer *p)
{
	p->link ^= 1;
	cr_assert_eq(peer_attach(p), 200);
}

/* The same sidecar after a restart of the broker. */
static void
pod_back(struct peer *p, const struct word *word)
{
	p->link = 0;
	cr_assert_eq(peer_attach(p), 200);
	say(p, word);
}

static void
publish(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(peer_publish(&pub, "t", (const char[]){(char)('0' + i), '\0'}, 1), 0);
}

/* A sidecar of version 1 of the link takes what waits. */
static unsigned
take_all(void)
{
	struct peer c = peer_new(&w, "s~w~consumer~old");
	struct fake_delivery *d;
	unsigned n = 0;

	peer_connect(&c);
	say(&c, &(struct word){.max_length = 1, .flags = SQ_SUB_CONSUME});
	while ((d = peer_next(&c)) != NULL) {
		uint64_t delivery = d->delivery;

		cr_assert_eq(peer_settle(&c, SQ_SETTLE_ACK, delivery, 1), 204);
		n++;
	}
	cr_assert_eq(peer_detach(&c, 0, false), 204);
	return n;
}

/* How many messages may wait: the queue is filled, and emptied. */
static unsigned
limit(void)
{
	unsigned n = 0;

	while (peer_publish(&pub, "t", "x", 1) == 0)
		cr_assert_lt(++n, 100);
	cr_assert_eq(take_all(), n);
	return n;
}

static const struct word old = {.pod = "old-1", .since_ms = 1000, .max_length = 5};
static const struct word new = {.pod = "new-1", .since_ms = 2000, .max_length = 3};

OVER_RESTARTS(two_revisions_20_link_moves_and_a_restart_are_one_change)
{
	struct peer a = pod_new("s~w~keeper~old-1", &old), b = pod_new("s~w~keeper~new-1", &new);
	int64_t changes = changed();
	size_t commits = stored_engine_commits();

	cr_assert_eq(changes, 1);
	for (unsigned i = 0; i < 10; i++) {
		pod_move(i % 2 == 0 ? &a : &b);
		pod_move(&b);
	}
	say(&b, &new);
	say(&a, &old);
	cr_assert_eq(changed(), changes);
	cr_assert_eq(stored_engine_commits(), commits, "nothing of that is stored");
	cr_assert_eq(limit(), 3);
	restart();
	pod_back(&a, &old);
	world_pass(&w, GRACE_MS / 2);
	cr_assert_eq(limit(), 3, "the older one is back first");
	pod_back(&b, &new);
	world_pass(&w, 2 * GRACE_MS);
	cr_assert_eq(limit(), 3);
	cr_assert_eq(changed(), changes);
	pod_end(&a);
	cr_assert_eq(limit(), 3);
	pod_end(&b);
	cr_assert_eq(limit(), 3, "with nobody there the last ones stay");
	cr_assert_eq(changed(), changes);
}

Test(group_declare, a_lost_link_changes_nothing_within_its_grace)
{
	struct peer a = pod_new("s~w~keeper~old-1", &old), b = pod_new("s~w~keeper~new-1", &new);

	b.link = 1;
	cr_assert_eq(peer_attach(&b), 200);
	world_close_link(&w, 1);
	world_pass(&w, GRACE_MS - 1000);
	cr_assert_eq(limit(), 3);
	b.link = 0;
	cr_assert_eq(peer_attach(&b), 200);
	world_pass(&w, 2 * GRACE_MS);
	cr_assert_eq(limit(), 3);
	pod_end(&a);
	pod_end(&b);
}

OVER_RESTARTS(a_rollback_ends_on_the_rolled_back_revision)
{
	static const struct word again = {.pod = "old-2", .since_ms = 3000, .max_length = 5};
	struct peer a = pod_new("s~w~keeper~old-1", &old), b = pod_new("s~w~keeper~new-1", &new);
	struct peer c;

	pod_end(&a);
	c = pod_new("s~w~keeper~old-2", &again);
	cr_assert_eq(limit(), 5, "at once");
	pod_end(&b);
	restart();
	pod_back(&c, &again);
	cr_assert_eq(limit(), 5);
	pod_end(&c);
}

Test(group_declare, the_newest_pod_that_ends_leaves_its_place_after_a_while)
{
	struct peer a = pod_new("s~w~keeper~old-1", &old), b = pod_new("s~w~keeper~new-1", &new);

	pod_end(&b);
	world_pass(&w, GRACE_MS / 2);
	cr_assert_eq(limit(), 3, "its sidecar may have been started again");
	world_pass(&w, GRACE_MS);
	cr_assert_eq(limit(), 5);
	pod_end(&a);
}

OVER_RESTARTS(a_pod_deleted_while_the_broker_was_down_loses_its_place)
{
	struct peer a = pod_new("s~w~keeper~old-1", &old), b = pod_new("s~w~keeper~new-1", &new);

	pod_end(&b);
	restart();
	pod_back(&a, &old);
	cr_assert_eq(limit(), 3);
	world_pass(&w, GRACE_MS + 2000);
	cr_assert_eq(limit(), 5);
	restart();
	pod_back(&a, &old);
	cr_assert_eq(limit(), 5, "it is stored");
	pod_end(&a);
}

/* px is of the old revision and joins between two pods of the new one. */
OVER_RESTARTS(whose_word_counts_outlives_a_restart_where_pods_disagree)
{
	static const struct word second = {.pod = "new-2", .since_ms = 3000, .max_length = 3};
	static const struct word late = {.pod = "old-2", .since_ms = 2500, .max_length = 5};
	struct peer a = pod_new("s~w~keeper~new-1", &new), b = pod_new("s~w~keeper~new-2", &second);
	struct peer c = pod_new("s~w~keeper~old-2", &late);

	cr_assert_eq(changed(), 0);
	restart();
	pod_back(&c, &late);
	pod_back(&a, &new);
	cr_assert_eq(limit(), 3);
	pod_back(&b, &second);
	world_pass(&w, 2 * GRACE_MS);
	cr_assert_eq(limit(), 3);
	cr_assert_eq(changed(), 0);
	pod_end(&a);
	pod_end(&b);
	pod_end(&c);
}

Test(group_declare, a_smaller_length_drops_nothing_that_waits)
{
	struct peer a = pod_new("s~w~keeper~old-1", &old), b;

	publish(5);
	b = pod_new("s~w~keeper~new-1", &new);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 5);
	cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0x97);
	cr_assert_eq(take_all(), 5);
	cr_assert_eq(limit(), 3);
	pod_end(&a);
	pod_end(&b);
}

Test(group_declare, fewer_attempts_count_at_the_next_return)
{
	struct word word = {
	    .pod = "old-1", .since_ms = 1000, .max_attempts = 5, .flags = SQ_SUB_CONSUME};
	struct peer c = peer_new(&w, "s~w~c~old-1");
	struct fake_delivery *d;

	peer_connect(&c);
	say(&c, &word);
	publish(1);
	for (unsigned i = 0; i < 3; i++) {
		d = peer_expect(&c, "0");
		cr_assert_eq(peer_settle(&c, SQ_SETTLE_REQUEUE, d->delivery, 1), 204);
	}
	d = peer_expect(&c, "0");
	word.since_ms = 2000;
	word.max_attempts = 2;
	say(&c, &word); /* edited in place */
	cr_assert_eq(world_metric(SQ_M_DROPPED_ATTEMPTS), 0);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 0);
	cr_assert_eq(peer_settle(&c, SQ_SETTLE_REQUEUE, d->delivery, 1), 204);
	peer_expect_nothing(&c);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ATTEMPTS), 1);
}

Test(group_declare, expiry_counts_from_the_next_time_the_group_is_empty)
{
	static const struct word longer = {.pod = "a", .since_ms = 1000, .expiry_s = 1000};
	static const struct word shorter = {.pod = "a", .since_ms = 2000, .expiry_s = 60};
	struct peer a = pod_new("s~w~keeper~a", &longer);

	say(&a, &shorter);
	world_pass(&w, 120000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	pod_end(&a);
	world_pass(&w, 50000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	world_pass(&w, 20000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
}

Test(group_declare, pods_that_disagree_are_counted)
{
	struct peer a = pod_new("s~w~keeper~old-1", &old), b;

	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 0);
	b = pod_new("s~w~keeper~new-1", &new);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 1);
	pod_end(&a);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 0);
	a = pod_new("s~w~keeper~old-1", &old);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 1);
	say(&a, &(struct word){.pod = "old-1", .since_ms = 3000, .max_length = 3});
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 0);
	pod_end(&a);
	pod_end(&b);
}

Test(group_declare, a_sidecar_of_version_1_keeps_what_the_group_has)
{
	struct peer v1 = peer_new(&w, "s~w~keeper~v1"), b;

	fake_link_set_version(w.links[1], 1);
	v1.link = 1;
	peer_connect(&v1);
	say(&v1, &(struct word){.max_length = 4});
	cr_assert_eq(limit(), 4, "it has made the group");
	say(&v1, &(struct word){.max_length = 2});
	cr_assert_eq(limit(), 4);
	b = pod_new("s~w~keeper~new-1", &new);
	cr_assert_eq(limit(), 3);
	say(&v1, &(struct word){.max_length = 2});
	pod_end(&b);
	world_pass(&w, 2 * GRACE_MS);
	cr_assert_eq(limit(), 3);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 0);
	pod_end(&v1);
}

Test(group_declare, a_client_that_is_away_says_nothing)
{
	struct peer a = pod_new("s~w~keeper~old-1", &old), c = peer_new(&w, "s~w~c");
	struct word word = new;

	word.flags = SQ_SUB_CONSUME;
	peer_connect(&c);
	say(&c, &word);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 1);
	cr_assert_eq(peer_detach(&c, 3600, false), 204);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 0);
	world_pass(&w, 2 * GRACE_MS);
	cr_assert_eq(limit(), 5);
	peer_connect(&c);
	cr_assert_eq(changed(), 2, "until it is declared anew");
	say(&c, &word);
	cr_assert_eq(changed(), 3);
	cr_assert_eq(peer_detach(&c, 0, false), 204);
	pod_end(&a);
}

Test(group_declare, an_expiry_that_is_cut_is_said)
{
	struct word word = {.pod = "a", .since_ms = 1000, .expiry_s = 31 * 86400};
	struct peer a = pod_new("s~w~keeper~a", &word);

	cr_assert_str_eq(
	    a.note, "expiry is cut from 2678400s to 2592000s, the broker's queue.max-expiry");
	word.since_ms = 2000;
	word.expiry_s = 30 * 86400;
	say(&a, &word);
	cr_assert_str_eq(a.note, "");
	pod_end(&a);
}

/* durable */

OVER_RESTARTS(durable_ends_when_the_group_has_no_member)
{
	struct word word = {.pod = "a", .since_ms = 1000};
	struct peer a = pod_new("s~w~keeper~a", &word);

	cr_assert_str_eq(a.note, "");
	word.since_ms = 2000;
	word.not_durable = true;
	say(&a, &word);
	cr_assert_str_eq(a.note,
	    "the queue is durable and stays so until it has no member: durable: false counts then");
	cr_assert_eq(world_metric(SQ_M_GROUPS_WAIT), 1);
	publish(2);
	restart();
	cr_assert_eq(world_metric(SQ_M_QUEUED), 2, "it is durable yet");
	cr_assert_eq(world_metric(SQ_M_GROUPS_WAIT), 1);
	pod_back(&a, &word);
	cr_assert_neq(a.note[0], '\0');
	pod_end(&a);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	cr_assert_eq(world_metric(SQ_M_GROUPS_WAIT), 0);
	expect_stored(0);
	a = pod_new("s~w~keeper~a", &word);
	cr_assert_str_eq(a.note, "");
	expect_stored(0);
	pod_end(&a);
}

Test(group_declare, durable_begins_without_a_store_as_well)
{
	struct word word = {.pod = "a", .since_ms = 1000, .max_length = 5, .not_durable = true};
	struct peer a;

	teardown();
	begin_on(&sq_engine_memory);
	a = peer_new(&w, "s~w~keeper~a");
	a.link = 1;
	peer_connect(&a);
	say(&a, &word);
	word.not_durable = false;
	word.since_ms = 2000;
	say(&a, &word);
	world_close_link(&w, 1);
	world_pass(&w, 100000);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 1);
	cr_assert_eq(peer_publish(&pub, "t", "1", 1), 0, "the group is there, and waits");
}

OVER_RESTARTS(durable_begins_when_the_group_has_no_member)
{
	struct word word = {.pod = "a", .since_ms = 1000, .max_length = 5, .not_durable = true};
	struct peer a = pod_new("s~w~keeper~a", &word), b;

	expect_stored(0);
	word.since_ms = 2000;
	word.not_durable = false;
	b = pod_new("s~w~keeper~b", &word);
	cr_assert_str_eq(b.note,
	    "the queue is not durable and stays so until it has no member: durable: true counts "
	    "then");
	cr_assert_eq(world_metric(SQ_M_GROUPS_WAIT), 1);
	pod_end(&b);
	expect_stored(0);
	pod_end(&a);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	cr_assert_eq(world_metric(SQ_M_GROUPS_WAIT), 0);
	expect_stored(1);
	publish(3);
	restart();
	cr_assert_eq(take_all(), 3, "its bindings were there at once");
	cr_assert_eq(limit(), 5);
}

OVER_RESTARTS(a_group_that_waits_and_finds_nobody_after_a_restart_ends)
{
	struct word word = {.pod = "a", .since_ms = 1000};
	struct peer a = pod_new("s~w~keeper~a", &word);

	word.since_ms = 2000;
	word.not_durable = true;
	say(&a, &word);
	restart();
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	world_pass(&w, GRACE_MS + 2000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	cr_assert_eq(world_metric(SQ_M_GROUPS_WAIT), 0);
}
