/* See broker/front/door/peer.h. */
#include "broker/front/door/peer.h"

#include <openssl/bio.h>
#include <openssl/x509_vfy.h>

#include "broker/front/door/part.h"

/* Notes the connection's TLS, which h2o has no function for: its BIO leads to the socket.  Of
 * the certificate the handshake itself proves that the client has its key. */
static int
peer_on_certificate(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	h2o_socket_t *sock = BIO_get_data(SSL_get_rbio(ssl));
	struct sq_conn *c = sock->on_close.data;

	(void)arg;
	c->peer = ssl;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

void
sq_peer_ask(SSL_CTX *ctx, bool demand)
{
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | (demand ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	SSL_CTX_set_cert_verify_callback(ctx, peer_on_certificate, NULL);
}

bool
sq_peer_shown(const struct sq_conn *c, struct sq_auth_request *r)
{
	if (c->sock == NULL || c->peer == NULL || !SSL_is_init_finished(c->peer))
		return false;
	r->cert = SSL_get0_peer_certificate(c->peer);
	r->chain = SSL_get_peer_cert_chain(c->peer);
	return r->cert != NULL;
}
