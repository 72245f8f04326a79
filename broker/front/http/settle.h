/* The body of a settle: leases to end or to extend, and messages to publish with that (docs/http.md,
 * "Settle").  Strict, as entry.h is.  Pure: the time comes in as an argument. */
#ifndef SQ_BROKER_FRONT_HTTP_SETTLE_H
#define SQ_BROKER_FRONT_HTTP_SETTLE_H

#include <stdint.h>

#include "broker/front/http/message.h"
#include "broker/port/call.h"

struct sq_http_settle {
	struct sq_queue_settle in; /* points into what follows */
	/* The rest is of the functions below. */
	struct sq_lease_entry *entries;
	struct sq_msg *msgs; /* references */
	struct sq_publish_want *wants;
	unsigned *qos;           /* of each message, 0 to 3 */
	struct sq_bytes *prints; /* of each message, what equal ones have alike */
	uint16_t kind[5];        /* where in 'entries' each list begins */
};

/* Reads the object: at most 'max' entries, and as many messages.  'out' is zeroed before; end it by
 * sq_http_settle_fini() either way.  Has views of the body.  SQ_EINVAL: see
 * 'fault'. */
int sq_http_settle_read(const struct sq_http_bounds *, struct sq_bytes body, uint32_t max,
    int64_t now_ms, struct sq_http_settle *out, struct sq_http_fault *fault) SQ_MUST_CHECK;
/* One lease; 'entry' and its text outlive 'out'. */
void sq_http_settle_one(const struct sq_lease_entry *entry, struct sq_http_settle *out);
/* Says in a fault which entry of the body it is about. */
void sq_http_settle_at(const struct sq_http_settle *, uint16_t entry, struct sq_http_fault *);
void sq_http_settle_fini(struct sq_http_settle *);

/* Reads the JSON object of a nack or an extend of one lease, whose lease the path has, over 'entry'.
 * An empty body is an empty object. */
int sq_http_settle_entry(
    struct sq_bytes body, struct sq_lease_entry *entry, struct sq_http_fault *fault) SQ_MUST_CHECK;

#endif
