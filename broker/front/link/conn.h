/* One connection: its standing, its times and its end.  It calls none of the other parts.  Thread:
 * the connection's. */
#ifndef SQ_BROKER_FRONT_LINK_CONN_H
#define SQ_BROKER_FRONT_LINK_CONN_H

#include "broker/front/link/part.h"

/* What the age of a connection asks for; carried out by conns.c. */
enum sq_conn_age {
	SQ_CONN_KEEP,
	SQ_CONN_DRAIN, /* its deliveries end */
	SQ_CONN_END,   /* sq_conn_end() */
	SQ_CONN_KILL,  /* sq_conn_kill() */
};

struct sq_conn *sq_conn_of(h2o_req_t *);
/* The caller was the last to need a closed connection's memory, maybe. */
void sq_conn_release(struct sq_conn *);
/* It has a link now, whose identity ends at that time. */
void sq_conn_expires(struct sq_conn *, int64_t expires_s);
/* Asks for the link to move and closes the connection 'after_ms' later; 0: leaves it. */
void sq_conn_move(struct sq_conn *, uint64_t after_ms);
/* Ends it at once; h2o does the rest from its loop. */
void sq_conn_kill(struct sq_conn *);
/* The connection has shown a good token, or what stands for one where nobody is asked. */
void sq_conn_known(struct sq_conn *);
/* It has a link from now on, or has none any more. */
void sq_conn_linked(struct sq_conn *, bool linked);
/* A token of it is with broker/auth from now on, or is not any more. */
void sq_conn_asked(struct sq_conn *, bool asked);
/* Ends it, counted: with GOAWAY where it speaks HTTP/2. */
void sq_conn_end(struct sq_conn *, enum sq_end why);
/* Counts only. */
void sq_conn_count(struct sq_front_worker *, enum sq_end why);
/* Looks at its times, and asks for its link to move where it is time for that.  '*why': with
 * SQ_CONN_END. */
enum sq_conn_age sq_conn_age(struct sq_conn *, uint64_t now_ms, enum sq_end *why);

#endif
