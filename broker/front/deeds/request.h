/* Requests for deeds: the paths and bodies of docs/view.md, "Deeds".  Pure. */
#ifndef SQ_BROKER_FRONT_DEEDS_REQUEST_H
#define SQ_BROKER_FRONT_DEEDS_REQUEST_H

#include <jansson.h>

#include "broker/deed/deed.h"
#include "core/buf.h"
#include "core/msg.h"

#define SQ_DEEDS_PATH "/v1/do/"

enum { SQ_DEED_LETTERS_MAX = 1000 };

struct sq_deed_request {
	const char *what; /* the path behind SQ_DEEDS_PATH, static */
	json_t *body;
	uint64_t letters[SQ_DEED_LETTERS_MAX];
};

/* Reads a request into 'd', whose texts are the request's.  200, or the status of the answer with
 * what is wrong in 'why'. */
unsigned sq_deed_request_read(struct sq_deed_request *, const char *path, struct sq_bytes body,
    struct sq_deed *d, struct sq_buf *why);
void sq_deed_request_fini(struct sq_deed_request *);

#endif
