/* One connection: its standing, its time-outs and its end.  Calls no other part of the front.
 * Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_LINK_CONN_H
#define SQ_BROKER_FRONT_LINK_CONN_H

#include "broker/front/link/part.h"

/* The action that a connection's age requires; conns.c takes it. */
enum sq_conn_age {
	SQ_CONN_KEEP,
	SQ_CONN_DRAIN, /* end its deliveries response */
	SQ_CONN_END,   /* sq_conn_end() */
	SQ_CONN_KILL,  /* sq_conn_kill() */
};

struct sq_conn *sq_conn_of(h2o_req_t *);
/* Frees a closed connection if no call needs its memory any more. */
void sq_conn_release(struct sq_conn *);
/* The connection has a link whose identity ends at that time, in s since 1970; 0: never. */
void sq_conn_expires(struct sq_conn *, int64_t expires_s);
/* Asks for the link to move and closes the connection 'after_ms' later; 0: leaves it. */
void sq_conn_move(struct sq_conn *, uint64_t after_ms);
/* Closes the connection at once; h2o finishes from its loop. */
void sq_conn_kill(struct sq_conn *);
/* The connection has shown a good token, or needs none. */
void sq_conn_known(struct sq_conn *);
/* The connection has opened a link, or has lost it. */
void sq_conn_linked(struct sq_conn *, bool linked);
/* A token of the connection is being judged by broker/auth, or has been. */
void sq_conn_asked(struct sq_conn *, bool asked);
/* Ends the connection, with GOAWAY over HTTP/2, and counts the end. */
void sq_conn_end(struct sq_conn *, enum sq_end why);
/* Counts the end of a connection. */
void sq_conn_count(struct sq_front_worker *, enum sq_end why);
/* Checks the connection's time-outs, and asks its link to move if that is due.  '*why' is set with
 * SQ_CONN_END. */
enum sq_conn_age sq_conn_age(struct sq_conn *, uint64_t now_ms, enum sq_end *why);

#endif
