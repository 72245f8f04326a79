/* A request over a link, and the call that its answer comes by. */
#ifndef SQ_NET_H2_REQUEST_H
#define SQ_NET_H2_REQUEST_H

#include <sys/uio.h>

#include "core/list.h"
#include "net/h2/answer.h"

struct sq_uplink;

enum sq_method { SQ_POST, SQ_PUT, SQ_GET };

/* The caller owns it, and all that it points to, until done() is called. */
struct sq_request {
	struct sq_list node; /* the link's, while it is queued */
	enum sq_method method;
	const char *path; /* NUL-terminated, with query */
	struct iovec body[2];
	unsigned n_body;
	void (*done)(struct sq_request *, const struct sq_answer *); /* exactly once */
	struct sq_uplink *link; /* that it goes over; set by sq_uplink_send() */
};

#endif
