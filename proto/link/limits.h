/* Limits of clients, which broker and sidecar have each in their configuration.  The broker's travel
 * in the answer to an attach (docs/link.md, "Attached"); of each limit the stricter one counts.  The
 * sidecar enforces them. */
#ifndef SQ_PROTO_LINK_LIMITS_H
#define SQ_PROTO_LINK_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/err.h"

/* Features that are switched off. */
enum {
	SQ_OFF_RETAIN = 1,   /* retained messages are published */
	SQ_OFF_WILDCARD = 2, /* subscriptions with + or # */
	SQ_OFF_SHARED = 4,   /* shared subscriptions */
	SQ_OFF_SUB_IDS = 8,  /* subscription identifiers */
	SQ_OFF_CONTROL = 16, /* control characters in names */
	SQ_OFF_ALL = 31,
};

struct sq_limits {
	uint16_t topic_levels; /* of a topic name or filter; at least 1 */
	uint16_t client_id;    /* bytes; at least 1 */
	uint8_t max_qos;       /* of publishes and subscriptions */
	uint8_t off;           /* SQ_OFF_... */
};

enum { SQ_LIMITS_SIZE = 6 };

/* Configuration of a broker or a sidecar: limits.topic-levels, limits.client-id, and keys below
 * mqtt. */
struct sq_limits_cfg {
	uint64_t topic_levels, client_id, max_qos;
	bool retain, wildcard, shared, sub_ids;
	unsigned control_refused; /* 0: allowed */
};

/* The limits of a peer with version 1 of the link, which cannot tell them. */
extern const struct sq_limits sq_limits_unsaid;

/* The limits of a configuration whose values are in their ranges. */
struct sq_limits sq_limits_own(const struct sq_limits_cfg *);
/* The stricter one of each limit. */
struct sq_limits sq_limits_stricter(const struct sq_limits *, const struct sq_limits *);
void sq_limits_encode(struct sq_buf *, const struct sq_limits *);
/* SQ_EINVAL: cut off, or impossible values. */
int sq_limits_decode(struct sq_reader *, struct sq_limits *out) SQ_MUST_CHECK;

#endif
