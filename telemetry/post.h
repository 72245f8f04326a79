/* POST requests to the collector, one at a time, by libcurl.  No proxies, no redirects.  On the
 * exporter's thread. */
#ifndef SQ_TELEMETRY_POST_H
#define SQ_TELEMETRY_POST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_curl;
struct sq_post;

struct sq_post_cfg {
	const char *endpoint;     /* "http://collector:4318", of the collector */
	const char *headers_file; /* NULL: none */
	const char *ca_file;      /* NULL: the system's authorities */
};

struct sq_post_answer {
	int status; /* of HTTP; 0: there was none, and 'reason' says why */
	uint32_t retry_after_s;
	struct sq_buf body; /* of at most 64 KiB; the transfer of a longer one has been ended */
	bool too_long;      /* and 'body' is empty; the status is as good as any */
	char reason[256];   /* why there was no answer */
};

/* Checks what is configured, without the network.  Another result than 0: 'err' has a line. */
int sq_post_check(const struct sq_post_cfg *, struct sq_buf *err) SQ_MUST_CHECK;
/* The strings of the configuration, and libcurl, outlive the object. */
struct sq_post *sq_post_new(const struct sq_curl *, const struct sq_post_cfg *);
/* Nulls the pointer, which may be NULL. */
void sq_post_free(struct sq_post **);
/* Posts a body of JSON, for at most 'timeout_ms', and not beyond '*until_ms' of sq_clock_ms(), which
 * another thread may bring forward.  The caller frees the answer's body. */
void sq_post(struct sq_post *, const struct sq_buf *body, uint64_t timeout_ms,
    const atomic_uint_fast64_t *until_ms, struct sq_post_answer *out);

#endif
