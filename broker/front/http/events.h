/* CloudEvents in requests: what their headers and bodies say becomes fields, a topic and a payload
 * (docs/http.md, "CloudEvents").  Pure: the time comes in as an argument. */
#ifndef SQ_BROKER_FRONT_HTTP_EVENTS_H
#define SQ_BROKER_FRONT_HTTP_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/front/http/fields.h"
#include "proto/cloudevents/cloudevents.h"

/* A request that may have an event in it. */
struct sq_http_event_in {
	const struct sq_http_header *headers;
	size_t n;
	struct sq_bytes body;
	bool element; /* the body is one event of a batch, in the structured form */
	const char
	    *topic;       /* of the path; NULL: none, the event must say one or the template does */
	const char *tmpl; /* http.events-topic */
	int64_t now_ms;   /* since 1970 */
};

/* Zeroed before; end it by sq_http_event_fini() either way, after the fields, which have views of it. */
struct sq_http_event {
	bool is;               /* an event was there; else the rest is as the request had it */
	struct sq_bytes topic; /* not checked; .p is NULL where none is known */
	struct sq_bytes payload;
	struct sq_ce ce;
	struct sq_buf template_topic;
};

/* Reads the event of a request whose headers are in 'fields' already, and puts into them what the
 * event says: its attributes as user properties, its content type, its key for QoS 3, and what its
 * extensions ask for where no header does.  A request without an event passes unchanged, where its
 * path has a topic.  SQ_EINVAL: see 'fault'. */
int sq_http_event_read(const struct sq_http_event_in *, struct sq_http_fields *fields,
    struct sq_http_event *out, struct sq_http_fault *fault) SQ_MUST_CHECK;
void sq_http_event_fini(struct sq_http_event *);

#endif
