/* A body that has many messages: lines of JSON, a JSON array, or a batch of CloudEvents
 * (docs/http.md, "Batches").  Pure: the time comes in as an argument. */
#ifndef SQ_BROKER_FRONT_HTTP_ENTRIES_H
#define SQ_BROKER_FRONT_HTTP_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/front/http/events.h"
#include "broker/front/http/message.h"
#include "broker/port/call.h"

enum sq_http_batch_form {
	SQ_HTTP_BATCH_NONE,  /* another type */
	SQ_HTTP_BATCH_LINES, /* application/x-ndjson */
	SQ_HTTP_BATCH_ARRAY, /* application/json */
	SQ_HTTP_BATCH_EVENTS /* SQ_CE_TYPE_BATCH */
};

/* The form that a content type says; without one the body's first byte says it. */
enum sq_http_batch_form sq_http_batch_form(struct sq_bytes type, struct sq_bytes body);

struct sq_http_entries {
	size_t n;
	/* Of each entry: 0 with its message, or what is wrong with it. */
	int *rc;
	struct sq_http_fault *faults;
	unsigned *qos; /* 0 to 3 */
	/* Of the 'n_msgs' good ones, in their order: references. */
	struct sq_msg *msgs;
	struct sq_publish_want *wants;
	size_t n_msgs;
};

/* Reads the body, of at most 'max' entries; headers and topic of 'in' are those of CloudEvents, each
 * of which has them.  'out' is zeroed before; end it by sq_http_entries_fini() either way.  SQ_EINVAL:
 * the body as a whole does not read, see 'fault'. */
int sq_http_entries_read(const struct sq_http_bounds *, enum sq_http_batch_form,
    const struct sq_http_event_in *in, size_t max, struct sq_http_entries *out,
    struct sq_http_fault *fault) SQ_MUST_CHECK;
void sq_http_entries_fini(struct sq_http_entries *);

#endif
