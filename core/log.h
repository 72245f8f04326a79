/* Structured log lines on stderr: time, level, scope, text; or the same as an object
 * of JSON a line (RFC 8259), its time by RFC 3339.
 *
 *   2026-01-31T12:00:00.123Z warn client/sensor-7 closed reason=keep-alive
 *   {"time":"2026-01-31T12:00:00.123Z","level":"warn","scope":"client/sensor-7",
 *    "message":"closed reason=keep-alive"}                      (in one line)
 *
 * Never payloads, never secrets.  Text from outside may go through %s: what is
 * written is escaped, so that a control character never reaches the terminal
 * and a quote or backslash has one before it; in JSON so that a reader gets back
 * the characters, and \xNN for each byte that belongs to none.  A line is cut at
 * 2 KiB, and what is cut ends in "...".  Safe from any thread; one write per line. */
#ifndef SQ_CORE_LOG_H
#define SQ_CORE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

enum sq_log_level { SQ_LOG_DEBUG, SQ_LOG_INFO, SQ_LOG_WARN, SQ_LOG_ERROR };
enum sq_log_format { SQ_LOG_TEXT, SQ_LOG_JSON };

/* The names of the formats, in their order, with NULL at the end, for tables of keys. */
extern const char *const sq_log_format_names[];

extern atomic_int sq_log_threshold;

/* Parses "debug", "info", "warn" or "error"; SQ_EINVAL for anything else. */
int sq_log_level_parse(const char *s, enum sq_log_level *out) SQ_MUST_CHECK;
void sq_log_set_level(enum sq_log_level);
/* SQ_LOG_TEXT unless set. */
void sq_log_set_format(enum sq_log_format);
enum sq_log_format sq_log_format(void);
/* One line.  'scope' names the object ("listener", "client/abc").  The text is
 * a format whose result is escaped as a whole. */
void sq_log(enum sq_log_level, const char *scope, const char *fmt, ...) SQ_PRINTF(3, 4);

/* A limit on how often one place logs: at most 10 lines in 10 s, then silence
 * and one line that counts what was left out. */
struct sq_log_rate {
	atomic_uint_fast64_t window_ms;
	atomic_uint_fast32_t n;
};
/* Whether this call may log now; writes the count of suppressed lines itself. */
bool sq_log_allowed(struct sq_log_rate *, const char *scope);

#define SQ_LOG_AT(level, scope, ...) \
	do { \
		if ((int)(level) >= atomic_load_explicit(&sq_log_threshold, memory_order_relaxed)) \
			sq_log(level, scope, __VA_ARGS__); \
	} while (0)
#define SQ_DEBUG(scope, ...) SQ_LOG_AT(SQ_LOG_DEBUG, scope, __VA_ARGS__)
#define SQ_INFO(scope, ...) SQ_LOG_AT(SQ_LOG_INFO, scope, __VA_ARGS__)
#define SQ_ERROR(scope, ...) SQ_LOG_AT(SQ_LOG_ERROR, scope, __VA_ARGS__)
/* Warnings come from the world's misbehaviour, so each place is rate-limited. */
#define SQ_WARN(scope, ...) \
	do { \
		static struct sq_log_rate rate_; \
		if (sq_log_allowed(&rate_, scope)) \
			sq_log(SQ_LOG_WARN, scope, __VA_ARGS__); \
	} while (0)

#endif
