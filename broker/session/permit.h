/* What the rules let a session do: asked before its client publishes and subscribes.
 *
 * A session keeps what the rules say of its last holder, by the identity, the client id and the
 * space, as a subject of broker/auth/acl/acl.h: NULL where nothing is denied,
 * so that then nothing is asked.  The identity's name is stored with the session, which is
 * asked about again after a start; one of a time before names has none until somebody comes. */
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
	struct sq_acl_subject *subject;     /* NULL: anything */
	uint64_t version;                   /* of the rules that say so */
};

/* Who attaches may have no such will: before it changes anything.  Says why in the log and
 * counts it. */
bool sq_permit_will(struct sq_broker *, const struct sq_call *, struct sq_bytes will);

void sq_permit_fini(struct sq_permit *);
/* Before something is asked: what rules say by now. */
void sq_permit_refresh(struct sq_session *);

/* Whether it may have the subscription; false with the refusal in 'w'. */
bool sq_permit_subscribe(struct sq_session *, struct sq_wanted *w);

#endif
