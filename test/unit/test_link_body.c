/* broker/front/link/body.h and status.h: bodies of a call in both versions of the link. */
#include <criterion/criterion.h>

#include "broker/front/link/body.h"
#include "broker/front/link/status.h"
#include "core/mem.h"

Test(link_body, entries_are_walked_in_the_layout_of_their_version)
{
	const struct sq_sub subs[] = {
	    {.op = SQ_SUB_SUBSCRIBE,
		.flags = SQ_SUB_DECLARED,
		.group = sq_bytes_of("g"),
		.filter = sq_bytes_of("a/#"),
		.since_ms = 77,
		.pod = sq_bytes_of("pod")},
	    {.op = SQ_SUB_UNSUBSCRIBE, .filter = sq_bytes_of("b")},
	};

	for (unsigned version = 1; version <= 2; version++) {
		struct sq_call c = {.kind = SQ_CALL_SUBSCRIPTIONS};
		struct sq_subs_head head = {.mark = version >= 2 ? 9 : 0};
		struct sq_buf body = {0};
		struct sq_sub e;

		sq_subs_head_put(&body, 2, &head, version);
		sq_sub_put(&body, &subs[0], version);
		sq_sub_put(&body, &subs[1], version);
		c.body = sq_block_copy(sq_buf_data(&body), sq_buf_len(&body));
		sq_buf_fini(&body);
		sq_body_decode(&c, version);
		cr_assert_not(c.malformed);
		cr_assert(c.in.subs.n == 2 && c.in.subs.head.mark == head.mark);
		e = c.in.subs.next(&c.in.subs.entries);
		cr_assert_eq(e.since_ms, version >= 2 ? 77 : 0);
		cr_assert_eq(e.pod.len, version >= 2 ? 3 : 0);
		e = c.in.subs.next(&c.in.subs.entries);
		cr_assert(e.op == SQ_SUB_UNSUBSCRIBE && e.filter.len == 1);
		cr_assert_eq(c.in.subs.entries.len, 0);
		sq_body_decode(&c, 3 - version);
		cr_assert(c.malformed, "it is of the other version");
		sq_block_unref(&c.body);
	}
}

Test(link_body, an_answer_is_encoded_for_its_version)
{
	struct sq_notes notes = {0};
	struct sq_call c = {.kind = SQ_CALL_MESSAGES, .verdict = SQ_VERDICT_OK};

	sq_notes_add(&notes, 1, SQ_REFUSAL_QUEUE_FULL, sq_bytes_of("full"));
	c.out.outcomes = (struct sq_outcomes){.first = 4,
	    .n = 2,
	    .codes = (const unsigned char *)"\x10\x97",
	    .notes = sq_notes_view(&notes)};
	for (unsigned version = 1; version <= 2; version++) {
		struct sq_buf b = {0};
		struct sq_outcomes o;

		sq_body_encode(&b, &c, version);
		cr_assert_eq(
		    sq_outcomes_decode(sq_buf_data(&b), sq_buf_len(&b), version, &o), SQ_OK);
		cr_assert(o.first == 4 && o.n == 2 && o.codes[1] == 0x97);
		cr_assert_eq(sq_note_find(o.notes, 1).text.len, version >= 2 ? 4 : 0);
		sq_buf_fini(&b);
	}
	sq_notes_fini(&notes);
}

Test(link_body, the_status_says_whether_there_is_a_body)
{
	static const struct {
		enum sq_call_kind kind;
		uint32_t mark;
		enum sq_verdict verdict;
		unsigned status;
	} rows[] = {
	    {SQ_CALL_ATTACH, 0, SQ_VERDICT_OK, 200},
	    {SQ_CALL_MESSAGES, 0, SQ_VERDICT_OK, 200},
	    {SQ_CALL_SUBSCRIPTIONS, 0, SQ_VERDICT_OK, 200},
	    {SQ_CALL_SUBSCRIPTIONS, 3, SQ_VERDICT_OK, 204},
	    {SQ_CALL_SETTLEMENTS, 0, SQ_VERDICT_OK, 204},
	    {SQ_CALL_DETACH, 0, SQ_VERDICT_OK, 204},
	    {SQ_CALL_MESSAGES, 0, SQ_VERDICT_GAP, 409},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_call c = {.kind = rows[i].kind, .verdict = rows[i].verdict};

		if (c.kind == SQ_CALL_SUBSCRIPTIONS)
			c.in.subs.head.mark = rows[i].mark;
		cr_expect_eq(sq_status_of(&c, 2), rows[i].status, "row %zu", i);
		cr_expect_eq(sq_body_answers(&c), rows[i].status == 200, "row %zu", i);
	}
}
