/* Publishing over HTTP: the verb pub with a URL of http or https; and request. */
#ifndef SQ_CLI_API_PUBLISH_H
#define SQ_CLI_API_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/api/api.h"

enum { SQ_API_PROPERTIES_MAX = 64 };

struct sq_api_publish {
	const char *topic;
	const char *message; /* NULL: standard input has it */
	bool lines;          /* of standard input each line is a message */
	/* Headers of docs/http.md as texts; NULL: not said. */
	const char *qos, *key, *receipt, *ttl, *delay, *order_key, *content_type;
	bool retain;
	struct {
		const char *name, *value;
	} properties[SQ_API_PROPERTIES_MAX]; /* tags, too */
	size_t n_properties;
	bool json; /* print the broker's answers */
	/* Not 0: it is a request, whose first reply is waited for so long, and printed as it is. */
	uint64_t timeout_s;
};

/* Publishes one message after the other.  0: '*unmatched' is whether nobody had subscribed, at least
 * for one of them.  Else as sq_api_ask(). */
int sq_api_publish(struct sq_api *, const struct sq_api_publish *, bool *unmatched,
    struct sq_buf *out, struct sq_buf *err) SQ_MUST_CHECK;

#endif
