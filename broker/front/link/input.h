/* What comes in on a connection, looked at before h2o sees it.  A part of the front
 * (front_priv.h).
 *
 * h2o 2.2.5 has no hook there: the callback that it sets on its socket is replaced by ours,
 * which calls it.  h2o sets it anew whenever it begins to read again, so ours is put back
 * at the end of each turn, before the socket is polled.  The bytes are plain, also with
 * TLS. */
#ifndef SQ_BROKER_FRONT_LINK_INPUT_H
#define SQ_BROKER_FRONT_LINK_INPUT_H

#include <h2o.h>

#include "broker/front/link/toll.h"
#include "core/list.h"

struct sq_conn;
struct sq_front_worker;

struct sq_input {
	enum { SQ_INPUT_NEW, SQ_INPUT_HTTP1, SQ_INPUT_HTTP2 } protocol;
	h2o_socket_cb next;    /* h2o's callback */
	struct sq_list unread; /* of its worker, while h2o doesn't read */
	struct sq_toll toll;   /* HTTP/2 */
	bool preface;          /* HTTP/2: it has come */
	bool turning;          /* h2o's callback runs */
	size_t head;           /* HTTP/1.1: bytes of the request's head; 0: it isn't whole */
};

/* Begins: by TLS and ALPN, or in the clear by what comes first. */
void sq_input_start(struct sq_conn *);
/* Puts ours back, where h2o has set its own.  After whatever h2o may have stopped to read
 * for; the rest is sq_inputs_turn()'s. */
void sq_input_watch(struct sq_conn *);
/* Reads again from one that was stopped by us, not by h2o. */
void sq_input_read(struct sq_conn *);
/* At the end of each turn of the loop. */
void sq_inputs_turn(struct sq_front_worker *);
/* h2o has taken in a request. */
void sq_input_request(struct sq_conn *, h2o_req_t *);
/* Says what the connection holds, and ends it where a stranger may not hold that. */
void sq_input_account(struct sq_conn *);

#endif
