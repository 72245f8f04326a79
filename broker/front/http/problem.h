/* Problems: what the HTTP API answers where it does not do what was asked (RFC 9457).
 *
 * The table is the truth for code, docs/http.md and openapi.json.  A type is stable: programs compare
 * it.  The detail is for people and names the key, the limit and the value; it never has a payload, a
 * token or an idempotency key in it.  Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_PROBLEM_H
#define SQ_BROKER_FRONT_HTTP_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

#define SQ_HTTP_PROBLEM_BASE "https://sqmqos.io/problems/"

/* P(symbol, last part of the type, status, whether the same request may succeed later, title).  A
 * problem that may pass says retry-after. */
#define SQ_HTTP_PROBLEMS(P) \
	P(MALFORMED, "malformed", 400, false, "The request does not read") \
	P(UNAUTHORIZED, "unauthorized", 401, false, "A valid token is needed") \
	P(FORBIDDEN, "forbidden", 403, false, "The caller may not do that") \
	P(NOT_FOUND, "not-found", 404, false, "There is no such resource") \
	P(METHOD, "method", 405, false, "The resource takes other methods") \
	P(NOT_ACCEPTABLE, "media-type", 406, false, \
	    "The answer has another type than is accepted") \
	P(CONFLICT, "conflict", 409, false, "It contradicts what is there") \
	P(IN_FILE, "declared-in-file", 409, false, "A file declares the queue") \
	P(LEASE_LOST_ALL, "lease-lost", 409, false, "A lease is lost, and nothing was done") \
	P(NO_SUBSCRIBERS, "no-subscribers", 409, false, "Nobody has subscribed") \
	P(NOT_EMPTY, "not-empty", 409, false, "The queue holds messages") \
	P(LEASE_LOST, "lease-lost", 410, false, "The lease is lost") \
	P(CHANGED, "changed", 412, false, "It has changed meanwhile") \
	P(TOO_LARGE, "too-large", 413, false, "The request is too large") \
	P(MEDIA_TYPE, "media-type", 415, false, "The body has a type that is not taken") \
	P(INVALID_TOPIC, "invalid-topic", 422, false, "The topic can't be published to") \
	P(INVALID_PROPERTY, "invalid-property", 422, false, "What is asked for can't be had") \
	P(CLOUDEVENT_INVALID, "cloudevent-invalid", 422, false, "The body is not a CloudEvent") \
	P(KEY_REUSED, "key-reused", 422, false, "The key belongs to another message") \
	P(QUEUE_FULL, "queue-full", 429, true, "A queue is full") \
	P(QUOTA, "quota", 429, true, "The space has no room for more") \
	P(RATE, "rate", 429, true, "Too many requests") \
	P(TOO_MANY_WAITING, "too-many-waiting", 429, true, "Too many requests wait for messages") \
	P(HEADERS_TOO_LARGE, "headers-too-large", 431, false, "The headers are too large") \
	P(FAILED, "failed", 500, true, "The broker could not do it") \
	P(BUSY, "busy", 503, true, "The broker can't take it at present") \
	P(DRAINING, "draining", 503, true, "The broker is about to end") \
	P(RECOVERING, "recovering", 503, true, "The broker has just started") \
	P(ELSEWHERE, "elsewhere", 503, true, "Another broker serves") \
	P(STORE_STALLED, "store-stalled", 503, true, "The store takes no more at present") \
	P(NO_REPLY, "no-reply", 504, true, "No reply has come in time")

#define SQ_HTTP_PROBLEM_ENUM(symbol, slug, status, retryable, title) SQ_HTTP_##symbol,
enum sq_http_problem { SQ_HTTP_PROBLEMS(SQ_HTTP_PROBLEM_ENUM) SQ_HTTP_PROBLEM_COUNT };
#undef SQ_HTTP_PROBLEM_ENUM

struct sq_http_problem_row {
	const char *slug, *title;
	unsigned status;
	bool retryable;
};

/* Thread: any. */
const struct sq_http_problem_row *sq_http_problem_row(enum sq_http_problem);
/* The first problem of the table that has the status; FAILED: none has. */
enum sq_http_problem sq_http_problem_first(unsigned status);

enum {
	SQ_HTTP_DETAIL_MAX = 1024, /* bytes of a detail; a longer one is cut */
	SQ_HTTP_POINTER_MAX = 32,  /* of a pointer, with a NUL */
};

/* What is wrong with one request.  Zeroed before; the user frees the detail by
 * sq_http_fault_fini(). */
struct sq_http_fault {
	enum sq_http_problem problem;
	struct sq_buf detail; /* for people; what is no UTF-8 is replaced where it is written */
	const char *queue;    /* the queue that it is about; NULL: none */
	/* The place in the body that it is about, as a JSON pointer (RFC 6901); "": none. */
	char pointer[SQ_HTTP_POINTER_MAX];
	unsigned retry_after_s; /* of a problem that may pass; 0: 1 */
};

/* Says what is wrong; returns SQ_EINVAL, for 'return'. */
int sq_http_fault_say(struct sq_http_fault *, enum sq_http_problem, const char *fmt, ...)
    SQ_PRINTF(3, 4);
/* Appends to the detail a name from outside in quotes: cut, with '?' for what is not printable ASCII. */
void sq_http_fault_name(struct sq_http_fault *, struct sq_bytes name);
/* Says that it is about the body's 'list' (NULL: the body is the list), at 'i'. */
void sq_http_fault_at(struct sq_http_fault *, const char *list, size_t i);
/* The seconds after which to try again; 0: never. */
unsigned sq_http_fault_retry_s(const struct sq_http_fault *);
/* Appends the body, application/problem+json, in one line; 'more' are further members, each with a
 * comma before it, or NULL. */
void sq_http_fault_write(const struct sq_http_fault *, const char *request_id,
    const struct sq_buf *more, struct sq_buf *out);
/* Appends the members by which one of several in an answer says its problem. */
void sq_http_fault_write_short(const struct sq_http_fault *, struct sq_buf *out);
void sq_http_fault_fini(struct sq_http_fault *);

#endif
