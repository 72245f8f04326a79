/* A lock for many readers or one writer that nobody waits at for ever: whoever comes while
 * somebody waits waits behind him, in the order of arrival.  So a reader or a writer waits at
 * most for those that are in and those that came before, each for as long as it holds the lock.
 * (pthread_rwlock_t prefers one kind, and the other may starve.)
 *
 * Not recursive, for readers neither.  With nobody waiting a lock or unlock is one atomic
 * operation. */
#ifndef SQ_CORE_RWLOCK_H
#define SQ_CORE_RWLOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/list.h"

struct sq_rwlock {
	atomic_uint state;     /* readers in it, and the bits of rwlock.c */
	pthread_mutex_t mutex; /* of 'waiting' */
	struct sq_list waiting;
};

void sq_rwlock_init(struct sq_rwlock *);
/* Nobody is in it, or still on his way out: whoever uses it has its owner stay until then. */
void sq_rwlock_fini(struct sq_rwlock *);
/* Thread: any. */
void sq_rwlock_read(struct sq_rwlock *);
void sq_rwlock_write(struct sq_rwlock *);
/* Whichever of the two it was. */
void sq_rwlock_unlock(struct sq_rwlock *);

#endif
