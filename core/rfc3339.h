/* Instants as RFC 3339 writes them.  Thread: any. */
#ifndef SQ_CORE_RFC3339_H
#define SQ_CORE_RFC3339_H

#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"

/* Reads "2018-04-05T17:31:00.25+02:00": milliseconds since 1970 in UTC, negative before; digits
 * below them are cut off, and a leap second is the second behind it.  SQ_EINVAL, with '*ms' as it
 * was: no such text, or no such day. */
int sq_rfc3339_read(struct sq_bytes text, int64_t *ms) SQ_MUST_CHECK;

enum { SQ_RFC3339_MAX = 32 }; /* bytes of an instant as text, with a NUL */

/* Writes "2018-04-05T17:31:00.250Z"; of the years 1970 to 9999. */
void sq_rfc3339_write(int64_t ms, char out[SQ_RFC3339_MAX]);

#endif
