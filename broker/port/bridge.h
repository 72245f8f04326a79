/* Calls about bridges (SQ_CALL_BRIDGE): what a front asks, and what the broker answers.  All that an input
 * points to is the front's until done(). */
#ifndef SQ_BROKER_PORT_BRIDGE_H
#define SQ_BROKER_PORT_BRIDGE_H

#include "core/buf.h"

struct sq_identity;

enum sq_bridge_op {
	SQ_BRIDGE_LIST, /* those that the caller may see */
	SQ_BRIDGE_GET,
	SQ_BRIDGE_PAUSE,
	SQ_BRIDGE_RESUME,
};

struct sq_call_bridge {
	const struct sq_identity *who;
	const char *name; /* of all but LIST */
	enum sq_bridge_op op;
	unsigned worker; /* of LIST, and of what is found nowhere */
};

enum sq_bridge_how {
	SQ_BRIDGE_DONE, /* of PAUSE and RESUME: durably */
	SQ_BRIDGE_MISSING,
	SQ_BRIDGE_DENIED, /* by rules; 'detail' says verb and object */
};

struct sq_bridge_answer {
	enum sq_bridge_how how;
	struct sq_buf detail; /* for people, UTF-8 without NUL at its end; may be empty */
	/* A JSON object, but of LIST, where it is objects with ',' between them. */
	struct sq_buf json;
};

static inline void
sq_bridge_answer_fini(struct sq_bridge_answer *a)
{
	sq_buf_fini(&a->detail);
	sq_buf_fini(&a->json);
}

#endif
