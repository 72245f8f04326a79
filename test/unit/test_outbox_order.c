/* Places of subscriptions among what goes by the disk outbox: what waits for what, whose
 * clock runs when, and that nobody is held for longer than the wait. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/mem.h"
#include "sidecar/outbox/order.h"

enum { WAIT = 5000, T0 = 1000 };

static struct sq_outbox_order *order;
static struct sq_outbox_line mine, other;
static struct sq_outbox_place places[4];
static unsigned ready, passed;
static const struct sq_outbox_line *ready_line;

static void
on_ready(void *owner, struct sq_outbox_line *line)
{
	cr_assert_eq(owner, &order);
	ready++;
	ready_line = line;
}

static void
on_passed(void *owner, struct sq_outbox_line *line)
{
	(void)owner;
	(void)line;
	passed++;
}

static const struct sq_outbox_order_user user = {.ready = on_ready, .passed = on_passed};

static void
set_up(void)
{
	order = sq_outbox_order_new(WAIT, &user, &order);
	sq_outbox_line_init(&mine);
	sq_outbox_line_init(&other);
	for (size_t i = 0; i < SQ_ARRAY_LEN(places); i++)
		sq_outbox_place_init(&places[i]);
	ready = passed = 0;
	sq_outbox_order_asks(order, &mine, true, T0);
	sq_outbox_order_asks(order, &other, true, T0);
	sq_outbox_order_sends(order, true, T0);
}

static void
tear_down(void)
{
	sq_outbox_order_close(order, &mine);
	sq_outbox_order_close(order, &other);
	cr_assert_eq(sq_outbox_order_bar(order), UINT64_MAX, "a bar without a place");
	cr_assert_eq(sq_outbox_order_due(order), 0u);
	cr_assert_not(sq_outbox_order_waits(order));
	sq_outbox_order_free(&order);
	cr_assert_null(order);
}

TestSuite(outbox_order, .init = set_up, .fini = tear_down);

static void
entered(struct sq_outbox_line *line, uint64_t seq)
{
	sq_outbox_order_entered(order, line, seq, T0);
}

static void
place(struct sq_outbox_line *line, unsigned n)
{
	sq_outbox_order_place(order, line, &places[n], T0);
}

Test(outbox_order, who_has_nothing_there_waits_for_nothing)
{
	entered(&other, 1);
	place(&mine, 0);
	cr_assert_not(places[0].waits);
	cr_assert_not(sq_outbox_order_waits(order));
	cr_assert_eq(sq_outbox_order_bar(order), UINT64_MAX, "others are barred by it");
	cr_assert_eq(sq_outbox_order_due(order), 0u);
}

Test(outbox_order, a_request_waits_for_all_in_front_of_it)
{
	entered(&mine, 4);
	entered(&other, 5);
	place(&mine, 0);
	cr_assert(places[0].waits);
	sq_outbox_order_outcomes(order, 3);
	cr_assert(places[0].waits);
	cr_assert_eq(ready, 0u);
	sq_outbox_order_outcomes(order, 4); /* not for what another one has behind it */
	cr_assert_not(places[0].waits);
	cr_assert_eq(ready, 1u);
	cr_assert_eq(ready_line, &mine);
	cr_assert_eq(sq_outbox_order_due(order), 0u);
	place(&mine, 1); /* it had its outcome before */
	cr_assert_not(places[1].waits);
}

Test(outbox_order, what_is_behind_waits_for_the_answer)
{
	place(&mine, 0);
	entered(&other, 1);
	entered(&mine, 2);
	entered(&mine, 3);
	entered(&mine, 2); /* known */
	cr_assert_eq(sq_outbox_order_bar(order), 2u);
	sq_outbox_order_leave(order, &places[0]);
	cr_assert_eq(sq_outbox_order_bar(order), UINT64_MAX);
	cr_assert_eq(passed, 0u);
}

Test(outbox_order, subscribe_publish_unsubscribe_go_one_after_the_other)
{
	place(&mine, 0);
	entered(&mine, 1);
	place(&mine, 1);
	entered(&mine, 2);
	cr_assert_not(places[0].waits);
	cr_assert(places[1].waits);
	cr_assert_eq(sq_outbox_order_bar(order), 1u);
	sq_outbox_order_leave(order, &places[0]);
	cr_assert_eq(sq_outbox_order_bar(order), 2u, "the next request's bar");
	sq_outbox_order_outcomes(order, 1);
	cr_assert_not(places[1].waits);
	cr_assert_eq(sq_outbox_order_bar(order), 2u);
	sq_outbox_order_leave(order, &places[1]);
	cr_assert_eq(sq_outbox_order_bar(order), UINT64_MAX);
}

Test(outbox_order, bars_of_many_stand_in_the_order_of_the_sequence)
{
	place(&mine, 0);
	place(&other, 1);
	entered(&other, 7);
	entered(&mine, 9);
	cr_assert_eq(sq_outbox_order_bar(order), 7u);
	sq_outbox_order_leave(order, &places[1]);
	cr_assert_eq(sq_outbox_order_bar(order), 9u);
}

Test(outbox_order, the_wait_passes_and_is_told_once)
{
	entered(&mine, 1);
	place(&mine, 0);
	sq_outbox_order_entered(order, &mine, 2, T0 + 100);
	cr_assert_eq(sq_outbox_order_due(order), (uint64_t)T0 + WAIT);
	sq_outbox_order_tick(order, T0 + WAIT - 1);
	cr_assert(places[0].waits);
	cr_assert_eq(passed, 0u);
	sq_outbox_order_tick(order, T0 + WAIT);
	cr_assert_not(places[0].waits);
	cr_assert_eq(ready, 1u);
	cr_assert_eq(passed, 1u);
	cr_assert_eq(sq_outbox_order_bar(order), 2u, "what is behind waits on");
	cr_assert_eq(sq_outbox_order_due(order), (uint64_t)T0 + 100 + WAIT);
	sq_outbox_order_tick(order, T0 + 100 + WAIT);
	cr_assert_eq(sq_outbox_order_bar(order), UINT64_MAX);
	cr_assert_eq(passed, 1u, "one subscription is counted once");
	sq_outbox_order_leave(order, &places[0]);
}

/* Whoever enters at T is free at T + WAIT, however many bars stand in front. */
Test(outbox_order, all_bars_together_hold_an_entry_for_the_wait_at_most)
{
	struct sq_outbox_line lines[20];
	struct sq_outbox_place p[20];
	uint64_t now = T0;

	for (unsigned i = 0; i < 20; i++, now += 400) {
		sq_outbox_line_init(&lines[i]);
		sq_outbox_place_init(&p[i]);
		sq_outbox_order_place(order, &lines[i], &p[i], now);
		sq_outbox_order_entered(order, &lines[i], i + 1, now);
		sq_outbox_order_tick(order, now);
	}
	sq_outbox_order_entered(order, &other, 21, now);
	cr_assert_leq(sq_outbox_order_bar(order), 20u);
	sq_outbox_order_tick(order, now + WAIT);
	cr_assert_eq(sq_outbox_order_bar(order), UINT64_MAX);
	for (unsigned i = 0; i < 20; i++)
		sq_outbox_order_close(order, &lines[i]);
}

Test(outbox_order, without_a_broker_no_time_passes)
{
	entered(&mine, 1);
	place(&mine, 0);
	sq_outbox_order_entered(order, &mine, 2, T0 + 10);
	sq_outbox_order_asks(order, &mine, false, T0 + 1000);
	sq_outbox_order_sends(order, false, T0 + 1000);
	cr_assert_eq(sq_outbox_order_due(order), 0u);
	sq_outbox_order_tick(order, T0 + 100 * WAIT);
	cr_assert(places[0].waits);
	cr_assert_eq(sq_outbox_order_bar(order), 2u);
	place(&mine, 1); /* while it is away */
	sq_outbox_order_entered(order, &mine, 3, T0 + 50 * WAIT);
	cr_assert_eq(passed, 0u);

	sq_outbox_order_asks(order, &mine, true, T0 + 200 * WAIT);
	sq_outbox_order_sends(order, true, T0 + 200 * WAIT);
	cr_assert_eq(sq_outbox_order_due(order), (uint64_t)T0 + 10 + 200 * WAIT + WAIT - 1000,
	    "of the bar's time some was over");
	sq_outbox_order_tick(order, T0 + 10 + 200 * WAIT + WAIT - 1000);
	cr_assert_eq(sq_outbox_order_bar(order), 3u);
	sq_outbox_order_tick(order, T0 + 201 * WAIT);
	cr_assert_eq(sq_outbox_order_bar(order), UINT64_MAX);
	cr_assert_not(places[0].waits);
	cr_assert_not(places[1].waits);
	cr_assert_eq(passed, 2u);
}

Test(outbox_order, what_had_its_outcome_while_the_session_was_away_does_not_wait)
{
	entered(&mine, 1);
	place(&mine, 0);
	sq_outbox_order_asks(order, &mine, false, T0);
	sq_outbox_order_outcomes(order, 1);
	sq_outbox_order_asks(order, &mine, true, T0 + 5);
	cr_assert_not(places[0].waits);
	cr_assert_not(sq_outbox_order_waits(order));
}

Test(outbox_order, a_client_that_leaves_takes_its_places_with_it)
{
	entered(&mine, 1);
	place(&mine, 0);
	entered(&mine, 2);
	place(&mine, 1);
	place(&other, 2);
	entered(&other, 3);
	sq_outbox_order_close(order, &mine);
	cr_assert_eq(sq_outbox_order_bar(order), 3u, "another one's stays");
	cr_assert_not(sq_outbox_order_waits(order));
	sq_outbox_order_leave(order, &places[1]); /* nowhere: nothing happens */
	cr_assert_null(places[1].line);
}

Test(outbox_order, no_wait_is_configured)
{
	struct sq_outbox_order *none = sq_outbox_order_new(0, &user, NULL);
	struct sq_outbox_line line;
	struct sq_outbox_place p;

	sq_outbox_line_init(&line);
	sq_outbox_place_init(&p);
	sq_outbox_order_entered(none, &line, 1, T0);
	sq_outbox_order_place(none, &line, &p, T0);
	sq_outbox_order_entered(none, &line, 2, T0);
	cr_assert_not(p.waits);
	cr_assert_eq(sq_outbox_order_bar(none), UINT64_MAX);
	sq_outbox_order_free(&none);
}
