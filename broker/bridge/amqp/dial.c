/* The making of a connection to an AMQP peer: socket, TLS, login; see broker/bridge/amqp/peer.h.
 *
 * The login is our own, and not amqp_login(): that one tells neither why a peer refuses, nor a peer of
 * connection.blocked unless capabilities are merged by hand. */
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/bridge/amqp/peer_priv.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/tls.h"

enum {
	SECRET_MAX = 4096,
	FRAME_MIN = 4096,
	BEATS = 3, /* without an answer to what was sent: the connection is gone */
	SILENCE_MIN_MS = 30000,
};

/* TLS. */

/* Remembers what is wrong with the certificate, as librabbitmq does not say it. */
static int
dial_verified(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct sq_amqp_peer *p = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!ok)
		p->tls_error = X509_STORE_CTX_get_error(store);
	return ok;
}

/* Our own certificate, for the peer. */
static bool
dial_own(SSL_CTX *ctx, const struct sq_amqp_files *files, struct sq_buf *why)
{
	SSL_CTX *pair = sq_tls_pair(files->cert, files->key, why);
	STACK_OF(X509) *chain = NULL;
	bool ok;

	if (pair == NULL)
		return false;
	SSL_CTX_get0_chain_certs(pair, &chain);
	ok = SSL_CTX_use_cert_and_key(
		 ctx, SSL_CTX_get0_certificate(pair), SSL_CTX_get0_privatekey(pair), chain, 1) == 1;
	if (!ok)
		sq_tls_reason(NULL, why);
	SSL_CTX_free(pair);
	return ok;
}

/* The name, or the address, that the peer's certificate must have.  librabbitmq's own check knows no
 * addresses and takes the subject's name. */
static bool
dial_name(SSL_CTX *ctx, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	unsigned char address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, SQ_TLS_NAME_FLAGS);
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

static bool
dial_tls(struct sq_amqp_peer *p, amqp_socket_t *socket, const struct sq_amqp_files *files,
    const char *host, struct sq_buf *why)
{
	SSL_CTX *ctx = amqp_ssl_socket_get_context(socket), *trust = sq_tls_client(files->ca, why);

	if (trust == NULL)
		return false;
	SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(trust));
	SSL_CTX_free(trust);
	amqp_ssl_socket_set_verify_hostname(socket, 0);
	SSL_CTX_set_app_data(ctx, p);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, dial_verified);
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TLSv1_3);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	if (!dial_name(ctx, host)) {
		sq_tls_reason(NULL, why);
		return false;
	}
	return files->cert == NULL || dial_own(ctx, files, why);
}

static void
dial_once(void)
{
	amqp_set_initialize_ssl_library(0); /* OpenSSL does that itself */
}

/* Why a socket can't be opened. */
static int
dial_failed(struct sq_amqp_peer *p, int status, int error, struct sq_buf *why)
{
	if (p->tls_error != X509_V_OK) {
		sq_buf_printf(
		    why, "its certificate: %s", X509_verify_cert_error_string(p->tls_error));
		return sq_amqp_peer_fail(p, SQ_AMQP_TLS);
	}
	if (status == AMQP_STATUS_SSL_CONNECTION_FAILED || status == AMQP_STATUS_SSL_ERROR ||
	    status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED) {
		sq_buf_printf(why, "no TLS: ");
		sq_tls_reason(NULL, why);
		return sq_amqp_peer_fail(p, SQ_AMQP_TLS);
	}
	if (status == AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED)
		sq_buf_printf(why, "the name has no address");
	else if (status == AMQP_STATUS_TIMEOUT)
		sq_buf_printf(why, "no answer within %d s", SQ_AMQP_DIAL_MS / 1000);
	else if (error != 0 && error != EINPROGRESS && error != EAGAIN)
		sq_buf_printf(why, "%s", strerror(error));
	else
		sq_buf_printf(why, "the connection was refused, or there is no way to it");
	return sq_amqp_peer_fail(p, SQ_AMQP_UNREACHABLE);
}

static int
dial_connect(struct sq_amqp_peer *p, const struct sq_amqp_peer_cfg *cfg,
    const struct sq_amqp_url *url, struct sq_buf *why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct timeval patience = {.tv_sec = SQ_AMQP_DIAL_MS / 1000};
	amqp_socket_t *socket;
	int status;

	pthread_once(&once, dial_once);
	socket = url->tls ? amqp_ssl_socket_new(p->state) : amqp_tcp_socket_new(p->state);
	if (socket == NULL) {
		sq_buf_printf(why, "no socket can be made");
		return sq_amqp_peer_fail(p, SQ_AMQP_UNREACHABLE);
	}
	if (url->tls && !dial_tls(p, socket, &cfg->files, url->host, why))
		return sq_amqp_peer_fail(p, SQ_AMQP_FILES);
	ERR_clear_error();
	errno = 0;
	status = amqp_socket_open_noblock(socket, url->host, url->port, &patience);
	return status == AMQP_STATUS_OK ? SQ_OK : dial_failed(p, status, errno, why);
}

/* The login. */

static bool
dial_secret(const char *file, const char *key, struct sq_buf *out, struct sq_buf *why)
{
	int rc;

	(void)sq_buf_reserve(out, SECRET_MAX);
	rc = sq_file_read_secret(file, SECRET_MAX, out);
	if (rc != SQ_OK) {
		sq_buf_printf(why, "%s: %s: %s", key, file, sq_file_reason(rc));
		return false;
	}
	while (sq_buf_len(out) > 0 && strchr("\r\n", sq_buf_data(out)[sq_buf_len(out) - 1]) != NULL)
		out->end--;
	if (sq_buf_len(out) == 0 || memchr(sq_buf_data(out), '\0', sq_buf_len(out)) != NULL) {
		sq_buf_printf(why, "%s: %s: is empty, or has a NUL", key, file);
		return false;
	}
	return true;
}

/* "NUL user NUL password" (RFC 4616). */
static bool
dial_plain(const struct sq_amqp_files *files, struct sq_buf *out, struct sq_buf *why)
{
	struct sq_buf part = {0};
	bool ok;

	(void)sq_buf_reserve(out, 2 * SECRET_MAX + 2);
	ok = dial_secret(files->user, "credentials.user-file", &part, why);
	sq_buf_u8(out, 0);
	sq_buf_append(out, sq_buf_data(&part), sq_buf_len(&part));
	sq_buf_wipe(&part);
	part = (struct sq_buf){0};
	ok = ok && dial_secret(files->password, "credentials.password-file", &part, why);
	sq_buf_u8(out, 0);
	sq_buf_append(out, sq_buf_data(&part), sq_buf_len(&part));
	sq_buf_wipe(&part);
	return ok;
}

int
sq_amqp_files_check(const struct sq_amqp_files *files, struct sq_buf *err)
{
	struct sq_buf response = {0};
	SSL_CTX *ctx;
	bool ok = files->user == NULL || dial_plain(files, &response, err);

	sq_buf_wipe(&response);
	if (ok && files->ca != NULL) {
		ctx = sq_tls_client(files->ca, err);
		ok = ctx != NULL;
		SSL_CTX_free(ctx);
	}
	if (ok && files->cert != NULL) {
		ctx = sq_tls_pair(files->cert, files->key, err);
		ok = ctx != NULL;
		SSL_CTX_free(ctx);
	}
	return ok ? SQ_OK : SQ_EINVAL;
}

/* Whether a mechanism is among those of the peer. */
static bool
dial_offers(amqp_bytes_t list, const char *mechanism)
{
	const char *p = list.bytes, *end = p + list.len;
	size_t len = strlen(mechanism);

	while (p < end) {
		const char *space = memchr(p, ' ', (size_t)(end - p));
		size_t n = (size_t)((space != NULL ? space : end) - p);

		if (n == len && memcmp(p, mechanism, len) == 0)
			return true;
		p += n + 1;
	}
	return false;
}

static amqp_table_entry_t
dial_text(const char *key, const char *value)
{
	return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
	    .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

static amqp_table_entry_t
dial_can(const char *key)
{
	return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
	    .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
}

static int
dial_start_ok(struct sq_amqp_peer *p, const struct sq_amqp_peer_cfg *cfg, const char *mechanism,
    struct sq_bytes response, struct sq_buf *why)
{
	amqp_table_entry_t can[] = {dial_can("publisher_confirms"), dial_can("basic.nack"),
	    dial_can("consumer_cancel_notify"), dial_can("connection.blocked"),
	    dial_can("authentication_failure_close")};
	amqp_table_entry_t about[] = {dial_text("product", "SQMQOS"),
	    dial_text("version", cfg->user_agent),
	    {.key = amqp_cstring_bytes("capabilities"),
		.value = {.kind = AMQP_FIELD_KIND_TABLE,
		    .value.table = {sizeof can / sizeof *can, can}}}};
	amqp_connection_start_ok_t m = {.client_properties = {sizeof about / sizeof *about, about},
	    .mechanism = amqp_cstring_bytes(mechanism),
	    .response = {response.len, (void *)(uintptr_t)response.p},
	    .locale = amqp_cstring_bytes("en_US")};
	int status = amqp_send_method(p->state, 0, AMQP_CONNECTION_START_OK_METHOD, &m);

	return status == AMQP_STATUS_OK ? SQ_OK : sq_amqp_peer_broken(p, status, why);
}

/* From the header to start-ok. */
static int
dial_start(struct sq_amqp_peer *p, const struct sq_amqp_peer_cfg *cfg, struct sq_buf *why)
{
	const char *mechanism = cfg->files.user != NULL ? "PLAIN" : "EXTERNAL";
	const amqp_connection_start_t *start;
	struct sq_buf response = {0};
	amqp_method_t m;
	int rc;

	rc = amqp_send_header(p->state);
	if (rc != AMQP_STATUS_OK)
		return sq_amqp_peer_broken(p, rc, why);
	rc = sq_amqp_peer_await(p, 0, AMQP_CONNECTION_START_METHOD, &m, SQ_AMQP_REFUSED, why);
	if (rc != SQ_OK && p->trouble == SQ_AMQP_LOST)
		sq_buf_printf(why, ", before it said a word: a port for amqps, or not for AMQP?");
	if (rc != SQ_OK)
		return rc;
	start = m.decoded;
	if (start->version_major != 0 || start->version_minor != 9)
		return sq_amqp_peer_nonsense(p, "it has another version", why);
	if (!dial_offers(start->mechanisms, mechanism)) {
		sq_buf_printf(why, "it takes no login by %s", mechanism);
		return sq_amqp_peer_fail(p, SQ_AMQP_REFUSED);
	}
	sq_amqp_peer_done(p);
	if (cfg->files.user != NULL && !dial_plain(&cfg->files, &response, why)) {
		sq_buf_wipe(&response);
		return sq_amqp_peer_fail(p, SQ_AMQP_FILES);
	}
	rc = dial_start_ok(p, cfg, mechanism, sq_buf_bytes(&response), why);
	sq_buf_wipe(&response);
	return rc;
}

static int
dial_tune(struct sq_amqp_peer *p, struct sq_buf *why)
{
	amqp_connection_tune_ok_t ok = {.channel_max = SQ_AMQP_LOOK_CHANNEL,
	    .frame_max = SQ_AMQP_FRAME_MAX,
	    .heartbeat = (uint16_t)p->heartbeat_s};
	const amqp_connection_tune_t *tune;
	amqp_method_t m;
	int rc = sq_amqp_peer_await(p, 0, AMQP_CONNECTION_TUNE_METHOD, &m, SQ_AMQP_REFUSED, why);

	if (rc != SQ_OK)
		return rc;
	tune = m.decoded;
	if (tune->frame_max != 0 && tune->frame_max < ok.frame_max)
		ok.frame_max = tune->frame_max;
	if (ok.frame_max < FRAME_MIN)
		return sq_amqp_peer_nonsense(p, "its frames are too small", why);
	if (tune->channel_max != 0 && tune->channel_max < ok.channel_max)
		ok.channel_max = tune->channel_max;
	if (tune->heartbeat != 0 && tune->heartbeat < ok.heartbeat)
		ok.heartbeat = tune->heartbeat;
	sq_amqp_peer_done(p);
	p->frame_max = ok.frame_max;
	p->channels = ok.channel_max;
	p->heartbeat_s = ok.heartbeat;
	rc = amqp_tune_connection(p->state, ok.channel_max, (int)ok.frame_max, ok.heartbeat);
	if (rc == AMQP_STATUS_OK)
		rc = amqp_send_method(p->state, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok);
	return rc == AMQP_STATUS_OK ? SQ_OK : sq_amqp_peer_broken(p, rc, why);
}

static int
dial_login(struct sq_amqp_peer *p, const struct sq_amqp_peer_cfg *cfg,
    const struct sq_amqp_url *url, struct sq_buf *why)
{
	amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(url->vhost)};
	int rc = dial_start(p, cfg, why);

	if (rc == SQ_OK)
		rc = dial_tune(p, why);
	if (rc != SQ_OK)
		return rc;
	rc = amqp_send_method(p->state, 0, AMQP_CONNECTION_OPEN_METHOD, &open);
	if (rc != AMQP_STATUS_OK)
		return sq_amqp_peer_broken(p, rc, why);
	rc = sq_amqp_peer_await(p, 0, AMQP_CONNECTION_OPEN_OK_METHOD, NULL, SQ_AMQP_REFUSED, why);
	sq_amqp_peer_done(p);
	return rc;
}

/* What was sent and is not answered ends the connection, also where a full buffer holds up a send. */
static void
dial_socket(struct sq_amqp_peer *p)
{
	unsigned silence_ms = p->heartbeat_s * 1000 * BEATS;
	int fd = amqp_get_sockfd(p->state);

	if (silence_ms < SILENCE_MIN_MS)
		silence_ms = SILENCE_MIN_MS;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
}

struct sq_amqp_peer *
sq_amqp_peer_dial(const struct sq_amqp_peer_cfg *cfg, const struct sq_amqp_url *url,
    void (*opened)(void *arg, int fd), void *arg, enum sq_amqp_trouble *trouble, struct sq_buf *why)
{
	struct sq_amqp_peer *p = sq_xcalloc(1, sizeof *p);
	int rc;

	p->state = amqp_new_connection();
	p->heartbeat_s = cfg->heartbeat_s;
	if (p->state == NULL)
		abort(); /* as in core/mem.h */
	rc = dial_connect(p, cfg, url, why);
	if (rc == SQ_OK) {
		dial_socket(p);
		opened(arg, amqp_get_sockfd(p->state));
		rc = dial_login(p, cfg, url, why);
	}
	if (rc == SQ_OK)
		rc = sq_amqp_peer_open(p, why);
	if (rc == SQ_OK)
		return p;
	*trouble = p->trouble;
	opened(arg, -1);
	sq_amqp_peer_free(&p);
	return NULL;
}
