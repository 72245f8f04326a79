/* Publish rules (sqmqos.io/publish), applied to an app's publishes between the decoder and the
 * image: QoS, retain, expiry, and user properties for the broker.  Pure, except for the random bits
 * of a generated key.
 *
 * All rules whose filter selects the topic apply, in their order: the first one that sets an option
 * wins, and tags add up.  An option of the message wins over rules, except that the higher QoS and
 * the shorter expiry win. */
#ifndef SQ_SIDECAR_DECLARED_POD_RULES_H
#define SQ_SIDECAR_DECLARED_POD_RULES_H

#include "core/buf.h"
#include "core/err.h"
#include "proto/annotations/annotations.h"
#include "proto/link/lane_out.h"

struct sq_pod_rules;

/* Takes over the content of 'from' and leaves it empty.  NULL: the rules have no effect. */
struct sq_pod_rules *sq_pod_rules_new(struct sq_publish_rules *from);
/* Frees '*rp', if any. */
void sq_pod_rules_free(struct sq_pod_rules **rp);

/* Applies the rules (NULL: none) to 'm', whose topic is known, and gives a message of QoS 3 without
 * a key a random one.  'm->props' may then point into 'props', a buffer of the caller's, empty
 * before.  SQ_EDENIED: the rules are strict, and none selects the topic.  SQ_ETOOBIG: a property is
 * too long to be written. */
int sq_pod_rules_apply(
    const struct sq_pod_rules *, struct sq_lane_publish *m, struct sq_buf *props) SQ_MUST_CHECK;

#endif
