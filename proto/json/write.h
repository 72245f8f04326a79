/* Writes JSON, a piece at a time; its order is the caller's.  Thread: any. */
#ifndef SQ_PROTO_JSON_WRITE_H
#define SQ_PROTO_JSON_WRITE_H

#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"

/* Appends a string in its quotes, with its escapes: the quote, the backslash and what is below
 * U+0020.  A byte of no valid character becomes U+FFFD. */
void sq_json_put_string(struct sq_buf *out, struct sq_bytes text);
/* The same without the quotes: a part of a string. */
void sq_json_put_text(struct sq_buf *out, struct sq_bytes text);
/* Appends the bytes as they are between quotes: a text that has nothing to escape, as base64. */
void sq_json_put_plain(struct sq_buf *out, struct sq_bytes text);
void sq_json_put_number(struct sq_buf *out, uint64_t n);
/* Appends JSON that is there already, as "true", a separator, or a value as it came. */
void sq_json_put_raw(struct sq_buf *out, const char *json);

#endif
