/* Kept subscriptions: the broker tells a sidecar which subscriptions a session already has.
 *
 * A client may come back by another pod, after a restart of its sidecar, or by the same sidecar,
 * which forgets clients that have left.  The sidecar needs the list to end subscriptions that its
 * pod does not allow, to make subscriptions again after a broker has lost them, and to know the
 * subscribers of $SYS/sidecar.  On the session's worker. */
#ifndef SQ_BROKER_SESSION_KEPT_H
#define SQ_BROKER_SESSION_KEPT_H

#include <stdbool.h>

struct sq_session;

enum sq_kept_state {
	SQ_KEPT_KNOWN,
	SQ_KEPT_WANTED, /* the sidecar wants the list, and may not have its epoch yet */
	SQ_KEPT_DUE,    /* the list is to be sent when the link has room */
};

/* Begins an attachment.  'wanted': its sidecar wants the list, if its link has such frames. */
void sq_kept_begin(struct sq_session *, bool wanted);
/* The answer to the PUT has arrived at the sidecar: the list may be sent, if it is wanted. */
void sq_kept_used(struct sq_session *);
/* Sends the list if it is due and the link has room. */
void sq_kept_tell(struct sq_session *);

#endif
