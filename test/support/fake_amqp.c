#include "fake_amqp.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/bridge/amqp/amqp.h"
#include "core/bytes.h"
#include "core/thread.h"

struct fake_amqp fake_amqp;

/* The peer. */

static void
server_put(int fd, const void *p, size_t n)
{
	size_t step = fake_amqp.drips ? 1 : n;

	for (size_t at = 0; at < n && !atomic_load(&fake_amqp.ends); at += step) {
		if (send(fd, (const char *)p + at, step, MSG_NOSIGNAL) != (ssize_t)step)
			return;
		if (fake_amqp.drips)
			usleep(20000);
	}
}

void
fake_amqp_frame(int fd, unsigned type, unsigned channel, const void *p, size_t n)
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
		      tune[] = {0, 10, 0, 30, 0, 2, 0, 0, 0, 0, 0, 0};
	size_t n = strlen(fake_amqp.mechanisms);

	sq_put32(start + 10, (uint32_t)n);
	memcpy(start + 14, fake_amqp.mechanisms, n);
	sq_put32(start + 14 + n, 5);
	memcpy(start + 18 + n, "en_US", 5);
	server_read(fd);
	fake_amqp_frame(fd, 1, 0, start, 23 + n);
	server_read(fd); /* start-ok */
	tune[8] = fake_amqp.frame_max_kib;
	fake_amqp_frame(fd, 1, 0, tune, sizeof tune);
	server_read(fd); /* tune-ok, open */
	fake_amqp_frame(fd, 1, 0, "\0\12\0\51", 5);
	server_read(fd);
	fake_amqp_frame(fd, 1, 1, "\0\24\0\13\0\0\0", 8); /* channel.open-ok */
	if (fake_amqp.queues > 0)
		return;
	server_read(fd);
	fake_amqp_frame(fd, 1, 1, "\0\125\0\13", 4); /* confirm.select-ok */
}

/* Hands over each method that is whole; the bytes that are left. */
static size_t
server_frames(int fd, unsigned char *b, size_t n)
{
	size_t at = 0, size;

	while (n - at >= 8 && (size = sq_get32(b + at + 3)) <= n - at - 8) {
		fake_amqp.channel = sq_get16(b + at + 1);
		if (b[at] == 1)
			fake_amqp.heard(fd, sq_get32(b + at + 7), b + at + 11, size - 4);
		at += size + 8;
	}
	memmove(b, b + at, n - at);
	return n - at;
}

static void
server_serve(int fd)
{
	unsigned char b[16384];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t got = 1;

	atomic_fetch_add(&fake_amqp.served, 1);
	while (!atomic_load(&fake_amqp.ends) && got > 0) {
		if (poll(&p, 1, 10) != 1)
			continue;
		got = read(fd, b + n, sizeof b - n);
		if (got > 0)
			n = server_frames(fd, b, n + (size_t)got);
	}
}

static void *
server_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&fake_amqp.ends)) {
		struct pollfd p = {.fd = fake_amqp.listener, .events = POLLIN};
		int fd;

		if (poll(&p, 1, 20) != 1)
			continue;
		fd = accept(fake_amqp.listener, NULL, NULL);
		atomic_fetch_add(&fake_amqp.accepted, 1);
		if (fake_amqp.login)
			server_login(fd);
		server_put(fd, fake_amqp.words, fake_amqp.n_words);
		if (fake_amqp.heard != NULL)
			server_serve(fd);
		while (fake_amqp.heard == NULL && fake_amqp.stays && !atomic_load(&fake_amqp.ends))
			usleep(10000);
		close(fd);
	}
	return NULL;
}

void
fake_amqp_confirm(int fd, bool acked, uint64_t tag, bool multiple)
{
	unsigned char m[13] = {0, 60, 0, acked ? 80 : 120};

	sq_put64(m + 4, tag);
	m[12] = multiple;
	fake_amqp_frame(fd, 1, 1, m, sizeof m);
}

/* The bridge. */

static char url[64], file[64];
static char *urls[] = {url};
static struct sq_bridge_out out;
static struct sq_bridge_in in[2];
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

void
fake_amqp_begin(const void *words, size_t n)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	fake_amqp.words = words;
	fake_amqp.n_words = n;
	if (fake_amqp.mechanisms == NULL)
		fake_amqp.mechanisms = "AMQPLAIN PLAIN";
	if (fake_amqp.frame_max_kib == 0)
		fake_amqp.frame_max_kib = 128;
	fake_amqp.listener = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(bind(fake_amqp.listener, (struct sockaddr *)&a, sizeof a) == 0 &&
	    listen(fake_amqp.listener, 16) == 0 &&
	    getsockname(fake_amqp.listener, (struct sockaddr *)&a, &len) == 0);
	sq_thread_start(&fake_amqp.thread, server_run, NULL);
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
	    .heartbeat_ms = 60000, /* longer than it waits for a confirm */
	    .out = {&out, fake_amqp.queues > 0 ? 0 : 1},
	    .in = {in, fake_amqp.queues}};
	for (unsigned i = 0; i < 2; i++)
		in[i] = (struct sq_bridge_in){.queue = (char *)(i == 0 ? "q" : "other"),
		    .to = (char *)"t",
		    .qos = 1,
		    .prefetch = 10};
	bridge_user_init(&fake_amqp.user, &sq_bridge_amqp);
	bridge_user_open(
	    &fake_amqp.user, fake_amqp.queues > 0 ? SQ_BRIDGE_IN : SQ_BRIDGE_OUT, &cfg);
}

void
fake_amqp_end(void)
{
	if (fake_amqp.user.forwarder != NULL)
		bridge_user_close(&fake_amqp.user, SQ_BRIDGE_OUT, 100);
	if (fake_amqp.user.inlet != NULL)
		bridge_user_close(&fake_amqp.user, SQ_BRIDGE_IN, 100);
	bridge_user_fini(&fake_amqp.user);
	atomic_store(&fake_amqp.ends, true);
	pthread_join(fake_amqp.thread, NULL);
	close(fake_amqp.listener);
	unlink(file);
}

bool
fake_amqp_is_down(struct bridge_user *x)
{
	return x->states > 0 && !x->up;
}

bool
fake_amqp_is_up(struct bridge_user *x)
{
	return x->up;
}

bool
fake_amqp_all_ended(struct bridge_user *x)
{
	return x->n_ended > 0;
}

bool
fake_amqp_two_ended(struct bridge_user *x)
{
	return x->n_ended >= 2;
}
