/* Words of refusals: proto/link/answer.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/link/answer.h"

Test(link_answer, each_value_is_found_by_its_word)
{
	for (enum sq_conflict c = SQ_CONFLICT_EPOCH; c <= SQ_CONFLICT_SUPERSEDED; c++)
		cr_assert_eq(sq_conflict_find(sq_conflict_name(c), strlen(sq_conflict_name(c))), c);
	for (enum sq_denied d = SQ_DENIED_SPACE; d <= SQ_DENIED_WILL; d++)
		cr_assert_eq(sq_denied_find(sq_denied_name(d), strlen(sq_denied_name(d))), d);
	for (enum sq_full f = SQ_FULL_BROKER; f <= SQ_FULL_STORE; f++)
		cr_assert_eq(sq_full_find(sq_full_name(f), strlen(sq_full_name(f))), f);
}

Test(link_answer, any_other_word_is_none)
{
	cr_assert_eq(sq_conflict_find("", 0), SQ_CONFLICT_NONE);
	cr_assert_eq(sq_conflict_find("gaps", 4), SQ_CONFLICT_NONE);
	cr_assert_eq(sq_denied_find("spac", 4), SQ_DENIED_NONE);
	cr_assert_eq(sq_full_find("", 0), SQ_FULL_NOT, "and not SQ_FULL_UNSAID, which has no word");
}
