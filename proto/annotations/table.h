/* The table of annotations: the one truth of which there are.  The parser, the lint, the
 * nearest name of an unknown one and docs/annotations.md follow from it. */
#ifndef SQ_PROTO_ANNOTATIONS_TABLE_H
#define SQ_PROTO_ANNOTATIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

#define SQ_ANNOTATION_PREFIX "sqmqos.io/"
#define SQ_ANNOTATION_SUBSCRIBE SQ_ANNOTATION_PREFIX "subscribe"
#define SQ_ANNOTATION_PUBLISH SQ_ANNOTATION_PREFIX "publish"
#define SQ_ANNOTATION_CLIENT_ID SQ_ANNOTATION_PREFIX "client-id"
#define SQ_ANNOTATION_OUTBOX SQ_ANNOTATION_PREFIX "outbox"
#define SQ_ANNOTATION_OUTBOX_CLAIM SQ_ANNOTATION_PREFIX "outbox-claim"
#define SQ_ANNOTATION_PORT SQ_ANNOTATION_PREFIX "port"
#define SQ_ANNOTATION_SCALE SQ_ANNOTATION_PREFIX "scale"
#define SQ_ANNOTATION_WORKLOAD SQ_ANNOTATION_PREFIX "workload"
/* A label, not an annotation. */
#define SQ_LABEL_INJECT SQ_ANNOTATION_PREFIX "inject"

struct sq_annotation_value; /* values.h */
struct sq_annotations;

struct sq_annotation_def {
	const char *key;  /* with its prefix */
	const char *type; /* for people */
	const char *def;  /* for people: what holds without it */
	const char *help; /* a sentence or two, in Markdown */
	bool live;        /* an edit counts in the running pod; else: read when the pod is made */
	bool sidecar;     /* the sidecar reads it; else the injector alone */
	size_t offset;    /* in struct sq_annotations, of what is kept as its text; else 0 */
	/* Checks a value that is not blank, and takes it into 'out'. */
	void (*take)(struct sq_annotation_value *, struct sq_annotations *out);
};

extern const struct sq_annotation_def sq_annotation_defs[];
extern const size_t sq_annotation_defs_n;

/* NULL: there is none of that name. */
const struct sq_annotation_def *sq_annotation_find(const char *key);
/* The nearest to an unknown one; NULL: none is near. */
const struct sq_annotation_def *sq_annotation_nearest(const char *key);
/* Appends the table in Markdown, for docs/annotations.md. */
void sq_annotations_markdown(struct sq_buf *out);

#endif
