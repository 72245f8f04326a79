/* What was refused of late: the view's table of refusals.  Recorded where a refusal is decided, with
 * the names that are in it, so what is accepted costs nothing; never a payload or a token.
 *
 * Each worker has a list of its own.  On that worker. */
#ifndef SQ_BROKER_RECENT_REFUSALS_H
#define SQ_BROKER_RECENT_REFUSALS_H

#include "broker/recent/recent.h"
#include "broker/view/table.h"

/* What is refused; text without 'p' is not known, or there is none. */
struct sq_refusal_seen {
	struct sq_bytes space;
	struct sq_bytes who; /* a session's key; of a link that is refused its peer's address */
	const char *identity;
	const char *kind;      /* "publish", "subscription", "attach", "link" ... */
	struct sq_bytes topic; /* or filter */
	const char *queue;     /* the queue that has no room */
	const char *reason;    /* a word */
	struct sq_bytes text;  /* the same for people */
	unsigned code;
};

extern const struct sq_view_table sq_refusal_view;

void sq_refusals_note(struct sq_recent *, const struct sq_refusal_seen *);
/* Rows of a list, on its worker. */
bool sq_refusals_walk(const struct sq_recent *, struct sq_view_slice *);

#endif
