/* A request over a link, with the callback for its answer. */
#ifndef SQ_NET_H2_REQUEST_H
#define SQ_NET_H2_REQUEST_H

#include <sys/uio.h>

#include "core/list.h"
#include "net/h2/answer.h"

struct sq_uplink;

enum sq_method { SQ_POST, SQ_PUT, SQ_GET };

/* The caller keeps it, and everything that it points to, until done() is called. */
struct sq_request {
	struct sq_list node; /* the link's, while it is queued */
	enum sq_method method;
	const char *path; /* NUL-terminated, with query */
	struct iovec body[2];
	unsigned n_body;
	void (*done)(struct sq_request *, const struct sq_answer *); /* exactly once */
	struct sq_uplink *link; /* its link; set by sq_uplink_send() */
};

#endif
