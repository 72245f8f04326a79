/* A connection that is passed on: a peer's bytes to another broker, and that one's back.  TLS and
 * credentials end there: nothing is understood on the way.  Each way has at most one piece that the
 * other end has not taken yet, and nothing more is read meanwhile.  The end of a way goes on as one
 * (FIN); those of both, or an error of either socket, close both.  Thread: the loop's. */
#ifndef SQ_BROKER_FRONT_DOOR_PASS_H
#define SQ_BROKER_FRONT_DOOR_PASS_H

#include <h2o.h>
#include <stdint.h>

struct sq_owner_addresses;
struct sq_pass;

enum { SQ_PASS_PIECE = 16 << 10 };

/* Dials these addresses in turn for the peer, whose socket has not been read from.  Once one answers
 * the socket is the pass's, which frees itself as it closes the socket.  Until then 'failed' may be
 * called, once: none has answered, the pass is freed, and the socket is as it was.  NULL: none can
 * be dialled. */
struct sq_pass *sq_pass_start(h2o_loop_t *, h2o_socket_t *peer, const struct sq_owner_addresses *,
    void (*failed)(void *owner), void *owner);
/* Ends a dial that takes too long, and one that has carried nothing for 'idle_ms'; it is freed
 * then. */
void sq_pass_look(struct sq_pass *, uint64_t now_ms, uint64_t idle_ms);
/* Closes both sockets, and frees it. */
void sq_pass_end(struct sq_pass *);

#endif
