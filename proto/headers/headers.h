/* Headers of HTTP as lines "name: value", each with a NUL behind it, one behind the other.  Pure. */
#ifndef SQ_PROTO_HEADERS_HEADERS_H
#define SQ_PROTO_HEADERS_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"

/* Each appends a line, or none where the value is empty.  A byte that no header can have is '?'. */
void sq_headers_put(struct sq_buf *, const char *name, struct sq_bytes value);
void sq_headers_number(struct sq_buf *, const char *name, uint64_t n);
/* An instant in milliseconds since 1970, as RFC 3339 has it; 0: none. */
void sq_headers_time(struct sq_buf *, const char *name, uint64_t ms);
/* The text with escapes for all but letters, digits and "-._~". */
void sq_headers_percent(struct sq_buf *, const char *name, struct sq_bytes text);
/* A string of structured fields (RFC 8941, 3.3.3) where it can be one; else the bare text. */
void sq_headers_string(struct sq_buf *, const char *name, struct sq_bytes text);
/* Bytes of structured fields (RFC 8941, 3.3.5). */
void sq_headers_bytes(struct sq_buf *, const char *name, struct sq_bytes bytes);

/* A line whose value the caller appends between the two calls. */
void sq_headers_begin(struct sq_buf *, const char *name);
void sq_headers_end(struct sq_buf *);

/* Takes the next line off '*lines', as its name, which has a colon behind it, and its value, which has a
 * NUL.  False: there are no more. */
bool sq_headers_next(struct sq_bytes *lines, struct sq_bytes *name, struct sq_bytes *value);

#endif
