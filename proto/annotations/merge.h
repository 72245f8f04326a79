/* The entries of one group in a pod's annotations have one queue, and so one set of its
 * options: what an entry leaves out is what another entry of its group names.  Pure. */
#ifndef SQ_PROTO_ANNOTATIONS_MERGE_H
#define SQ_PROTO_ANNOTATIONS_MERGE_H

#include "proto/annotations/annotations.h"

/* Gives each declaration the options of its queue that others of its group name; 'named'
 * stays as it is.  'workload' is the group of those that have none; NULL: it is not known,
 * and no other group's.  SQ_EINVAL: two entries of a group name different values; 'err' has
 * one line with both, and '*ds' may be merged in part. */
int sq_annotations_merge(
    struct sq_declarations *ds, const char *workload, struct sq_buf *err) SQ_MUST_CHECK;
/* Parses a whole file and merges: what a pod of 'workload' is to do.  On error '*out'
 * is empty, and 'err' has a line as of sq_annotations_parse(). */
int sq_annotations_load(const char *text, size_t len, const char *workload,
    struct sq_declarations *out, struct sq_buf *err) SQ_MUST_CHECK;

#endif
