/* broker/recent: a bounded list of the last things, in which equal ones are one. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/recent/recent.h"

/* Texts of a thing of 'who', with 'what' behind it. */
static void
note(struct sq_recent *r, const char *who, const char *what, unsigned n_same, uint64_t number)
{
	struct sq_bytes texts[SQ_RECENT_TEXTS] = {
	    sq_bytes_of("space"), sq_bytes_of(who), sq_bytes_of(what)};

	sq_recent_note(r, texts, n_same, number);
}

static unsigned
count(const struct sq_recent *r, const char *who)
{
	unsigned n = 0;

	for (const struct sq_recent_entry *e = sq_recent_seek(r, 0); e != NULL;
	     e = sq_recent_seek(r, e->id + 1))
		n += sq_bytes_are(e->texts[1], who);
	return n;
}

Test(recent, equal_ones_are_one_with_the_last_number)
{
	struct sq_recent *r = sq_recent_new();
	const struct sq_recent_entry *e;

	cr_assert_null(sq_recent_seek(r, 0));
	note(r, "a", "x", 3, 1);
	note(r, "a", "x", 3, 2);
	note(r, "a", "y", 3, 3);
	e = sq_recent_seek(r, 0);
	cr_assert_eq(e->n, 2);
	cr_assert_eq(e->number, 2);
	cr_assert(e->first_ms <= e->last_ms && e->first_ms > 0);
	cr_assert_null(e->texts[3].p, "what there is none of stays so");
	cr_assert(sq_bytes_are(e->texts[2], "x"));
	e = sq_recent_seek(r, e->id + 1);
	cr_assert(sq_bytes_are(e->texts[2], "y") && e->n == 1);
	cr_assert_null(sq_recent_seek(r, e->id + 1));
	/* Without a part that is compared each is its own. */
	note(r, "b", "x", 0, 1);
	note(r, "b", "x", 0, 1);
	cr_assert_eq(count(r, "b"), 2);
	sq_recent_free(&r);
	cr_assert_null(r);
}

Test(recent, where_texts_part_matters)
{
	struct sq_recent *r = sq_recent_new();

	note(r, "ab", "c", 3, 1);
	note(r, "a", "bc", 3, 1);
	cr_assert_eq(count(r, "a"), 1);
	cr_assert_eq(count(r, "ab"), 1);
	sq_recent_free(&r);
}

Test(recent, one_who_is_loud_hides_nobody)
{
	struct sq_recent *r = sq_recent_new();
	char what[32];

	note(r, "quiet", "x", 3, 1);
	for (int i = 0; i < 1000; i++) {
		snprintf(what, sizeof what, "%d", i);
		note(r, "loud", what, 3, 1);
	}
	cr_assert_eq(count(r, "quiet"), 1);
	cr_assert_eq(count(r, "loud"), SQ_RECENT_OF_MAX);
	sq_recent_free(&r);
}

Test(recent, the_oldest_leave_for_new_ones)
{
	struct sq_recent *r = sq_recent_new();
	unsigned n = 0;
	char who[32];

	for (int i = 0; i < 3 * SQ_RECENT_MAX; i++) {
		snprintf(who, sizeof who, "who-%d", i);
		note(r, who, "x", 3, 1);
	}
	for (const struct sq_recent_entry *e = sq_recent_seek(r, 0); e != NULL;
	     e = sq_recent_seek(r, e->id + 1))
		n++;
	cr_assert_eq(n, SQ_RECENT_MAX);
	cr_assert_eq(count(r, "who-0"), 0);
	cr_assert_eq(count(r, who), 1);
	sq_recent_free(&r);
}

Test(recent, long_texts_are_cut_at_a_character)
{
	struct sq_recent *r = sq_recent_new();
	char text[2 * SQ_RECENT_TEXT_MAX + 1];

	for (size_t i = 0; i + 1 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[sizeof text - 1] = '\0';
	note(r, "a", text + 2, 3, 1);
	cr_assert_eq(sq_recent_seek(r, 0)->texts[2].len, SQ_RECENT_TEXT_MAX);
	memmove(text, text + 1, sizeof text - 1); /* no UTF-8 from the first byte on */
	note(r, "b", text, 3, 1);
	cr_assert(sq_recent_seek(r, 2)->texts[2].len <= SQ_RECENT_TEXT_MAX);
	sq_recent_free(&r);
}
