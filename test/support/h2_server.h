/* A broker for tests: an HTTP/2 server on nghttp2, in a thread of its own, in the
 * clear or with TLS.  It knows links and bytes, not sessions.
 *
 * What it answers to a POST or PUT is in the path:
 *
 *   /echo                     200 and the body
 *   /sum                      200 and its length and checksum: u32, u32
 *   /early                    413, at once, without reading the body
 *   /reset                    RST_STREAM
 *   /hold                     200, after h2_server_release()
 *   /status/N[?k=v[&k=v]]     status N with header lines k: v
 *
 * GET /v1/links/<id>/deliveries is answered with 200 and never ends by itself. */
#ifndef SQ_TEST_SUPPORT_H2_SERVER_H
#define SQ_TEST_SUPPORT_H2_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_server;

struct h2_server_cfg {
	uint16_t port;              /* 0: of its own choice */
	const char *cert, *key;     /* PEM files; NULL: in the clear */
	const char *token;          /* NULL: any; else what the bearer must be */
	unsigned heartbeat_ms;      /* 0: none */
	unsigned deliveries_status; /* 0: 200 */
	const char *retry_after;    /* with it, or NULL */
	const char *garbage;        /* sent to each connection instead of HTTP/2 */
	uint32_t max_streams;       /* 0: 100 */
	uint32_t window;            /* of streams; 0: 65535 */
	bool mute;                  /* accepts and says nothing */
};

struct h2_server_stats {
	unsigned connections; /* accepted so far */
	unsigned open;        /* connections */
	unsigned links;       /* deliveries responses open */
	unsigned dials;       /* deliveries requests so far */
	unsigned refused;     /* of them and others, for their token */
	unsigned requests;    /* others, so far */
	unsigned held;        /* waiting for h2_server_release() */
	unsigned held_peak;
	unsigned pings;
	unsigned reads; /* that brought something; with TLS each is a record */
	char last_path[144];
	char last_link[144]; /* the path of the last deliveries request */
};

/* Listens on 127.0.0.1. */
struct h2_server *h2_server_start(const struct h2_server_cfg *);
void h2_server_stop(struct h2_server **);
uint16_t h2_server_port(const struct h2_server *);
/* "127.0.0.1:port" */
const char *h2_server_address(const struct h2_server *);
struct h2_server_stats h2_server_stats(struct h2_server *);

/* All of these are carried out by the server's thread, in order, soon. */

/* Sends bytes on every deliveries response, in DATA frames of 'piece' bytes (0: as
 * few as possible). */
void h2_server_deliver(struct h2_server *, const void *p, size_t len, size_t piece);
/* Ends every deliveries response, with RST_STREAM if 'reset'. */
void h2_server_end_deliveries(struct h2_server *, bool reset);
/* Answers the requests that were held. */
void h2_server_release(struct h2_server *);
void h2_server_goaway(struct h2_server *);
/* Closes all connections at once. */
void h2_server_cut(struct h2_server *);
/* No more heartbeats. */
void h2_server_silence(struct h2_server *);
/* How deliveries requests are answered from now on: as in /status/N?query above, where 200 never ends;
 * query NULL: without further headers. */
void h2_server_answers(struct h2_server *, unsigned status, const char *query);
void h2_server_expect_token(struct h2_server *, const char *token);

#endif
