/* The floor of ./dev bench --http: an h2o that reads a request's body and answers 200 with some
 * bytes of JSON, in the clear, over HTTP/1.1 and HTTP/2, on one thread.
 *
 *   bench_bare_http PORT */
#include <errno.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <h2o/http2.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char answer[] =
    "{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\",\"outcome\":\"stored\",\"matched\":1,\"qos\":1}\n";

static h2o_globalconf_t conf;
static h2o_context_t context;
static h2o_accept_ctx_t accepting = {.ctx = &context, .hosts = NULL};

static int
bare_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	static h2o_generator_t generator;
	h2o_iovec_t body = {(char *)(uintptr_t)answer, sizeof answer - 1};

	(void)self;
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
		h2o_accept(&accepting, sock);
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

int
main(int argc, char **argv)
{
	h2o_hostconf_t *host;
	h2o_socket_t *listener;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_bare_http PORT\n");
		return 2;
	}
	h2o_config_init(&conf);
	host = h2o_config_register_host(&conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req =
	    bare_on_req;
	h2o_context_init(&context, h2o_evloop_create(), &conf);
	accepting.hosts = conf.hosts;
	listener = h2o_evloop_socket_create(
	    context.loop, bare_listen((unsigned)atoi(argv[1])), H2O_SOCKET_FLAG_DONT_READ);
	h2o_socket_read_start(listener, bare_on_accept);
	while (h2o_evloop_run(context.loop, INT32_MAX) == 0)
		;
	return 1;
}
