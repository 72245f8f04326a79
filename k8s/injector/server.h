/* The webhook's HTTPS server: HTTP/1.1 on TLS 1.3, on a crew of one worker (web/crew.h).
 *
 *   server.c       its life, its certificate, tasks for its thread
 *   server_conn.c  connections: number, age, memory
 *   server_http.c  paths, methods, content types, answers
 *
 * The server hands bodies to its user and sends the user's answers; it knows neither reviews nor pods.
 * Memory and time of peers are bounded: the number of connections, the bytes of incomplete requests,
 * and ten seconds for a request to come in whole. */
#ifndef SQ_K8S_INJECTOR_SERVER_H
#define SQ_K8S_INJECTOR_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/metrics.h"

struct sq_server;
struct sq_task;

/* Requests by path. */
enum sq_server_path {
	SQ_PATH_MUTATE,           /* /mutate */
	SQ_PATH_VALIDATE,         /* /validate */
	SQ_PATH_VALIDATE_ASKED,   /* /validate/asked: of a namespace that asks for sidecars */
	SQ_PATH_VALIDATE_UNASKED, /* /validate/unasked: of one that does not */
	SQ_PATHS,
};

struct sq_server_cfg {
	const char *listen; /* of listen.address; borrowed until the start is over */
	size_t max_body;    /* bytes; more is answered with 413 */
	unsigned max_connections;
	size_t max_waiting; /* bytes of requests that are not complete, of all connections */
	const struct sq_metrics *metrics;
	/* On the server's thread: the answer to a body that came as JSON.  Returns a status and
	 * fills 'out': 200 with JSON, anything else with the detail of a problem, in words. */
	unsigned (*answer)(
	    void *owner, enum sq_server_path, const void *body, size_t len, struct sq_buf *out);
	void *owner;
};

/* Listens; until there is a certificate, connections are closed at once.  NULL with a line in 'err'
 * that begins with listen.address. */
struct sq_server *sq_server_start(const struct sq_server_cfg *, struct sq_buf *err);
unsigned sq_server_port(const struct sq_server *);
/* Sets the context of new connections; takes the caller's reference.  Thread: any. */
void sq_server_use(struct sq_server *, SSL_CTX *);
/* Has the task (web/worker.h) run on the server's thread, in the order of the posts.  Thread: any. */
void sq_server_post(struct sq_server *, struct sq_task *);
/* False, with a line in 'why', if the thread has not turned for 'ms'.  Thread: any. */
bool sq_server_live(const struct sq_server *, uint64_t ms, struct sq_buf *why);

/* Lets each later answer end its connection, so that clients go elsewhere.  Thread: any. */
void sq_server_part(struct sq_server *);
/* Stops listening, waits at most 'ms' for requests that are coming in or being answered,
 * and closes all connections.  Tasks still run. */
void sq_server_drain(struct sq_server *, uint64_t ms);
/* Ends the thread; tasks that were posted have run.  Nulls '*s', which may be NULL. */
void sq_server_free(struct sq_server **s);

#endif
