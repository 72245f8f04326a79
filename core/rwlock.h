/* A lock for many readers or one writer at which no thread starves.  A thread that comes while
 * another waits queues behind it, in the order of arrival; so a thread waits for holders and for
 * those before it in the queue only.  (pthread_rwlock_t prefers one kind, and the other may
 * starve.)
 *
 * The lock is not recursive, not even for readers.  While no thread waits, locking and unlocking
 * are one atomic operation each. */
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
/* No thread holds the lock or is still inside sq_rwlock_unlock(): the lock's owner waits for that
 * first. */
void sq_rwlock_fini(struct sq_rwlock *);
/* Takes the lock for reading.  Thread: any. */
void sq_rwlock_read(struct sq_rwlock *);
/* Takes the lock for writing.  Thread: any. */
void sq_rwlock_write(struct sq_rwlock *);
/* Releases the caller's read or write lock.  Thread: the one that took it. */
void sq_rwlock_unlock(struct sq_rwlock *);

#endif
