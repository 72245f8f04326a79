/* A message as a JSON object: an entry of a batch, or of what a settle publishes (docs/http.md,
 * "Batches").
 *
 * As strict as headers are: a member that is not known, one that stands twice, and a value that does
 * not read are problems.  Pure: the time comes in as an argument. */
#ifndef SQ_BROKER_FRONT_HTTP_ENTRY_H
#define SQ_BROKER_FRONT_HTTP_ENTRY_H

#include <stdint.h>

#include "broker/front/http/fields.h"

struct sq_http_entry {
	struct sq_http_fields fields;
	struct sq_bytes topic, payload; /* views of the entry, and of its text */
	/* The rest is of the functions below. */
	struct sq_buf texts; /* strings without their escapes */
	struct sq_buf data;  /* a payload that was encoded */
	bool typed, dated;   /* its type is said; it has deliverAt */
};

/* Reads the object.  'out' is zeroed before; end it by sq_http_entry_fini() either way.  The text
 * outlives it.  SQ_EINVAL: see 'fault'. */
int sq_http_entry_read(struct sq_bytes text, int64_t now_ms, struct sq_http_entry *out,
    struct sq_http_fault *fault) SQ_MUST_CHECK;
void sq_http_entry_fini(struct sq_http_entry *);

#endif
