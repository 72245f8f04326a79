/* A server of HTTP/1.1 for requests that leave, each connection on a thread of its own, in the clear
 * or with real TLS.  What is answered is bytes that a function of the test writes. */
#ifndef SQ_TEST_SUPPORT_SINK_H
#define SQ_TEST_SUPPORT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink;
struct sink_conn;

struct sink_request {
	const char *head; /* all of it, from the request line on; NUL-terminated */
	const char *body;
	size_t body_len;
	unsigned connection; /* which, from 1 */
};

struct sink_cfg {
	const char *host;       /* "127.0.0.1" unless set; "::1" */
	const char *cert, *key; /* PEM files; NULL: in the clear */
	const char *client_ca;  /* NULL: clients need no certificate */
	int max_version;        /* of TLS; 0: any */
	/* On the connection's thread; false: the connection ends.  NULL: 200 without a body. */
	bool (*serve)(void *owner, struct sink_conn *, const struct sink_request *);
	void *owner;
};

struct sink *sink_start(const struct sink_cfg *);
void sink_stop(struct sink **);
unsigned sink_port(const struct sink *);
unsigned sink_connections(struct sink *); /* so far */
unsigned sink_open(struct sink *);        /* connections */
unsigned sink_requests(struct sink *);    /* so far */
/* What the last client offered by ALPN: "h2,http/1.1"; "": nothing. */
void sink_offered(struct sink *, char *out, size_t room);

/* For serve().  False: the connection is over. */
bool sink_write(struct sink_conn *, const void *p, size_t n);
bool sink_say(struct sink_conn *, const char *text);
/* Whether the sink is being stopped. */
bool sink_is_stopped(struct sink_conn *);

#endif
