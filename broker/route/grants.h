/* Grants between spaces: who gets a message that is published in another space.  They are made
 * at the start and stay as they are, so that no lock is needed to look at them. */
#ifndef SQ_BROKER_ROUTE_GRANTS_H
#define SQ_BROKER_ROUTE_GRANTS_H

#include "broker/route/space.h"
#include "core/msg.h"

struct sq_grant;

/* A message that is published in 'from' to a topic that the filter selects goes to 'reader', too,
 * under the same topic; nothing else crosses.  At the start, before any other thread is there:
 * 'filter' is a plain one, checked. */
void sq_space_grant(struct sq_space *reader, struct sq_space *from, struct sq_bytes filter);
/* The next reader of what is published there to the topic, behind '*at', which begins as NULL;
 * each comes once.  NULL: that was the last one.  Thread: any. */
struct sq_space *
sq_space_reader(const struct sq_space *, struct sq_bytes topic, const struct sq_grant **at);

#endif
