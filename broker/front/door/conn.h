/* One connection: its standing, its time-outs and its end.  Calls no other part of the door but
 * watch.c and pass.c.  Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_DOOR_CONN_H
#define SQ_BROKER_FRONT_DOOR_CONN_H

#include "broker/front/door/part.h"

/* The action that a connection's age requires; conns.c takes it. */
enum sq_conn_age {
	SQ_CONN_KEEP,
	SQ_CONN_DRAIN, /* end its hold */
	SQ_CONN_END,   /* sq_conn_end() */
	SQ_CONN_KILL,  /* sq_conn_kill() */
};

enum { SQ_CONN_ADDRESS_MAX = 46 }; /* bytes of an address as text, with a NUL */

struct sq_conn *sq_conn_of(h2o_req_t *);
/* Writes the peer's address, "?" if it is not known any more; returns its port. */
unsigned sq_conn_address(const struct sq_conn *, char out[SQ_CONN_ADDRESS_MAX]);
/* Frees a closed connection if no call needs its memory any more. */
void sq_conn_release(struct sq_conn *);
/* When a hold ends whose identity ends at that time, in s since 1970; 0: never.  One that was taken
 * after that, as clocks differ, has what they may differ by. */
int64_t sq_conn_expires(int64_t expires_s);
/* Asks the peer to move and closes the connection 'after_ms' later; 0: leaves it. */
void sq_conn_move(struct sq_conn *, uint64_t after_ms);
/* The connection has shown a good token, or needs none. */
void sq_conn_known(struct sq_conn *);
/* The connection has a hold, or (NULL) has lost it. */
void sq_conn_set_hold(struct sq_conn *, struct sq_conn_hold *);
/* A token of the connection is being judged by broker/auth, or has been. */
void sq_conn_asked(struct sq_conn *, bool asked);
/* Ends the connection, with GOAWAY over HTTP/2, and counts the end. */
void sq_conn_end(struct sq_conn *, enum sq_end why);
/* Counts the end of a connection. */
void sq_conn_count(struct sq_door_part *, enum sq_end why);
/* Checks the connection's time-outs, and asks its peer to move if that is due.  '*why' is set with
 * SQ_CONN_END. */
enum sq_conn_age sq_conn_age(struct sq_conn *, uint64_t now_ms, enum sq_end *why);

#endif
