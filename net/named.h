/* A broker that another one has named by its address: lookups of its host, and its peers.
 *
 * Its peers are beside those of net/peers.h: nobody claims them.  On the loop's thread. */
#ifndef SQ_NET_NAMED_H
#define SQ_NET_NAMED_H

#include <ev.h>
#include <stdbool.h>

#include "net/peers.h"

struct sq_named;

/* 'changed' is called from the loop when a lookup has ended, with or without a result. */
struct sq_named *sq_named_new(struct ev_loop *, void (*changed)(void *owner), void *owner);
void sq_named_free(struct sq_named **);

/* Names a broker from now on, by a well-formed HOST:PORT; "": none.  The same one again changes
 * nothing. */
void sq_named_set(struct sq_named *, const char *address);
/* The address; "": none. */
const char *sq_named_address(const struct sq_named *);
/* Looks the host up again, unless that was done within the last few seconds. */
void sq_named_refresh(struct sq_named *);
bool sq_named_busy(const struct sq_named *);
/* The most promising of its peers; NULL: there is none, or none yet. */
struct sq_peer *sq_named_peer(const struct sq_named *);

#endif
