/* A declaration that several have, and that none of them changes: a queue's, as long as something
 * goes on under it. */
#ifndef SQ_PROTO_DECLARATION_KEPT_H
#define SQ_PROTO_DECLARATION_KEPT_H

#include "proto/declaration/declaration.h"

/* Takes what 'd' has and empties it.  The caller has the first reference.  Thread: any, of all of
 * these. */
const struct sq_declaration *sq_declaration_keep(struct sq_declaration *d);
/* One more reference to what was kept. */
const struct sq_declaration *sq_declaration_ref(const struct sq_declaration *);
/* Gives a reference back and nulls the pointer; nothing for NULL. */
void sq_declaration_unref(const struct sq_declaration **);

#endif
