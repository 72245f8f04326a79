/* POST requests to the collector, one at a time (net/curl/once.h).  On the exporter's thread. */
#ifndef SQ_TELEMETRY_POST_H
#define SQ_TELEMETRY_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

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
/* The strings of the configuration outlive the object.  NULL with a line in 'err': libcurl is not
 * there. */
struct sq_post *sq_post_new(const struct sq_post_cfg *, struct sq_buf *err);
/* Nulls the pointer, which may be NULL. */
void sq_post_free(struct sq_post **);
/* Posts a body of JSON, for at most 'timeout_ms'.  The caller frees the answer's body. */
void sq_post(
    struct sq_post *, const struct sq_buf *body, uint64_t timeout_ms, struct sq_post_answer *out);
/* Has requests end at that time of sq_clock_ms() at the latest.  Thread: any. */
void sq_post_until(struct sq_post *, uint64_t ms);

#endif
