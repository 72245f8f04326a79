/* Shares: one alone ends at three quarters, two equal ones at 3/7 each, a newcomer always
 * gets its floor, and nothing goes above a total. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/share/share.h"

enum {
	TOTAL = 70000,
	FLOOR = 16, /* of sessions: see share.c */
	MANY = 12,
	STEPS = 200000,
	THREADS = 4,
};

static const enum sq_share_kind SESSIONS = SQ_SHARE_SESSIONS;

static struct sq_shares *
shares_of(uint64_t total, uint64_t spaces)
{
	struct sq_shares_cfg cfg = {.spaces = spaces};

	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++)
		cfg.totals[kind] = total;
	return sq_shares_new(&cfg);
}

static struct sq_account *
tenant_of(struct sq_shares *s, const char *name)
{
	return sq_account_new(s, SQ_SHARE_OF_TENANT, name, NULL);
}

/* Takes one by one until it is refused; returns what it has. */
static uint64_t
take_all(struct sq_account *a)
{
	while (sq_share_take(a, SESSIONS, 1))
		continue;
	return sq_share_used(a, SESSIONS);
}

static void
leave(struct sq_account **a)
{
	sq_share_give(*a, SESSIONS, sq_share_used(*a, SESSIONS));
	sq_account_free(a);
}

/* 'a' within a thousandth of the total of 'b'. */
static bool
near(uint64_t a, uint64_t b)
{
	return a <= b + TOTAL / 1000 && b <= a + TOTAL / 1000;
}

Test(share, alone_one_ends_at_three_quarters)
{
	struct sq_shares *s = shares_of(TOTAL, 2); /* 2 floors are nearly nothing */
	struct sq_account *a = tenant_of(s, "a");
	uint64_t used = take_all(a);

	cr_assert(near(used, TOTAL / 4 * 3), "%llu", (unsigned long long)used);
	leave(&a);
	sq_shares_free(&s);
}

Test(share, two_equal_ones_end_at_three_sevenths_each)
{
	struct sq_shares *s = shares_of(TOTAL, 2);
	struct sq_account *a = tenant_of(s, "a"), *b = tenant_of(s, "b");

	for (bool more = true; more;) {
		more = sq_share_take(a, SESSIONS, 1);
		more = sq_share_take(b, SESSIONS, 1) || more;
	}
	cr_assert(near(sq_share_used(a, SESSIONS), TOTAL / 7 * 3));
	cr_assert(near(sq_share_used(b, SESSIONS), TOTAL / 7 * 3));
	leave(&a);
	leave(&b);
	sq_shares_free(&s);
}

Test(share, the_first_has_to_give_before_the_second_has_as_much)
{
	struct sq_shares *s = shares_of(TOTAL, 2);
	struct sq_account *a = tenant_of(s, "a"), *b = tenant_of(s, "b");
	uint64_t before = take_all(a), got = take_all(b);

	cr_assert(got > TOTAL / 8 && got < before);
	sq_share_give(a, SESSIONS, before / 2);
	cr_assert(take_all(b) > got);
	cr_assert(take_all(a) < before);
	leave(&a);
	leave(&b);
	sq_shares_free(&s);
}

Test(share, each_gets_its_floor_after_all_others_have_taken_what_they_could)
{
	struct sq_shares *s = shares_of(TOTAL, MANY);
	struct sq_account *v[MANY];
	uint64_t sum = 0;

	for (int i = 0; i < MANY; i++) {
		char name[8];
		uint64_t got;

		snprintf(name, sizeof name, "t%d", i);
		v[i] = tenant_of(s, name);
		got = take_all(v[i]);
		cr_assert(got >= FLOOR, "%d: %llu", i, (unsigned long long)got);
		sum += got;
	}
	cr_assert(sum <= TOTAL);
	for (int i = 0; i < MANY; i++)
		leave(&v[i]);
	sq_shares_free(&s);
}

Test(share, who_has_no_floor_shares_what_is_free_and_gets_one_when_another_goes)
{
	struct sq_shares *s = shares_of(TOTAL, 2);
	struct sq_account *a = tenant_of(s, "a"), *b = tenant_of(s, "b"), *c = tenant_of(s, "c");
	uint64_t room;

	take_all(a);
	cr_assert(sq_share_take(c, SESSIONS, 1)); /* something is always free */
	room = sq_share_room(c, SESSIONS);
	sq_account_free(&b);
	cr_assert(sq_share_room(c, SESSIONS) > room);
	leave(&a);
	leave(&c);
	sq_shares_free(&s);
}

Test(share, floors_are_smaller_where_the_total_is_small)
{
	for (uint64_t total = 1; total <= 3000; total++) {
		struct sq_shares *s = shares_of(total, 64);
		struct sq_account *a = tenant_of(s, "a");
		uint64_t used = take_all(a);

		cr_assert(used >= 1 && used <= total);
		cr_assert(used * 2 >= total, "of %llu only %llu", (unsigned long long)total,
		    (unsigned long long)used);
		cr_assert(used < total || total <= 3);
		leave(&a);
		sq_shares_free(&s);
	}
}

Test(share, with_one_space_nothing_is_divided)
{
	struct sq_shares *s = shares_of(100, 1);
	struct sq_account *a = tenant_of(s, "a"), *b = tenant_of(s, "b");

	cr_assert_eq(take_all(a), 100);
	cr_assert_eq(take_all(b), 0);
	sq_share_give(a, SESSIONS, 1);
	cr_assert_eq(take_all(b), 1);
	leave(&a);
	leave(&b);
	sq_shares_free(&s);
}

Test(share, a_total_of_none_gives_none_and_one_without_bound_gives_all)
{
	struct sq_shares *none = shares_of(0, 64), *all = shares_of(SQ_SHARE_UNBOUNDED, 64);
	struct sq_account *a = tenant_of(none, "a"), *b = tenant_of(all, "b");

	cr_assert_not(sq_share_take(a, SESSIONS, 1));
	cr_assert_eq(sq_share_room(a, SESSIONS), 0);
	cr_assert(sq_share_take(b, SESSIONS, UINT64_C(1) << 50));
	leave(&a);
	leave(&b);
	sq_shares_free(&none);
	sq_shares_free(&all);
}

Test(share, a_hard_limit_is_reached_before_the_share)
{
	struct sq_share_limits limits = sq_share_no_limits;
	struct sq_shares *s = shares_of(TOTAL, 64);
	struct sq_account *a;
	struct sq_buf why = {0};

	limits.of[SESSIONS] = 5;
	a = sq_account_new(s, SQ_SHARE_OF_TENANT, "shop", &limits);
	cr_assert_eq(sq_share_room(a, SESSIONS), 5);
	cr_assert_eq(take_all(a), 5);
	sq_share_explain(a, SESSIONS, &why);
	sq_buf_u8(&why, '\0');
	cr_assert_str_eq((const char *)sq_buf_data(&why),
	    "shop has 5 sessions, of 5 that spaces.*.limits.sessions allows");
	sq_buf_fini(&why);
	/* It may change meanwhile. */
	limits.of[SESSIONS] = 7;
	cr_assert_eq(take_all(a), 7);
	limits.of[SESSIONS] = 3;
	cr_assert_eq(sq_share_room(a, SESSIONS), 0);
	cr_assert_not(sq_share_take(a, SESSIONS, 1));
	cr_assert_eq(sq_share_used(a, SESSIONS), 7);
	limits.of[SESSIONS] = SQ_SHARE_UNBOUNDED;
	cr_assert_not(sq_share_limited(a, SESSIONS));
	cr_assert(sq_share_take(a, SESSIONS, 1));
	leave(&a);
	sq_shares_free(&s);
}

Test(share, who_has_too_much_keeps_it_and_is_refused_more)
{
	struct sq_shares *s = shares_of(1000, 2);
	struct sq_account *a = tenant_of(s, "a"), *b = tenant_of(s, "b");
	struct sq_buf why = {0};

	sq_share_force(a, SESSIONS, 5000);
	cr_assert_eq(sq_share_used(a, SESSIONS), 5000);
	cr_assert_not(sq_share_take(a, SESSIONS, 1));
	cr_assert_eq(take_all(b), FLOOR);
	sq_share_explain(a, SESSIONS, &why);
	sq_buf_u8(&why, '\0');
	cr_assert_str_eq((const char *)sq_buf_data(&why),
	    "a has 5000 sessions, which is its share of 1000 (limits.max-sessions; "
	    "limits.spaces: 2)");
	sq_buf_fini(&why);
	sq_share_give(a, SESSIONS, 4900);
	cr_assert(sq_share_take(a, SESSIONS, 1));
	leave(&a);
	leave(&b);
	sq_shares_free(&s);
}

Test(share, a_large_piece_is_taken_whole_or_not_at_all)
{
	struct sq_shares *s = shares_of(TOTAL, 2);
	struct sq_account *a = tenant_of(s, "a");
	uint64_t room = sq_share_room(a, SESSIONS);

	cr_assert_not(sq_share_take(a, SESSIONS, room + 1));
	cr_assert_eq(sq_share_used(a, SESSIONS), 0);
	cr_assert(sq_share_take(a, SESSIONS, room));
	cr_assert_eq(sq_share_room(a, SESSIONS), 0);
	cr_assert_not(sq_share_take(a, SESSIONS, 1));
	leave(&a);
	sq_shares_free(&s);
}

/* By chance: what many take and give, among which some come and go. */
struct world {
	struct sq_shares *shares;
	struct sq_account *v[MANY];
	unsigned seed;
};

static void
world_step(struct world *w, uint64_t total, uint64_t spaces)
{
	int i = rand_r(&w->seed) % MANY;
	struct sq_account *a = w->v[i];
	uint64_t n = (uint64_t)(rand_r(&w->seed) % 40), sum = 0, room;

	if (a == NULL) {
		w->v[i] = tenant_of(w->shares, "t");
		return;
	}
	room = sq_share_room(a, SESSIONS);
	switch (rand_r(&w->seed) % 16) {
	case 0:
		leave(&w->v[i]);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
		if (n > sq_share_used(a, SESSIONS))
			n = sq_share_used(a, SESSIONS);
		sq_share_give(a, SESSIONS, n);
		break;
	default:
		cr_assert_eq(sq_share_take(a, SESSIONS, n), n <= room);
	}
	for (int k = 0; k < MANY; k++)
		sum += w->v[k] != NULL ? sq_share_used(w->v[k], SESSIONS) : 0;
	cr_assert(sum <= total);
	if (spaces >= MANY) { /* all have floors */
		uint64_t floor = total / 4 / spaces < FLOOR ? total / 4 / spaces : FLOOR;

		for (int k = 0; k < MANY; k++)
			cr_assert(w->v[k] == NULL ||
			    sq_share_used(w->v[k], SESSIONS) + sq_share_room(w->v[k], SESSIONS) >=
				floor);
	}
}

static void
world_run(uint64_t total, uint64_t spaces, unsigned seed)
{
	struct world w = {.shares = shares_of(total, spaces), .seed = seed};
	struct sq_shares *fresh = shares_of(total, spaces);
	struct sq_account *last, *first = tenant_of(fresh, "first");

	for (int i = 0; i < STEPS / 10; i++)
		world_step(&w, total, spaces);
	for (int i = 0; i < MANY; i++) {
		if (w.v[i] != NULL)
			leave(&w.v[i]);
	}
	last = tenant_of(w.shares, "last");
	cr_assert_eq(take_all(last), take_all(first)); /* as if nobody had been there */
	leave(&first);
	leave(&last);
	sq_shares_free(&fresh);
	sq_shares_free(&w.shares);
}

Test(share, whatever_is_taken_and_given_the_total_holds_and_floors_are_there)
{
	for (unsigned seed = 1; seed <= 5; seed++) {
		world_run(500, 64, seed);
		world_run(1500, 16, seed);
		world_run(3000, 4, seed);
		world_run(37, 3, seed);
	}
}

struct taker {
	struct sq_account *account;
	pthread_t thread;
	unsigned seed;
};

static void *
taker_run(void *arg)
{
	struct taker *t = arg;
	uint64_t has = 0;

	for (int i = 0; i < STEPS; i++) {
		uint64_t n = (uint64_t)(rand_r(&t->seed) % 8);

		if (rand_r(&t->seed) % 2 == 0) {
			if (sq_share_take(t->account, SESSIONS, n))
				has += n;
		} else if (n <= has) {
			sq_share_give(t->account, SESSIONS, n);
			has -= n;
		}
	}
	sq_share_give(t->account, SESSIONS, has);
	return NULL;
}

Test(share, threads_that_take_and_give_at_once_leave_nothing_behind)
{
	struct sq_shares *s = shares_of(400, 2);
	struct sq_account *a = tenant_of(s, "a"), *b = tenant_of(s, "b");
	struct taker v[THREADS];
	uint64_t alone;

	for (unsigned i = 0; i < THREADS; i++) {
		v[i] = (struct taker){.account = i % 2 == 0 ? a : b, .seed = i + 1};
		pthread_create(&v[i].thread, NULL, taker_run, &v[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(v[i].thread, NULL);
	cr_assert(sq_account_empty(a) && sq_account_empty(b));
	alone = take_all(a);
	cr_assert(alone >= 287 && alone <= 289, "%llu", (unsigned long long)alone);
	leave(&a);
	leave(&b);
	sq_shares_free(&s);
}

Test(share, metrics_name_those_with_most_and_sum_the_others)
{
	struct sq_shares *s = shares_of(TOTAL, 64);
	struct sq_account *v[60];
	struct sq_buf out = {0};
	unsigned named = 0;

	for (unsigned i = 0; i < 60; i++) {
		char name[8];

		snprintf(name, sizeof name, "t%02u", i);
		v[i] = tenant_of(s, name);
		cr_assert(sq_share_take(v[i], SESSIONS, i + 1));
	}
	sq_shares_write(s, &out);
	sq_buf_u8(&out, '\0');
	for (unsigned i = 0; i < 60; i++) {
		char line[96];

		snprintf(line, sizeof line,
		    "\nsqmqos_broker_share_used{kind=\"sessions\",space=\"t%02u\"} %u\n", i, i + 1);
		named += strstr((const char *)sq_buf_data(&out), line) != NULL;
	}
	cr_assert_eq(named, 50);
	cr_assert_not_null(strstr((const char *)sq_buf_data(&out),
	    "\nsqmqos_broker_share_used{kind=\"sessions\",space=\"other\"} 55\n"));
	cr_assert_not_null(strstr((const char *)sq_buf_data(&out),
	    "\nsqmqos_broker_share_total{kind=\"sessions\"} 70000\n"));
	sq_buf_fini(&out);
	for (unsigned i = 0; i < 60; i++)
		leave(&v[i]);
	sq_shares_free(&s);
}
