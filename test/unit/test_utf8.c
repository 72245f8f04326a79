/* core/utf8: what MQTT 5.0 §1.5.4 accepts. */
#include "core/utf8.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define VALID(s) sq_utf8_valid(s, sizeof(s) - 1)

Test(utf8, accepts_the_first_and_last_character_of_each_length)
{
	cr_assert(sq_utf8_valid(NULL, 0));
	cr_assert(VALID("\x01") && VALID("\x7f"));
	cr_assert(VALID("\xc2\x80") && VALID("\xdf\xbf"));
	cr_assert(VALID("\xe0\xa0\x80") && VALID("\xef\xbf\xbf"));
	cr_assert(VALID("\xed\x9f\xbf") && VALID("\xee\x80\x80"));
	cr_assert(VALID("\xf0\x90\x80\x80") && VALID("\xf4\x8f\xbf\xbf"));
	cr_assert(VALID("\xef\xbb\xbf"), "a byte order mark is a character, MQTT-1.5.4-3");
}

Test(utf8, refuses_nul_surrogates_overlong_forms_and_beyond_unicode)
{
	cr_assert(!VALID("\x00"));
	cr_assert(!VALID("\xc0\x80") && !VALID("\xc1\xbf"));
	cr_assert(!VALID("\xe0\x80\x80") && !VALID("\xe0\x9f\xbf"));
	cr_assert(!VALID("\xf0\x80\x80\x80") && !VALID("\xf0\x8f\xbf\xbf"));
	cr_assert(!VALID("\xed\xa0\x80") && !VALID("\xed\xbf\xbf"));
	cr_assert(!VALID("\xf4\x90\x80\x80") && !VALID("\xf5\x80\x80\x80"));
	cr_assert(!VALID("\xfe") && !VALID("\xff") && !VALID("\x80") && !VALID("\xbf"));
}

Test(utf8, refuses_a_character_cut_short_or_broken)
{
	const char *whole[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x87"};

	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(whole[i]);

		cr_assert(sq_utf8_valid(whole[i], len));
		for (size_t cut = 1; cut < len; cut++) {
			char broken[5];

			cr_assert(!sq_utf8_valid(whole[i], cut));
			memcpy(broken, whole[i], len);
			broken[cut] = 'x';
			cr_assert(!sq_utf8_valid(broken, len));
		}
	}
}

/* The fast path takes eight bytes: a fault at every place around it. */
Test(utf8, finds_a_fault_at_any_offset)
{
	const unsigned char faults[] = {0x00, 0x80, 0xff, 0xc0};

	for (size_t len = 1; len <= 40; len++) {
		for (size_t at = 0; at < len; at++) {
			unsigned char text[40];

			memset(text, 'a', sizeof text);
			cr_assert(sq_utf8_valid(text, len));
			text[at] = 0x01; /* the smallest that passes */
			cr_assert(sq_utf8_valid(text, len));
			for (size_t f = 0; f < sizeof faults; f++) {
				text[at] = faults[f];
				cr_assert(!sq_utf8_valid(text, len), "%zu of %zu", at, len);
			}
			text[at] = 0xc3;
			if (at + 1 < len)
				text[at + 1] = 0xa9;
			cr_assert_eq(sq_utf8_valid(text, len), at + 1 < len);
		}
	}
}

/* Encodes by hand; returns how many bytes. */
static size_t
put(unsigned char *t, uint32_t c)
{
	size_t n = 0;

	if (c < 0x80) {
		t[n++] = (unsigned char)c;
	} else if (c < 0x800) {
		t[n++] = (unsigned char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		t[n++] = (unsigned char)(0xe0 | c >> 12);
		t[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	} else {
		t[n++] = (unsigned char)(0xf0 | c >> 18);
		t[n++] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
		t[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		t[n++] = (unsigned char)(0x80 | (c & 0x3f));
	return n;
}

Test(utf8, accepts_every_code_point_but_nul_and_surrogates)
{
	for (uint32_t c = 0; c < 0x120000; c++) {
		unsigned char t[4];
		size_t n = put(t, c);

		cr_assert_eq(sq_utf8_valid(t, n),
		    c != 0 && !(c >= 0xd800 && c < 0xe000) && c < 0x110000, "U+%X", c);
	}
}

/* By the rule of the standard, for every code point, alone and behind another character. */
Test(utf8, plain_is_without_control_and_non_characters)
{
	for (uint32_t c = 1; c <= 0x10ffff; c++) {
		bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
		bool none = (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
		unsigned char text[8] = {'a'};
		size_t n;

		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		n = put(text + 1, c);
		cr_assert_eq(sq_utf8_plain(text + 1, n), !control && !none, "U+%04X", c);
		cr_assert_eq(sq_utf8_plain(text, n + 1), !control && !none, "U+%04X", c);
	}
	cr_assert(sq_utf8_plain("", 0));
	cr_assert(sq_utf8_plain(NULL, 0));
}

Test(utf8, is_cut_at_a_character)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
	static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

	for (size_t max = 0; max < sizeof cuts / sizeof *cuts; max++)
		cr_assert_eq(sq_utf8_cut(text, sizeof text - 1, max), cuts[max], "%zu", max);
	cr_assert_eq(sq_utf8_cut(NULL, 0, 5), 0);
}

Test(utf8, is_mended_byte_by_byte)
{
	static const char broken[] = "a\xc3\xa4\x80\xe2\x82\0z\xed\xa0\x80";
	static const char mended[] = "a\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"
				     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd";
	struct sq_buf out = {0};

	sq_utf8_mend(&out, broken, sizeof broken - 1);
	cr_assert_eq(sq_buf_len(&out), sizeof mended - 1);
	cr_assert_arr_eq(sq_buf_data(&out), mended, sizeof mended - 1);
	cr_assert(sq_utf8_valid(sq_buf_data(&out), sq_buf_len(&out)));
	sq_buf_fini(&out);
	sq_utf8_mend(&out, NULL, 0);
	cr_assert_eq(sq_buf_len(&out), 0);
}

Test(utf8, is_taken_character_by_character)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
	size_t at = 0;

	for (size_t want = 1; want <= 4; at += want++) {
		cr_assert_eq(sq_utf8_first(text + at, sizeof text - 1 - at), want);
		cr_assert_eq(sq_utf8_first(text + at, want - 1), 0, "cut");
	}
	cr_assert_eq(sq_utf8_first("", 1), 0, "a NUL");
	cr_assert_eq(sq_utf8_first("\x80", 1), 0);
	cr_assert_eq(sq_utf8_first(NULL, 0), 0);
}
