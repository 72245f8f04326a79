/* Notes behind the codes of an answer: proto/link/notes.h and what carries them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "proto/link/frame.h"

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static bool
note_is(const struct sq_note *note, uint16_t index, uint16_t n, uint8_t refusal, const char *words)
{
	return note->index == index && note->n == n && note->refusal == refusal &&
	    note->text.len == strlen(words) && memcmp(note->text.p, words, note->text.len) == 0;
}

Test(link_notes, what_says_the_same_in_a_row_is_one_note)
{
	struct sq_notes notes = {0};
	struct sq_buf b = {0};
	struct sq_bytes got;
	struct sq_note note;

	sq_notes_add(&notes, 1, SQ_REFUSAL_QUEUE_FULL, text("q is full"));
	sq_notes_add(&notes, 2, SQ_REFUSAL_QUEUE_FULL, text("q is full"));
	sq_notes_add(&notes, 4, SQ_REFUSAL_QUEUE_FULL, text("q is full"));
	sq_notes_add(&notes, 5, SQ_REFUSAL_TOPIC, text("q is full"));
	sq_notes_encode(&b, sq_notes_view(&notes));
	cr_assert_eq(sq_notes_decode(sq_buf_data(&b), sq_buf_len(&b), 6, &got), SQ_OK);
	cr_assert(sq_note_next(&got, &note) && note_is(&note, 1, 2, 5, "q is full"));
	cr_assert(sq_note_next(&got, &note) && note_is(&note, 4, 1, 5, "q is full"));
	cr_assert(sq_note_next(&got, &note) && note_is(&note, 5, 1, 2, "q is full"));
	cr_assert_not(sq_note_next(&got, &note));
	sq_buf_fini(&b);
	sq_notes_fini(&notes);
}

Test(link_notes, the_note_on_an_entry_is_found)
{
	struct sq_notes notes = {0};
	struct sq_buf b = {0};
	struct sq_bytes got;
	struct sq_note note;

	sq_notes_add(&notes, 3, SQ_REFUSAL_DENIED, text("no"));
	sq_notes_add(&notes, 4, SQ_REFUSAL_DENIED, text("no"));
	sq_notes_encode(&b, sq_notes_view(&notes));
	cr_assert_eq(sq_notes_decode(sq_buf_data(&b), sq_buf_len(&b), 5, &got), SQ_OK);
	note = sq_note_find(got, 4);
	cr_assert(note_is(&note, 3, 2, SQ_REFUSAL_DENIED, "no"));
	note = sq_note_find(got, 2);
	cr_assert(note.refusal == 0 && note.text.len == 0);
	sq_buf_fini(&b);
	sq_notes_fini(&notes);
}

Test(link_notes, texts_are_bounded_and_clean)
{
	char many[SQ_NOTE_TEXT_MAX + 8];
	struct sq_notes notes = {0};
	struct sq_buf b = {0};
	struct sq_bytes got;
	struct sq_note note;

	memset(many, 'x', sizeof many);
	memcpy(many + SQ_NOTE_TEXT_MAX - 1, "\xc3\xa9", 3); /* would be cut in half */
	sq_notes_add(&notes, 0, SQ_REFUSAL_OTHER, text(many));
	sq_notes_add(&notes, 1, SQ_REFUSAL_OTHER, text("a\r\nb\x7f"));
	sq_notes_add(&notes, 2, SQ_REFUSAL_OTHER, text("\xff"));
	sq_notes_encode(&b, sq_notes_view(&notes));
	cr_assert_eq(sq_notes_decode(sq_buf_data(&b), sq_buf_len(&b), 3, &got), SQ_OK);
	cr_assert(sq_note_next(&got, &note));
	cr_assert_eq(note.text.len, SQ_NOTE_TEXT_MAX - 1);
	cr_assert(sq_note_next(&got, &note) && note_is(&note, 1, 1, SQ_REFUSAL_OTHER, "a??b?"));
	cr_assert(sq_note_next(&got, &note) && note_is(&note, 2, 1, SQ_REFUSAL_OTHER, ""));
	sq_buf_fini(&b);
	sq_notes_fini(&notes);
}

Test(link_notes, above_the_bound_of_texts_the_reasons_stay)
{
	struct sq_notes notes = {0};
	struct sq_buf b = {0};
	struct sq_bytes got;
	struct sq_note note;
	char words[16];

	for (uint16_t i = 0; i < 1000; i++) {
		snprintf(words, sizeof words, "%u", i);
		sq_notes_add(&notes, i, SQ_REFUSAL_QUOTA, text(words));
	}
	sq_notes_encode(&b, sq_notes_view(&notes));
	cr_assert_eq(sq_notes_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &got), SQ_OK);
	for (uint16_t i = 0; i < SQ_NOTE_TEXTS_MAX; i++) {
		snprintf(words, sizeof words, "%u", i);
		cr_assert(sq_note_next(&got, &note) && note_is(&note, i, 1, 4, words));
	}
	cr_assert(sq_note_next(&got, &note));
	cr_assert(note_is(&note, SQ_NOTE_TEXTS_MAX, 1000 - SQ_NOTE_TEXTS_MAX, 4, ""));
	cr_assert_not(sq_note_next(&got, &note));
	sq_buf_fini(&b);
	sq_notes_fini(&notes);
}

Test(link_notes, malformed_ones_are_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
	    {"", 0}, {"\0\1", 2},                     /* fewer than it counts */
	    {"\0\0\0", 3},                            /* more */
	    {"\0\1\0\0\0\0\1\0\0", 9},                /* covers nothing */
	    {"\0\1\0\2\0\2\1\0\0", 9},                /* an entry that is not there */
	    {"\0\2\0\1\0\1\1\0\0\0\1\0\1\1\0\0", 16}, /* an entry twice */
	    {"\0\1\0\0\0\1\1\0\1\n", 10},             /* a control character */
	    {"\0\1\0\0\0\1\1\0\1\xff", 10},           /* not UTF-8 */
	    {"\0\1\0\0\0\1\1\0\2x", 10},              /* cut */
	};
	struct sq_bytes got;

	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_expect_eq(
		    sq_notes_decode(bad[i].bytes, bad[i].len, 3, &got), SQ_EINVAL, "row %zu", i);
}

Test(link_notes, outcomes_and_codes_carry_them_from_version_2_on)
{
	const uint8_t codes[] = {0, 0x97, 0};
	struct sq_outcomes in = {.first = 9, .n = 3, .codes = codes};
	struct sq_notes notes = {0};

	sq_notes_add(&notes, 1, SQ_REFUSAL_QUEUE_FULL, text("full"));
	in.notes = sq_notes_view(&notes);
	for (unsigned version = 1; version <= 2; version++) {
		struct sq_buf b = {0};
		struct sq_outcomes out;
		struct sq_note note;

		sq_outcomes_encode(&b, &in, version);
		for (size_t n = 0; n < sq_buf_len(&b); n++)
			cr_assert_eq(
			    sq_outcomes_decode(sq_buf_data(&b), n, version, &out), SQ_EINVAL);
		cr_assert_eq(
		    sq_outcomes_decode(sq_buf_data(&b), sq_buf_len(&b), version, &out), SQ_OK);
		cr_assert(out.first == 9 && out.n == 3 && out.codes[1] == 0x97);
		note = sq_note_find(out.notes, 1);
		cr_assert_eq(note.refusal, version >= 2 ? SQ_REFUSAL_QUEUE_FULL : 0);
		cr_assert_eq(note.text.len, version >= 2 ? 4 : 0);
		sq_buf_fini(&b);
	}
	sq_notes_fini(&notes);
}

Test(link_notes, every_refusal_has_a_name)
{
	cr_assert_str_eq(sq_refusal_name(SQ_REFUSAL_QUEUE_FULL), "queue-full");
	cr_assert_str_eq(sq_refusal_name(250), "other");
	for (unsigned i = 0; i < SQ_REFUSAL_COUNT; i++)
		cr_assert_not_null(sq_refusal_name(i));
}
