/* What the two forms of sqmqos.io/subscribe make entries with.  Within proto/annotations
 * only. */
#ifndef SQ_PROTO_ANNOTATIONS_ENTRY_H
#define SQ_PROTO_ANNOTATIONS_ENTRY_H

#include "proto/annotations/values.h"

/* Where the parts of an entry stand; those it does not have: where the entry does. */
struct sq_entry_places {
	struct sq_position filter, tag, group, durable, queue;
};

/* Adds an entry with its defaults; NULL, and a problem, when there are too many. */
struct sq_declaration *
sq_entry_add(struct sq_declarations *, struct sq_position at, struct sq_annotation_value *);
/* Whether the entry joins a named queue, by "queue" or by the filter "$queue/NAME", which becomes one. */
bool sq_entry_joins(struct sq_declaration *);
/* Checks the entry as a whole and takes its filter apart ($tag/...). */
void sq_entry_check(
    struct sq_declaration *d, const struct sq_entry_places *, struct sq_annotation_value *);

#endif
