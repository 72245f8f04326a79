/* Messages that left their queue undelivered of late: the view's table of those.  Recorded where a
 * message is buried (broker/shard/source.h), with its names; never its payload.
 *
 * Each worker has a list of its own.  On that worker. */
#ifndef SQ_BROKER_RECENT_GONE_H
#define SQ_BROKER_RECENT_GONE_H

#include "broker/recent/recent.h"
#include "broker/view/table.h"

struct sq_gone_seen {
	const char *space;
	const char *queue;
	struct sq_bytes topic;
	const char *why;
	struct sq_bytes key; /* 'p' NULL: none */
	const char *origin;
	unsigned attempts;
};

extern const struct sq_view_table sq_gone_view;

void sq_gone_note(struct sq_recent *, const struct sq_gone_seen *);
/* Rows of a list, on its worker. */
bool sq_gone_walk(const struct sq_recent *, struct sq_view_slice *);

#endif
