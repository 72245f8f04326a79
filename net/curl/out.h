/* Requests of HTTP that leave: one thread with one libcurl multi handle for all of a program.
 *
 *   any thread --sq_out_send()--> the thread --done()--> (posts to its own worker)
 *
 * Connections are pooled by origin, HTTP/1.1 by choice; HTTP/2 by ALPN alone.  Nobody's redirect is
 * followed, and of the environment nothing is read: no proxy, no .netrc.  The thread, and libcurl's
 * pages, are there from the first sq_out_new() on.
 *
 * Bounds: of connections per origin and in all, of lookups of names at a time, of an answer's headers
 * and body, and of a request's time.  A name whose lookup hangs holds up nobody but the requests to
 * it. */
#ifndef SQ_NET_CURL_OUT_H
#define SQ_NET_CURL_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/list.h"
#include "core/msg.h"

struct sq_out;
struct sq_out_transfer; /* its own part of a request */

struct sq_out_cfg {
	const char *user_agent;
	/* "http://host:port"; NULL: none.  It then looks names up, not we, and 'allows' of ways is not
	 * asked: only the proxy knows addresses. */
	const char *proxy;
	unsigned per_origin; /* connections to it of one owner; 0: 64 */
	unsigned total;      /* connections in all; 0: 1024 */
	unsigned lookups;    /* names that are looked up at a time; 0: 32 */
	unsigned rest_ms;    /* without a request, then all connections are closed; 0: 2 min */
};

/* How a subscriber's requests go; good and unchanged as long as a request of it is out. */
struct sq_out_way {
	const char *ca_file;              /* PEM; NULL: the system's authorities */
	const char *cert_file, *key_file; /* of the client, PEM; NULL: none */
	bool http2;                       /* takes HTTP/2 where the server offers it */
	bool direct;                      /* not by way of the proxy */
	/* Whose it is: of the names that are looked up at a time one owner has a quarter at most, and of
	 * the connections in all half.  NULL: nobody's. */
	const char *owner;
	/* Whether an address may be spoken to: asked for that of each new connection before it is
	 * made, and of each request before it is written, on a pooled connection, too.  NULL: any.
	 * Thread: sq_out's. */
	bool (*allows)(const struct sq_out_way *, const struct sockaddr *);
	const void *arg; /* the user's */
};

enum sq_out_end {
	SQ_OUT_ANSWERED,    /* 'status', and what came with it */
	SQ_OUT_FORBIDDEN,   /* 'allows' said no */
	SQ_OUT_UNREACHABLE, /* no name, no connection, no TLS */
	SQ_OUT_TIMEOUT,
	SQ_OUT_CROWDED,   /* never sent: no connection, or no lookup, has been free in time */
	SQ_OUT_CUT,       /* the connection went, or what came is no HTTP */
	SQ_OUT_TOO_LARGE, /* the answer: its body, which 'answer' has the beginning of, or its head */
	SQ_OUT_INVALID,   /* the request itself can't be sent: its URL, a file of its way */
	SQ_OUT_CANCELLED,
};

/* The end in a word, for metrics and logs. */
const char *sq_out_end_name(enum sq_out_end);

/* A request, in the user's memory, zeroed at first; sq_out's from sq_out_send() until done(). */
struct sq_out_request {
	/* The user's; all that it points to is good until done(). */
	const char *url;       /* http:// or https://, without user information */
	const char *method;    /* "POST" */
	struct sq_buf headers; /* by sq_out_header() */
	struct sq_buf sign;    /* by sq_out_sign(); empty: not signed */
	struct sq_bytes body;  /* .p NULL: none */
	const struct sq_out_way *way;
	uint32_t connect_ms; /* for name, connection and TLS; 0: 5 s */
	/* From when it has its turn to the answer's end, and as long at most until it has; not 0. */
	uint32_t timeout_ms;
	size_t max_answer; /* bytes of its body */
	/* Hands the request back.  Thread: sq_out's, where it must not block. */
	void (*done)(struct sq_out_request *);

	/* The answer, kept until sq_out_request_fini() or the next send. */
	enum sq_out_end end;
	unsigned status;              /* 0: none came; with any end, as of an answer that was cut */
	struct sq_buf answer_headers; /* "name\0value\0", names in lower case; 32 KiB at most */
	struct sq_buf answer;
	char why[160]; /* for people, without secrets and payloads; "" with ANSWERED */
	uint64_t took_us;

	/* Its own. */
	struct sq_list node;
	struct sq_out_transfer *transfer;
	bool cancelled;
};

/* Starts the thread.  NULL with a line in 'err': libcurl is not there. */
struct sq_out *sq_out_new(const struct sq_out_cfg *, struct sq_buf *err);
/* Cancels what is out, waits for the thread, and frees it; done() of each has been called. */
void sq_out_free(struct sq_out **);

/* Adds a header.  SQ_EINVAL: a byte that no header can have, or a header that is not the user's: Host,
 * and those of the connection and the framing (Content-Length, Expect and so on). */
int sq_out_header(struct sq_out_request *, const char *name, struct sq_bytes value) SQ_MUST_CHECK;

/* Who signs a request to a service of AWS, and for which; without spaces. */
struct sq_out_signer {
	const char *region, *service; /* "eu-central-1", "sqs" */
	const char *key_id, *secret;
	const char *token; /* of a session; NULL: none */
};

/* Has a request signed as it is sent (AWS Signature Version 4), its body and all of its headers; after
 * the last sq_out_header(), one of which is Content-Type.  Copies the texts, and adds the header of the
 * token.  SQ_EINVAL: it is no "POST /" without a query, which alone libcurl signs well; two headers of
 * one name, or one that is empty or has two spaces in a row; a text that none of the signer's can be. */
int sq_out_sign(struct sq_out_request *, const struct sq_out_signer *) SQ_MUST_CHECK;
/* Thread: any. */
void sq_out_send(struct sq_out *, struct sq_out_request *);
/* Ends a request that is out soon; done() still comes.  Called with the certainty that done() was not:
 * the user orders both.  Thread: any. */
void sq_out_cancel(struct sq_out *, struct sq_out_request *);
/* The value of a header of the answer, of the first of its name (lower case); .p NULL: none. */
struct sq_bytes sq_out_answer_header(const struct sq_out_request *, const char *name);
/* Frees headers, signer and answer, wiped; the struct may be used again. */
void sq_out_request_fini(struct sq_out_request *);

struct sq_out_counts {
	unsigned requests, connections, lookups; /* out, open, under way */
};
/* Thread: any. */
struct sq_out_counts sq_out_count(const struct sq_out *);

/* Whether a text is a URL that sq_out takes: http or https, a host, visible ASCII alone, no user
 * information, no fragment.  SQ_EINVAL with a line in 'err', without the text.  'https', 'host', 'port'
 * (NULL: not wanted) are its parts: 'host' in 'room' bytes, in lower case, without brackets and without
 * a dot at its end.  Pure. */
int sq_out_url_check(const char *url, bool *https, char *host, size_t room, uint16_t *port,
    struct sq_buf *err) SQ_MUST_CHECK;

#endif
