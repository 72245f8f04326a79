#include "web/probe.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"

enum {
	WAIT_MS = 5000,
	HOST_MAX = 256,
	ANSWER_MAX = 64 << 10, /* what is longer is cut */
	NOT_READY = 1,
	BAD_ADDRESS = 2,
};

/* The two parts of "host:port" or "[v6]:port"; NULL: it has none.  Writes 'host'. */
static const char *
probe_split(const char *address, char host[HOST_MAX])
{
	const char *colon = strrchr(address, ':');
	size_t len = colon != NULL ? (size_t)(colon - address) : 0;

	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len == 0 || len >= HOST_MAX || colon[1] == '\0')
		return NULL;
	memcpy(host, address, len);
	host[len] = '\0';
	return colon + 1;
}

/* A connection whose calls wait for 5 s each; -1 with 'why'. */
static int
probe_connect(const char *host, const char *port, const char **why)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	const struct timeval wait = {.tv_sec = WAIT_MS / 1000};
	struct addrinfo *found = NULL;
	int fd = -1, rc = getaddrinfo(host, port, &hints, &found);

	*why = rc != 0 ? gai_strerror(rc) : "no address";
	for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
		    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0 &&
		    connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		*why = strerror(errno == EINPROGRESS ? ETIMEDOUT : errno);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	if (found != NULL)
		freeaddrinfo(found);
	return fd;
}

/* Adds the whole answer to 'out', as far as it comes in time. */
static void
probe_ask(int fd, struct sq_buf *out)
{
	static const char request[] = "GET /readyz HTTP/1.1\r\nhost: localhost\r\n"
				      "connection: close\r\n\r\n";
	uint64_t until_ms = sq_clock_ms() + WAIT_MS;
	char piece[4096];
	ssize_t n;

	if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
		return;
	while (sq_buf_len(out) < ANSWER_MAX && sq_clock_ms() < until_ms &&
	    (n = recv(fd, piece, sizeof piece, 0)) > 0)
		sq_buf_append(out, piece, (size_t)n);
}

/* Prints what stands behind the head of the answer; whether its status is 200. */
static bool
probe_say(struct sq_buf *answer)
{
	static const char good[] = "HTTP/1.1 200 ";
	const char *text, *body;

	sq_buf_u8(answer, '\0');
	text = (const char *)sq_buf_data(answer);
	body = strstr(text, "\r\n\r\n");
	if (body == NULL) {
		puts("no answer");
		return false;
	}
	fputs(body + 4, stdout);
	return strncmp(text, good, sizeof good - 1) == 0;
}

int
sq_probe_main(const char *name, int argc, char **argv)
{
	char host[HOST_MAX];
	const char *port = argc == 3 ? probe_split(argv[2], host) : NULL, *why = NULL;
	struct sq_buf answer = {0};
	bool ready;
	int fd;

	if (port == NULL) {
		fprintf(stderr, "%s: --probe: needs the address of an admin endpoint, host:port\n",
		    name);
		return BAD_ADDRESS;
	}
	fd = probe_connect(host, port, &why);
	if (fd < 0) {
		puts(why);
		return NOT_READY;
	}
	probe_ask(fd, &answer);
	close(fd);
	ready = probe_say(&answer);
	sq_buf_fini(&answer);
	return ready ? 0 : NOT_READY;
}
