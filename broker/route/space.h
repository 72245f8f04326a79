/* A topic space: bindings and retained messages that no other space has.
 *
 * Structure: the struct and its locks are below everything else in route/.  A file writes only
 * its own part of it: router.c bindings and references, retained.c retained messages,
 * grants.c grants.
 *
 * Many readers, rare writers: the lock of a space (core/rwlock.h) is held for reading while
 * messages are routed.  Between lock and unlock the space's bindings and their sinks stay; so
 * does all that its owners put under that lock: groups of its tenants, and their declarations.
 *
 * No thread holds the locks of two spaces, nor one for long: for some hundred puts, binds or
 * unbinds, and for the queues of one message. */
#ifndef SQ_BROKER_ROUTE_SPACE_H
#define SQ_BROKER_ROUTE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

struct sq_space;

/* Thread: any. */
const char *sq_space_name(const struct sq_space *);
/* How many bindings there are.  Thread: any. */
size_t sq_space_bindings(const struct sq_space *);

/* Thread: any that has locked none. */
void sq_space_rdlock(struct sq_space *);
void sq_space_wrlock(struct sq_space *);
void sq_space_unlock(struct sq_space *);
/* Whether this thread is between lock and unlock. */
bool sq_space_locked(void);
/* Whether this thread has the lock of the space, for writing where 'writes'. */
bool sq_space_held(const struct sq_space *, bool writes);
/* Whether this thread has a lock of a space, or of the retained messages of one
 * (sq_retained_scan_next()): it may lock no space, so a message that is to be published waits. */
bool sq_router_locked(void);

#endif
