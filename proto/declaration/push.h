/* The push of a named queue: where its messages are posted to, and how (docs/push.md).
 *
 * A part of struct sq_declaration, in the same table of settings: "push.url" and so on. */
#ifndef SQ_PROTO_DECLARATION_PUSH_H
#define SQ_PROTO_DECLARATION_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/dispatch/dispatch.h"

enum {
	SQ_PUSH_URL_MAX = 2048,
	SQ_PUSH_CONCURRENCY_MAX = 1000, /* requests of one queue at a time */
	SQ_PUSH_BATCH_MAX = 1000,       /* messages of one request */
	SQ_PUSH_HEADERS_MAX = 32,
	SQ_PUSH_HEADER_MAX = 512,  /* bytes of a header's template */
	SQ_PUSH_TEXT_MAX = 512,    /* bytes of another text */
	SQ_PUSH_STATUSES_MAX = 32, /* of each list of 'on' */
};

enum sq_push_format { SQ_PUSH_BINARY, SQ_PUSH_STRUCTURED, SQ_PUSH_RAW };
enum sq_push_validate {
	SQ_PUSH_VALIDATE_OFF,
	SQ_PUSH_VALIDATE_OPTIONAL,
	SQ_PUSH_VALIDATE_REQUIRED
};

/* A secret: a file, which files of subscribers.dir alone may name, or a name in the space's part of
 * push.secrets-dir.  Both NULL: none. */
struct sq_push_secret {
	char *file, *name;
};

struct sq_push_header {
	char *name, *value; /* a template: proto/mapping */
};

/* Statuses: 410, or all of a hundred as 4xx: 400 with 'all'. */
struct sq_push_status {
	uint16_t status;
	bool all;
};
struct sq_push_statuses {
	struct sq_push_status *v; /* NULL: none */
	size_t n;
};

/* 'n' requests in 'per_ms'; 0: any number. */
struct sq_push_rate {
	uint32_t n, per_ms;
};

struct sq_declared_push {
	char *url; /* a template in its path; NULL: nothing is pushed */
	enum sq_push_format format;
	struct {
		uint32_t max; /* 1: one message a request */
		uint64_t bytes, linger_ms;
	} batch;
	uint64_t timeout_ms;
	uint32_t concurrency;
	struct sq_push_rate rate;
	/* In place of the queue's where they are set; first_ms, factor, max_ms, attempts 0: the queue's.
	 * A wait is drawn where both this jitter and the queue's say so. */
	struct sq_dispatch_retry retry;
	uint32_t attempts;
	uint64_t for_ms; /* since a message has arrived; 0: for ever */
	struct {
		uint32_t failures;
		uint64_t probe_ms, max_ms;
	} breaker;
	bool http2;
	char *ca_file; /* NULL: the system's */
	struct {
		struct sq_push_secret bearer; /* a token, as of a projected volume; read again */
		struct sq_push_secret basic;  /* "user:password" */
		struct sq_push_secret value;  /* of the header 'header' */
		struct sq_push_secret cert; /* a client's certificate and key in PEM, in one file */
		char *header;
	} auth;
	struct sq_push_secret sign; /* keys of proto/webhook */
	enum sq_push_validate validate;
	struct {
		char *topic;       /* a template; NULL: none */
		bool from_request; /* the message's response topic */
	} reply;
	struct sq_push_header *headers; /* by name, in lower case */
	size_t n_headers;
	struct {
		struct sq_push_statuses dead_letter, retry, pause;
	} on;
};

#endif
