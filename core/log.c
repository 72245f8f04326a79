/* Log lines on stderr; see core/log.h.  Each line is built on the stack and
 * leaves in one write(2), so lines of several threads don't mix. */
#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"

#define LOG_TEXT_MAX 1024u /* bytes of a text before it is escaped */
#define LOG_LINE_MAX 2048u
#define LOG_WINDOW_MS 10000u
#define LOG_WINDOW_LINES 10u

static const char *const level_names[] = {
    [SQ_LOG_DEBUG] = "debug",
    [SQ_LOG_INFO] = "info",
    [SQ_LOG_WARN] = "warn",
    [SQ_LOG_ERROR] = "error",
};

atomic_int sq_log_threshold = SQ_LOG_INFO;

struct line {
	char bytes[LOG_LINE_MAX];
	size_t len; /* room for "..." and a newline is always left */
};

int
sq_log_level_parse(const char *s, enum sq_log_level *out)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*out = (enum sq_log_level)i;
			return 0;
		}
	}
	return SQ_EINVAL;
}

void
sq_log_set_level(enum sq_log_level level)
{
	atomic_store_explicit(&sq_log_threshold, (int)level, memory_order_relaxed);
}

static bool
line_put(struct line *l, const char *p, size_t n)
{
	if (l->len + n > sizeof l->bytes - 4)
		return false;
	memcpy(l->bytes + l->len, p, n);
	l->len += n;
	return true;
}

/* The length of the printable UTF-8 character at 's', or 0: malformed,
 * a control (C0, DEL, C1), a line or paragraph separator, or a mark that
 * reorders text on a terminal. */
static size_t
line_printable(const unsigned char *s)
{
	uint32_t c;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
		return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2;
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		c = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
		if (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))
			return 0;
		return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ? 0 : 3;
	}
	if ((s[0] & 0xf8) == 0xf0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
	    (s[3] & 0xc0) == 0x80) {
		c = (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12;
		return c >= 0x10000 && c <= 0x10ffff ? 4 : 0;
	}
	return 0;
}

/* Appends 's', escaped: what isn't printable as \xNN, a quote and a backslash
 * with a backslash before it; and, in a scope, a space as \x20. */
static void
line_escape(struct line *l, const char *s, bool scope)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p != '\0') {
		size_t n = line_printable(p);
		char esc[5];
		bool fits;

		if (n == 0 || (scope && *p == ' ')) {
			snprintf(esc, sizeof esc, "\\x%02x", *p);
			n = 1;
			fits = line_put(l, esc, 4);
		} else if (*p == '"' || *p == '\\') {
			esc[0] = '\\';
			esc[1] = (char)*p;
			fits = line_put(l, esc, 2);
		} else {
			fits = line_put(l, (const char *)p, n);
		}
		if (!fits) {
			memcpy(l->bytes + l->len, "...", 3);
			l->len += 3;
			return;
		}
		p += n;
	}
}

static void
line_begin(struct line *l, enum sq_log_level level)
{
	struct timespec ts;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	l->len = strftime(l->bytes, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(
	    l->bytes + l->len, 32, ".%03ldZ %s ", ts.tv_nsec / 1000000, level_names[level]);
	l->len += (size_t)n;
}

static void
line_write(struct line *l)
{
	ssize_t n;

	l->bytes[l->len++] = '\n';
	do
		n = write(STDERR_FILENO, l->bytes, l->len);
	while (n < 0 && errno == EINTR);
	/* A log that can't be written has nowhere to be reported. */
}

void
sq_log(enum sq_log_level level, const char *scope, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX + 4]; /* room to look past a cut character */
	struct line line;
	va_list ap;
	int saved = errno;
	int n;

	if ((int)level < atomic_load_explicit(&sq_log_threshold, memory_order_relaxed))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, LOG_TEXT_MAX, fmt, ap);
	va_end(ap);
	if (n < 0)
		text[0] = '\0';
	else if ((size_t)n >= LOG_TEXT_MAX)
		memcpy(text + LOG_TEXT_MAX - 4, "...", 4);
	line_begin(&line, level);
	line_escape(&line, scope, true);
	if (line_put(&line, " ", 1))
		line_escape(&line, text, false);
	line_write(&line);
	errno = saved;
}

bool
sq_log_allowed(struct sq_log_rate *r, const char *scope)
{
	uint64_t now = sq_clock_ms() + 1; /* 0 means: no window yet */
	uint_fast64_t since = atomic_load_explicit(&r->window_ms, memory_order_relaxed);
	uint_fast32_t left_out;

	if (since != 0 && now - since < LOG_WINDOW_MS)
		return atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed) < LOG_WINDOW_LINES;
	if (!atomic_compare_exchange_strong(&r->window_ms, &since, now))
		return atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed) < LOG_WINDOW_LINES;
	left_out = atomic_exchange_explicit(&r->n, 1, memory_order_relaxed);
	if (left_out > LOG_WINDOW_LINES)
		sq_log(SQ_LOG_WARN, scope, "%lu lines like the next one were left out",
		    (unsigned long)(left_out - LOG_WINDOW_LINES));
	return true;
}
