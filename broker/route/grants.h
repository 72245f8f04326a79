/* Grants between topic spaces: readers in one space that get messages published in another.  Made
 * at the start and constant from then on, so that reading them needs no lock. */
#ifndef SQ_BROKER_ROUTE_GRANTS_H
#define SQ_BROKER_ROUTE_GRANTS_H

#include "broker/route/space.h"
#include "core/msg.h"

struct sq_grant;

/* Adds a grant: a message published in 'from' to a topic that 'filter' selects goes to 'reader'
 * too, under the same topic.  Nothing else crosses.  'filter' is checked, without share and tag.
 * At the start, before any other thread exists. */
void sq_space_grant(struct sq_space *reader, struct sq_space *from, struct sq_bytes filter);
/* Whether there is a grant from the space: asked for each message, and hardly any space has one.
 * Thread: any. */
bool sq_space_is_read(const struct sq_space *);
/* The next reader of messages to 'topic' in the space, behind '*at', which begins as NULL; each
 * reader comes once.  NULL: there is no further one.  Thread: any. */
struct sq_space *
sq_space_reader(const struct sq_space *, struct sq_bytes topic, const struct sq_grant **at);

#endif
