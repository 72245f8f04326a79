/* core/log: what reaches stderr.  Each test has stderr on a pipe of its own. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"

static int out = -1;

static void
capture(void)
{
	int p[2];

	cr_assert_eq(pipe2(p, O_NONBLOCK), 0);
	cr_assert_neq(dup2(p[1], STDERR_FILENO), -1);
	close(p[1]);
	fcntl(p[0], F_SETPIPE_SZ, 1 << 20);
	out = p[0];
}

/* Everything written since the last call. */
static const char *
captured(void)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = read(out, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

TestSuite(log, .init = capture);

Test(log, line_has_time_level_scope_and_text)
{
	unsigned y, mo, d, h, mi, s, ms;
	int at = 0;
	const char *line;

	SQ_INFO("listener", "listening port=%d", 1883);
	line = captured();
	cr_assert_eq(
	    sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &y, &mo, &d, &h, &mi, &s, &ms, &at), 7);
	cr_assert_eq(at, 25);
	cr_assert_str_eq(line + at, "info listener listening port=1883\n");
}

Test(log, control_characters_and_quotes_are_escaped)
{
	SQ_INFO("client/a b\n", "name=%s", "x\"y\\z\r\n\x1b[31m\x7f");
	cr_assert_str_eq(
	    captured() + 25, "info client/a\\x20b\\x0a name=x\\\"y\\\\z\\x0d\\x0a\\x1b[31m\\x7f\n");
}

Test(log, well_formed_text_of_any_language_passes_and_the_rest_is_escaped)
{
	SQ_INFO("s", "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x9a\x80");
	cr_assert_str_eq(
	    captured() + 25, "info s gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x9a\x80\n");
	SQ_INFO("s", "%s",
	    "\xc2\x9b"
	    "1 \xe2\x80\xae \xff \xc3");
	cr_assert_str_eq(captured() + 25, "info s \\xc2\\x9b1 \\xe2\\x80\\xae \\xff \\xc3\n");
}

Test(log, long_line_is_cut_and_still_ends)
{
	static char big[5000], huge_scope[5000];
	const char *line;

	memset(big, '\x01', sizeof big - 1);
	SQ_INFO("s", "%s", big);
	line = captured();
	cr_assert_leq(strlen(line), 2048);
	cr_assert_str_eq(line + strlen(line) - 4, "...\n");
	memset(huge_scope, 's', sizeof huge_scope - 1);
	SQ_INFO(huge_scope, "text");
	line = captured();
	cr_assert_leq(strlen(line), 2048);
	cr_assert_str_eq(line + strlen(line) - 4, "...\n");
}

Test(log, below_the_level_nothing_is_written)
{
	enum sq_log_level level;

	cr_assert_eq(sq_log_level_parse("error", &level), 0);
	sq_log_set_level(level);
	SQ_DEBUG("s", "no");
	SQ_INFO("s", "no");
	SQ_WARN("s", "no");
	SQ_ERROR("s", "yes");
	cr_assert_str_eq(captured() + 25, "error s yes\n");
	cr_assert_eq(sq_log_level_parse("loud", &level), SQ_EINVAL);
}

static unsigned
lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

Test(log, warnings_of_one_place_are_limited_and_counted)
{
	struct sq_log_rate rate = {0};
	unsigned allowed = 0;
	const char *text;

	for (int i = 0; i < 100; i++)
		allowed += sq_log_allowed(&rate, "s");
	cr_assert_eq(allowed, 10);
	cr_assert_str_eq(captured(), "");
	/* The window ended long ago. */
	atomic_store(&rate.window_ms, 1);
	if (sq_clock_ms() < 20000)
		cr_skip_test("the machine has just started");
	cr_assert(sq_log_allowed(&rate, "s"));
	text = captured();
	cr_assert_eq(lines(text), 1);
	cr_assert_not_null(strstr(text, "warn s 90 lines like the next one were left out\n"));
}

static void *
writer(void *arg)
{
	for (int i = 0; i < 200; i++)
		SQ_INFO("thread", "%s", (const char *)arg);
	return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
	pthread_t a, b;
	const char *p;
	unsigned n = 0;

	pthread_create(&a, NULL, writer, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	pthread_create(&b, NULL, writer, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	for (p = captured(); *p != '\0'; p = strchr(p, '\n') + 1, n++) {
		const char *text = p + 25 + strlen("info thread ");

		cr_assert(*text == 'a' || *text == 'b');
		cr_assert_eq(strspn(text, *text == 'a' ? "a" : "b"), 40);
		cr_assert_eq(text[40], '\n');
	}
	cr_assert_eq(n, 400);
}

static void
capture_json(void)
{
	capture();
	sq_log_set_format(SQ_LOG_JSON);
}

TestSuite(log_json, .init = capture_json);

/* Past {"time":"2026-01-31T12:00:00.123Z", */
#define AFTER_TIME 35

Test(log_json, line_is_an_object_with_time_level_scope_and_message)
{
	unsigned y, mo, d, h, mi, s, ms;
	int at = 0;
	const char *line;

	SQ_INFO("listener", "listening port=%d", 1883);
	line = captured();
	cr_assert_eq(sscanf(line, "{\"time\":\"%4u-%2u-%2uT%2u:%2u:%2u.%3uZ\",%n", &y, &mo, &d, &h,
			 &mi, &s, &ms, &at),
	    7);
	cr_assert_eq(at, AFTER_TIME);
	cr_assert_str_eq(line + at,
	    "\"level\":\"info\",\"scope\":\"listener\",\"message\":\"listening port=1883\"}\n");
}

Test(log_json, a_reader_gets_back_every_character)
{
	SQ_INFO("a b\n", "%s", "x\"y\\z\r\n\x1b[31m\x7f gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x80");
	cr_assert_str_eq(captured() + AFTER_TIME,
	    "\"level\":\"info\",\"scope\":\"a b\\u000a\",\"message\":\"x\\\"y\\\\z\\u000d\\u000a"
	    "\\u001b[31m\\u007f gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x80\"}\n");
	SQ_INFO("s", "%s", "\xc2\x9b \xe2\x80\xae \xe2\x80\xa8");
	cr_assert_str_eq(captured() + AFTER_TIME,
	    "\"level\":\"info\",\"scope\":\"s\",\"message\":\"\\u009b \\u202e \\u2028\"}\n");
}

Test(log_json, bytes_of_no_character_are_told_as_text)
{
	SQ_INFO("s", "%s", "\xff \xc3 \xed\xa0\x80 \xf4\x90\x80\x80");
	cr_assert_str_eq(captured() + AFTER_TIME,
	    "\"level\":\"info\",\"scope\":\"s\",\"message\":\"\\\\xff \\\\xc3 "
	    "\\\\xed\\\\xa0\\\\x80 \\\\xf4\\\\x90\\\\x80\\\\x80\"}\n");
}

Test(log_json, long_line_is_cut_and_is_still_an_object)
{
	static char big[5000], huge_scope[5000];
	const char *line;

	memset(big, '\x01', sizeof big - 1);
	memset(huge_scope, 's', sizeof huge_scope - 1);
	SQ_INFO(huge_scope, "%s", big);
	line = captured();
	cr_assert_leq(strlen(line), 2048);
	cr_assert_not_null(strstr(line, "sss...\",\"message\":\"\\u0001\\u0001"));
	cr_assert_str_eq(line + strlen(line) - strlen("\\u0001...\"}\n"), "\\u0001...\"}\n");
}
