/* Authorization of publishes by the access rules (broker/auth/acl/acl.h), with texts for refusals.
 * On the worker of the publish. */
#ifndef SQ_BROKER_PUBLISH_AUTHORIZE_H
#define SQ_BROKER_PUBLISH_AUTHORIZE_H

#include "broker/auth/acl/acl.h"
#include "broker/publish/refused.h"

/* Whether the subject, which is not NULL, may publish to 'topic'.  False: 'refused' has the
 * refusal, which is counted. */
bool sq_authorize_publish(
    struct sq_broker *, struct sq_acl_subject *, struct sq_bytes topic, struct sq_refused *refused);
/* Counts a denial. */
void sq_authorize_count(struct sq_broker *, const struct sq_acl_verdict *why);
/* Appends "a/b: acl[2] (line 12) denies it", and a NUL. */
void sq_authorize_say(struct sq_buf *out, struct sq_bytes object, const struct sq_acl_verdict *why);

#endif
