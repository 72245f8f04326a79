/* net/curl/out and names: the getaddrinfo() here stands before the system's for sq_out, but not for
 * libcurl, to which these names are unknown. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/asks.h"
#include "../support/sink.h"

static const struct sq_out_way plain = {0};
static struct sq_out *out;
static struct sink *sink;
static struct sq_buf err;

/* The names: "hang-N.test" hang until 'open', "none.test" is none, any other leads to 127.0.0.1. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool open_all;
static unsigned looks, hanging, most_hanging;
static int failure; /* of known names */

int
getaddrinfo(
    const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct {
		struct addrinfo info;
		struct sockaddr_in at;
	} * a;
	int rc;

	(void)service, (void)hints;
	pthread_mutex_lock(&lock);
	looks++;
	if (strncmp(name, "hang-", 5) == 0) {
		hanging++;
		most_hanging = hanging > most_hanging ? hanging : most_hanging;
		while (!open_all)
			pthread_cond_wait(&opened, &lock);
		hanging--;
	}
	rc = strncmp(name, "none.test", 9) == 0 ? EAI_NONAME : failure;
	pthread_mutex_unlock(&lock);
	if (rc != 0)
		return rc;
	a = calloc(1, sizeof *a);
	a->at.sin_family = AF_INET;
	a->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a->info.ai_family = AF_INET;
	a->info.ai_addr = (struct sockaddr *)&a->at;
	a->info.ai_addrlen = sizeof a->at;
	*res = &a->info;
	return 0;
}

void
freeaddrinfo(struct addrinfo *res)
{
	free(res);
}

static unsigned
value(const unsigned *of)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = *of;
	pthread_mutex_unlock(&lock);
	return n;
}

static void
begin(unsigned lookups)
{
	sink = sink_start(&(struct sink_cfg){0});
	out = sq_out_new(&(struct sq_out_cfg){.user_agent = "test", .lookups = lookups}, &err);
	cr_assert_not_null(out);
}

static void
let_go(void)
{
	pthread_mutex_lock(&lock);
	open_all = true;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&lock);
}

static bool
none_hangs(void *arg)
{
	(void)arg;
	return value(&hanging) == 0;
}

static void
end(void)
{
	let_go();
	sq_out_free(&out);
	sink_stop(&sink);
	cr_expect(await(none_hangs, NULL));
}

static enum sq_out_end
ask_host(const struct sq_out_way *way, const char *host)
{
	char url[200];

	(void)snprintf(url, sizeof url, "http://%s:%u/", host, sink_port(sink));
	return ask_once(out, way, url);
}

static unsigned wanted;

static bool
have_looked(void *arg)
{
	(void)arg;
	return value(&looks) >= wanted;
}

static bool
hang(void *arg)
{
	(void)arg;
	return value(&hanging) >= wanted;
}

enum { NAMES = 40 };

static struct ask *
send_hanging(unsigned n, const struct sq_out_way *way, uint32_t timeout_ms)
{
	struct ask *a = calloc(n, sizeof *a);

	for (unsigned i = 0; i < n; i++) {
		ask_init(&a[i], way, "http://hang-%s%u.test:%u/",
		    way->owner != NULL ? way->owner : "", i, sink_port(sink));
		a[i].req.timeout_ms = a[i].req.connect_ms = timeout_ms;
		sq_out_send(out, &a[i].req);
	}
	return a;
}

Test(out_names, a_name_is_looked_up_once)
{
	begin(0);
	for (unsigned i = 0; i < 5; i++)
		cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_ANSWERED);
	cr_expect_eq(ask_host(&plain, "KNOWN.test"), SQ_OUT_ANSWERED);
	cr_expect_eq(value(&looks), 1);
	cr_expect_eq(ask_host(&plain, "dot.test."), SQ_OUT_ANSWERED);
	cr_expect_eq(ask_host(&plain, "dot.test."), SQ_OUT_ANSWERED);
	cr_expect_eq(value(&looks), 2);
	end();
}

Test(out_names, those_who_wait_share_a_lookup)
{
	struct ask a[20];

	begin(0);
	for (unsigned i = 0; i < 20; i++) {
		ask_init(&a[i], &plain, "http://hang-x.test:%u/", sink_port(sink));
		sq_out_send(out, &a[i].req);
	}
	wanted = 1;
	cr_assert(await(hang, NULL));
	cr_expect_eq(ask_host(&plain, "127.0.0.1"), SQ_OUT_ANSWERED);
	cr_expect_eq(sq_out_count(out).lookups, 1);
	let_go();
	for (unsigned i = 0; i < 20; i++) {
		cr_expect_eq(ask_wait(&a[i]), SQ_OUT_ANSWERED, "%s", a[i].req.why);
		ask_fini(&a[i]);
	}
	cr_expect_eq(value(&looks), 1);
	end();
}

Test(out_names, a_name_that_does_not_exist)
{
	struct ask a;

	begin(0);
	ask_init(&a, &plain, "http://none.test:%u/", sink_port(sink));
	cr_expect_eq(ask(out, &a), SQ_OUT_UNREACHABLE);
	cr_expect_not_null(strstr(a.req.why, "none.test: "), "%s", a.req.why);
	cr_expect_eq(ask(out, &a), SQ_OUT_UNREACHABLE);
	cr_expect_eq(value(&looks), 2, "it may exist by now");
	ask_fini(&a);
	end();
}

Test(out_names, lookups_that_hang_hold_up_nobody_else)
{
	struct ask *a;

	begin(0);
	cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_ANSWERED);
	a = send_hanging(NAMES, &plain, 60000);
	wanted = 32;
	cr_assert(await(hang, NULL));
	cr_expect_eq(sq_out_count(out).lookups, 32);
	for (unsigned i = 0; i < 5; i++) {
		cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_ANSWERED);
		cr_expect_eq(ask_host(&plain, "127.0.0.1"), SQ_OUT_ANSWERED);
		sq_out_cancel(out, &a[i].req);
		cr_expect_eq(ask_wait(&a[i]), SQ_OUT_CANCELLED);
	}
	cr_expect_eq(value(&most_hanging), 32, "at most so many at a time");
	let_go();
	for (unsigned i = 5; i < NAMES; i++)
		cr_expect_eq(ask_wait(&a[i]), SQ_OUT_ANSWERED, "%s", a[i].req.why);
	for (unsigned i = 0; i < NAMES; i++)
		ask_fini(&a[i]);
	free(a);
	end();
}

Test(out_names, time_passes_while_a_name_is_looked_up)
{
	struct ask *a, late;

	begin(0);
	a = send_hanging(NAMES, &plain, 200);
	for (unsigned i = 0; i < NAMES; i++) {
		/* Those whose lookups have never begun have never been tried. */
		cr_expect_eq(ask_wait(&a[i]), i < 32 ? SQ_OUT_TIMEOUT : SQ_OUT_CROWDED, "%u", i);
		ask_fini(&a[i]);
	}
	free(a);
	cr_expect_eq(sq_out_count(out).lookups, 32, "they hang still");
	ask_init(&late, &plain, "http://new.test:%u/", sink_port(sink));
	late.req.timeout_ms = 200;
	cr_expect_eq(ask(out, &late), SQ_OUT_CROWDED, "for want of a lookup");
	cr_expect_eq(ask_host(&plain, "127.0.0.1"), SQ_OUT_ANSWERED);
	wanted = 32;
	cr_assert(await(hang, NULL));
	sq_out_free(&out); /* waits for none of them */
	cr_expect_eq(value(&hanging), 32);
	ask_fini(&late);
	end();
}

Test(out_names, an_owner_has_a_quarter_of_the_lookups)
{
	const struct sq_out_way bad = {.owner = "bad"}, good = {.owner = "good"};
	struct ask *a;

	begin(8);
	a = send_hanging(NAMES, &bad, 60000);
	wanted = 2;
	cr_assert(await(hang, NULL));
	cr_expect_eq(ask_host(&good, "new.test"), SQ_OUT_ANSWERED);
	cr_expect_eq(value(&most_hanging), 2);
	for (unsigned i = 0; i < NAMES; i++)
		sq_out_cancel(out, &a[i].req);
	for (unsigned i = 0; i < NAMES; i++) {
		cr_expect_eq(ask_wait(&a[i]), SQ_OUT_CANCELLED);
		ask_fini(&a[i]);
	}
	free(a);
	end();
}

static bool
deny(const struct sq_out_way *way, const struct sockaddr *a)
{
	(void)way, (void)a;
	return false;
}

Test(out_names, what_a_name_leads_to_is_judged)
{
	const struct sq_out_way way = {.allows = deny};

	begin(0);
	cr_expect_eq(ask_host(&way, "rebound.test"), SQ_OUT_FORBIDDEN);
	cr_expect_eq(sink_connections(sink), 0);
	cr_expect_eq(ask_host(&plain, "rebound.test"), SQ_OUT_ANSWERED);
	cr_expect_eq(ask_host(&way, "rebound.test"), SQ_OUT_FORBIDDEN);
	end();
}

Test(out_names, an_address_in_doubt_is_looked_up_again)
{
	struct sink *first;
	char url[64];

	begin(0);
	first = sink_start(&(struct sink_cfg){0});
	(void)snprintf(url, sizeof url, "http://known.test:%u/", sink_port(first));
	cr_expect_eq(ask_once(out, &plain, url), SQ_OUT_ANSWERED);
	cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_ANSWERED);
	sink_stop(&first);
	cr_expect_eq(value(&looks), 1);
	cr_expect_eq(ask_once(out, &plain, url), SQ_OUT_UNREACHABLE);
	cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_ANSWERED, "by its open connection");
	wanted = 2;
	cr_expect(await(have_looked, NULL));
	end();
}

static bool
none_is_open(void *arg)
{
	(void)arg;
	return sq_out_count(out).connections == 0 && sink_open(sink) == 0;
}

Test(out_names, connections_that_nobody_needs_are_closed)
{
	sink = sink_start(&(struct sink_cfg){0});
	out = sq_out_new(&(struct sq_out_cfg){.user_agent = "test", .rest_ms = 20}, &err);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_ANSWERED);
		cr_expect_eq(ask_host(&plain, "127.0.0.1"), SQ_OUT_ANSWERED);
		cr_expect_geq(sink_connections(sink), 2 * i + 2);
		cr_assert(await(none_is_open, NULL));
	}
	end();
}

Test(out_names, a_resolver_that_is_out_of_order)
{
	begin(0);
	pthread_mutex_lock(&lock);
	failure = EAI_AGAIN;
	pthread_mutex_unlock(&lock);
	cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_UNREACHABLE);
	pthread_mutex_lock(&lock);
	failure = 0;
	pthread_mutex_unlock(&lock);
	cr_expect_eq(ask_host(&plain, "known.test"), SQ_OUT_ANSWERED);
	end();
}

/* Requests of several threads to names that are known, hang, or do not exist, a third of which are
 * cancelled: each ends once. */

enum { STORM_THREADS = 3, STORM_ROUNDS = 20, STORM = 40 };

struct storm {
	struct sq_out_request req;
	char url[100];
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned ends; /* under the lock */
};

static void
storm_on_done(struct sq_out_request *req)
{
	struct storm *s = SQ_CONTAINER_OF(req, struct storm, req);

	pthread_mutex_lock(&s->lock);
	s->ends++;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
}

static void
storm_send(struct storm *s, unsigned *seed)
{
	static const struct sq_out_way ways[] = {{.owner = "a"}, {.owner = "b"}, {.owner = NULL}};
	static const char *const hosts[][2] = {
	    {"hang-", ".test"}, {"known-", ".test"}, {"none.test", ""}, {"127.0.0.", ""}};
	const char *const *host = hosts[rand_r(seed) % SQ_ARRAY_LEN(hosts)];

	s->ends = 0;
	(void)snprintf(s->url, sizeof s->url, "http://%s%d%s:%u/", host[0], 1 + rand_r(seed) % 20,
	    host[1], sink_port(sink));
	s->req.url = s->url;
	s->req.method = "POST";
	s->req.body = sq_bytes_of("hello");
	s->req.way = &ways[rand_r(seed) % SQ_ARRAY_LEN(ways)];
	s->req.timeout_ms = 1 + (unsigned)rand_r(seed) % 50;
	s->req.max_answer = 1000;
	s->req.done = storm_on_done;
	sq_out_send(out, &s->req);
}

static void *
storm_run(void *arg)
{
	struct storm *v = calloc(STORM, sizeof *v);
	unsigned seed = *(unsigned *)arg;

	for (unsigned i = 0; i < STORM; i++) {
		pthread_mutex_init(&v[i].lock, NULL);
		pthread_cond_init(&v[i].ended, NULL);
	}
	for (unsigned round = 0; round < STORM_ROUNDS; round++) {
		for (unsigned i = 0; i < STORM; i++)
			storm_send(&v[i], &seed);
		for (unsigned i = 0; i < STORM; i += 1 + (unsigned)rand_r(&seed) % 5) {
			pthread_mutex_lock(&v[i].lock);
			if (v[i].ends == 0)
				sq_out_cancel(out, &v[i].req);
			pthread_mutex_unlock(&v[i].lock);
		}
		for (unsigned i = 0; i < STORM; i++) {
			pthread_mutex_lock(&v[i].lock);
			while (v[i].ends == 0)
				pthread_cond_wait(&v[i].ended, &v[i].lock);
			cr_assert_eq(v[i].ends, 1);
			pthread_mutex_unlock(&v[i].lock);
		}
	}
	for (unsigned i = 0; i < STORM; i++)
		sq_out_request_fini(&v[i].req);
	free(v);
	return NULL;
}

Test(out_names, a_storm_of_requests_and_cancels)
{
	pthread_t threads[STORM_THREADS];
	unsigned seeds[STORM_THREADS];

	sink = sink_start(&(struct sink_cfg){.host = "0.0.0.0"});
	out = sq_out_new(
	    &(struct sq_out_cfg){
		.user_agent = "test", .per_origin = 4, .total = 8, .lookups = 8, .rest_ms = 1},
	    &err);
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		seeds[i] = i + 1;
		pthread_create(&threads[i], NULL, storm_run, &seeds[i]);
	}
	for (unsigned i = 0; i < STORM_THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(sq_out_count(out).requests, 0);
	cr_expect(await(none_is_open, NULL));
	end();
}

/* Names that hang are let go in the moment in which nobody is there any more for what they find. */
Test(out_names, an_end_while_lookups_end)
{
	enum { N = 8, ROUNDS = 100 };
	struct ask asks[N];

	for (unsigned round = 0; round < ROUNDS; round++) {
		pthread_mutex_lock(&lock);
		open_all = false;
		pthread_mutex_unlock(&lock);
		begin(N);
		for (unsigned i = 0; i < N; i++) {
			ask_init(&asks[i], &plain, "http://hang-%u.test:1/", i);
			asks[i].req.timeout_ms = 1;
			sq_out_send(out, &asks[i].req);
		}
		for (unsigned i = 0; i < N; i++) {
			cr_expect_eq(ask_wait(&asks[i]), SQ_OUT_TIMEOUT);
			ask_fini(&asks[i]);
		}
		end();
	}
}
