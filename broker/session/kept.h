/* What a session's client had subscribed to, for a sidecar that does not know it: a client
 * comes back, be it by another pod, after its sidecar's restart, or by the same sidecar, which
 * forgets those that have left.  The sidecar then ends what its pod does not allow, makes
 * again what a broker loses, and knows who wants $SYS/sidecar. */
#ifndef SQ_BROKER_SESSION_KEPT_H
#define SQ_BROKER_SESSION_KEPT_H

struct sq_session;

enum sq_kept_state {
	SQ_KEPT_KNOWN,
	SQ_KEPT_WANTED, /* it wants to know, and may not have its epoch yet */
	SQ_KEPT_DUE,    /* it is to be told, as soon as the link has room */
};

/* The answer to the PUT has arrived: the sidecar may be told, if it wants to know. */
void sq_kept_used(struct sq_session *);
/* Tells it what is due, once the link has room. */
void sq_kept_tell(struct sq_session *);

#endif
