/* Values of AMQP's tables as texts.  Pure. */
#ifndef SQ_BROKER_BRIDGE_AMQP_FIELD_H
#define SQ_BROKER_BRIDGE_AMQP_FIELD_H

#include <amqp.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

static inline struct sq_bytes
sq_amqp_bytes(amqp_bytes_t b)
{
	return (struct sq_bytes){b.bytes, b.len};
}

/* The header of that name; NULL: there is none. */
const amqp_field_value_t *sq_amqp_find(const amqp_table_t *, struct sq_bytes name);
/* Whether the value is neither a table nor an array. */
bool sq_amqp_is_scalar(const amqp_field_value_t *);
/* Appends the value as UTF-8 without NUL: a text as it is, a number as JSON has it, true or false, an
 * instant by RFC 3339, bytes in base64 unless they are UTF-8, a table or an array as JSON.  SQ_EINVAL: it
 * nests deeper than SQ_AMQP_DEPTH_MAX, or is of no kind that is known. */
int sq_amqp_field_text(const amqp_field_value_t *, struct sq_buf *out) SQ_MUST_CHECK;

#endif
