/* broker/front/deeds/request: what a body says, and what is wrong with it. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/deed/answer.h"
#include "broker/deed/gate.h"
#include "broker/front/deeds/request.h"
#include "core/mem.h"

static struct sq_deed_request request;
static struct sq_deed deed;
static struct sq_buf why;

static void
tidy(void)
{
	sq_deed_request_fini(&request);
	sq_buf_fini(&why);
}

TestSuite(deed_request, .fini = tidy);

static unsigned
reads(const char *what, const char *body)
{
	char path[64];

	tidy();
	deed = (struct sq_deed){0};
	snprintf(path, sizeof path, "/v1/do/%s", what);
	return sq_deed_request_read(&request, path, sq_bytes_of(body), &deed, &why);
}

static void
expect_wrong(const char *what, const char *body, const char *says)
{
	cr_assert_eq(reads(what, body), 400, "%s", body);
	sq_buf_u8(&why, '\0');
	cr_assert_not_null(strstr((const char *)sq_buf_data(&why), says), "%s: %s", body,
	    (const char *)sq_buf_data(&why));
}

Test(deed_request, members_are_read)
{
	cr_assert_eq(reads("sessions/remove", "{\"session\": \"s~w~c\"}"), 200);
	cr_assert_eq(deed.kind, SQ_DEED_REMOVE);
	cr_assert_str_eq(deed.name, "s~w~c");
	cr_assert_not(deed.force);
	cr_assert_eq(reads("sessions/remove", "{\"session\":\"s~w~c\",\"force\":true}"), 200);
	cr_assert(deed.force);
	cr_assert_eq(reads("queues/purge",
			 "{\"queue\": \"q\", \"space\": \"s\", \"dead-letters\": true, \"max\": 3, "
			 "\"after\": \"0.0.18446744073709551615\"}"),
	    200);
	cr_assert_eq(deed.kind, SQ_DEED_PURGE);
	cr_assert_str_eq(deed.name, "q");
	cr_assert_str_eq(deed.space, "s");
	cr_assert(deed.bury);
	cr_assert_eq(deed.most, 3);
	cr_assert_eq(deed.at.upto, UINT64_MAX);
	cr_assert_eq(
	    reads("dead-letters/redrive", "{\"queue\":\"dead~s\",\"letters\":[1,77]}"), 200);
	cr_assert_eq(deed.kind, SQ_DEED_REDRIVE);
	cr_assert_eq(deed.n_letters, 2);
	cr_assert_eq(deed.letters[1], 77);
	cr_assert_eq(deed.most, UINT64_MAX);
	cr_assert_eq(reads("dead-letters/redrive", "{\"space\":\"s\",\"after\":\"1.5.9\"}"), 200);
	cr_assert_null(deed.name);
	cr_assert_eq(deed.at.queue, 1);
	cr_assert_eq(deed.at.from, 5);
	cr_assert_eq(deed.at.upto, 9);
}

Test(deed_request, what_is_wrong_is_said)
{
	static const struct {
		const char *what, *body, *says;
	} rows[] = {
	    {"sessions/remove", "", "no JSON"},
	    {"sessions/remove", "{\"session\"", "no JSON"},
	    {"sessions/remove", "[]", "no object"},
	    {"sessions/remove", "{}", "session is missing"},
	    {"sessions/remove", "{\"session\": 1}", "session: a text is wanted"},
	    {"sessions/remove", "{\"session\": \"\"}", "session: a text is wanted"},
	    {"sessions/remove", "{\"session\": \"a\", \"session\": \"b\"}", "duplicate"},
	    {"sessions/remove", "{\"session\": \"a\\u0000b\"}", "no JSON"},
	    {"sessions/remove", "{\"session\": \"a\", \"force\": 1}", "true or false"},
	    {"sessions/remove", "{\"session\": \"a\", \"queue\": \"b\"}",
		"\"queue\" is nothing for"},
	    {"queues/purge", "{\"space\": \"s\"}", "queue is missing"},
	    {"queues/purge", "{\"queue\": \"q\", \"max\": 0}", "max: a number above 0"},
	    {"queues/purge", "{\"queue\": \"q\", \"max\": -1}", "max: a number above 0"},
	    {"queues/purge", "{\"queue\": \"q\", \"max\": 1.5}", "max: a number above 0"},
	    {"queues/purge", "{\"queue\": \"q\", \"max\": 99999999999999999999}", "no JSON"},
	    {"queues/purge", "{\"queue\": \"q\", \"after\": \"1\"}", "next"},
	    {"queues/purge", "{\"queue\": \"q\", \"after\": \"-1.0.0\"}", "next"},
	    {"queues/purge", "{\"queue\": \"q\", \"after\": \"0.0.0x\"}", "next"},
	    {"queues/purge", "{\"queue\": \"q\", \"letters\": [1]}", "is nothing for"},
	    {"dead-letters/redrive", "{}", "queue or space is missing"},
	    {"dead-letters/redrive", "{\"space\": \"s\", \"letters\": [1]}", "queue is missing"},
	    {"dead-letters/redrive", "{\"queue\": \"q\", \"letters\": []}", "a list"},
	    {"dead-letters/redrive", "{\"queue\": \"q\", \"letters\": [0]}", "a list"},
	    {"dead-letters/redrive", "{\"queue\": \"q\", \"letters\": [\"1\"]}", "a list"},
	    {"dead-letters/redrive", "{\"queue\": \"q\", \"letters\": 1}", "a list"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++)
		expect_wrong(rows[i].what, rows[i].body, rows[i].says);
	cr_assert_eq(reads("queues", "{}"), 404);
	cr_assert_eq(reads("queues/purge/", "{}"), 404);
	cr_assert_eq(reads("", "{}"), 404);
}

Test(deed_request, a_list_has_a_bound)
{
	struct sq_buf body = {0};

	sq_buf_printf(&body, "{\"queue\":\"q\",\"letters\":[1");
	for (unsigned i = 1; i < SQ_DEED_LETTERS_MAX; i++)
		sq_buf_printf(&body, ",1");
	sq_buf_printf(&body, "]}");
	sq_buf_u8(&body, '\0');
	cr_assert_eq(reads("dead-letters/redrive", (const char *)sq_buf_data(&body)), 200);
	body.end -= 3;
	sq_buf_printf(&body, ",1]}");
	sq_buf_u8(&body, '\0');
	expect_wrong("dead-letters/redrive", (const char *)sq_buf_data(&body), "1 to 1000");
	sq_buf_fini(&body);
}

static const char *
answer(const struct sq_deed *d)
{
	static char text[128];
	struct sq_buf out = {0};

	sq_deed_answer(d, &out);
	snprintf(text, sizeof text, "%.*s", (int)sq_buf_len(&out), (const char *)sq_buf_data(&out));
	sq_buf_fini(&out);
	return text;
}

Test(deed_request, no_body_is_deep)
{
	static char body[16 << 10];

	memset(body, '[', sizeof body - 1);
	expect_wrong("queues/purge", body, "more in it than any deed takes");
	expect_wrong("queues/purge", "{\"queue\": [[1]]}", "more in it than any deed takes");
	memset(body, ',', sizeof body - 1);
	expect_wrong("queues/purge", body, "more in it than any deed takes");
}

Test(deed_request, an_answer_says_where_to_go_on)
{
	struct sq_deed d = {.kind = SQ_DEED_PURGE, .n = 5, .more = true, .at = {0, 0, 9}};
	const char *detail;

	cr_assert_str_eq(answer(&d), "{\"done\":5,\"more\":true,\"next\":\"0.0.9\"}\n");
	d = (struct sq_deed){.kind = SQ_DEED_REDRIVE, .n = 5, .stayed = 2};
	cr_assert_str_eq(answer(&d), "{\"done\":5,\"stayed\":2,\"more\":false,\"next\":null}\n");
	cr_assert_eq(sq_deed_answer_status(&d, &detail), 200);
	d.end = SQ_DEED_MISSING;
	d.why = "no such";
	cr_assert_eq(sq_deed_answer_status(&d, &detail), 404);
	cr_assert_str_eq(detail, "no such");
	d.end = SQ_DEED_FAILED;
	cr_assert_eq(sq_deed_answer_status(&d, &detail), 503);
	d.end = SQ_DEED_REFUSED;
	cr_assert_eq(sq_deed_answer_status(&d, &detail), 409);
	d.end = SQ_DEED_DENIED;
	d.why = NULL;
	cr_assert_eq(sq_deed_answer_status(&d, &detail), 403);
	cr_assert_not_null(detail);
}

Test(deed_request, redrives_have_a_rate)
{
	struct sq_deed_gate g;

	sq_deed_gate_init(&g);
	cr_assert(sq_deed_gate_begin(&g, "a", 5000));
	cr_assert_not(sq_deed_gate_begin(&g, "a", 9000), "one at a time");
	sq_deed_gate_end(&g, 5000, 400);
	cr_assert_not(sq_deed_gate_begin(&g, "a", 5399));
	cr_assert_not(sq_deed_gate_begin(&g, "a", 5000));
	cr_assert(sq_deed_gate_begin(&g, "a", 5400), "a space that is alone waits for nobody");
	sq_deed_gate_end(&g, 5400, 0);
	cr_assert(sq_deed_gate_begin(&g, "a", 5400), "nothing was done");
}

Test(deed_request, no_space_has_all_redrives)
{
	struct sq_deed_gate g;

	sq_deed_gate_init(&g);
	cr_assert(sq_deed_gate_begin(&g, "a", 1000));
	cr_assert_not(sq_deed_gate_begin(&g, "b", 1100));
	cr_assert_not(sq_deed_gate_begin(&g, "c", 1200));
	sq_deed_gate_end(&g, 1000, 1000);
	cr_assert_not(sq_deed_gate_begin(&g, "a", 2000), "b was refused, and goes first");
	cr_assert_not(sq_deed_gate_begin(&g, "c", 2000));
	cr_assert(sq_deed_gate_begin(&g, "b", 2100));
	cr_assert_not(sq_deed_gate_begin(&g, "c", 2200));
	cr_assert_not(sq_deed_gate_begin(&g, "a", 2200));
	sq_deed_gate_end(&g, 2100, 0);
	cr_assert_not(sq_deed_gate_begin(&g, "a", 2300), "c was refused before a");
	cr_assert_not(sq_deed_gate_begin(&g, "b", 2300));
	cr_assert_not(sq_deed_gate_begin(&g, "a", 2200 + SQ_DEED_GATE_TURN_MS - 1));
	cr_assert(sq_deed_gate_begin(&g, "a", 2200 + SQ_DEED_GATE_TURN_MS), "c does not come");
}
