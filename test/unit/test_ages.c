/* broker/front/door/ages.h */
#include <criterion/criterion.h>

#include "broker/front/door/ages.h"
#include "core/mem.h"

static struct sq_ages ages;

static void
tidy(void)
{
	sq_ages_fini(&ages);
}

TestSuite(ages, .fini = tidy);

#define LOOK(now_ms, ...) \
	do { \
		struct sq_age seen[] = {__VA_ARGS__}; \
		sq_ages_look(&ages, seen, (unsigned)SQ_ARRAY_LEN(seen), now_ms); \
	} while (0)
#define COMES(id) \
	{ \
		.stream = (id) \
	}
#define GOES(id) \
	{ \
		.stream = (id), .going = true \
	}

static void
assert_oldest(bool going, uint32_t stream, uint64_t since_ms)
{
	struct sq_age oldest = sq_ages_oldest(&ages, going);

	cr_assert_eq(oldest.stream, stream);
	cr_assert_eq(oldest.since_ms, since_ms);
}

Test(ages, each_has_its_own)
{
	LOOK(100, COMES(9), COMES(1));
	LOOK(200, COMES(1), COMES(11), COMES(9));
	assert_oldest(false, 1, 100);
	LOOK(300, COMES(11), COMES(9));
	assert_oldest(false, 9, 100);
	LOOK(400, COMES(11));
	assert_oldest(false, 11, 200);
	assert_oldest(true, 0, 0);
}

Test(ages, an_answer_begins_anew)
{
	LOOK(100, COMES(1), GOES(3));
	LOOK(200, GOES(1), GOES(3), COMES(5));
	assert_oldest(true, 3, 100);
	assert_oldest(false, 5, 200);
	LOOK(300, GOES(1));
	assert_oldest(true, 1, 200);
}

Test(ages, who_has_paused_begins_anew)
{
	LOOK(100, COMES(1));
	sq_ages_look(&ages, NULL, 0, 200);
	assert_oldest(false, 0, 0);
	LOOK(300, COMES(1));
	assert_oldest(false, 1, 300);
}
