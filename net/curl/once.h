/* A client of HTTP for a program that has a thread to spare: one request at a time, which blocks the
 * caller's thread, to one server, whose connection is reused.
 *
 * Of the environment nothing is read: no proxies, no .netrc; and no redirects are followed.  A request
 * ends for a stop from another thread or by a hook, even while a name is looked up.  Thread: one at a
 * time, but for sq_once_until(). */
#ifndef SQ_NET_CURL_ONCE_H
#define SQ_NET_CURL_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

struct sq_once;

/* Everything is copied. */
struct sq_once_cfg {
	/* "https://host:port", perhaps with a path, in front of that of each request; slashes at its end
	 * are cut off. */
	const char *base;
	const char *accept;               /* the media types of answers; NULL: all */
	const char *proxy;                /* "http://host:port"; NULL: none */
	const char *ca_file;              /* PEM, read at each connection; NULL: the system's */
	const char *cert_file, *key_file; /* of the client, PEM; NULL: none */
	struct sq_bytes ca, cert, key;    /* PEM, in place of files; .len 0: none */
	const char *server_name;          /* of its certificate; NULL: that of 'base' */
	bool insecure;                    /* whoever it is: its certificate is not looked at */
	/* Checks a connection's SSL_CTX for the host of 'base', as sq_san_check(); NULL: libcurl does. */
	bool (*names)(void *ssl_ctx, const char *host);
	uint64_t connect_ms; /* for name, connection and TLS; 0: 5 s */
	uint32_t silent_s;   /* for which nothing may come; 0: all of a request's time */
	size_t max_body;     /* bytes of an answer */
	/* Whether a request is to end, asked from time to time and after each signal.  NULL: never. */
	bool (*interrupted)(void *arg);
	void *arg;
};

struct sq_once_request {
	const char *method;       /* "GET", "HEAD", "POST", ... */
	const char *path;         /* percent-encoded, with its query */
	const char *content_type; /* without control characters; NULL: not said */
	struct sq_bytes body;     /* .p NULL: none */
	uint64_t timeout_ms;      /* for all of it; not 0 */
	/* How often it is sent at most, while the answer asks to come again (429, 503), after the time
	 * that it says, of 1 to 5 s; 0: once. */
	unsigned tries;
};

enum sq_once_end {
	SQ_ONCE_ANSWERED,
	SQ_ONCE_UNREACHABLE, /* no connection */
	SQ_ONCE_UNTRUSTED,   /* the certificate */
	SQ_ONCE_TIMEOUT,
	SQ_ONCE_TOO_LARGE, /* the body */
	SQ_ONCE_STOPPED,   /* sq_once_until() */
	SQ_ONCE_INTERRUPTED,
	SQ_ONCE_FAILED, /* something else */
};

/* A zeroed struct is ready for use; each request empties it. */
struct sq_once_answer {
	unsigned status;    /* 0: it was not ANSWERED, nor TOO_LARGE */
	uint32_t after_s;   /* Retry-After; 0: not said */
	uint64_t took_us;   /* for all of the request */
	struct sq_buf body; /* the user's to free */
	char why[256];      /* in words, unless it was ANSWERED */
};

/* Makes a client, without a connection yet.  NULL with a line in 'err': libcurl is not there, or does
 * not take an option. */
struct sq_once *sq_once_new(const struct sq_once_cfg *, struct sq_buf *err);
/* Nulls the pointer, which may be NULL.  No request is running. */
void sq_once_free(struct sq_once **);
/* 'base', for people: without slashes at its end, and by the name of the certificate. */
const char *sq_once_base(const struct sq_once *);

/* Adds a header to the next request; it is wiped after it.  SQ_EINVAL: the value has control
 * characters. */
int sq_once_header(struct sq_once *, const char *name, const char *value) SQ_MUST_CHECK;
/* Drops what was added for the next request. */
void sq_once_headers_drop(struct sq_once *);
/* Adds a header to each request; it is wiped at the end. */
int sq_once_header_always(struct sq_once *, const char *name, const char *value) SQ_MUST_CHECK;
/* From the next connection on these authorities, PEM, are trusted, and no others.  SQ_ENOMEM. */
int sq_once_trust(struct sq_once *, struct sq_bytes ca) SQ_MUST_CHECK;

/* Sends a request and waits for its answer; any status is ANSWERED. */
enum sq_once_end
sq_once_do(struct sq_once *, const struct sq_once_request *, struct sq_once_answer *);
/* Has requests, the one that runs and those that come, end at that time of sq_clock_ms() at the latest;
 * 0: at once.  Thread: any, until sq_once_free(). */
void sq_once_until(struct sq_once *, uint64_t ms);

#endif
