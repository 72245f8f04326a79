/* Publish rules (sqmqos.io/publish) on what the app publishes, between the decoder
 * and the image: QoS, retain, expiry, and what the broker must know as user
 * properties.  Pure, but for the random bits of a generated key.
 *
 * All rules whose filter selects the topic count, in their order: of what two of
 * them say the first wins, and tags add up.  What the message says itself wins
 * over rules, but the QoS is the higher one and the expiry the shorter one. */
#ifndef SQ_SIDECAR_DECLARED_RULES_H
#define SQ_SIDECAR_DECLARED_RULES_H

#include "core/buf.h"
#include "core/err.h"
#include "proto/annotations/annotations.h"
#include "proto/link/lane_out.h"

struct sq_rules;

/* Takes what 'from' holds and leaves it empty.  NULL: it has no effect. */
struct sq_rules *sq_rules_new(struct sq_publish_rules *from);
/* Frees '*rp', if any. */
void sq_rules_free(struct sq_rules **rp);

/* Applies the rules (NULL: none) to 'm', whose topic is known, and gives a message
 * of QoS 3 a key where it has none.  'm->props' may then be in 'props', which is
 * empty before and the caller's.  SQ_EDENIED: strict, and no rule selects the
 * topic.  SQ_ETOOBIG: a property can't be written. */
int sq_rules_apply(
    const struct sq_rules *, struct sq_lane_publish *m, struct sq_buf *props) SQ_MUST_CHECK;

#endif
