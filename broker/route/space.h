/* A topic space: bindings and retained messages of its own.
 *
 * Structure: the struct and its locks are below everything else in route/.  A file writes only its
 * own part of it: router.c bindings and references, retained.c retained messages, grants.c grants.
 *
 * Many readers, rare writers: the lock of a space (core/rwlock.h) is held for reading while
 * messages are routed.  Under the lock, the space's bindings and their sinks stay.  So does state
 * that owners keep under the same lock: groups of the space's tenants, and their declarations.
 *
 * No thread holds the locks of two spaces, and none holds one for long: for some hundred puts,
 * binds or unbinds, or for the queues of one message. */
#ifndef SQ_BROKER_ROUTE_SPACE_H
#define SQ_BROKER_ROUTE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

struct sq_space;

/* Its name at the router and in the store; as long as the space.  Thread: any. */
const char *sq_space_name(const struct sq_space *);
/* The number of bindings.  Thread: any. */
size_t sq_space_bindings(const struct sq_space *);

/* Lock and unlock the space.  Thread: any that has locked no space. */
void sq_space_rdlock(struct sq_space *);
void sq_space_wrlock(struct sq_space *);
void sq_space_unlock(struct sq_space *);
/* Whether this thread has locked a space. */
bool sq_space_locked(void);
/* Whether this thread has locked the space; with 'writes': for writing. */
bool sq_space_held(const struct sq_space *, bool writes);
/* Whether this thread has locked a space, or the retained messages of one
 * (sq_retained_scan_next()).  It may lock no space then, so a message to be published waits. */
bool sq_router_locked(void);

#endif
