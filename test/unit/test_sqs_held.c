/* Messages that an inlet of sqs holds, and brings to its user again (broker/bridge/sqs/in_items.c). */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "broker/bridge/sqs/in_priv.h"

enum { ITEMS = 35, NONE = -1 };

static struct sq_sqs_in_item items[ITEMS];
static unsigned got[ITEMS], n_got, n_calls; /* by their places */
static int put_off;                         /* the one that is put off again */
static struct sq_sqs_inlet in;

/* The user, who settles each at once. */
static void
user_arrived(void *owner, struct sq_arrived *const *v, size_t n)
{
	(void)owner;
	n_calls++;
	for (size_t k = 0; k < n; k++) {
		struct sq_sqs_in_item *i = v[k]->held;

		cr_assert_eq(i->place, SQ_SQS_IN_USER);
		got[n_got++] = (unsigned)(i - items);
		in.n_user--;
		i->place = i - items == put_off ? SQ_SQS_IN_HELD : SQ_SQS_IN_DELETED;
		i->held_ms = i->place == SQ_SQS_IN_HELD ? UINT64_MAX : 0;
	}
}

/* One who takes his time. */
static void
user_keeps(void *owner, struct sq_arrived *const *v, size_t n)
{
	(void)owner;
	n_calls++;
	for (size_t k = 0; k < n; k++)
		got[n_got++] = (unsigned)((struct sq_sqs_in_item *)v[k]->held - items);
}

static void
bring(void (*arrived)(void *, struct sq_arrived *const *, size_t), unsigned demand)
{
	const struct sq_bridge_env env = {.arrived = arrived};

	in = (struct sq_sqs_inlet){.env = &env, .demand = demand};
	sq_list_init(&in.items);
	n_got = n_calls = 0;
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i] = (struct sq_sqs_in_item){.place = SQ_SQS_IN_HELD};
		items[i].arrival.arrived.held = &items[i];
		sq_list_push_back(&in.items, &items[i].all);
	}
	sq_sqs_in_bring_held(&in);
	for (unsigned i = 0; i < n_got; i++)
		cr_assert_eq(got[i], i, "in their order, each once");
}

Test(sqs_held, all_are_brought_in_order_also_to_a_user_who_settles_at_once)
{
	put_off = NONE;
	bring(user_arrived, ITEMS);
	cr_expect_eq(n_got, (unsigned)ITEMS);
	cr_expect_eq(n_calls, 4U, "ten at a time");
	cr_expect_eq(in.n_user, 0U);
}

Test(sqs_held, a_user_gets_no_more_than_he_wants)
{
	put_off = NONE;
	bring(user_keeps, 23);
	cr_expect_eq(n_got, 23U);
	cr_expect_eq(in.n_user, 23U);
	for (unsigned i = 0; i < ITEMS; i++)
		cr_expect_eq(items[i].place, i < 23 ? SQ_SQS_IN_USER : SQ_SQS_IN_HELD);
}

Test(sqs_held, what_comes_after_one_that_is_put_off_at_once_waits)
{
	put_off = 13;
	bring(user_arrived, ITEMS);
	cr_expect_eq(n_got, 20U, "nothing after its batch");
	cr_expect_eq(items[20].place, SQ_SQS_IN_HELD);
}
