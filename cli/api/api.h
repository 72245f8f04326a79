/* Requests to a broker's HTTP API (docs/http.md): one at a time, blocking, until a signal ends them
 * (cli/view/ask.h). */
#ifndef SQ_CLI_API_API_H
#define SQ_CLI_API_API_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

struct sq_api;

struct sq_api_where {
	const char *url;        /* "https://HOST[:PORT]", perhaps with a path in front of /v1 */
	const char *token_file; /* NULL: no token */
	const char *ca_file;    /* authorities in PEM; NULL: the system's */
	const char *space;      /* NULL: the identity's own */
};

/* Whether the text is the URL of an HTTP API: of http or https. */
bool sq_api_url(const char *);

/* NULL: 'err' has a line. */
struct sq_api *sq_api_open(const struct sq_api_where *, struct sq_buf *err);
/* Nulls the pointer. */
void sq_api_close(struct sq_api **);

/* Adds a header to the next request.  SQ_EINVAL, with a line in 'err': the value has control
 * characters. */
int sq_api_header(
    struct sq_api *, const char *name, const char *value, struct sq_buf *err) SQ_MUST_CHECK;

struct sq_api_request {
	const char *method, *path; /* percent-encoded, from "/v1" on */
	struct sq_bytes body;      /* .p NULL: none */
	const char *content_type;  /* NULL: not said */
	uint64_t wait_ms;          /* for which the broker may wait before it answers */
};

struct sq_api_answer {
	long status;          /* 200 to 299 */
	struct sq_bytes body; /* until the next request */
};

/* Asks; an answer that asks to come again (429, 503) is asked for some times more.  SQ_EIO (no answer),
 * SQ_EDENIED (401, 403), SQ_ENOTFOUND (404), SQ_ESTALE (410), SQ_EINVAL (other statuses): 'err' has a
 * line that names the address, the status and the problem. */
int sq_api_ask(struct sq_api *, const struct sq_api_request *, struct sq_api_answer *,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Whether a signal ends requests, as it does at first; false: for what is said at parting. */
void sq_api_yields(struct sq_api *, bool);

#endif
