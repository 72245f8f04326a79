/* Log lines on stderr; see core/log.h.  Each line is built on the stack and
 * leaves in one write(2), so lines of several threads don't mix. */
#include "core/log.h"

#include <assert.h>
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
#define LOG_JSON_SCOPE_MAX 1024u /* bytes of a JSON line up to the end of its scope */
#define LOG_CUT "..."
#define LOG_JSON_END "\"}"
#define LOG_WINDOW_MS 10000u
#define LOG_WINDOW_LINES 10u

static const char *const level_names[] = {
    [SQ_LOG_DEBUG] = "debug",
    [SQ_LOG_INFO] = "info",
    [SQ_LOG_WARN] = "warn",
    [SQ_LOG_ERROR] = "error",
};

const char *const sq_log_format_names[] = {
    [SQ_LOG_TEXT] = "text",
    [SQ_LOG_JSON] = "json",
    NULL,
};

atomic_int sq_log_threshold = SQ_LOG_INFO;
static atomic_int log_format = SQ_LOG_TEXT;

struct line {
	enum sq_log_format format;
	char bytes[LOG_LINE_MAX];
	size_t len;
	size_t limit; /* for what may be cut; beyond, there is room for what ends the line */
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

void
sq_log_set_format(enum sq_log_format format)
{
	atomic_store_explicit(&log_format, (int)format, memory_order_relaxed);
}

enum sq_log_format
sq_log_format(void)
{
	return (enum sq_log_format)atomic_load_explicit(&log_format, memory_order_relaxed);
}

/* Appends what is never cut. */
static void
line_add(struct line *l, const char *s)
{
	size_t n = strlen(s);

	assert(l->len + n <= sizeof l->bytes);
	memcpy(l->bytes + l->len, s, n);
	l->len += n;
}

static bool
line_put(struct line *l, const char *p, size_t n)
{
	if (l->len + n > l->limit)
		return false;
	memcpy(l->bytes + l->len, p, n);
	l->len += n;
	return true;
}

/* The length of the UTF-8 character at 's', and the character; 0: malformed. */
static size_t
char_decode(const unsigned char *s, uint32_t *c)
{
	*c = s[0];
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80) {
		*c = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
		return 2;
	}
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		*c = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
		return *c < 0x800 || (*c >= 0xd800 && *c <= 0xdfff) ? 0 : 3;
	}
	if ((s[0] & 0xf8) == 0xf0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
	    (s[3] & 0xc0) == 0x80) {
		*c = (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 |
		    (s[3] & 0x3fu);
		return *c >= 0x10000 && *c <= 0x10ffff ? 4 : 0;
	}
	return 0;
}

/* Whether a terminal shows the character and nothing else happens: no control (C0, DEL,
 * C1), no line or paragraph separator, no mark that reorders text. */
static bool
char_shows(uint32_t c)
{
	return c >= 0x20 && (c < 0x7f || c > 0x9f) && (c < 0x2028 || c > 0x202e) &&
	    (c < 0x2066 || c > 0x2069);
}

/* What stands in a line of text for the 'n' bytes at 's', which are one character or
 * malformed: "" when they stand for themselves. */
static void
char_escape_text(char *out, size_t cap, const unsigned char *s, size_t n)
{
	out[0] = '\0';
	if (*s == '"' || *s == '\\')
		snprintf(out, cap, "\\%c", *s);
	else if (n == 0)
		snprintf(out, cap, "\\x%02x", *s);
}

/* The same in a string of JSON. */
static void
char_escape_json(char *out, size_t cap, const unsigned char *s, size_t n, uint32_t c)
{
	out[0] = '\0';
	if (*s == '"' || *s == '\\')
		snprintf(out, cap, "\\%c", *s);
	else if (n == 0)
		snprintf(out, cap, "\\\\x%02x", *s);
	else if (!char_shows(c))
		snprintf(out, cap, "\\u%04x", (uint16_t)c); /* what does not show is below 2^16 */
}

/* Appends 's', escaped for the line's format: in text, what doesn't show as \xNN, each
 * byte by itself, and in a scope a space, too. */
static void
line_escape(struct line *l, const char *s, bool scope)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p != '\0') {
		char esc[8];
		uint32_t c;
		size_t n = char_decode(p, &c);
		bool fits;

		if (l->format == SQ_LOG_JSON) {
			char_escape_json(esc, sizeof esc, p, n, c);
		} else {
			if (!char_shows(c) || (scope && c == ' '))
				n = 0;
			char_escape_text(esc, sizeof esc, p, n);
		}
		if (n == 0)
			n = 1;
		fits = esc[0] != '\0' ? line_put(l, esc, strlen(esc))
				      : line_put(l, (const char *)p, n);
		if (!fits) {
			line_add(l, LOG_CUT);
			return;
		}
		p += n;
	}
}

static void
line_time(struct line *l)
{
	struct timespec ts;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	line_add(l, text);
	snprintf(text, sizeof text, ".%03ldZ", ts.tv_nsec / 1000000);
	line_add(l, text);
}

static void
line_text(struct line *l, enum sq_log_level level, const char *scope, const char *text)
{
	l->limit = sizeof l->bytes - strlen(LOG_CUT "\n");
	line_time(l);
	line_add(l, " ");
	line_add(l, level_names[level]);
	line_add(l, " ");
	line_escape(l, scope, true);
	if (line_put(l, " ", 1))
		line_escape(l, text, false);
}

static void
line_json(struct line *l, enum sq_log_level level, const char *scope, const char *text)
{
	l->limit = LOG_JSON_SCOPE_MAX;
	line_add(l, "{\"time\":\"");
	line_time(l);
	line_add(l, "\",\"level\":\"");
	line_add(l, level_names[level]);
	line_add(l, "\",\"scope\":\"");
	line_escape(l, scope, true);
	l->limit = sizeof l->bytes - strlen(LOG_CUT LOG_JSON_END "\n");
	line_add(l, "\",\"message\":\"");
	line_escape(l, text, false);
	line_add(l, LOG_JSON_END);
}

static void
line_write(struct line *l)
{
	ssize_t n;

	line_add(l, "\n");
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
	line.format = sq_log_format();
	line.len = 0;
	if (line.format == SQ_LOG_JSON)
		line_json(&line, level, scope, text);
	else
		line_text(&line, level, scope, text);
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
