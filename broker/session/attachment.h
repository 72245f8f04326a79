/* An attachment: who holds a session, by which epoch, and the PUT that waits to do so
 * (docs/link.md, "a session at the broker").
 *
 * Data alone: attach.c decides, life.c ends it.  A zeroed struct has no holder. */
#ifndef SQ_BROKER_SESSION_ATTACHMENT_H
#define SQ_BROKER_SESSION_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/htab.h"

struct sq_attach;
struct sq_call;
struct sq_outlet;

/* The attachment of an instance at the time another one took the session over. */
struct sq_superseded {
	uint64_t instance, ordinal, epoch;
};

enum { SQ_SUPERSEDED_MAX = 4 };

struct sq_attachment {
	struct sq_hnode by_epoch; /* in the table of sessions, while 'epoch' is not 0 */
	uint64_t epoch;           /* 0: none */
	struct sq_outlet *outlet; /* a reference */
	uint64_t owner;           /* sq_identity.id of the holder */
	uint64_t instance, ordinal;
	uint32_t attempt;
	uint64_t cleaned_instance, cleaned_ordinal; /* the holder whose clean start was applied */
	bool answered;                              /* a PUT was answered; the answer may have been
	                                             * lost */
	bool present;    /* the attachment has been used, so the client knows it */
	bool restored;   /* the session was made by a start, and has not been used since */
	bool takes_over; /* the waiting PUT ends a live connection */
	bool left;       /* the ordinal's client has left by a detach */
	bool broke;      /* the connection broke: its deliveries count an attempt */
	bool admitted;   /* the waiting PUT has been applied, and its commit is pending */
	bool lost;       /* that commit has failed */
	struct sq_superseded superseded[SQ_SUPERSEDED_MAX];
	struct sq_call *attaching; /* the PUT that waits in FENCING */
};

/* The attachment that the instance had when another one took the session over; NULL: none is
 * known. */
struct sq_superseded *sq_attachment_superseded(struct sq_attachment *, uint64_t instance);
/* Notes that the holder loses the session to another instance. */
void sq_attachment_supersede(struct sq_attachment *);
/* Makes the connection of the PUT the holder.  'takes_over': it ends a live one. */
void sq_attachment_hold(
    struct sq_attachment *, const struct sq_attach *, uint64_t owner, bool takes_over);
/* Gives a session without history the holder of the one that it replaces, and its PUT. */
void sq_attachment_renew(struct sq_attachment *, struct sq_attachment *old);
/* Has the PUT wait. */
void sq_attachment_wait(struct sq_attachment *, struct sq_call *);
/* Takes the PUT that waits out; NULL: none waits. */
struct sq_call *sq_attachment_unwait(struct sq_attachment *);
/* Notes that the PUT has been applied; a commit may be pending. */
void sq_attachment_admit(struct sq_attachment *, const struct sq_attach *);
/* Notes that a commit has failed, which is lost on a PUT that waits for it. */
void sq_attachment_failed(struct sq_attachment *);
/* The commits of the applied PUT have ended.  False: one has failed. */
bool sq_attachment_committed(struct sq_attachment *);
/* Begins an epoch, whose reference to the outlet it takes over. */
void sq_attachment_begin(struct sq_attachment *, uint64_t epoch, struct sq_outlet *);
/* Ends the epoch. */
void sq_attachment_end(struct sq_attachment *);
/* Notes that the sidecar has the answer to the PUT. */
void sq_attachment_used(struct sq_attachment *);
/* Notes that the client has left by a detach.  'broke': its connection broke. */
void sq_attachment_left(struct sq_attachment *, bool broke);

#endif
