/* Certificates of clients: requested in the handshake, accepted unchecked, and judged by
 * broker/auth at a request without a token. */
#ifndef SQ_BROKER_FRONT_DOOR_PEER_H
#define SQ_BROKER_FRONT_DOOR_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "broker/auth/auth.h"

struct sq_conn;

/* Has the handshakes of a context request a client certificate; 'demand': a client without one is
 * refused. */
void sq_peer_ask(SSL_CTX *, bool demand);
/* Adds the client's certificate to the request; false: the client has shown none. */
bool sq_peer_shown(const struct sq_conn *, struct sq_auth_request *);

#endif
