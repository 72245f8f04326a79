/* broker/session/return: how a delivery is settled when nobody will say anything of it. */
#include <criterion/criterion.h>

#include "broker/session/return.h"
#include "broker/session/window.h"

static int queue; /* stands for a group's sink */

static struct sq_slot
slot(bool of_group, uint8_t state)
{
	struct sq_slot s = {.state = state};

	if (of_group)
		s.from = (struct sq_queue_ref){7, (struct sq_sink *)(void *)&queue, NULL};
	return s;
}

static enum sq_settle_how
how(bool of_group, uint8_t state, enum sq_return why, bool broke)
{
	struct sq_slot s = slot(of_group, state);

	return sq_return_how(&s, why, broke);
}

Test(session_return, a_group_has_its_item_again)
{
	cr_assert_eq(how(true, SQ_OPEN_QOS1, SQ_RETURN_GROUPS, false), SQ_UNTRIED);
	cr_assert_eq(how(true, SQ_OPEN_QOS1, SQ_RETURN_ALL, false), SQ_UNTRIED);
}

Test(session_return, one_that_its_client_may_have_broken_at_counts_an_attempt)
{
	cr_assert_eq(how(true, SQ_OPEN_QOS1, SQ_RETURN_GROUPS, true), SQ_REQUEUE);
	cr_assert_eq(how(false, SQ_OPEN_QOS1, SQ_RETURN_ALL, true), SQ_UNTRIED, "not of its own");
}

Test(session_return, nobody_else_gets_what_may_have_reached_the_client_at_qos_2)
{
	cr_assert_eq(how(true, SQ_OPEN_QOS2, SQ_RETURN_ALL, false), SQ_UNFINISHED);
	cr_assert_eq(how(true, SQ_OPEN_QOS2, SQ_RETURN_GROUPS, true), SQ_UNFINISHED);
}

Test(session_return, an_assured_one_is_a_dead_letter)
{
	struct sq_slot s = slot(false, SQ_OPEN_QOS2);

	s.item.assured = true;
	cr_assert_eq(sq_return_how(&s, SQ_RETURN_ALL, false), SQ_UNFINISHED);
}

Test(session_return, the_own_queue_has_its_items_again_when_the_session_ends)
{
	cr_assert_eq(how(false, SQ_OPEN_QOS2, SQ_RETURN_ALL, false), SQ_UNTRIED);
	cr_assert_eq(how(false, SQ_OPEN_QOS1, SQ_RETURN_ALL, false), SQ_UNTRIED);
	cr_assert_eq(how(false, SQ_OPEN_QOS1, SQ_RETURN_CLOSE, false), SQ_DONE);
	cr_assert_eq(how(false, SQ_OPEN_QOS1, SQ_RETURN_GROUPS, false), SQ_DONE);
}
