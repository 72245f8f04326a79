/* The contract of what judges credentials of one form: a file of tokens, signed tokens.
 * broker/auth/auth.c asks them in turn.
 *
 * All members may be called by any thread, at the same time; none blocks. */
#ifndef SQ_BROKER_AUTH_VERIFIER_H
#define SQ_BROKER_AUTH_VERIFIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/auth/auth.h"
#include "core/buf.h"

enum sq_verdict {
	SQ_VERDICT_NOT_MINE, /* another verifier may know it; the request has a reason */
	SQ_VERDICT_YES,      /* the request has an identity and what it rests on */
	SQ_VERDICT_NO,       /* the request has a reason */
	SQ_VERDICT_LATER,    /* the request is the verifier's until sq_verifier_answer() */
};

struct sq_verifier_ops {
	bool certificates; /* it judges certificates; else tokens */
	enum sq_verdict (*verify)(struct sq_verifier *, struct sq_auth_request *);
	/* Whether what an identity rests on still holds. */
	bool (*holds)(struct sq_verifier *, const struct sq_basis *);
	/* A few times a second: what has changed is looked at. */
	void (*refresh)(struct sq_verifier *);
	/* Whether it can judge at all; else a line in 'why'. */
	bool (*ready)(struct sq_verifier *, struct sq_buf *why);
	void (*count)(struct sq_verifier *, struct sq_auth_counts *);
	/* Its thread starts, if it has one; it ends, and with it each request that waits. */
	void (*start)(struct sq_verifier *);
	void (*stop)(struct sq_verifier *);
	void (*free)(struct sq_verifier *);
};

/* First member of each. */
struct sq_verifier {
	const struct sq_verifier_ops *ops;
	atomic_uint_fast64_t *epoch; /* sq_auth_epoch(); NULL: nobody asks yet */
};

/* Something that identities rest on has changed.  Thread: any. */
static inline void
sq_verifier_changed(struct sq_verifier *v)
{
	if (v->epoch != NULL)
		atomic_fetch_add_explicit(v->epoch, 1, memory_order_acq_rel);
}

/* Answers a request that waited, which has its identity or none.  Thread: any but a loop's. */
static inline void
sq_verifier_answer(struct sq_auth_request *r, enum sq_auth_reason reason)
{
	r->reason = reason;
	r->done(r);
}

#endif
