/* Asks the rules (broker/auth/acl/acl.h) before a message is published, and says why not. */
#ifndef SQ_BROKER_PUBLISH_AUTHORIZE_H
#define SQ_BROKER_PUBLISH_AUTHORIZE_H

#include "broker/auth/acl/acl.h"
#include "broker/publish/refused.h"

/* Whether the subject, which is not NULL, may publish to 'topic'; false with the refusal in
 * 'refused', and counted. */
bool sq_authorize_publish(
    struct sq_broker *, struct sq_acl_subject *, struct sq_bytes topic, struct sq_refused *refused);
/* Counts a denial. */
void sq_authorize_count(struct sq_broker *, const struct sq_acl_verdict *why);
/* Appends "a/b: acl[2] (line 12) denies it", and a zero. */
void sq_authorize_say(struct sq_buf *out, struct sq_bytes object, const struct sq_acl_verdict *why);

#endif
