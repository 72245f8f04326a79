/* net/curl/out over TLS: whom it trusts, and HTTP/2 by ALPN. */
#include <criterion/criterion.h>

#include <openssl/ssl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/asks.h"
#include "../support/h2_server.h"
#include "../support/https_server.h"
#include "../support/sink.h"
#include "../support/temp_dir.h"

static struct sq_out *out;
static struct sink *sink;
static struct sq_buf err;
static char *dir, *other_dir;
static char cert[300], key[300], other_cert[300], ca[300];
static struct sq_out_way way;

static void
copy(const char *from, const char *to)
{
	char cmd[700];

	(void)snprintf(cmd, sizeof cmd, "cp %s %s", from, to);
	cr_assert_eq(system(cmd), 0);
}

static void
begin(const struct sink_cfg *cfg)
{
	struct sink_cfg c = *cfg;

	dir = temp_dir_new();
	other_dir = temp_dir_new();
	https_certificate(dir);
	https_certificate(other_dir);
	(void)snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	(void)snprintf(key, sizeof key, "%s/key.pem", dir);
	(void)snprintf(ca, sizeof ca, "%s/ca.pem", dir);
	(void)snprintf(other_cert, sizeof other_cert, "%s/cert.pem", other_dir);
	copy(cert, ca);
	c.cert = cert;
	c.key = key;
	c.client_ca = cfg->client_ca != NULL ? cert : NULL;
	sink = sink_start(&c);
	out = sq_out_new(&(struct sq_out_cfg){.user_agent = "test"}, &err);
	cr_assert_not_null(out);
	way = (struct sq_out_way){.ca_file = ca};
}

static void
end(void)
{
	sq_out_free(&out);
	sink_stop(&sink);
	temp_dir_free(&dir);
	temp_dir_free(&other_dir);
}

static enum sq_out_end
ask_host(const struct sq_out_way *by, const char *host)
{
	char url[200];

	(void)snprintf(url, sizeof url, "https://%s:%u/", host, sink_port(sink));
	return ask_once(out, by, url);
}

Test(out_tls, whom_it_trusts)
{
	const struct sq_out_way system = {0}, other = {.ca_file = other_cert};

	begin(&(struct sink_cfg){0});
	cr_expect_eq(ask_host(&system, "127.0.0.1"), SQ_OUT_UNREACHABLE, "signed by itself");
	cr_expect_eq(ask_host(&other, "127.0.0.1"), SQ_OUT_UNREACHABLE);
	cr_expect_eq(sink_requests(sink), 0);
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	cr_expect_eq(ask_host(&way, "localhost"), SQ_OUT_ANSWERED);
	cr_expect_eq(ask_host(&system, "127.0.0.1"), SQ_OUT_UNREACHABLE, "not by a pooled one");
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	end();
}

Test(out_tls, a_certificate_of_another_host)
{
	begin(&(struct sink_cfg){.host = "127.0.0.2"});
	cr_expect_eq(ask_host(&way, "127.0.0.2"), SQ_OUT_UNREACHABLE);
	end();
}

Test(out_tls, a_certificate_that_names_its_host_in_the_subject_alone)
{
	char cmd[2000];

	begin(&(struct sink_cfg){0});
	sink_stop(&sink);
	(void)snprintf(cmd, sizeof cmd,
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
	    "/CN=localhost -keyout %s -out %s 2>/dev/null && cp %s %s",
	    key, cert, cert, ca);
	cr_assert_eq(system(cmd), 0);
	sink = sink_start(&(struct sink_cfg){.cert = cert, .key = key});
	cr_expect_eq(ask_host(&way, "localhost"), SQ_OUT_UNREACHABLE);
	cr_expect_eq(sink_requests(sink), 0);
	end();
}

Test(out_tls, no_old_versions)
{
	begin(&(struct sink_cfg){.max_version = TLS1_1_VERSION});
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_UNREACHABLE);
	end();
}

Test(out_tls, files_that_are_not_there)
{
	const struct sq_out_way no_ca = {.ca_file = "/none/ca.pem"};
	const struct sq_out_way no_cert = {
	    .ca_file = ca, .cert_file = "/none/cert.pem", .key_file = "/none/key.pem"};
	const struct sq_out_way good = {.ca_file = ca};

	begin(&(struct sink_cfg){0});
	cr_expect_eq(ask_host(&no_ca, "127.0.0.1"), SQ_OUT_INVALID);
	cr_expect_eq(ask_host(&no_cert, "127.0.0.1"), SQ_OUT_INVALID);
	cr_expect_eq(ask_host(&good, "127.0.0.1"), SQ_OUT_ANSWERED);
	end();
}

static bool
serve_once(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner, (void)req;
	(void)sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	return false;
}

Test(out_tls, its_authorities_are_read_at_each_connection)
{
	begin(&(struct sink_cfg){.serve = serve_once});
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	copy(other_cert, ca);
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_UNREACHABLE);
	copy(cert, ca);
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	end();
}

Test(out_tls, a_certificate_of_the_client)
{
	begin(&(struct sink_cfg){.client_ca = "its own"});
	cr_expect_neq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	cr_expect_eq(sink_requests(sink), 0);
	way.cert_file = cert;
	way.key_file = key;
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	way.cert_file = way.key_file = NULL;
	cr_expect_neq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED, "not by a pooled one");
	end();
}

enum { TOGETHER = 16 };

/* Answers when so many requests are there, each over a connection of its own, and ends these as a server
 * does that has had enough of idle ones: what the client has of them looks alive. */
static bool
serve_together(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	atomic_uint *n = owner;

	if (req->connection > TOGETHER)
		return sink_say(c, ok);
	atomic_fetch_add(n, 1);
	while (atomic_load(n) < TOGETHER && !sink_is_stopped(c))
		sched_yield();
	(void)sink_say(c, ok);
	return false;
}

static bool
all_closed(void *arg)
{
	(void)arg;
	return sink_open(sink) == 0;
}

Test(out_tls, connections_that_the_server_has_ended_fail_no_request)
{
	struct ask asks[TOGETHER] = {0};
	atomic_uint n = 0;

	begin(&(struct sink_cfg){.serve = serve_together, .owner = &n});
	for (unsigned wave = 0; wave < 2; wave++) {
		for (unsigned i = 0; i < TOGETHER; i++) {
			ask_init(&asks[i], &way, "https://127.0.0.1:%u/", sink_port(sink));
			sq_out_send(out, &asks[i].req);
		}
		for (unsigned i = 0; i < TOGETHER; i++) {
			cr_expect_eq(
			    ask_wait(&asks[i]), SQ_OUT_ANSWERED, "%u: %s", wave, asks[i].req.why);
			ask_fini(&asks[i]);
		}
		cr_assert(wave > 0 || await(all_closed, NULL));
	}
	cr_expect_eq(sink_requests(sink), 2 * TOGETHER);
	end();
}

Test(out_tls, http2_is_offered_where_it_is_wanted)
{
	char offered[64];

	begin(&(struct sink_cfg){.serve = serve_once});
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	sink_offered(sink, offered, sizeof offered);
	cr_expect_str_eq(offered, "http/1.1");
	way.http2 = true;
	cr_expect_eq(ask_host(&way, "127.0.0.1"), SQ_OUT_ANSWERED);
	sink_offered(sink, offered, sizeof offered);
	cr_expect_str_eq(offered, "h2,http/1.1");
	end();
}

enum { MANY = 200 };

/* Requests that are sent at once: by the thread itself, as another has ended. */
static struct ask burst[MANY];

static void
send_burst(struct sq_out_request *req)
{
	for (unsigned i = 0; i < MANY; i++)
		sq_out_send(out, &burst[i].req);
	sem_post(&SQ_CONTAINER_OF(req, struct ask, req)->done);
}

static void
ask_burst(const char *url)
{
	struct ask first;

	way.http2 = true;
	for (unsigned i = 0; i < MANY; i++)
		ask_init(&burst[i], &way, "%s", url);
	ask_init(&first, &way, "https://127.0.0.1:1/");
	first.req.done = send_burst;
	cr_expect_eq(ask(out, &first), SQ_OUT_UNREACHABLE);
	ask_fini(&first);
	for (unsigned i = 0; i < MANY; i++)
		cr_expect_eq(ask_wait(&burst[i]), SQ_OUT_ANSWERED, "%s", burst[i].req.why);
}

static void
end_burst(void)
{
	for (unsigned i = 0; i < MANY; i++)
		ask_fini(&burst[i]);
	end();
}

Test(out_tls, requests_share_a_connection_of_http2)
{
	struct h2_server *server;
	char url[64];

	begin(&(struct sink_cfg){0});
	server = h2_server_start(&(struct h2_server_cfg){.cert = cert, .key = key});
	(void)snprintf(url, sizeof url, "https://127.0.0.1:%u/echo", h2_server_port(server));
	ask_burst(url);
	for (unsigned i = 0; i < MANY; i++)
		cr_expect(sq_buf_len(&burst[i].req.answer) == 5 &&
		    memcmp(sq_buf_data(&burst[i].req.answer), "hello", 5) == 0);
	cr_expect_eq(h2_server_stats(server).connections, 1);
	sq_out_free(&out);
	h2_server_stop(&server);
	end_burst();
}

Test(out_tls, where_there_is_no_http2_it_is_several_connections)
{
	char url[64];

	begin(&(struct sink_cfg){0});
	(void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", sink_port(sink));
	ask_burst(url);
	cr_expect_gt(sink_connections(sink), 1);
	cr_expect_leq(sink_connections(sink), 64);
	end_burst();
}
