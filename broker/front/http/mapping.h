/* From what the broker answers to problems of the API: the one place where they meet.  Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_MAPPING_H
#define SQ_BROKER_FRONT_HTTP_MAPPING_H

#include "broker/front/http/problem.h"
#include "broker/port/call.h"

/* The good answer. */
struct sq_http_outcome {
	const char *word;
	unsigned status;
};

/* The answer of a message that was taken; NULL: it was refused. */
const struct sq_http_outcome *sq_http_outcome(enum sq_published_how);
/* Says the problem of a call of 'who' that was refused as a whole. */
void sq_http_fault_of_call(
    struct sq_http_fault *, const struct sq_call *, const struct sq_identity *who);
/* Says the problem of a message that was refused; 'how' is REFUSED or KEY_REUSED. */
void sq_http_fault_of_published(struct sq_http_fault *, const struct sq_published *);

/* Says the problem of a call about a queue (SQ_CALL_QUEUE) that did not go well. */
void sq_http_fault_of_queue(
    struct sq_http_fault *, const struct sq_call *, const struct sq_identity *who);
/* Appends what became of a message of several, as a JSON object. */
void sq_http_published_write(const struct sq_published *, unsigned qos, struct sq_buf *out);
/* The same of one that was refused, by 'fault'. */
void sq_http_refused_write(const struct sq_http_fault *, struct sq_buf *out);

#endif
