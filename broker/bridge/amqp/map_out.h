/* A message of ours as one of AMQP 0.9.1 (docs/bridges.md).  Pure. */
#ifndef SQ_BROKER_BRIDGE_AMQP_MAP_OUT_H
#define SQ_BROKER_BRIDGE_AMQP_MAP_OUT_H

#include <amqp.h>

#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"
#include "core/err.h"

enum {
	SQ_AMQP_SHORT_MAX = 255, /* bytes of a short string */
	/* Of one message; names that are repeated are one header. */
	SQ_AMQP_HEADERS_MAX = 256,
	SQ_AMQP_VALUES_MAX = 1024,
};

struct sq_amqp_header {
	struct sq_bytes name;
	uint32_t hash;
	unsigned first, last, n; /* its values, by 'next' */
	bool array;              /* even with one value */
};

struct sq_amqp_value {
	struct sq_bytes text;
	unsigned next;
};

/* A message, and the memory that it is made in, for one after another. */
struct sq_amqp_out {
	/* Views of this struct and of the offered message, until the next one. */
	amqp_bytes_t exchange, key, body;
	amqp_basic_properties_t props;
	/* Its own. */
	struct sq_buf exchange_text, key_text, text;
	size_t bytes; /* of properties and headers, encoded, or a few more */
	unsigned n_headers, n_values;
	struct sq_amqp_header headers[SQ_AMQP_HEADERS_MAX];
	struct sq_amqp_value values[SQ_AMQP_VALUES_MAX];
	amqp_table_entry_t entries[SQ_AMQP_HEADERS_MAX];
	amqp_field_value_t fields[SQ_AMQP_VALUES_MAX];
};

struct sq_amqp_out *sq_amqp_out_new(void);
void sq_amqp_out_free(struct sq_amqp_out **);
/* Makes the message.  'frame_max': bytes that the peer takes of properties and headers together.
 * SQ_EINVAL: a template has nothing, or there is a name or a key that AMQP has not; SQ_ETOOBIG; both
 * with the reason in 'why', without anything of the message. */
int sq_amqp_map_out(struct sq_amqp_out *, const struct sq_offered *, const struct sq_bridge_out *,
    const char *space, const char *queue, size_t frame_max, uint64_t now_ms,
    struct sq_buf *why) SQ_MUST_CHECK;

#endif
