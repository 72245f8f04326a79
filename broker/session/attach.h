/* The attach: decides on a PUT, fences the session's former holder, and makes the state from which
 * both sides continue (docs/link.md, "a session at the broker").  On the session's worker. */
#ifndef SQ_BROKER_SESSION_ATTACH_H
#define SQ_BROKER_SESSION_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/htab.h"

struct sq_call;
struct sq_outlet;
struct sq_session;
struct sq_session_hooks;
struct sq_shard;

/* The attachment of an instance at the time another one took the session over. */
struct sq_superseded {
	uint64_t instance, ordinal, epoch;
};

enum { SQ_SUPERSEDED_MAX = 4 };

struct sq_attachment {
	struct sq_hnode by_epoch;
	uint64_t epoch;           /* 0: none */
	struct sq_outlet *outlet; /* a reference */
	uint64_t owner;           /* sq_identity.id of the holder */
	uint64_t instance, ordinal;
	uint32_t attempt;
	uint64_t cleaned_instance, cleaned_ordinal; /* the holder whose clean start was applied */
	bool answered;                              /* a PUT was answered; the answer may have been
	                                             * lost */
	bool present;    /* the attachment has been used, so the client knows it */
	bool takes_over; /* the waiting PUT ends a live connection */
	bool left;       /* the ordinal's client has left by a detach */
	bool broke;      /* the connection broke: its deliveries count an attempt */
	bool admitted;   /* the waiting PUT has been applied, and its commit is pending */
	bool lost;       /* that commit has failed */
	struct sq_superseded superseded[SQ_SUPERSEDED_MAX];
	struct sq_call *attaching; /* the PUT that waits in FENCING */
};

/* Carries out a PUT, and answers it here or later; a new session gets the hooks. */
void sq_attach_call(struct sq_shard *, struct sq_call *, const struct sq_session_hooks *);
/* Continues a PUT that waits in FENCING: the work admitted before it has ended. */
void sq_attach_finish(struct sq_session *);

#endif
