/* The contract of a verifier, which judges credentials of one form: tokens of a file, signed tokens,
 * certificates.  broker/auth/auth.c asks the verifiers in turn.  Its suite is
 * test/contract/test_verifier.c.
 *
 * Thread: any, several at a time; no member blocks. */
#ifndef SQ_BROKER_AUTH_VERIFIER_H
#define SQ_BROKER_AUTH_VERIFIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/auth/auth.h"
#include "core/buf.h"

enum sq_judgement {
	SQ_JUDGEMENT_NOT_MINE, /* another verifier may know it; the request has a reason */
	SQ_JUDGEMENT_YES,      /* the request has an identity and its basis */
	SQ_JUDGEMENT_NO,       /* the request has a reason */
	SQ_JUDGEMENT_LATER,    /* the request is the verifier's until sq_verifier_answer() */
};

struct sq_verifier_ops {
	bool certificates; /* the verifier judges certificates; else tokens */
	/* Judges a request.  Of SQ_JUDGEMENT_LATER the verifier keeps the request and answers it by
	 * sq_verifier_answer() on a thread of its own, also when it stops. */
	enum sq_judgement (*verify)(struct sq_verifier *, struct sq_auth_request *);
	/* Whether the basis of an identity still holds.  May be called for any basis. */
	bool (*holds)(struct sq_verifier *, const struct sq_basis *);
	/* Looks for changes.  Is called a few times a second. */
	void (*refresh)(struct sq_verifier *);
	/* Whether the verifier can judge; false: appends a line to 'why'. */
	bool (*ready)(struct sq_verifier *, struct sq_buf *why);
	/* Adds its own counts. */
	void (*count)(struct sq_verifier *, struct sq_auth_counts *);
	/* Starts the verifier's threads, if it has any. */
	void (*start)(struct sq_verifier *);
	/* Ends the threads; each request that waits is answered. */
	void (*stop)(struct sq_verifier *);
	void (*free)(struct sq_verifier *);
};

/* The first member of each verifier's struct. */
struct sq_verifier {
	const struct sq_verifier_ops *ops;
	atomic_uint_fast64_t *epoch; /* sq_auth_epoch(); NULL: nobody asks yet */
};

/* Reports that the basis of some identity may have changed.  Thread: any. */
static inline void
sq_verifier_changed(struct sq_verifier *v)
{
	if (v->epoch != NULL)
		atomic_fetch_add_explicit(v->epoch, 1, memory_order_acq_rel);
}

/* Answers a request that waited; its identity is set, or there is none.  Thread: any but a loop's. */
static inline void
sq_verifier_answer(struct sq_auth_request *r, enum sq_auth_reason reason)
{
	r->reason = reason;
	r->done(r);
}

#endif
