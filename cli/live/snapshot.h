/* What a broker has at one moment, out of several tables of its view, and what has changed since the
 * moment before. */
#ifndef SQ_CLI_LIVE_SNAPSHOT_H
#define SQ_CLI_LIVE_SNAPSHOT_H

#include "cli/view/reader.h"
#include "core/err.h"

enum {
	SQ_SNAPSHOT_QUEUES_MAX = 200000, /* those beyond are not looked at, which is said */
	SQ_SNAPSHOT_OTHERS_MAX = 100,    /* slow links, full spaces */
};

/* A queue.  The texts are the row's. */
struct sq_snapshot_queue {
	json_t *row;
	const char *name;
	int64_t depth;
	double change; /* messages a second since the last snapshot */
	bool is_new;   /* was not in that: no change is known */
};

struct sq_snapshot {
	uint64_t wall_ms, mono_ms; /* when it was taken */
	uint64_t since_ms;         /* the time between it and the last one; 0: there was none */
	struct sq_snapshot_queue *queues; /* in the order of their names */
	size_t n_queues, room;
	bool more_queues; /* there are more than were looked at */
	int64_t depth, bytes;
	double change;
	json_t *links;  /* slow ones, an array; NULL: the caller may not see links */
	json_t *spaces; /* with something full, an array */
	json_t *store;  /* the row; NULL: the caller may not see it */
	double commits; /* a second; below 0: not known */
};

/* Takes one, of 'space' only unless that is NULL; 'last' is the one before it, or NULL.  0; else
 * 'err' has a line, and nothing is to be freed. */
int sq_snapshot_take(struct sq_tables *, const char *space, const struct sq_snapshot *last,
    struct sq_snapshot *, struct sq_buf *err) SQ_MUST_CHECK;
void sq_snapshot_fini(struct sq_snapshot *);
/* Orders the queues for people: by their depth or, 'by_change', by how much that changes. */
void
sq_snapshot_rank(const struct sq_snapshot *, bool by_change, const struct sq_snapshot_queue **out);

#endif
