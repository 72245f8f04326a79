/* broker/front/door/pass.h, owners.h: a door that stands by passes its connections on to the owner's,
 * which is a socket of the test's at 127.0.0.2 here. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/fake_core.h"
#include "../support/h2_client.h"
#include "broker/metrics/metrics.h"
#include "broker/port/place.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/crew.h"

enum { BIG = 8 << 20, PIECE = 64 << 10, WAIT_MS = 10000 };

static struct {
	struct sq_place_source source; /* first */
	pthread_mutex_t lock;
	struct sq_place place;
} places = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int listener = -1;
static unsigned owner_port;
static unsigned char *sent, *got;

static void
place_get(const struct sq_place_source *s, struct sq_place *out)
{
	(void)s;
	pthread_mutex_lock(&places.lock);
	*out = places.place;
	pthread_mutex_unlock(&places.lock);
}

static void
place_set(bool here, const char *owner)
{
	pthread_mutex_lock(&places.lock);
	places.place = (struct sq_place){.shared = true, .here = here, .store = 1, .epoch = 1};
	snprintf(places.place.owner, sizeof places.place.owner, "%s", owner);
	pthread_mutex_unlock(&places.lock);
}

static struct sockaddr_in
address(const char *host, unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	cr_assert_eq(inet_pton(AF_INET, host, &a.sin_addr), 1);
	return a;
}

static void
owner_open(void)
{
	struct sockaddr_in a = address("127.0.0.2", owner_port);
	socklen_t len = sizeof a;
	int on = 1;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	cr_assert_eq(listen(listener, 16), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	owner_port = ntohs(a.sin_port);
}

/* A door on two workers that stands by. */
static void
start(uint64_t idle_ms, unsigned per_address)
{
	struct fake_front_cfg cfg = fake_front_cfg();
	struct sq_buf err = {0};

	if (listener < 0)
		owner_open();
	places.source.get = place_get;
	cfg.link.place = cfg.door.passing.place = &places.source;
	cfg.door.passing.self = "127.0.0.9:7443";
	cfg.door.passing.port = owner_port;
	cfg.door.passing.idle_ms = idle_ms;
	cfg.door.strangers_per_address = per_address;
	fake.crew = sq_crew_new(2);
	fake.front = fake_front_open(&cfg, fake.crew, &err);
	cr_assert_not_null(fake.front);
	sq_front_stand_by(fake.front);
}

static void
finish(void)
{
	if (fake.front != NULL) {
		sq_front_stop(fake.front);
		sq_crew_stop(fake.crew);
		sq_crew_free(&fake.crew);
		sq_front_free(&fake.front);
	}
	if (listener >= 0)
		close(listener);
	free(sent);
	free(got);
}

static int64_t
passed(void)
{
	return sq_metric_get(&sq_broker_metrics, SQ_M_PASSED);
}

static int
dial_from(const char *host)
{
	struct sockaddr_in from = address(host, 0),
			   to = address("127.0.0.1", sq_front_port(fake.front));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

/* Whether the socket is ready within that time. */
static bool
ready(int fd, short what, int ms)
{
	struct pollfd p = {.fd = fd, .events = what};

	return poll(&p, 1, ms) == 1;
}

/* Bytes that came; 0: the end, or a reset. */
static size_t
take_at(int fd, void *out, size_t len, int line)
{
	ssize_t n;

	cr_assert(ready(fd, POLLIN, WAIT_MS), "nothing came at %d", line);
	n = recv(fd, out, len, 0);
	return n > 0 ? (size_t)n : 0;
}

#define take(fd, out, len) take_at(fd, out, len, __LINE__)

/* Whether the door itself answers, by SETTINGS. */
static bool
answers(const char *host)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
	int fd = dial_from(host);
	char first[9];
	bool settings;

	cr_assert_eq(send(fd, preface, sizeof preface, MSG_NOSIGNAL), sizeof preface);
	settings = take(fd, first, sizeof first) > 3 &&
	    first[3] == 4; /* SETTINGS, of the door itself */
	close(fd);
	return settings;
}

/* The owner's address becomes known: the two ends of a connection that is passed on. */
static void
join(int *peer, int *far)
{
	uint64_t until = sq_clock_ms() + WAIT_MS;
	char c;

	for (;;) {
		*peer = dial_from("127.0.0.1");
		if (ready(listener, POLLIN, 100)) {
			*far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			cr_assert_eq(send(*peer, "j", 1, MSG_NOSIGNAL), 1);
			if (take(*far, &c, 1) == 1)
				return;
			close(*far); /* an earlier one's */
		}
		close(*peer); /* it came before that */
		cr_assert_lt(sq_clock_ms(), until);
	}
}

static void
start_joined(uint64_t idle_ms, int *peer, int *far)
{
	start(idle_ms, 0);
	place_set(false, "127.0.0.2:7443");
	join(peer, far);
}

static void
await_passed(int64_t n)
{
	uint64_t until = sq_clock_ms() + WAIT_MS;

	while (passed() != n) {
		cr_assert_lt(sq_clock_ms(), until, "%d", (int)passed());
		usleep(2000);
	}
}

static void
fill(void)
{
	sent = sq_xmalloc(BIG);
	got = sq_xmalloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		sent[i] = (unsigned char)(i * 31 + i / 255);
}

static void *
send_big(void *arg)
{
	int fd = *(int *)arg;

	for (size_t at = 0; at < BIG;) {
		ssize_t n = send(fd, sent + at, BIG - at, MSG_NOSIGNAL);

		if (n <= 0)
			return NULL;
		at += (size_t)n;
	}
	shutdown(fd, SHUT_WR);
	return arg;
}

/* All that comes until the end. */
static size_t
take_all(int fd)
{
	size_t len = 0, n;

	while (len < BIG && (n = take(fd, got + len, BIG - len)) > 0)
		len += n;
	return len;
}

static void
goes_whole(int from, int to)
{
	pthread_t thread;
	void *all;
	char more;

	memset(got, 0, BIG);
	cr_assert_eq(pthread_create(&thread, NULL, send_big, &from), 0);
	cr_assert_eq(take_all(to), BIG);
	pthread_join(thread, &all);
	cr_assert_not_null(all);
	cr_assert_eq(memcmp(sent, got, BIG), 0);
	cr_assert_eq(take(to, &more, 1), 0, "its end comes, too");
}

TestSuite(pass, .fini = finish, .timeout = 60);

/* Also each half's end by itself: the second way goes on behind the first one's. */
Test(pass, all_bytes_go_both_ways)
{
	int peer, far;

	fill();
	start_joined(60000, &peer, &far);
	await_passed(1);
	goes_whole(peer, far);
	await_passed(1);
	goes_whole(far, peer);
	await_passed(0);
	close(peer);
	close(far);
}

/* Who sends waits for who reads: little is kept on the way. */
Test(pass, a_slow_reader_holds_up_who_sends)
{
	int peer, far, small = 64 << 10;
	size_t n = 0;
	ssize_t m;

	fill();
	start_joined(60000, &peer, &far);
	setsockopt(far, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	while (n < 64 * (size_t)BIG && ready(peer, POLLOUT, 1000) &&
	    (m = send(peer, sent, PIECE, MSG_NOSIGNAL)) > 0)
		n += (size_t)m;
	cr_assert_lt(n, 64 * (size_t)BIG, "all was taken in");
	shutdown(peer, SHUT_WR);
	for (size_t all = 0; all < n; all += (size_t)m) {
		m = (ssize_t)take(far, got, BIG);
		cr_assert_gt(m, 0);
	}
	cr_assert_eq(take(far, got, 1), 0);
	close(far);
	await_passed(0);
	close(peer);
}

Test(pass, an_end_of_either_ends_both)
{
	struct linger reset = {.l_onoff = 1};
	int peer, far;
	char c;

	start_joined(60000, &peer, &far);
	setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(far);
	cr_assert_eq(take(peer, &c, 1), 0);
	await_passed(0);
	close(peer);
	join(&peer, &far);
	await_passed(1);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(peer);
	cr_assert_eq(take(far, &c, 1), 0);
	await_passed(0);
	close(far);
	join(&peer, &far); /* the owner alone has said all: who never leaves is left */
	shutdown(far, SHUT_WR);
	cr_assert_eq(take(peer, &c, 1), 0);
	await_passed(0);
	close(peer);
	close(far);
}

Test(pass, one_that_carries_nothing_is_closed)
{
	int peer, far;
	char c;

	start_joined(500, &peer, &far);
	cr_assert_eq(take(peer, &c, 1), 0);
	cr_assert_eq(take(far, &c, 1), 0);
	await_passed(0);
	close(peer);
	close(far);
}

/* As long as no other broker is known to own the services answer, and where it can't be reached. */
Test(pass, without_an_owner_the_services_answer)
{
	int peer, far;

	start(60000, 0);
	place_set(false, "");
	cr_assert(answers("127.0.0.1"));
	place_set(false, "127.0.0.9:7443");
	cr_assert(answers("127.0.0.1"), "it is this broker's own address");
	place_set(true, "127.0.0.2:7443");
	cr_assert(answers("127.0.0.1"), "it is about to serve");
	place_set(false, "127.0.0.2:7443");
	join(&peer, &far);
	close(listener);
	close(peer);
	close(far);
	cr_assert(answers("127.0.0.1"));
	await_passed(0);
	owner_open();
	join(&peer, &far);
	close(peer);
	close(far);
}

/* Two that take each other for the owner: nothing goes round. */
Test(pass, what_the_owner_dials_is_not_passed_on)
{
	int peer, far;

	start_joined(60000, &peer, &far);
	cr_assert(answers("127.0.0.2"));
	cr_assert_not(ready(listener, POLLIN, 0));
	close(peer);
	close(far);
}

Test(pass, strangers_of_an_address_are_bounded)
{
	int peer, far, second, other;
	char c;

	start(60000, 1);
	place_set(false, "127.0.0.2:7443");
	join(&peer, &far);
	join(&second, &other);
	cr_assert_eq(take(peer, &c, 1), 0, "the oldest goes");
	cr_assert_eq(take(far, &c, 1), 0);
	await_passed(1);
	close(peer);
	close(far);
	close(second);
	close(other);
}

/* New ones are the broker's own then, and what is under way goes on until its end, or the door's. */
Test(pass, a_broker_that_serves_keeps_what_it_passes_on)
{
	int peer, far;
	char c = 0;

	start_joined(60000, &peer, &far);
	place_set(true, "127.0.0.2:7443");
	sq_front_serve(fake.front, &fake);
	cr_assert(answers("127.0.0.1"));
	cr_assert_eq(send(peer, "x", 1, 0), 1);
	cr_assert_eq(take(far, &c, 1), 1);
	cr_assert_eq(c, 'x');
	sq_front_drain(fake.front);
	cr_assert_eq(send(far, "y", 1, 0), 1);
	cr_assert_eq(take(peer, &c, 1), 1);
	sq_front_stop(fake.front);
	cr_assert_eq(take(peer, &c, 1), 0);
	cr_assert_eq(take(far, &c, 1), 0);
	cr_assert_eq(passed(), 0);
	close(peer);
	close(far);
}
