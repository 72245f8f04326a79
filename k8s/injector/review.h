/* AdmissionReview of admission.k8s.io/v1: reads the API server's request and writes our answer.  Pure:
 * bytes in, bytes out.  The verdict comes from its user. */
#ifndef SQ_K8S_INJECTOR_REVIEW_H
#define SQ_K8S_INJECTOR_REVIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	SQ_REVIEW_BODY_MAX = 8 << 20,
	SQ_REVIEW_DEPTH_MAX = 64, /* of the JSON; a pod needs about 15 */
	/* Values in the JSON.  Each may cost 1 KiB in all, and the chart gives 128 MiB.  A Deployment
	 * with 1,000 variables has 30,000 values in an update. */
	SQ_REVIEW_VALUES_MAX = 1 << 16,
	SQ_REVIEW_UID_MAX = 128,
	SQ_REVIEW_MESSAGE_MAX = 8192, /* bytes; longer ones are cut */
	/* Limits of the API server: it cuts a longer warning, and silently drops warnings above the
	 * total. */
	SQ_REVIEW_WARNING_MAX = 256,
	SQ_REVIEW_WARNINGS_MAX = 4096,
};

enum sq_review_operation {
	SQ_REVIEW_CREATE,
	SQ_REVIEW_UPDATE,
	SQ_REVIEW_OTHER, /* DELETE and CONNECT, for which no webhook is configured */
};

/* A request.  The pointers are into 'root' and live until sq_review_fini(). */
struct sq_review {
	json_t *root;
	const char *uid;
	const char *group, *kind; /* "apps", "Deployment"; the core group is "" */
	const char *name_space;   /* "" for objects without one */
	const char *name;         /* "" with generateName */
	enum sq_review_operation operation;
	bool dry_run;
	json_t *object, *old_object; /* JSON objects, or NULL */
};

/* The verdict; all members stay the caller's. */
struct sq_review_verdict {
	bool allowed;
	unsigned code;          /* HTTP's, of a denial: 4xx or 5xx */
	const char *message;    /* of a denial */
	const json_t *patch;    /* array of RFC 6902; NULL or empty: none */
	const json_t *warnings; /* array of strings, or NULL */
};

/* Reads a request's body.  On SQ_EINVAL (not an AdmissionReview v1) or SQ_ETOOBIG
 * (above one of the limits) appends the reason to 'why', and '*r' is empty. */
int
sq_review_read(struct sq_review *r, const void *body, size_t len, struct sq_buf *why) SQ_MUST_CHECK;
void sq_review_fini(struct sq_review *);
/* Appends the answer to 'r'. */
void
sq_review_answer(const struct sq_review *r, const struct sq_review_verdict *, struct sq_buf *out);

#endif
