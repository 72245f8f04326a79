/* Permissions of a session under the access rules, checked before its client publishes and
 * subscribes.
 *
 * The session keeps the rules' verdict for its last holder in the form of a subject
 * (broker/auth/acl/acl.h).  The subject follows from the identity, the client id and the space;
 * NULL where nothing is denied, so that the common case costs one comparison.  The holder's name is
 * stored with the session and looked up again after a start.  A session that was stored before
 * names existed has no holder until its next attach.  On the session's worker. */
#ifndef SQ_BROKER_PERMIT_H
#define SQ_BROKER_PERMIT_H

#include "broker/auth/identity/identity.h"

struct sq_acl_subject;
struct sq_broker;
struct sq_call;
struct sq_session;
struct sq_wanted;

struct sq_permit {
	const struct sq_identity *identity; /* a reference; NULL: not known */
	struct sq_acl_subject *subject;     /* NULL: everything is allowed */
	uint64_t version;                   /* of the rules that 'subject' was made from */
};

/* Whether the caller may publish the will of its PUT; called before the PUT changes anything.
 * False: the denial has been logged and counted, and the call has not been answered. */
bool sq_permit_will(struct sq_broker *, const struct sq_call *, struct sq_bytes will);

void sq_permit_fini(struct sq_permit *);
/* Makes the identity, of which it keeps a reference, the session's holder. */
void sq_permit_hold(struct sq_session *, const struct sq_identity *);
/* Brings the subject up to date with the rules; called before each check. */
void sq_permit_refresh(struct sq_session *);

/* Whether the session may have the subscription; false with the refusal in 'w'. */
bool sq_permit_subscribe(struct sq_session *, struct sq_wanted *w);

#endif
