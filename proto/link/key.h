/* Session keys: space, workload, client id and, for a transient session, the
 * pod, as one path segment (docs/link.md, "Words"). */
#ifndef SQ_PROTO_LINK_KEY_H
#define SQ_PROTO_LINK_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

enum {
	SQ_KEY_PART_MAX = 256,    /* bytes of a part, decoded */
	SQ_KEY_CLIENT_MAX = 1024, /* bytes of a client id, and the greatest limits.client-id */
};

struct sq_key {
	char space[SQ_KEY_PART_MAX + 1], workload[SQ_KEY_PART_MAX + 1];
	char client[SQ_KEY_CLIENT_MAX + 1];
	char pod[SQ_KEY_PART_MAX + 1]; /* empty: durable */
};

/* Client ids of a sidecar's own sessions; no client may have one. */
#define SQ_KEY_KEEPER "$keeper"         /* the pod's keeper of declared subscriptions */
#define SQ_KEY_OUTBOX_PREFIX "$outbox-" /* start of the id of a disk outbox */

/* Whether 'client' is such an id. */
bool sq_key_internal(struct sq_bytes client);

/* Appends the segment.  Parts are at most as long as above, no NUL. */
void sq_key_encode(struct sq_buf *, const struct sq_key *);
/* Parses a segment; SQ_EINVAL for wrong parts or escapes, an empty space,
 * workload or client, or NUL. */
int sq_key_decode(struct sq_bytes segment, struct sq_key *out) SQ_MUST_CHECK;
/* Whether 'segment', which sq_key_encode() has made, is the key's. */
bool sq_key_is(const struct sq_key *, const char *segment);
/* Hash of space, workload and client, without the pod: equal for all sessions of a client. */
uint64_t sq_key_hash(const struct sq_key *);

#endif
