/* What the pod's clients may subscribe to by themselves (sqmqos.io/subscribe: strict, allow).
 * Pure.
 *
 * With strict a filter is allowed that is declared, without a tag or with the same, or that a
 * filter of allow covers: every topic that it selects, that one selects, too.  $share/group/filter
 * counts as its filter; a tag selects less than its filter, and needs no word of its own. */
#ifndef SQ_SIDECAR_DECLARED_RIGHTS_H
#define SQ_SIDECAR_DECLARED_RIGHTS_H

#include <stdbool.h>

#include "proto/annotations/annotations.h"
#include "proto/topic/topic.h"

struct sq_rights;

/* Takes what the annotations' rights hold, and copies what they declare.  NULL: everything is
 * allowed. */
struct sq_rights *sq_rights_new(struct sq_subscribe_rights *, const struct sq_declarations *);
/* Frees '*rp', if any. */
void sq_rights_free(struct sq_rights **rp);

/* NULL allows everything. */
bool sq_rights_allow(const struct sq_rights *, const struct sq_topic_filter *);

#endif
