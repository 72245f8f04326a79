/* The floor of ./dev bench --http: an h2o that reads a request's body and answers 200 with some
 * bytes of JSON, over HTTP/1.1 and HTTP/2, on one thread.  What is asked of /v1/queues/... has the
 * length of 100 messages; with a time to wait in its query there is no answer.
 *
 *   bench_bare_http PORT [TLS-PORT CERT-FILE KEY-FILE] */
#include <errno.h>
#include <signal.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <h2o/http2.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char answer[] =
    "{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\",\"outcome\":\"stored\",\"matched\":1,\"qos\":1}\n";

enum { MESSAGE_BYTES = 330, MESSAGES = 100 };

static h2o_globalconf_t conf;
static h2o_context_t context;
static h2o_accept_ctx_t accepting = {.ctx = &context, .hosts = NULL};
static h2o_accept_ctx_t accepting_tls = {.ctx = &context, .hosts = NULL};
static char messages[MESSAGES * MESSAGE_BYTES];

static bool
bare_begins(const h2o_req_t *req, const char *with)
{
	return req->path.len >= strlen(with) && memcmp(req->path.base, with, strlen(with)) == 0;
}

static int
bare_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	static h2o_generator_t generator;
	h2o_iovec_t body = {(char *)(uintptr_t)answer, sizeof answer - 1};

	(void)self;
	if (bare_begins(req, "/v1/queues/") &&
	    memmem(req->path.base, req->path.len, "wait=", 5) != NULL)
		return 0;
	if (bare_begins(req, "/v1/queues/") &&
	    memmem(req->path.base, req->path.len, "receive", 7) != NULL)
		body = h2o_iovec_init(messages, sizeof messages);
	req->res.status = 200;
	req->res.reason = "OK";
	req->res.content_length = body.len;
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
	    H2O_STRLIT("application/json"));
	h2o_start_response(req, &generator);
	h2o_send(req, &body, 1, H2O_SEND_STATE_FINAL);
	return 0;
}

static void
bare_on_accept(h2o_socket_t *listener, const char *err)
{
	h2o_socket_t *sock;

	if (err == NULL && (sock = h2o_evloop_socket_accept(listener)) != NULL)
		h2o_accept(listener->data, sock);
}

static int
bare_listen(unsigned port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, SOMAXCONN) != 0) {
		fprintf(stderr, "bench_bare_http: port %u: %s\n", port, strerror(errno));
		exit(1);
	}
	return fd;
}

static void
bare_serve(const char *port, h2o_accept_ctx_t *ctx)
{
	h2o_socket_t *listener = h2o_evloop_socket_create(
	    context.loop, bare_listen((unsigned)atoi(port)), H2O_SOCKET_FLAG_DONT_READ);

	ctx->hosts = conf.hosts;
	listener->data = ctx;
	h2o_socket_read_start(listener, bare_on_accept);
}

/* As the broker has it: TLS 1.3, with idle buffers given back. */
static SSL_CTX *
bare_tls(const char *cert, const char *key)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "bench_bare_http: %s, %s: not taken\n", cert, key);
		exit(1);
	}
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(tls, 0);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
	h2o_ssl_register_alpn_protocols(tls, h2o_http2_alpn_protocols);
	return tls;
}

int
main(int argc, char **argv)
{
	h2o_hostconf_t *host;

	if (argc != 2 && argc != 5) {
		fprintf(stderr, "usage: bench_bare_http PORT [TLS-PORT CERT-FILE KEY-FILE]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* what OpenSSL writes to who has gone */
	memset(messages, ' ', sizeof messages);
	h2o_config_init(&conf);
	host = h2o_config_register_host(&conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req =
	    bare_on_req;
	h2o_context_init(&context, h2o_evloop_create(), &conf);
	bare_serve(argv[1], &accepting);
	if (argc == 5) {
		accepting_tls.ssl_ctx = bare_tls(argv[3], argv[4]);
		bare_serve(argv[2], &accepting_tls);
	}
	while (h2o_evloop_run(context.loop, INT32_MAX) == 0)
		;
	return 1;
}
