/* The entries of one group in a pod's annotations have one queue, and so one set of its
 * options: what an entry leaves out is what another entry of its group names.  Pure. */
#ifndef SQ_PROTO_ANNOTATIONS_MERGE_H
#define SQ_PROTO_ANNOTATIONS_MERGE_H

#include "proto/annotations/annotations.h"

struct sq_merge {
	/* The group of those that name none; NULL: it is not known, and no other group's. */
	const char *workload;
	struct sq_annotation_problems *problems;
	size_t pair; /* of sqmqos.io/subscribe, for the problems */
};

/* Gives each declaration the options of its queue that others of its group name; 'named'
 * stays as it is.  Of entries that name different values, each later one is a problem, with
 * both values in its text. */
void sq_annotations_merge(struct sq_declarations *, const struct sq_merge *);

#endif
