/* Requests for JSON: one at a time, blocking, until a signal ends them (cli/view/ask.h). */
#ifndef SQ_CLI_VIEW_HTTP_H
#define SQ_CLI_VIEW_HTTP_H

#include <jansson.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

struct sq_http;

/* An API server, or another with credentials of its own, through which all requests go.  Everything
 * is copied. */
struct sq_http_via {
	const char *name;          /* for people: "context x of FILE" */
	const char *token;         /* "Authorization: Bearer"; NULL: none */
	struct sq_bytes ca;        /* PEM; empty: the system's authorities */
	struct sq_bytes cert, key; /* PEM; empty: none */
	const char *server_name;   /* of its certificate; NULL: that of the address */
	const char *proxy;         /* NULL: none */
	bool insecure;             /* whoever it is: its certificate is not looked at */
};

/* 'base': "http://HOST:PORT" or "HOST:PORT", and a path, if something is in between, as the proxy of
 * an API server.  'token': sent in a header, which is wiped at the end; NULL: none.  NULL: 'err' has
 * a line.  'via' NULL: nothing is in between. */
struct sq_http *
sq_http_new(const char *base, const char *token, const struct sq_http_via *via, struct sq_buf *err);
/* Nulls the pointer. */
void sq_http_free(struct sq_http **);

/* Gets base + path, which is percent-encoded.  An answer that asks to come again (429, 503) is asked
 * for some times more.  0: '*out' is the document, the caller's.  SQ_EIO, SQ_EINVAL (no JSON),
 * SQ_ETOOBIG, SQ_EDENIED (401, 403), SQ_ENOTFOUND (404): 'err' has a line that names the address and
 * what to do. */
int sq_http_get(struct sq_http *, const char *path, json_t **out, struct sq_buf *err) SQ_MUST_CHECK;
/* The same with another method, and with a body, unless that is NULL. */
int sq_http_do(struct sq_http *, const char *method, const char *path, const json_t *body,
    json_t **out, struct sq_buf *err) SQ_MUST_CHECK;
/* From now on a signal ends no request, and each is given a short time: for what is said at
 * parting. */
void sq_http_part(struct sq_http *);

#endif
