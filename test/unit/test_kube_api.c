/* net/kube_api: requests to a real TLS server, and what they must not follow. */
#include <criterion/criterion.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/https_server.h"
#include "../support/temp_dir.h"
#include "core/mem.h"
#include "net/kube_api/kube_api.h"

/* What the server saw last; read after the answer. */
static struct {
	char method[16], path[256], head[4096], body[256];
	unsigned connection, requests;
} seen;
static struct https_reply reply; /* what it says next */
static sem_t arrived;
static char *dir;
static struct https_server *server;
static struct sq_kube_api *api;
static struct sq_kube_api_answer answer;
static struct sq_buf err;

static void
handle(void *owner, const struct https_request *req, struct https_reply *out)
{
	(void)owner;
	snprintf(seen.method, sizeof seen.method, "%s", req->method);
	snprintf(seen.path, sizeof seen.path, "%s", req->path);
	snprintf(seen.head, sizeof seen.head, "%s", req->head);
	snprintf(seen.body, sizeof seen.body, "%.*s", (int)req->body_len, req->body);
	seen.connection = req->connection;
	seen.requests++;
	*out = reply;
	memset(&out->body, 0, sizeof out->body);
	if (sq_buf_len(&reply.body) > 0)
		sq_buf_append(&out->body, sq_buf_data(&reply.body), sq_buf_len(&reply.body));
	sem_post(&arrived);
}

static const char *
file(const char *name)
{
	static char paths[4][200];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(paths[i], sizeof paths[i], "%s/%s", dir, name);
	return paths[i];
}

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(file(name), "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void
setup(void)
{
	dir = temp_dir_new();
	https_certificate(dir);
	reply = (struct https_reply){.status = 200};
	sem_init(&arrived, 0, 0);
	write_file("token", "first\n");
}

static void
tidy(void)
{
	sq_kube_api_free(&api);
	https_stop(&server);
	sq_buf_fini(&answer.body);
	sq_buf_fini(&reply.body);
	sq_buf_fini(&err);
	temp_dir_free(&dir);
}

TestSuite(kube_api, .init = setup, .fini = tidy);

static const char *
error(void)
{
	sq_buf_u8(&err, 0);
	return (const char *)sq_buf_data(&err);
}

static void
serve(struct https_cfg cfg)
{
	cfg.dir = dir;
	cfg.handle = handle;
	server = https_start(&cfg);
}

/* A server of 'cfg', and an api that knows its address, CA and token. */
static void
connect_to(struct https_cfg cfg, size_t max_body)
{
	serve(cfg);
	api = sq_kube_api_new(&(struct sq_kube_api_cfg){.server = https_url(server),
				  .token_file = cfg.clear ? NULL : file("token"),
				  .ca_file = file("cert.pem"),
				  .max_body = max_body},
	    &err);
	cr_assert_not_null(api);
}

static int
get(const char *path)
{
	return sq_kube_api_do(
	    api, &(struct sq_kube_api_request){.method = "GET", .path = path}, &answer, &err);
}

static bool
answered(const char *text)
{
	return sq_buf_len(&answer.body) == strlen(text) &&
	    memcmp(sq_buf_data(&answer.body), text, strlen(text)) == 0;
}

Test(kube_api, asks_with_the_token_and_takes_the_answer_over_one_connection)
{
	connect_to((struct https_cfg){0}, 0);
	sq_buf_printf(&reply.body, "{\"keys\":[]}");
	cr_assert_eq(get("/openid/v1/jwks?x=1"), SQ_OK);
	cr_assert_eq(answer.status, 200);
	cr_assert(answered("{\"keys\":[]}"));
	cr_assert_str_eq(seen.method, "GET");
	cr_assert_str_eq(seen.path, "/openid/v1/jwks?x=1");
	cr_assert_not_null(strstr(seen.head, "\r\nAuthorization: Bearer first\r\n"));
	cr_assert_not_null(strstr(seen.head, "\r\nAccept: application/json, */*\r\n"));

	write_file("token", " second \n");
	sq_buf_drain(&reply.body, sq_buf_len(&reply.body));
	sq_buf_printf(&reply.body, "b");
	cr_assert_eq(get("/b"), SQ_OK);
	cr_assert(answered("b"));
	cr_assert_not_null(strstr(seen.head, "\r\nAuthorization: Bearer second\r\n"));
	cr_assert_eq(seen.connection, 1);
}

Test(kube_api, sends_bodies_and_then_asks_without_one)
{
	static const char *const methods[] = {"PUT", "PATCH", "POST"};

	connect_to((struct https_cfg){0}, 0);
	for (size_t i = 0; i < 3; i++) {
		struct sq_kube_api_request req = {.method = methods[i],
		    .path = "/api/v1/x",
		    .content_type = "application/json-patch+json",
		    .body = {(const unsigned char *)"[1]", 3}};

		reply.status = i == 0 ? 409 : 201;
		cr_assert_eq(sq_kube_api_do(api, &req, &answer, &err), SQ_OK);
		cr_assert_eq(answer.status, i == 0 ? 409 : 201);
		cr_assert_str_eq(seen.method, methods[i]);
		cr_assert_str_eq(seen.body, "[1]");
		cr_assert_not_null(
		    strstr(seen.head, "\r\nContent-Type: application/json-patch+json\r\n"));
	}
	cr_assert_eq(get("/y"), SQ_OK);
	cr_assert_str_eq(seen.method, "GET");
	cr_assert_str_eq(seen.body, "");
	cr_assert_null(strcasestr(seen.head, "content-type"));
	cr_assert_eq(seen.connection, 1);
}

Test(kube_api, takes_its_server_from_the_environment_and_ipv6_in_brackets)
{
	char port[8];

	serve((struct https_cfg){.host = "::1"});
	snprintf(port, sizeof port, "%u", https_port(server));
	cr_assert_null(sq_kube_api_new(&(struct sq_kube_api_cfg){0}, &err));
	cr_assert_not_null(strstr(error(), "KUBERNETES_SERVICE_HOST is not set"));
	setenv("KUBERNETES_SERVICE_HOST", "::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", port, 1);
	api = sq_kube_api_new(
	    &(struct sq_kube_api_cfg){.token_file = file("token"), .ca_file = file("cert.pem")},
	    &err);
	cr_assert_not_null(api);
	cr_assert_str_eq(sq_kube_api_server(api), https_url(server));
	cr_assert_eq(get("/version"), SQ_OK);
}

Test(kube_api, refuses_what_is_no_server)
{
	static const char *const bad[] = {"https://", "ftp://x", "file:///etc/passwd", "x y",
	    "https://u:p@h", "https://h/path", "https://h?q", "https://h#f", "h:6443"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_expect_null(sq_kube_api_new(&(struct sq_kube_api_cfg){.server = bad[i]}, &err),
		    "%s", bad[i]);
	sq_buf_fini(&err);
	cr_assert_null(sq_kube_api_new(
	    &(struct sq_kube_api_cfg){.server = "http://h:1", .token_file = file("token")}, &err));
	cr_assert_str_eq(error(), "http://h:1: a token is not sent in clear text");
	api = sq_kube_api_new(&(struct sq_kube_api_cfg){.server = "https://h:1/"}, &err);
	cr_assert_str_eq(sq_kube_api_server(api), "https://h:1");
}

Test(kube_api, follows_no_redirect)
{
	connect_to((struct https_cfg){0}, 0);
	reply.status = 302;
	reply.headers = "Location: /elsewhere\r\n";
	cr_assert_eq(get("/here"), SQ_OK);
	cr_assert_eq(answer.status, 302);
	cr_assert_str_eq(seen.path, "/here");
	cr_assert_eq(seen.requests, 1);
}

Test(kube_api, takes_no_proxy_from_the_environment)
{
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	connect_to((struct https_cfg){0}, 0);
	cr_assert_eq(get("/x"), SQ_OK, "%s", error());
}

Test(kube_api, believes_only_the_authority_of_its_file)
{
	serve((struct https_cfg){0});
	https_certificate(dir); /* another one, under the same names */
	api = sq_kube_api_new(&(struct sq_kube_api_cfg){.server = https_url(server),
				  .token_file = file("token"),
				  .ca_file = file("cert.pem")},
	    &err);
	cr_assert_eq(get("/x"), SQ_EIO);
	cr_assert_eq(seen.requests, 0);
	cr_assert_not_null(strstr(error(), "/x: SSL certificate problem"), "%s", error());
	cr_assert_eq(strncmp(error(), "GET https://127.0.0.1:", 22), 0);
}

/* RFC 9525 §2: a name in the subject is none; libcurl alone would take it. */
Test(kube_api, believes_no_name_that_is_in_the_subject_alone)
{
	char cmd[600], url[64];

	snprintf(cmd, sizeof cmd,
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    "-subj /CN=localhost -keyout %s/key.pem -out %s/cert.pem 2>/dev/null",
	    dir, dir);
	cr_assert_eq(system(cmd), 0);
	serve((struct https_cfg){0});
	snprintf(url, sizeof url, "https://localhost%s", strrchr(https_url(server), ':'));
	api = sq_kube_api_new(
	    &(struct sq_kube_api_cfg){
		.server = url, .token_file = file("token"), .ca_file = file("cert.pem")},
	    &err);
	cr_assert_eq(get("/x"), SQ_EIO);
	cr_assert_eq(seen.requests, 0);
	cr_assert_not_null(strstr(error(), "hostname mismatch"), "%s", error());
	sq_kube_api_free(&api);
	https_stop(&server);
	https_certificate(dir);
	serve((struct https_cfg){0});
	snprintf(url, sizeof url, "https://localhost%s", strrchr(https_url(server), ':'));
	api = sq_kube_api_new(
	    &(struct sq_kube_api_cfg){
		.server = url, .token_file = file("token"), .ca_file = file("cert.pem")},
	    &err);
	cr_assert_eq(get("/x"), SQ_OK, "%s", error());
}

Test(kube_api, takes_up_a_new_authority_at_the_next_connection)
{
	serve((struct https_cfg){0});
	cr_assert_eq(rename(file("cert.pem"), file("ca.pem")), 0);
	https_certificate(dir); /* 'ca.pem' is of the server that runs */
	api = sq_kube_api_new(&(struct sq_kube_api_cfg){.server = https_url(server),
				  .token_file = file("token"),
				  .ca_file = file("cert.pem")},
	    &err);
	cr_assert_eq(get("/x"), SQ_EIO);
	cr_assert_eq(rename(file("ca.pem"), file("cert.pem")), 0);
	cr_assert_eq(get("/x"), SQ_OK, "%s", error());
}

Test(kube_api, speaks_no_tls_below_1_2)
{
	connect_to((struct https_cfg){.max_version = TLS1_1_VERSION}, 0);
	cr_assert_eq(get("/x"), SQ_EIO);
	cr_assert_eq(seen.requests, 0);
	sq_kube_api_free(&api);
	https_stop(&server);
	connect_to((struct https_cfg){.max_version = TLS1_2_VERSION}, 0);
	cr_assert_eq(get("/x"), SQ_OK, "%s", error());
}

Test(kube_api, takes_no_answer_above_the_bound)
{
	connect_to((struct https_cfg){0}, 1000);
	memset(sq_buf_reserve(&reply.body, 1001), 'x', 1001);
	sq_buf_commit(&reply.body, 1000);
	cr_assert_eq(get("/x"), SQ_OK);
	cr_assert_eq(sq_buf_len(&answer.body), 1000);
	sq_buf_commit(&reply.body, 1);
	cr_assert_eq(get("/x"), SQ_ETOOBIG);
	cr_assert_not_null(strstr(error(), "/x: the answer is larger than 1000 bytes"));
}

Test(kube_api, says_what_is_wrong_with_the_token_file_and_asks_nothing)
{
	connect_to((struct https_cfg){0}, 0);
	write_file("token", "two words\n");
	cr_assert_eq(get("/x"), SQ_EINVAL);
	cr_assert_not_null(strstr(error(), "/token: it does not hold one token"), "%s", error());
	cr_assert_null(strstr(error(), "two words"));
	sq_buf_fini(&err);
	unlink(file("token"));
	cr_assert_eq(get("/x"), SQ_EIO);
	cr_assert_not_null(strstr(error(), "/token: No such file"), "%s", error());
	sq_buf_fini(&err);
	cr_assert_eq(get("x"), SQ_EINVAL);
	cr_assert_eq(get("/x y"), SQ_EINVAL);
	cr_assert_eq(get("/x\r\nX: y"), SQ_EINVAL);
	cr_assert_eq(seen.requests, 0);
}

static void *
run_get(void *arg)
{
	*(int *)arg = get("/x");
	return NULL;
}

Test(kube_api, stops_at_once_in_the_middle_of_a_request)
{
	pthread_t thread;
	int rc = 0;

	connect_to((struct https_cfg){0}, 0);
	reply.silent = true;
	pthread_create(&thread, NULL, run_get, &rc);
	sem_wait(&arrived);
	sq_kube_api_stop(api);
	pthread_join(thread, NULL);
	cr_assert_eq(rc, SQ_ECLOSED);
	cr_assert_not_null(strstr(error(), "/x: stopped"));
	cr_assert_eq(get("/y"), SQ_ECLOSED);
	cr_assert_eq(seen.requests, 1);
}

Test(kube_api, gives_up_on_a_server_that_says_nothing)
{
	serve((struct https_cfg){0});
	reply.silent = true;
	api = sq_kube_api_new(
	    &(struct sq_kube_api_cfg){
		.server = https_url(server), .ca_file = file("cert.pem"), .timeout_ms = 100},
	    &err);
	cr_assert_eq(get("/x"), SQ_EIO);
	cr_assert_not_null(strstr(error(), "timed out"), "%s", error());
	reply.silent = false;
	cr_assert_eq(get("/x"), SQ_OK, "%s", error());
}

Test(kube_api, explains_an_answer_in_one_line)
{
	struct sq_kube_api_request req = {.method = "GET", .path = "/api/v1/secrets"};

	connect_to((struct https_cfg){.clear = true}, 0);
	reply.status = 403;
	sq_buf_printf(&reply.body, "{\"kind\":\"Status\",\"message\":\"secrets is\\nforbidden\"}");
	cr_assert_eq(sq_kube_api_do(api, &req, &answer, &err), SQ_OK);
	sq_kube_api_explain(api, &req, &answer, &err);
	cr_assert_not_null(
	    strstr(error(), "/api/v1/secrets: status 403: secrets is forbidden"), "%s", error());
	sq_buf_fini(&err);
	sq_buf_drain(&answer.body, sq_buf_len(&answer.body));
	sq_buf_printf(&answer.body, "<html>\ngateway");
	sq_kube_api_explain(api, &req, &answer, &err);
	cr_assert_not_null(strstr(error(), "status 403: <html> gateway"), "%s", error());
}
