/* Peers of a bridge of kind "amqp" that talk nonsense, or do not do what they should: it is down, with the
 * reason, and goes on; and what it says to one that does, byte for byte. */
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
	/* After that, for each method that comes: its number, and the payload.  NULL: nothing is read. */
	void (*heard)(int fd, uint32_t method, const unsigned char *p, size_t n);
	bool in; /* the half is an inlet, which asks for no confirms */
	atomic_uint published, acked, closed, served;
	atomic_ullong last_ack; /* 2 * tag, and 1 more for 'multiple' */
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
	if (server.in)
		return;
	server_read(fd);
	server_frame(fd, 1, 1, "\0\125\0\13", 4); /* confirm.select-ok */
}

/* Hands over each method that is whole; the bytes that are left. */
static size_t
server_frames(int fd, unsigned char *b, size_t n)
{
	size_t at = 0, size;

	while (n - at >= 8 && (size = sq_get32(b + at + 3)) <= n - at - 8) {
		if (b[at] == 1)
			server.heard(fd, sq_get32(b + at + 7), b + at + 11, size - 4);
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

	atomic_fetch_add(&server.served, 1);
	while (!atomic_load(&server.ends) && got > 0) {
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
		if (server.heard != NULL)
			server_serve(fd);
		while (server.heard == NULL && server.stays && !atomic_load(&server.ends))
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
static struct sq_bridge_in in;
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
	    .heartbeat_ms = 60000, /* longer than it waits for a confirm */
	    .out = {&out, server.in ? 0 : 1},
	    .in = {&in, server.in ? 1 : 0}};
	in = (struct sq_bridge_in){
	    .queue = (char *)"q", .to = (char *)"t", .qos = 1, .prefetch = 10};
	bridge_user_init(&u, &sq_bridge_amqp);
	bridge_user_open(&u, server.in ? SQ_BRIDGE_IN : SQ_BRIDGE_OUT, &cfg);
}

static void
end(void)
{
	if (u.forwarder != NULL)
		bridge_user_close(&u, SQ_BRIDGE_OUT, 100);
	if (u.inlet != NULL)
		bridge_user_close(&u, SQ_BRIDGE_IN, 100);
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
	server.frame_max_kib = 8; /* 2 KiB */
	server.mechanisms = "PLAIN";
	begin("", 0);
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

/* --- a peer that does what it should, or nearly --- */

enum {
	PUBLISH = 0x3c0028,
	ACK = 0x3c0050,
	CONSUME = 0x3c0014,
	DECLARE = 0x32000a,
	SELECT = 0x55000a
};
enum { CHANNEL_OPEN = 0x14000a, CHANNEL_CLOSE_OK = 0x140029 };

/* basic.ack or basic.nack. */
static void
confirm(int fd, bool acked, uint64_t tag, bool multiple)
{
	unsigned char m[13] = {0, 60, 0, acked ? 80 : 120};

	sq_put64(m + 4, tag);
	m[12] = multiple;
	server_frame(fd, 1, 1, m, sizeof m);
}

static bool
two_ended(struct bridge_user *x)
{
	return x->n_ended >= 2;
}

static void
offer_three(void)
{
	cr_assert(bridge_user_until(&u, is_up));
	for (unsigned i = 0; i < 3; i++)
		bridge_user_offer(&u, "t", "p", i);
	bridge_user_hand(&u, u.offers, 3);
}

/* The last bits of basic.publish are 'mandatory' and 'immediate'. */
static void
confirms_two(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	if (method != PUBLISH)
		return;
	cr_expect_eq(p[n - 1], 1, "mandatory, and not immediate");
	if (atomic_fetch_add(&server.published, 1) == 2)
		confirm(fd, true, 2, true);
}

Test(amqp_hostile, a_confirm_of_several_is_of_no_other)
{
	server.login = true;
	server.heard = confirms_two;
	begin("", 0);
	offer_three();
	cr_assert(bridge_user_until(&u, two_ended));
	bridge_user_close(&u, SQ_BRIDGE_OUT, 100);
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq((int)u.offers[i].end.how, (int)SQ_OFFER_ACCEPTED, "%u", i);
	cr_expect_eq((int)u.offers[2].end.how, (int)SQ_OFFER_LATER);
	cr_expect(u.offers[2].end.uncertain, "the peer may have it");
	end();
}

static void
only_counts(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	(void)fd;
	(void)p;
	(void)n;
	if (method == PUBLISH)
		atomic_fetch_add(&server.published, 1);
}

static bool
is_blocked(struct bridge_user *x)
{
	struct sq_buf b = {0};
	bool blocked;

	x->forwarder->ops->status(x->forwarder, &b);
	sq_buf_u8(&b, 0);
	blocked = strstr((const char *)sq_buf_data(&b), "\"blocked\":true") != NULL;
	sq_buf_fini(&b);
	return blocked;
}

/* What was asked for before it blocked stays here, and goes back as what the peer never had. */
Test(amqp_hostile, a_peer_that_blocks_is_sent_nothing)
{
	static const unsigned char blocked[] = {1, 0, 0, 0, 0, 0, 6, 0, 10, 0, 60, 1, 'm', 0xce};
	struct sq_offered *item;

	server.login = true;
	server.heard = only_counts;
	begin(blocked, sizeof blocked);
	cr_assert(bridge_user_until(&u, is_up));
	cr_assert(bridge_user_until(&u, is_blocked));
	item = &bridge_user_offer(&u, "t", "p", 1)->offered;
	u.forwarder->ops->offer(u.forwarder, &item, 1);
	bridge_user_close(&u, SQ_BRIDGE_OUT, 1000);
	cr_expect(u.offers[0].end.how == SQ_OFFER_LATER && !u.offers[0].end.uncertain);
	end();
	cr_expect_eq(atomic_load(&server.published), 0U);
}

Test(amqp_hostile, a_peer_that_confirms_nothing_is_dialled_anew)
{
	server.login = true;
	server.heard = only_counts;
	begin("", 0);
	cr_assert(bridge_user_until(&u, is_up));
	bridge_user_hand(&u, bridge_user_offer(&u, "t", "p", 1), 1);
	cr_assert(bridge_user_until(&u, is_down));
	cr_expect(strstr(u.why, "not confirmed for 30 s") != NULL, "%s", u.why);
	cr_expect(u.offers[0].end.how == SQ_OFFER_LATER && u.offers[0].end.uncertain);
	end();
}

static void
refuses(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	(void)p;
	(void)n;
	if (method == PUBLISH)
		confirm(fd, false, atomic_fetch_add(&server.published, 1) + 1, false);
}

static bool
ended_or_down(struct bridge_user *x)
{
	return is_down(x) || x->offers[0].ends > 0;
}

Test(amqp_hostile, a_peer_that_refuses_all_is_dialled_anew)
{
	server.login = true;
	server.heard = refuses;
	begin("", 0);
	cr_assert(bridge_user_until(&u, is_up));
	bridge_user_hand(&u, bridge_user_offer(&u, "t", "p", 1), 1);
	while (bridge_user_until(&u, ended_or_down) && !is_down(&u)) {
		cr_assert_eq((int)u.offers[0].end.how, (int)SQ_OFFER_FAILED);
		usleep(100000); /* as attempts have time between them */
		bridge_user_again(&u, &u.offers[0]);
		u.forwarder->ops->offer(
		    u.forwarder, &(struct sq_offered *){&u.offers[0].offered}, 1);
	}
	cr_expect(strstr(u.why, "taken nothing for 10 s") != NULL, "%s", u.why);
	end();
}

/* Has a first message fail at the peer, and, before the user has heard of that, offers the next one of its
 * lane: it must not overtake. */
static void
expect_no_overtaking(unsigned served)
{
	struct sq_offered *item;
	bool told = false;

	bridge_user_hand(&u, bridge_user_offer(&u, "t", "p", 1), 1);
	while (!told || atomic_load(&server.served) < served) {
		usleep(1000);
		pthread_mutex_lock(&u.lock);
		told = !sq_list_empty(&u.tasks);
		pthread_mutex_unlock(&u.lock);
	}
	item = &bridge_user_offer(&u, "t", "p", 1)->offered;
	u.forwarder->ops->offer(u.forwarder, &item, 1);
	cr_assert(bridge_user_until(&u, two_ended));
	cr_expect_neq((int)u.offers[0].end.how, (int)SQ_OFFER_ACCEPTED);
	cr_expect_eq((int)u.offers[1].end.how, (int)SQ_OFFER_LATER);
	end();
	cr_expect_eq(atomic_load(&server.published), 1U);
}

Test(amqp_hostile, nothing_overtakes_what_was_refused)
{
	server.login = true;
	server.heard = refuses;
	begin("", 0);
	cr_assert(bridge_user_until(&u, is_up));
	expect_no_overtaking(1);
}

static void
hangs_up(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	only_counts(fd, method, p, n);
	if (method == PUBLISH)
		(void)shutdown(fd, SHUT_RDWR);
}

Test(amqp_hostile, nothing_overtakes_what_a_lost_connection_had)
{
	server.login = true;
	server.heard = hangs_up;
	begin("", 0);
	cr_assert(bridge_user_until(&u, is_up));
	expect_no_overtaking(2);
}

/* channel.close; whoever opens it again has answered that. */
static void
closes_channel(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	static const unsigned char no_exchange[] = {
	    0, 20, 0, 40, 1, 0x94, 1, 'n', 0, 60, 0, 40}; /* 404, of basic.publish */

	(void)p;
	(void)n;
	if (method == PUBLISH && atomic_fetch_add(&server.published, 1) == 0)
		server_frame(fd, 1, 1, no_exchange, sizeof no_exchange);
	else if (method == PUBLISH)
		confirm(fd, true, 1, false);
	else if (method == CHANNEL_CLOSE_OK)
		atomic_fetch_add(&server.closed, 1);
	else if (method == CHANNEL_OPEN && atomic_load(&server.closed) == 1)
		server_frame(fd, 1, 1, "\0\24\0\13\0\0\0", 8);
	else if (method == SELECT && atomic_load(&server.closed) == 1)
		server_frame(fd, 1, 1, "\0\125\0\13", 4);
}

Test(amqp_hostile, a_message_that_closes_the_channel_is_unroutable_and_others_go_on)
{
	server.login = true;
	server.heard = closes_channel;
	begin("", 0);
	cr_assert(bridge_user_until(&u, is_up));
	bridge_user_hand(&u, bridge_user_offer(&u, "t", "p", 1), 1);
	cr_assert(bridge_user_until(&u, all_ended));
	cr_expect_eq((int)u.offers[0].end.how, (int)SQ_OFFER_NEVER);
	cr_expect_eq((int)u.offers[0].end.never, (int)SQ_OFFER_UNROUTABLE);
	bridge_user_hand(&u, bridge_user_offer(&u, "t", "p", 1), 1);
	cr_assert(bridge_user_until(&u, two_ended));
	cr_expect_eq((int)u.offers[1].end.how, (int)SQ_OFFER_ACCEPTED);
	cr_expect_eq(atomic_load(&server.accepted), 1U, "by the same connection");
	end();
}

/* Three messages; what it hears of them. */
static void
delivers_three(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	unsigned char deliver[] = {0, 60, 0, 60, 1, '0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'k'},
		      header[14] = {0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};

	if (method == DECLARE)
		server_frame(fd, 1, 1, "\0\62\0\13\1q\0\0\0\3\0\0\0", 14);
	for (unsigned char i = 1; method == CONSUME && i <= 3; i++) {
		deliver[13] = i;
		server_frame(fd, 1, 1, deliver, sizeof deliver);
		server_frame(fd, 2, 1, header, sizeof header);
		server_frame(fd, 3, 1, "p", 1);
	}
	if (method == ACK && n >= 9) {
		atomic_store(&server.last_ack, 2 * sq_get64(p) + p[8]);
		atomic_fetch_add(&server.acked, 1);
	}
}

static bool
three_arrived(struct bridge_user *x)
{
	return x->n_arrived == 3;
}

static unsigned settled = 1;

static bool
an_ack(struct bridge_user *x)
{
	(void)x;
	return atomic_load(&server.acked) == settled;
}

static void
begin_in(void)
{
	server.login = server.in = true;
	server.heard = delivers_three;
	begin("", 0);
	u.inlet->ops->demand(u.inlet, 10);
	cr_assert(bridge_user_until(&u, three_arrived));
}

Test(amqp_hostile, only_what_is_settled_is_acknowledged)
{
	begin_in();
	bridge_user_settle(&u, 1, SQ_ARRIVAL_TAKEN);
	cr_assert(bridge_user_until(&u, an_ack));
	cr_expect_eq(
	    atomic_load(&server.last_ack), 2 * 2ULL, "the second, and not those before it");
	settled = 2;
	bridge_user_settle(&u, 0, SQ_ARRIVAL_TAKEN);
	cr_assert(bridge_user_until(&u, an_ack));
	cr_expect_eq(atomic_load(&server.last_ack), 2 * 1ULL, "the first, and not the third");
	end();
	cr_expect_eq(atomic_load(&server.acked), 2U, "nothing of the third, to the end");
}

Test(amqp_hostile, what_is_not_taken_is_not_acknowledged)
{
	begin_in();
	bridge_user_settle(&u, 0, SQ_ARRIVAL_LATER);
	bridge_user_settle(&u, 2, SQ_ARRIVAL_TAKEN);
	cr_assert(bridge_user_until(&u, an_ack));
	cr_expect_eq(atomic_load(&server.last_ack), 2 * 3ULL);
	end();
	cr_expect_eq(atomic_load(&server.acked), 1U);
}

/* Content whose frames have nothing, or next to nothing, of it, so that it never ends. */
static void
crumbs(size_t bytes_of_each)
{
	enum { CRUMBS = 20000 };
	static const unsigned char head[] = {1, 0, 1, 0, 0, 0, 14, 0, 50, 0, 11, 1, 'q', 0, 0, 0, 0,
	    0, 0, 0, 0, 0xce, /* declare-ok */
	    1, 0, 1, 0, 0, 0, 17, 0, 60, 0, 60, 1, '0', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xce, /* */
	    2, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0xce};
	static unsigned char words[sizeof head + CRUMBS * 9];
	size_t at = sizeof head;

	memcpy(words, head, sizeof head);
	for (size_t i = 0; i < CRUMBS; i++) {
		memcpy(words + at, "\3\0\1\0\0\0\0", 7);
		words[at + 6] = (unsigned char)bytes_of_each;
		at += 7 + bytes_of_each;
		words[at++] = 0xce;
	}
	server.login = server.in = server.stays = true;
	begin(words, at);
	cr_assert(bridge_user_until(&u, is_down));
	cr_expect(strstr(u.why, "content in crumbs") != NULL, "%s", u.why);
	end();
}

Test(amqp_hostile, content_that_never_ends)
{
	crumbs(0);
}

Test(amqp_hostile, content_of_a_byte_at_a_time)
{
	crumbs(1);
}
