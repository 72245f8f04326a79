/* Messages on their way to a URL: publishes to a sidecar at a rate, at QoS 1, is the server that they
 * are pushed to, and measures from the one to the other.
 *
 *   bench_pushed MQTT-PORT TOPIC SINK-PORT RATE SECONDS [TOPICS]
 *
 * With TOPICS they are of TOPIC/0, TOPIC/1, … in turn, each of a queue of its own.
 * Prints {"n":…,"lost":…,"p50":…,"p99":…}, in µs. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/hist.h"
#include "bench/wire.h"
#include "core/clock.h"

enum {
	CONNS_MAX = 256, /* of the sink, and its listener and the sidecar's */
	BUFFER = 16 * 1024,
	SIZE = 256, /* of a payload */
	DRAIN_US = 5000000,
};

struct conn {
	char in[BUFFER + 1];
	size_t len;
};

static struct pollfd fds[CONNS_MAX];
static struct conn *conns[CONNS_MAX]; /* beside fds; NULL: the sidecar's and the listener */
static nfds_t n_fds;
static struct sq_hist *took;
static size_t n_sent, n_max;

static void
pushed_die(const char *why)
{
	fprintf(stderr, "bench_pushed: %s\n", why);
	exit(1);
}

static void
pushed_add(int fd, bool sink)
{
	int one = 1;

	if (n_fds == CONNS_MAX)
		pushed_die("too many connections");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fds[n_fds] = (struct pollfd){.fd = fd, .events = POLLIN};
	conns[n_fds] = sink ? calloc(1, sizeof(struct conn)) : NULL;
	n_fds++;
}

static struct sockaddr_in
pushed_local(const char *port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(port)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void
pushed_listen(const char *port)
{
	struct sockaddr_in a = pushed_local(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, CONNS_MAX) != 0)
		pushed_die("the sink's port is not free");
	pushed_add(fd, false);
}

static void
pushed_connect(const char *port)
{
	const struct sq_wire_connect with = {.client_id = "bench-pushed", .clean = true};
	struct sockaddr_in a = pushed_local(port);
	unsigned char packet[SQ_WIRE_SMALL];
	size_t len = sq_wire_put_connect(packet, &with);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
	    write(fd, packet, len) != (ssize_t)len || read(fd, packet, 4) != 4 || packet[3] != 0)
		pushed_die("the sidecar does not accept");
	pushed_add(fd, false);
}

static void
pushed_publish(struct sq_wire_template *t)
{
	char stamp[17];

	sq_put16(t->bytes + t->packet_id_at, (uint16_t)(1 + n_sent % 60000));
	snprintf(stamp, sizeof stamp, "%016llx", (unsigned long long)sq_clock_us());
	memcpy(t->bytes + t->payload_at, stamp, 16);
	if (write(fds[1].fd, t->bytes, t->len) != (ssize_t)t->len)
		pushed_die("the sidecar takes no more");
	n_sent++;
}

/* Takes a request off the front; false: it has not come as a whole. */
static bool
pushed_request(int fd, struct conn *c)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
	const char *end, *at;
	char stamp[17];
	size_t body, whole;

	c->in[c->len] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	at = strcasestr(c->in, "content-length:");
	if (end == NULL || at == NULL)
		return false;
	body = strtoul(at + sizeof "content-length:" - 1, NULL, 10);
	whole = (size_t)(end + 4 - c->in) + body;
	if (body < 16 || whole > BUFFER)
		pushed_die("a request that is none of ours");
	if (c->len < whole)
		return false;
	memcpy(stamp, end + 4, 16);
	stamp[16] = '\0';
	if (sq_hist_count(took) < n_max)
		sq_hist_add(took, sq_clock_us() - strtoull(stamp, NULL, 16));
	if (write(fd, answer, sizeof answer - 1) != sizeof answer - 1)
		pushed_die("no answer can be written");
	c->len -= whole;
	memmove(c->in, c->in + whole, c->len);
	return true;
}

static void
pushed_read(nfds_t i)
{
	struct conn *c = conns[i];
	ssize_t n = read(fds[i].fd, c->in + c->len, BUFFER - c->len);

	if (n <= 0) {
		fds[i].fd = -1; /* poll() passes it over */
		return;
	}
	c->len += (size_t)n;
	while (pushed_request(fds[i].fd, c))
		;
}

static void
pushed_turn(uint64_t until_us)
{
	uint64_t now_us = sq_clock_us(), left = until_us > now_us ? until_us - now_us : 0;
	struct timespec wait = {(time_t)(left / 1000000), (long)(left % 1000000) * 1000};
	char acks[4096];

	if (ppoll(fds, n_fds, &wait, NULL) <= 0)
		return;
	if (fds[0].revents != 0)
		pushed_add(accept(fds[0].fd, NULL, NULL), true);
	if (fds[1].revents != 0 && read(fds[1].fd, acks, sizeof acks) <= 0)
		pushed_die("the sidecar has gone");
	for (nfds_t i = 2; i < n_fds; i++)
		if (fds[i].revents != 0)
			pushed_read(i);
}

/* A PUBLISH to the topic, or to each of so many below it. */
static struct sq_wire_template *
pushed_topics(const char *topic, size_t n, bool below)
{
	struct sq_wire_template *t = calloc(n, sizeof *t);
	char text[256];

	for (size_t i = 0; i < n; i++) {
		if (below)
			snprintf(text, sizeof text, "%s/%zu", topic, i);
		t[i] = sq_wire_template(below ? text : topic, 1, SIZE, false);
	}
	return t;
}

int
main(int argc, char **argv)
{
	struct sq_wire_template *topics;
	size_t n_topics = 1;
	uint64_t begun_us, end_us, gap_us;

	if (argc < 6 || argc > 7)
		pushed_die("bench_pushed MQTT-PORT TOPIC SINK-PORT RATE SECONDS [TOPICS]");
	if (argc == 7)
		n_topics = (size_t)atoi(argv[6]);
	n_max = (size_t)atoi(argv[4]) * (size_t)atoi(argv[5]);
	took = sq_hist_new();
	gap_us = 1000000 / (uint64_t)atoi(argv[4]);
	pushed_listen(argv[3]);
	pushed_connect(argv[1]);
	topics = pushed_topics(argv[2], n_topics, argc == 7);
	begun_us = sq_clock_us();
	while (n_sent < n_max) {
		uint64_t due_us = begun_us + n_sent * gap_us;

		if (sq_clock_us() >= due_us)
			pushed_publish(&topics[n_sent % n_topics]);
		else
			pushed_turn(due_us);
	}
	end_us = sq_clock_us() + DRAIN_US;
	while (sq_hist_count(took) < n_sent && sq_clock_us() < end_us)
		pushed_turn(end_us);
	if (sq_hist_count(took) == 0)
		pushed_die("nothing was pushed");
	printf("{\"n\":%zu,\"lost\":%zu,\"p50\":%llu,\"p99\":%llu}\n", n_sent,
	    n_sent - (size_t)sq_hist_count(took), (unsigned long long)sq_hist_quantile(took, 0.5),
	    (unsigned long long)sq_hist_quantile(took, 0.99));
	for (size_t i = 0; i < n_topics; i++)
		free(topics[i].bytes);
	free(topics);
	sq_hist_free(&took);
	return 0;
}
