/* Certificates that clients show: asked for in the handshake, taken as they are, and judged by
 * broker/auth when a request comes that has no token. */
#ifndef SQ_BROKER_FRONT_LINK_PEER_H
#define SQ_BROKER_FRONT_LINK_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "broker/auth/auth.h"

struct sq_conn;

/* Has the handshakes of a context ask clients for a certificate; 'demand': those without
 * one are not let in. */
void sq_peer_ask(SSL_CTX *, bool demand);
/* Adds what the connection's client has shown to the request; false: nothing. */
bool sq_peer_shown(const struct sq_conn *, struct sq_auth_request *);

#endif
