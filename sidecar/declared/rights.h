/* Rights: the filters to which the pod's clients may subscribe themselves (sqmqos.io/subscribe:
 * strict, allow).  Pure.
 *
 * With strict, a filter is allowed if it is declared, without a tag or with the same tag, or if a
 * filter of allow covers it, i.e. selects each topic that it selects. $share/group/filter counts as
 * its filter.  A tag selects a subset of its filter, and needs no permission of its own. */
#ifndef SQ_SIDECAR_DECLARED_RIGHTS_H
#define SQ_SIDECAR_DECLARED_RIGHTS_H

#include <stdbool.h>

#include "proto/annotations/annotations.h"
#include "proto/topic/topic.h"

struct sq_rights;

/* Takes over the content of the annotations' rights, and copies the declared filters.  NULL:
 * everything is allowed. */
struct sq_rights *sq_rights_new(struct sq_subscribe_rights *, const struct sq_declarations *);
/* Frees '*rp', if any. */
void sq_rights_free(struct sq_rights **rp);

/* Whether the filter is allowed; NULL allows every filter. */
bool sq_rights_allow(const struct sq_rights *, const struct sq_topic_filter *);

#endif
