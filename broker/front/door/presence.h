/* Whether the peer of a request is still there, asked from another thread.
 *
 * Over HTTP/2 h2o says at once that a stream or its connection has ended.  Over HTTP/1.1 it does not
 * read while a request is open, and so does not see a peer leave; the socket does, also where what the
 * peer said last (a close_notify of TLS) has not been read.  A descriptor is looked at under the lock
 * that its end takes before it is closed. */
#ifndef SQ_BROKER_FRONT_DOOR_PRESENCE_H
#define SQ_BROKER_FRONT_DOOR_PRESENCE_H

#include <pthread.h>
#include <stdbool.h>

struct sq_presence {
	pthread_mutex_t lock;
	int fd; /* -1: the request is gone */
};

/* 'fd' is the connection's socket.  Thread: the connection's. */
void sq_presence_begin(struct sq_presence *, int fd);
/* Whether the peer has not left.  Thread: any, between begin and fini.  Locks: its own. */
bool sq_presence_here(struct sq_presence *);
/* The request is gone, and its socket may be closed after this.  Thread: the connection's. */
void sq_presence_end(struct sq_presence *);
void sq_presence_fini(struct sq_presence *);

#endif
