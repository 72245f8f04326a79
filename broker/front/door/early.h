/* Requests that are refused before they have come whole: their bodies are larger than the service takes,
 * as their heads say or as has shown by now, or over HTTP/1.1 their heads are too large.  The service
 * answers as it always does.
 *
 * Over HTTP/1.1 h2o sees a request without a body, and the connection ends with the answer.  Over HTTP/2
 * the stream alone ends: its answer, then RST_STREAM with NO_ERROR, so that the peer sends no more
 * (RFC 9113, 8.1).  Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_DOOR_EARLY_H
#define SQ_BROKER_FRONT_DOOR_EARLY_H

#include <h2o.h>
#include <stdbool.h>

struct sq_conn;
struct sq_door_part;
struct sq_service;

/* HTTP/1.1: looks at a whole head, before h2o does. */
void sq_early_head(struct sq_conn *);
/* HTTP/1.1: the head at the begin of the input is too large, or has too many fields; h2o gets another in
 * its place.  False: it is too strange for that. */
bool sq_early_blank_head(struct sq_conn *);
/* HTTP/2: looks at requests whose heads h2o has. */
void sq_early_streams(struct sq_conn *);
/* h2o has handed over a request: whether it is refused here, by its service. */
bool sq_early_refuse(struct sq_conn *, h2o_req_t *, struct sq_service *);
/* Ends streams whose answers have gone; at the end of each turn. */
void sq_early_turn(struct sq_door_part *);

#endif
