/* A message on its way to a poll that waits for it, again and again: publishes over one connection of
 * HTTP/1.1, and measures from there to the answer over another; then acknowledges it.
 *
 *   bench_await PORT TOKEN QUEUE TOPIC SECONDS
 *
 * Prints {"n":…,"p50":…,"p99":…}, in µs. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/hist.h"
#include "core/clock.h"

enum { ANSWER_MAX = 64 * 1024, PAYLOAD = 64 };

/* A connection, and the last answer that came over it. */
struct conn {
	int fd;
	const char *token;
	char answer[ANSWER_MAX + 1];
};

static void
await_die(const char *why, const char *what)
{
	fprintf(stderr, "bench_await: %s: %s\n", why, what);
	exit(1);
}

static void
await_connect(struct conn *c, const char *port, const char *token)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(port)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;

	c->token = token;
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0)
		await_die("no connection", port);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void
await_ask(struct conn *c, const char *path, const char *body)
{
	char text[4096];
	int n = snprintf(text, sizeof text,
	    "POST /v1/%s HTTP/1.1\r\nhost: localhost\r\nauthorization: bearer %s\r\n"
	    "content-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
	    path, c->token, strlen(body), body);

	if (n < 0 || (size_t)n >= sizeof text || write(c->fd, text, (size_t)n) != n)
		await_die("not sent", path);
}

/* Whether the answer is there as a whole. */
static bool
await_whole(const char *answer, size_t len)
{
	const char *end = strstr(answer, "\r\n\r\n"), *at = strcasestr(answer, "content-length:");
	size_t body = at != NULL && at < end ? strtoul(at + sizeof "content-length:" - 1, NULL, 10)
					     : 0;

	return end != NULL && len >= (size_t)(end + 4 - answer) + body;
}

static void
await_read(struct conn *c)
{
	size_t len = 0;

	c->answer[0] = '\0';
	while (!await_whole(c->answer, len)) {
		ssize_t n = read(c->fd, c->answer + len, ANSWER_MAX - len);

		if (n <= 0)
			await_die("no answer", c->answer);
		len += (size_t)n;
		c->answer[len] = '\0';
	}
	if (strncmp(c->answer, "HTTP/1.1 20", sizeof "HTTP/1.1 20" - 1) != 0)
		await_die("an answer of another status", c->answer);
}

/* Acknowledges the message of the answer. */
static void
await_ack(struct conn *c)
{
	static const char lease[] = "\"lease\":\"";
	const char *at = strstr(c->answer, lease);
	char path[128];

	if (at == NULL)
		await_die("no message", c->answer);
	at += sizeof lease - 1;
	snprintf(path, sizeof path, "leases/%.*s/ack", (int)strcspn(at, "\""), at);
	await_ask(c, path, "");
	await_read(c);
}

int
main(int argc, char **argv)
{
	static struct conn polls, publishes;
	struct sq_hist *took = sq_hist_new();
	char poll[256], publish[256], payload[PAYLOAD + 1];
	uint64_t until_us;

	if (argc != 6)
		await_die("usage", "bench_await PORT TOKEN QUEUE TOPIC SECONDS");
	memset(payload, '1', PAYLOAD);
	payload[PAYLOAD] = '\0';
	snprintf(poll, sizeof poll, "queues/%s/receive?wait=10s", argv[3]);
	snprintf(publish, sizeof publish, "publish/%s", argv[4]);
	await_connect(&polls, argv[1], argv[2]);
	await_connect(&publishes, argv[1], argv[2]);
	until_us = sq_clock_us() + (uint64_t)atoi(argv[5]) * 1000000;
	while (sq_clock_us() < until_us) {
		uint64_t begun_us;

		await_ask(&polls, poll, "");
		begun_us = sq_clock_us();
		await_ask(&publishes, publish, payload);
		await_read(&polls);
		sq_hist_add(took, sq_clock_us() - begun_us);
		await_read(&publishes);
		await_ack(&polls);
	}
	if (sq_hist_count(took) == 0)
		await_die("no message", argv[3]);
	printf("{\"n\":%llu,\"p50\":%llu,\"p99\":%llu}\n", (unsigned long long)sq_hist_count(took),
	    (unsigned long long)sq_hist_quantile(took, 0.5),
	    (unsigned long long)sq_hist_quantile(took, 0.99));
	sq_hist_free(&took);
	return 0;
}
