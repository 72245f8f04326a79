/* Peers that talk nonsense to a bridge of kind "amqp": it is down, with the reason, and goes on. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/bridge_user.h"
#include "broker/bridge/amqp/amqp.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/thread.h"

/* --- a peer that says what it is told --- */

static struct {
	int listener;
	pthread_t thread;
	atomic_bool ends;
	atomic_uint accepted;
	/* What it says: at once, or after a good login and the answers that a half wants. */
	bool login, drips, stays;
	const char *mechanisms;
	unsigned char frame_max_kib;
	const void *words;
	size_t n_words;
} server;

static void
server_put(int fd, const void *p, size_t n)
{
	size_t step = server.drips ? 1 : n;

	for (size_t at = 0; at < n && !atomic_load(&server.ends); at += step) {
		if (send(fd, (const char *)p + at, step, MSG_NOSIGNAL) != (ssize_t)step)
			return;
		if (server.drips)
			usleep(20000);
	}
}

/* A frame: type, channel, payload. */
static void
server_frame(int fd, unsigned type, unsigned channel, const void *p, size_t n)
{
	unsigned char b[512];

	b[0] = (unsigned char)type;
	sq_put16(b + 1, (uint16_t)channel);
	sq_put32(b + 3, (uint32_t)n);
	memcpy(b + 7, p, n);
	b[7 + n] = 0xce;
	server_put(fd, b, n + 8);
}

/* Reads what there is, for a while at most. */
static void
server_read(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char b[4096];

	if (poll(&p, 1, 2000) == 1)
		(void)!read(fd, b, sizeof b);
}

static void
server_login(int fd)
{
	unsigned char start[64] = {0, 10, 0, 10, 0, 9, 0, 0, 0, 0},
		      tune[] = {0, 10, 0, 30, 0, 1, 0, 0, 0, 0, 0, 0};
	size_t n = strlen(server.mechanisms);

	sq_put32(start + 10, (uint32_t)n);
	memcpy(start + 14, server.mechanisms, n);
	sq_put32(start + 14 + n, 5);
	memcpy(start + 18 + n, "en_US", 5);
	server_read(fd);
	server_frame(fd, 1, 0, start, 23 + n);
	server_read(fd); /* start-ok */
	tune[8] = server.frame_max_kib;
	server_frame(fd, 1, 0, tune, sizeof tune);
	server_read(fd); /* tune-ok, open */
	server_frame(fd, 1, 0, "\0\12\0\51", 5);
	server_read(fd);
	server_frame(fd, 1, 1, "\0\24\0\13\0\0\0", 8); /* channel.open-ok */
	server_read(fd);
	server_frame(fd, 1, 1, "\0\125\0\13", 4); /* confirm.select-ok */
}

static void *
server_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&server.ends)) {
		struct pollfd p = {.fd = server.listener, .events = POLLIN};
		int fd;

		if (poll(&p, 1, 20) != 1)
			continue;
		fd = accept(server.listener, NULL, NULL);
		atomic_fetch_add(&server.accepted, 1);
		if (server.login)
			server_login(fd);
		server_put(fd, server.words, server.n_words);
		while (server.stays && !atomic_load(&server.ends))
			usleep(10000);
		close(fd);
	}
	return NULL;
}

/* --- a bridge to it --- */

static struct bridge_user u;
static char url[64], file[64];
static char *urls[] = {url};
static struct sq_bridge_out out;
static struct sq_bridge_cfg cfg;

static void
secret_make(void)
{
	int fd;

	strcpy(file, "/tmp/sq-secret-XXXXXX");
	fd = mkstemp(file);
	cr_assert(fd >= 0 && write(fd, "hunter2\n", 8) == 8 && fchmod(fd, 0600) == 0);
	close(fd);
}

static void
begin(const void *words, size_t n)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	server.words = words;
	server.n_words = n;
	if (server.mechanisms == NULL)
		server.mechanisms = "AMQPLAIN PLAIN";
	if (server.frame_max_kib == 0)
		server.frame_max_kib = 128;
	server.listener = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(bind(server.listener, (struct sockaddr *)&a, sizeof a) == 0 &&
	    listen(server.listener, 16) == 0 &&
	    getsockname(server.listener, (struct sockaddr *)&a, &len) == 0);
	sq_thread_start(&server.thread, server_run, NULL);
	snprintf(url, sizeof url, "amqp://127.0.0.1:%d", ntohs(a.sin_port));
	secret_make();
	out = (struct sq_bridge_out){.filter = (char *)"#", .qos = 1, .key = (char *)"k"};
	cfg = (struct sq_bridge_cfg){.record = {(char *)"b", (char *)"test:1"},
	    .space = (char *)"s",
	    .connections = 1,
	    .window = 10,
	    .urls = {urls, 1},
	    .user_file = file,
	    .password_file = file,
	    .heartbeat_ms = 10000,
	    .out = {&out, 1}};
	bridge_user_init(&u, &sq_bridge_amqp);
	bridge_user_open(&u, SQ_BRIDGE_OUT, &cfg);
}

static void
end(void)
{
	if (u.forwarder != NULL)
		bridge_user_close(&u, SQ_BRIDGE_OUT, 100);
	bridge_user_fini(&u);
	atomic_store(&server.ends, true);
	pthread_join(server.thread, NULL);
	close(server.listener);
	unlink(file);
}

static bool
is_down(struct bridge_user *x)
{
	return x->states > 0 && !x->up;
}

static bool
is_up(struct bridge_user *x)
{
	return x->up;
}

static bool
came_twice(struct bridge_user *x)
{
	(void)x;
	return atomic_load(&server.accepted) >= 2;
}

static bool
all_ended(struct bridge_user *x)
{
	return x->n_ended > 0;
}

/* It is told as down with these words, once, and dials again. */
static void
expect_down(const char *words)
{
	cr_assert(bridge_user_until(&u, is_down));
	cr_expect(strstr(u.why, words) != NULL, "%s", u.why);
	cr_expect(strstr(u.why, "127.0.0.1") != NULL && strstr(u.why, "hunter2") == NULL);
	cr_assert(bridge_user_until(&u, came_twice));
	end();
}

Test(amqp_hostile, what_is_another_protocol)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

	begin(http, sizeof http - 1);
	expect_down("no peer of AMQP 0.9.1");
}

Test(amqp_hostile, another_version_of_amqp)
{
	begin("AMQP\0\1\0\0", 8);
	expect_down("another version");
}

Test(amqp_hostile, garbage)
{
	static unsigned char noise[1 << 16];

	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (unsigned char)(i * 2654435761u >> 24);
	begin(noise, sizeof noise);
	expect_down("no peer of AMQP 0.9.1");
}

Test(amqp_hostile, a_frame_that_is_giant)
{
	begin("\1\0\0\177\377\377\377\0\12\0\12", 11);
	expect_down("no peer of AMQP 0.9.1");
}

Test(amqp_hostile, a_frame_that_never_ends)
{
	begin("\1\0\0\0\0\0\100\0\12\0\12\0\11", 13);
	expect_down("before it said a word");
}

Test(amqp_hostile, frames_of_channels_without_number)
{
	static unsigned char frames[9 * 5000];

	for (size_t i = 0; i < sizeof frames / 9; i++) {
		unsigned char *f = frames + 9 * i;

		f[0] = 3; /* a body */
		sq_put16(f + 1, (uint16_t)(i + 2));
		f[6] = 1;
		f[8] = 0xce;
	}
	begin(frames, sizeof frames);
	expect_down("a channel never opened");
}

Test(amqp_hostile, nothing_but_words_that_drip)
{
	static const unsigned char start[100] = {1, 0, 0, 0, 0, 1, 0};
	uint64_t from_ms;

	server.drips = server.stays = true;
	begin(start, sizeof start);
	while (atomic_load(&server.accepted) == 0)
		usleep(1000);
	from_ms = sq_clock_ms();
	bridge_user_close(&u, SQ_BRIDGE_OUT, 100);
	cr_expect(sq_clock_ms() - from_ms < 9000, "it does not wait for the login's end");
	end();
}

Test(amqp_hostile, no_login_of_ours)
{
	server.login = true;
	server.mechanisms = "PLAINER EXTERNAL";
	begin("", 0);
	expect_down("it takes no login by PLAIN");
}

Test(amqp_hostile, frames_too_small_for_anything)
{
	server.login = true;
	server.frame_max_kib = 0;
	server.mechanisms = "PLAIN";
	begin("", 0);
	server.frame_max_kib = 8; /* 2 KiB */
	expect_down("frames are too small");
}

Test(amqp_hostile, a_confirm_of_what_was_never_published)
{
	static const unsigned char ack[] = {
	    1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0xce};

	server.login = server.stays = true;
	begin(ack, sizeof ack);
	cr_assert(bridge_user_until(&u, is_down));
	cr_expect(strstr(u.why, "never published") != NULL, "%s", u.why);
	end();
}

Test(amqp_hostile, a_delivery_that_nobody_asked_for)
{
	static const unsigned char deliver[] = {
	    1, 0, 1, 0, 0, 0, 17, 0, 60, 0, 60, 1, '0', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xce};

	server.login = server.stays = true;
	begin(deliver, sizeof deliver);
	cr_assert(bridge_user_until(&u, is_down));
	cr_expect(strstr(u.why, "no peer of AMQP 0.9.1") != NULL, "%s", u.why);
	end();
}

/* What was out goes back as uncertain, what a peer never confirms too. */
Test(amqp_hostile, a_peer_that_never_confirms)
{
	server.login = server.stays = true;
	begin("", 0);
	cr_assert(bridge_user_until(&u, is_up));
	bridge_user_hand(&u, bridge_user_offer(&u, "t", "p", 1), 1);
	usleep(50000);
	bridge_user_close(&u, SQ_BRIDGE_OUT, 100);
	cr_assert(all_ended(&u));
	cr_expect(u.offers[0].end.how == SQ_OFFER_LATER && u.offers[0].end.uncertain);
	end();
}
