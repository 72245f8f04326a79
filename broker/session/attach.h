/* The PUT: who may hold a session, the fence, and the state from which both
 * sides go on (docs/link.md, "a session at the broker"). */
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

/* What one instance had when another took the session from it. */
struct sq_superseded {
	uint64_t instance, ordinal, epoch;
};

enum { SQ_SUPERSEDED_MAX = 4 };

struct sq_attachment {
	struct sq_hnode by_epoch;
	uint64_t epoch;           /* 0: none */
	struct sq_outlet *outlet; /* a reference */
	uint64_t owner;           /* sq_identity.id of who has it */
	uint64_t instance, ordinal;
	uint32_t attempt;
	uint64_t cleaned_instance, cleaned_ordinal; /* whose clean start was applied */
	bool answered;                              /* a PUT was answered; the answer may be lost */
	bool present;    /* an attachment was used: the client knows of it */
	bool takes_over; /* the PUT that waits ends a live connection */
	bool left;       /* the ordinal's client has left by a detach */
	bool broke;      /* and not on purpose: what it had counts an attempt */
	bool admitted;   /* what the waiting PUT says is taken in, its commit is awaited */
	bool lost;       /* and has failed */
	struct sq_superseded superseded[SQ_SUPERSEDED_MAX];
	struct sq_call *attaching; /* the PUT that waits in FENCING */
};

/* A session that is new has these hooks. */
void sq_attach_call(struct sq_shard *, struct sq_call *, const struct sq_session_hooks *);
/* What was admitted before has ended. */
void sq_attach_finish(struct sq_session *);

#endif
