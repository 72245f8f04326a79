/* How they are read.  Within proto/annotations only. */
#ifndef SQ_PROTO_ANNOTATIONS_RIGHTS_READ_H
#define SQ_PROTO_ANNOTATIONS_RIGHTS_READ_H

#include "proto/annotations/rights.h"
#include "proto/annotations/yaml.h"

/* Each takes the value whose first event is there, and ends at its last; what is wrong is
 * reported. */
int sq_rights_read_strict(struct sq_yaml *, struct sq_subscribe_rights *out) SQ_MUST_CHECK;
int sq_rights_read_allow(struct sq_yaml *, struct sq_subscribe_rights *out) SQ_MUST_CHECK;

#endif
