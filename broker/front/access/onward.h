/* Requests of the admin endpoint that the broker which owns the state answers, where this one follows
 * it: they are sent there with their credential, and their answer is given as it comes.
 *
 *   admin thread --sq_onward_take()--> a thread, one request at a time --> the owner's admin endpoint
 *
 * A request without a credential stays: the owner would see this broker's address, not its sender's.
 * So does one that another broker has sent: two that take each other for the owner pass nothing round. */
#ifndef SQ_BROKER_FRONT_ACCESS_ONWARD_H
#define SQ_BROKER_FRONT_ACCESS_ONWARD_H

#include "broker/port/place.h"
#include "web/admin_ask.h"

struct sq_onward;

/* The source outlives the object. */
struct sq_onward *sq_onward_new(const struct sq_place_source *);
/* Has the ask answered: by the owner, or with 503 and what there is to know of it.  Thread: admin. */
void sq_onward_take(struct sq_onward *, struct sq_admin_ask *);
/* Frees the object, after the endpoint has stopped; nulls the pointer, which may be NULL. */
void sq_onward_free(struct sq_onward **);

#endif
