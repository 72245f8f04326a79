/* proto/json's reader: what RFC 8259 takes, what it refuses and where, and the ranges of its parts. */
#include "proto/json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(s) ((struct sq_bytes){(const unsigned char *)(s), sizeof(s) - 1})
enum { ROOM = 256, GOOD = -1 };

struct json {
	struct sq_json_token at[ROOM];
	struct sq_json_tokens tokens;
	struct sq_json_error err;
};

/* From memory of its size, so that a sanitizer sees a look behind its end; for free(). */
static int
json_read(struct json *j, struct sq_bytes text, unsigned depth)
{
	unsigned char *copy = malloc(text.len);
	int err;

	if (text.len > 0)
		memcpy(copy, text.p, text.len);
	j->tokens = (struct sq_json_tokens){.at = j->at, .room = ROOM, .depth = depth};
	j->err = (struct sq_json_error){0};
	err = sq_json_read(&j->tokens, (struct sq_bytes){copy, text.len}, &j->err);
	free(copy);
	j->tokens.text = text;
	return err;
}

/* After the kinds of JSONTestSuite (Nicolas Seriot): y_ is taken, n_ refused at a byte. */
static const struct {
	struct sq_bytes text;
	int at; /* GOOD, or the byte that is wrong */
} cases[] = {
    /* values */
    {TEXT("1"), GOOD},
    {TEXT("null"), GOOD},
    {TEXT("true"), GOOD},
    {TEXT("false"), GOOD},
    {TEXT("\"\""), GOOD},
    {TEXT("[]"), GOOD},
    {TEXT("{}"), GOOD},
    {TEXT(" \t\r\n[ \n1 , 2\t]\r "), GOOD},
    {TEXT("{\"\":0}"), GOOD},
    {TEXT("{\"a\":1,\"a\":2}"), GOOD},
    {TEXT("[null,1,\"1\",{}]"), GOOD},
    {TEXT("{\"a\" : [ { } , [ ] ] , \"b\" : { \"c\" : null } }"), GOOD},
    {TEXT(""), 0},
    {TEXT("  "), 2},
    {TEXT("\0"), 0},
    {TEXT("[]\0"), 2},
    {TEXT("1 2"), 2},
    {TEXT("[]]"), 2},
    {TEXT("{}x"), 2},
    {TEXT("\"a\"\"b\""), 3},
    {TEXT("nul"), 0},
    {TEXT("nulL"), 0},
    {TEXT("truefalse"), 4},
    {TEXT("True"), 0},
    {TEXT("NaN"), 0},
    {TEXT("[Infinity]"), 1},
    {TEXT("[-Infinity]"), 2},
    {TEXT("'a'"), 0},
    {TEXT("a"), 0},
    {TEXT("\xef\xbb\xbf{}"), 0},
    {TEXT("\xe2\x81\xa0"), 0},
    {TEXT("[\x0c]"), 1},
    {TEXT("[\xc2\xa0]"), 1},
    {TEXT("// c\n1"), 0},
    {TEXT("[1]/**/"), 3},
    /* arrays */
    {TEXT("["), 1},
    {TEXT("]"), 0},
    {TEXT("[1"), 2},
    {TEXT("[1,"), 3},
    {TEXT("[,1]"), 1},
    {TEXT("[1,]"), 3},
    {TEXT("[1,,2]"), 3},
    {TEXT("[,]"), 1},
    {TEXT("[1 2]"), 3},
    {TEXT("[1:2]"), 2},
    {TEXT("[\"a\":1]"), 4},
    {TEXT("[1}"), 2},
    {TEXT("[[1]"), 4},
    {TEXT("[1;2]"), 2},
    {TEXT("[{]}"), 2},
    /* objects */
    {TEXT("{"), 1},
    {TEXT("}"), 0},
    {TEXT("{,}"), 1},
    {TEXT("{\"a\"}"), 4},
    {TEXT("{\"a\":}"), 5},
    {TEXT("{\"a\" 1}"), 5},
    {TEXT("{\"a\"::1}"), 5},
    {TEXT("{:1}"), 1},
    {TEXT("{1:1}"), 1},
    {TEXT("{a:1}"), 1},
    {TEXT("{null:1}"), 1},
    {TEXT("{[]:1}"), 1},
    {TEXT("{\"a\":1,}"), 7},
    {TEXT("{\"a\":1,,\"b\":2}"), 7},
    {TEXT("{\"a\":1 \"b\":2}"), 7},
    {TEXT("{\"a\":1,\"b\"}"), 10},
    {TEXT("{\"a\":1]"), 6},
    {TEXT("{\"a\":\"b\":1}"), 8},
    {TEXT("{\"a\":{\"b\":1}"), 12},
    /* numbers */
    {TEXT("0"), GOOD},
    {TEXT("-0"), GOOD},
    {TEXT("-0.0e-0"), GOOD},
    {TEXT("0e+1"), GOOD},
    {TEXT("1E22"), GOOD},
    {TEXT("123.456e-78"), GOOD},
    {TEXT("1e99999"), GOOD},
    {TEXT("123456789012345678901234567890"), GOOD},
    {TEXT("-"), 1},
    {TEXT("-a"), 1},
    {TEXT("--1"), 1},
    {TEXT("+1"), 0},
    {TEXT("01"), 0},
    {TEXT("-01"), 0},
    {TEXT("00"), 0},
    {TEXT("1."), 2},
    {TEXT("1.e1"), 2},
    {TEXT(".1"), 0},
    {TEXT("-.1"), 1},
    {TEXT("1e"), 2},
    {TEXT("1e+"), 3},
    {TEXT("1e1.5"), 3},
    {TEXT("1e1e1"), 3},
    {TEXT("1.5.5"), 3},
    {TEXT("0x1"), 1},
    {TEXT("1a"), 1},
    {TEXT("1_000"), 1},
    {TEXT("1-2"), 1},
    {TEXT("\xef\xbc\x91"), 0}, /* U+FF11, a wide digit */
    /* strings */
    {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), GOOD},
    {TEXT("\"\\u0000\\uFFFF\\u00e9\\uABCD\""), GOOD},
    {TEXT("\"\\ud83d\\ude00\""), GOOD},
    {TEXT("\"\\uDBFF\\uDFFF\""), GOOD},
    {TEXT("\"\x7f/\""), GOOD},
    {TEXT("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x87\xef\xbf\xbf\""), GOOD},
    {TEXT("\""), 1},
    {TEXT("\"abcdefgh"), 9},
    {TEXT("\"\\"), 2},
    {TEXT("\"\\\""), 3},
    {TEXT("\"\\a\""), 2},
    {TEXT("\"\\'\""), 2},
    {TEXT("\"\\x41\""), 2},
    {TEXT("\"\\U0041\""), 2},
    {TEXT("\"\\\xc3\xa9\""), 2},
    {TEXT("\"\\\n\""), 2},
    {TEXT("\"\\u\""), 1},
    {TEXT("\"\\u00\""), 1},
    {TEXT("\"\\u004\""), 1},
    {TEXT("\"\\u004g\""), 1},
    {TEXT("\"\\u-041\""), 1},
    {TEXT("\"\\ud800\""), 1},
    {TEXT("\"\\udc00\""), 1},
    {TEXT("\"\\ud800x\""), 1},
    {TEXT("\"\\ud800\\n\""), 1},
    {TEXT("\"\\ud800\\u0041\""), 1},
    {TEXT("\"\\ud800\\ud800\\udc00\""), 1},
    {TEXT("\"\\ud800\\udc0\""), 1},
    {TEXT("\"a\nb\""), 2},
    {TEXT("\"a\0b\""), 2},
    {TEXT("\"\x1f\""), 1},
    {TEXT("\"0123456\t\""), 8},
    {TEXT("\"\x80\""), 1},
    {TEXT("\"\xff\""), 1},
    {TEXT("\"\xc3\""), 1},
    {TEXT("\"\xc0\xaf\""), 1},
    {TEXT("\"\xe0\x80\xaf\""), 1},
    {TEXT("\"\xed\xa0\x80\""), 1},
    {TEXT("\"\xf4\x90\x80\x80\""), 1},
    {TEXT("\"\xf0\x9f\x90"), 1},
    {TEXT("\"ab\xe9\""), 3},
};

Test(json, the_standards_texts_are_taken_and_no_others)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct json j;
		int err = json_read(&j, cases[i].text, SQ_JSON_DEPTH_MAX);

		cr_expect(err == (cases[i].at == GOOD ? 0 : SQ_EINVAL), "%s: %s", cases[i].text.p,
		    err == 0 ? "taken" : j.err.why);
		if (err == 0 || cases[i].at == GOOD)
			continue;
		cr_expect(j.err.offset == (size_t)cases[i].at, "%s: at %zu: %s", cases[i].text.p,
		    j.err.offset, j.err.why);
		cr_expect(j.err.why != NULL && *j.err.why != '\0');
	}
}

Test(json, a_text_cut_anywhere_ends_too_early)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sq_bytes text = cases[i].text;
		struct json j;

		if (cases[i].at != GOOD || strchr("{[\"", text.p[0]) == NULL)
			continue;
		for (text.len--; text.len > 0; text.len--) {
			int err = json_read(&j, text, SQ_JSON_DEPTH_MAX);

			cr_expect(err == SQ_EINVAL && j.err.offset <= text.len, "%.*s",
			    (int)text.len, text.p);
		}
	}
}

/* The fast path takes eight bytes: what is not plain, at every place around it. */
Test(json, what_ends_a_run_of_plain_bytes_is_seen_at_any_offset)
{
	static const unsigned char others[] = {0x00, 0x1f, '\\', 0x80, 0xff};

	for (size_t len = 1; len <= 40; len++) {
		for (size_t at = 0; at < len; at++) {
			for (size_t k = 0; k < sizeof others; k++) {
				unsigned char text[42];
				struct json j;

				memset(text, 'a', sizeof text);
				text[0] = text[len + 1] = '"';
				cr_assert(json_read(&j, (struct sq_bytes){text, len + 2}, 1) == 0);
				text[1 + at] = others[k];
				cr_assert(json_read(&j, (struct sq_bytes){text, len + 2}, 1) != 0,
				    "0x%02x at %zu of %zu", others[k], at, len);
			}
		}
	}
}

static void
is_token(const struct json *j, uint32_t i, enum sq_json_type type, const char *raw, uint32_t next)
{
	struct sq_bytes found = sq_json_raw(&j->tokens, i);

	cr_expect(j->at[i].type == type, "token %u: type %u", i, j->at[i].type);
	cr_expect(sq_bytes_are(found, raw), "token %u: %.*s", i, (int)found.len, found.p);
	cr_expect(j->at[i].next == next, "token %u: next is %u", i, j->at[i].next);
}

Test(json, tokens_are_ranges_of_the_text)
{
	struct sq_bytes text = TEXT(" {\"id\":9007199254740993, \"data\":{\"price\":19.90},"
				    "\"a\":[true,[ ],null,\"x\\n\"]} ");
	struct json j;

	cr_assert(json_read(&j, text, SQ_JSON_DEPTH_MAX) == 0);
	cr_assert(j.tokens.n == 13);
	cr_expect(j.at[0].type == SQ_JSON_OBJECT && j.at[0].next == 13 && j.at[0].start == 1 &&
	    j.at[0].end == text.len - 1);
	is_token(&j, 1, SQ_JSON_STRING, "id", 2);
	is_token(&j, 2, SQ_JSON_NUMBER, "9007199254740993", 3);
	is_token(&j, 3, SQ_JSON_STRING, "data", 4);
	is_token(&j, 4, SQ_JSON_OBJECT, "{\"price\":19.90}", 7);
	is_token(&j, 5, SQ_JSON_STRING, "price", 6);
	is_token(&j, 6, SQ_JSON_NUMBER, "19.90", 7);
	is_token(&j, 7, SQ_JSON_STRING, "a", 8);
	is_token(&j, 8, SQ_JSON_ARRAY, "[true,[ ],null,\"x\\n\"]", 13);
	is_token(&j, 9, SQ_JSON_TRUE, "true", 10);
	is_token(&j, 10, SQ_JSON_ARRAY, "[ ]", 11);
	is_token(&j, 11, SQ_JSON_NULL, "null", 12);
	is_token(&j, 12, SQ_JSON_STRING, "x\\n", 13);
	cr_expect(j.at[12].escaped && !j.at[1].escaped);
}

Test(json, containers_are_walked)
{
	struct json j;
	uint32_t i;

	cr_assert(json_read(&j, TEXT("[[1,2],{\"a\":[3]},4]"), SQ_JSON_DEPTH_MAX) == 0);
	i = sq_json_first(&j.tokens, 0);
	cr_expect(sq_bytes_are(sq_json_raw(&j.tokens, i), "[1,2]"));
	i = sq_json_next(&j.tokens, 0, i);
	cr_expect(sq_bytes_are(sq_json_raw(&j.tokens, i), "{\"a\":[3]}"));
	i = sq_json_next(&j.tokens, 0, i);
	cr_expect(sq_bytes_are(sq_json_raw(&j.tokens, i), "4"));
	cr_expect(sq_json_next(&j.tokens, 0, i) == 0);
	cr_assert(json_read(&j, TEXT("[]"), 1) == 0);
	cr_expect(sq_json_first(&j.tokens, 0) == 0);
}

Test(json, deeper_values_are_checked_and_not_kept)
{
	struct json j;

	cr_assert(json_read(&j, TEXT("{\"a\":{\"b\":[1,2]},\"c\":3}"), 1) == 0);
	cr_assert(j.tokens.n == 5);
	is_token(&j, 2, SQ_JSON_OBJECT, "{\"b\":[1,2]}", 3);
	cr_expect(sq_json_first(&j.tokens, 2) == 0);
	is_token(&j, 4, SQ_JSON_NUMBER, "3", 5);
	cr_assert(json_read(&j, TEXT("[[1]]"), 0) == 0);
	cr_assert(j.tokens.n == 1);
	is_token(&j, 0, SQ_JSON_ARRAY, "[[1]]", 1);
	cr_expect(json_read(&j, TEXT("[[01]]"), 0) == SQ_EINVAL && j.err.offset == 2);
}

Test(json, a_room_of_none_only_checks)
{
	struct sq_json_tokens none = {.depth = SQ_JSON_DEPTH_MAX};
	struct sq_json_error err;

	cr_expect(sq_json_read(&none, TEXT("[1,{\"a\":[]}]"), &err) == 0 && none.n == 0);
	cr_expect(sq_json_read(&none, TEXT("[1,{\"a\":]}"), &err) == SQ_EINVAL && err.offset == 8);
	cr_expect(sq_json_read(&none, (struct sq_bytes){0}, &err) == SQ_EINVAL);
}

static void
nest(struct sq_buf *out, unsigned n, char open)
{
	for (unsigned i = 0; i < n; i++)
		sq_buf_u8(out, (uint8_t)open);
}

Test(json, containers_within_each_other_are_bounded)
{
	for (unsigned n = SQ_JSON_DEPTH_MAX; n <= SQ_JSON_DEPTH_MAX + 1; n++) {
		struct sq_buf text = {0};
		struct json j;
		int err;

		nest(&text, n, '[');
		nest(&text, n, ']');
		err = json_read(&j, sq_buf_bytes(&text), 0);
		if (n == SQ_JSON_DEPTH_MAX)
			cr_expect(err == 0 && j.tokens.deepest == n, "%s", j.err.why);
		else
			cr_expect(err == SQ_ETOOBIG && j.err.offset == SQ_JSON_DEPTH_MAX);
		sq_buf_fini(&text);
	}
}

Test(json, tokens_are_bounded)
{
	struct sq_buf text = {0};
	struct sq_bytes bytes;
	struct json j;

	sq_buf_printf(&text, "[0");
	for (int i = 0; i < ROOM - 2; i++)
		sq_buf_printf(&text, ",0");
	sq_buf_printf(&text, "]");
	bytes = sq_buf_bytes(&text);
	cr_expect(json_read(&j, bytes, 1) == 0 && j.tokens.n == ROOM);
	cr_expect(json_read(&j, bytes, 0) == 0 && j.tokens.n == 1);
	text.base[text.end - 1] = ',';
	sq_buf_printf(&text, "0]");
	bytes = sq_buf_bytes(&text);
	cr_expect(json_read(&j, bytes, 1) == SQ_ETOOBIG);
	cr_expect(json_read(&j, bytes, 0) == 0);
	sq_buf_fini(&text);
}

Test(json, escapes_are_undone)
{
	static const char plain[] = "\"\\/\b\f\n\r\t A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0.";
	struct sq_buf out = {0};
	struct json j;

	cr_assert(
	    json_read(&j,
		TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t \\u0041\\u00E9\\u20ac\\ud83d\\ude00\\u0000.\""),
		0) == 0);
	sq_json_unescape(&j.tokens, 0, &out);
	cr_assert(sq_buf_len(&out) == sizeof plain - 1);
	cr_expect(memcmp(sq_buf_data(&out), plain, sizeof plain - 1) == 0);
	cr_expect(sq_json_equals(&j.tokens, 0, TEXT(plain)));
	cr_expect(
	    !sq_json_equals(&j.tokens, 0, (struct sq_bytes){(const unsigned char *)plain, 4}));
	cr_expect(!sq_json_equals(&j.tokens, 0, TEXT("")));
	sq_buf_fini(&out);
}

Test(json, members_are_found_by_name_and_twice_is_refused_where_it_is_asked_for)
{
	static const char *const names[] = {"id", "type", "none"};
	uint32_t found[3];
	struct json j;

	cr_assert(json_read(&j, TEXT("{\"x\":1,\"x\":2,\"\\u0069d\":3,\"type\":{\"id\":4}}"),
		      SQ_JSON_DEPTH_MAX) == 0);
	cr_assert(sq_json_members(&j.tokens, 0, names, 3, found, &j.err) == 0);
	cr_expect(sq_bytes_are(sq_json_raw(&j.tokens, found[0]), "3"));
	cr_expect(sq_bytes_are(sq_json_raw(&j.tokens, found[1]), "{\"id\":4}"));
	cr_expect(found[2] == 0);
	cr_assert(json_read(&j, TEXT("{\"id\":1,\"\\u0069d\":2}"), 1) == 0);
	cr_expect(sq_json_members(&j.tokens, 0, names, 3, found, &j.err) == SQ_EINVAL);
	cr_expect(j.err.offset == 9);
}
