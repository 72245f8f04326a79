/* Admission: the body of a review in, the body of its answer out.  Pure; k8s/patch decides about the
 * pod, review.h has the form of both bodies. */
#ifndef SQ_K8S_INJECTOR_ADMIT_H
#define SQ_K8S_INJECTOR_ADMIT_H

#include <stddef.h>

#include "core/buf.h"
#include "k8s/patch/settings.h"

enum sq_admit_kind {
	SQ_ADMIT_MUTATE,
	SQ_ADMIT_VALIDATE,         /* it is not known whether the namespace asks for sidecars */
	SQ_ADMIT_VALIDATE_ASKED,   /* the namespace asks for sidecars */
	SQ_ADMIT_VALIDATE_UNASKED, /* the namespace does not */
};

enum sq_admit_outcome {
	SQ_ADMITTED, /* unchanged */
	SQ_PATCHED,
	SQ_DENIED,
	SQ_MALFORMED, /* no AdmissionReview: there is a reason in place of an answer */
};

struct sq_admitted {
	enum sq_admit_outcome outcome;
	size_t warnings;
	struct sq_buf subject; /* "Pod shop/app-", for the log */
	struct sq_buf message; /* the reason of a denial */
};

/* Appends the answer to 'out', or with SQ_MALFORMED the reason.  '*result' needs no
 * initialisation; free it. */
void sq_admit(enum sq_admit_kind, const struct sq_settings *, const char *trust_bundle,
    const void *body, size_t len, struct sq_buf *out, struct sq_admitted *result);
void sq_admitted_fini(struct sq_admitted *);

#endif
