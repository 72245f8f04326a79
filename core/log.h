/* Structured log lines on stderr: time, level, scope, text; or a JSON object (RFC 8259) for each
 * line, with its time by RFC 3339.
 *
 *   2026-01-31T12:00:00.123Z warn client/sensor-7 closed reason=keep-alive
 *   {"time":"2026-01-31T12:00:00.123Z","level":"warn","scope":"client/sensor-7",
 *    "message":"closed reason=keep-alive"}                      (in one line)
 *
 * No line has payloads or secrets.  Text from outside may go through %s: a line is escaped as a
 * whole, so that no control character reaches the terminal, and quotes and backslashes have a
 * backslash before them.  In JSON a reader gets the characters back, and \xNN for each byte that
 * belongs to no character.  A line is cut at 2 KiB and then ends in "...".
 *
 * Thread: any; one write() for each line. */
#ifndef SQ_CORE_LOG_H
#define SQ_CORE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

enum sq_log_level { SQ_LOG_DEBUG, SQ_LOG_INFO, SQ_LOG_WARN, SQ_LOG_ERROR };
enum sq_log_format { SQ_LOG_TEXT, SQ_LOG_JSON };

/* Names of the formats, in the enum's order, NULL-terminated, for tables of keys. */
extern const char *const sq_log_format_names[];

extern atomic_int sq_log_threshold;

/* Parses "debug", "info", "warn" or "error"; SQ_EINVAL for anything else. */
int sq_log_level_parse(const char *s, enum sq_log_level *out) SQ_MUST_CHECK;
void sq_log_set_level(enum sq_log_level);
/* SQ_LOG_TEXT unless set. */
void sq_log_set_format(enum sq_log_format);
enum sq_log_format sq_log_format(void);
/* Writes one line.  'scope' names the object ("listener", "client/abc"); 'fmt' makes the text. */
void sq_log(enum sq_log_level, const char *scope, const char *fmt, ...) SQ_PRINTF(3, 4);

/* A limit on how often one place logs: at most 10 lines in 10 s, then silence
 * and one line that counts what was left out. */
struct sq_log_rate {
	atomic_uint_fast64_t window_ms;
	atomic_uint_fast32_t n;
};
/* Whether the caller may log now.  Writes the line that counts suppressed lines, when it is due. */
bool sq_log_allowed(struct sq_log_rate *, const char *scope);

#define SQ_LOG_AT(level, scope, ...) \
	do { \
		if ((int)(level) >= atomic_load_explicit(&sq_log_threshold, memory_order_relaxed)) \
			sq_log(level, scope, __VA_ARGS__); \
	} while (0)
#define SQ_DEBUG(scope, ...) SQ_LOG_AT(SQ_LOG_DEBUG, scope, __VA_ARGS__)
#define SQ_INFO(scope, ...) SQ_LOG_AT(SQ_LOG_INFO, scope, __VA_ARGS__)
#define SQ_ERROR(scope, ...) SQ_LOG_AT(SQ_LOG_ERROR, scope, __VA_ARGS__)
/* Peers can cause warnings, so each place that warns has a limit. */
#define SQ_WARN(scope, ...) \
	do { \
		static struct sq_log_rate rate_; \
		if (sq_log_allowed(&rate_, scope)) \
			sq_log(SQ_LOG_WARN, scope, __VA_ARGS__); \
	} while (0)

#endif
