/* Named queues, as a broker's HTTP API has them: declared, bound, paused, shown. */
#ifndef SQ_CLI_API_QUEUES_H
#define SQ_CLI_API_QUEUES_H

#include <jansson.h>

#include "cli/api/api.h"

/* Sets a setting of a declaration: "NAME=VALUE", where a name may have a '.' between a group and its
 * member and is in camelCase or kebab-case, and a value that is a number, a truth or null of JSON is one.  A
 * header's name stays as it is.
 * SQ_EINVAL: 'err' has a line. */
int sq_api_queue_set(json_t *declaration, const char *setting, struct sq_buf *err) SQ_MUST_CHECK;
/* Names of members in camelCase, of those in kebab-case, in all of the value but in maps of headers. */
void sq_api_queue_camel(json_t *);
/* The id of a binding that has none: what an MQTT client would subscribe to. */
void sq_api_binding_id(struct sq_buf *out, const char *filter, const char *tag);

/* Asks for "/v1/queues/QUEUE" and what is behind it: 'rest' is percent-encoded.  'body' NULL: none.  The
 * answer is appended to 'answer', unless that is NULL; '*status' as sq_api_ask(). */
int sq_api_queue(struct sq_api *, const char *method, const char *queue, const char *rest,
    const json_t *body, long *status, struct sq_buf *answer, struct sq_buf *err) SQ_MUST_CHECK;
/* Appends all queues of the space, of all pages, as rows of a table, or as an array of JSON. */
int sq_api_queues_list(
    struct sq_api *, bool json, struct sq_buf *out, struct sq_buf *err) SQ_MUST_CHECK;
struct sq_api_redrive {
	const char *space;
	const char *filter, *reason, *to; /* NULL: any; to the topic that they had */
	uint64_t max;                     /* 0: all */
	uint64_t done, stayed;            /* what was done, also after an error */
};

/* Publishes dead letters again, a page after the other. */
int sq_api_redrive(struct sq_api *, struct sq_api_redrive *, struct sq_buf *err) SQ_MUST_CHECK;
/* Appends one queue, a setting or count in a line, or as it came. */
int sq_api_queues_show(struct sq_api *, const char *queue, bool json, struct sq_buf *out,
    struct sq_buf *err) SQ_MUST_CHECK;

#endif
