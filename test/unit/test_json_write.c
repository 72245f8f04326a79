/* proto/json's writer: what it writes is JSON that says the same. */
#include "proto/json/write.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/json/json.h"

#define TEXT(s) ((struct sq_bytes){(const unsigned char *)(s), sizeof(s) - 1})

static void
is_written(struct sq_bytes text, const char *expected)
{
	struct sq_buf out = {0};

	sq_json_put_string(&out, text);
	cr_expect(sq_buf_len(&out) == strlen(expected) &&
		memcmp(sq_buf_data(&out), expected, strlen(expected)) == 0,
	    "%.*s", (int)sq_buf_len(&out), sq_buf_data(&out));
	sq_buf_fini(&out);
}

Test(json_write, strings_have_their_escapes)
{
	is_written(TEXT(""), "\"\"");
	is_written((struct sq_bytes){0}, "\"\"");
	is_written(TEXT("a/b 'c'"), "\"a/b 'c'\"");
	is_written(TEXT("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
	is_written(TEXT("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"");
	is_written(TEXT("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	is_written(TEXT("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(json_write, every_byte_is_read_as_it_was_written)
{
	struct sq_buf text = {0}, out = {0}, back = {0};
	struct sq_json_token at[1];
	struct sq_json_tokens tokens = {.at = at, .room = 1};
	struct sq_json_error err;

	for (int c = 0; c < 0x80; c++)
		sq_buf_u8(&text, (uint8_t)c);
	sq_buf_append(&text, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9);
	sq_json_put_string(&out, sq_buf_bytes(&text));
	cr_assert(sq_json_read(&tokens, sq_buf_bytes(&out), &err) == 0);
	sq_json_unescape(&tokens, 0, &back);
	cr_expect(sq_buf_equal(&text, &back));
	sq_buf_fini(&text);
	sq_buf_fini(&out);
	sq_buf_fini(&back);
}

Test(json_write, numbers_and_what_is_there_already_stand_as_they_are)
{
	struct sq_buf out = {0};

	sq_json_put_raw(&out, "[");
	sq_json_put_number(&out, 0);
	sq_json_put_raw(&out, ",");
	sq_json_put_number(&out, UINT64_MAX);
	sq_json_put_raw(&out, ",");
	sq_json_put_plain(&out, TEXT("QQ=="));
	sq_json_put_raw(&out, ",\"");
	sq_json_put_text(&out, TEXT("a\nb"));
	sq_json_put_text(&out, TEXT(" c"));
	sq_json_put_raw(&out, "\"");
	sq_json_put_raw(&out, "]");
	sq_buf_u8(&out, 0);
	cr_expect_str_eq(
	    (char *)sq_buf_data(&out), "[0,18446744073709551615,\"QQ==\",\"a\\nb c\"]");
	sq_buf_fini(&out);
}
