/* Scans of retained messages, in slices: of the space's own messages, then of each space that it
 * may read.
 *
 * Locks: the 'retained_lock' of one space at a time, for a slice. */
#include <stdlib.h>

#include "broker/route/retained.h"
#include "broker/route/space_priv.h"
#include "core/mem.h"
#include "proto/topic/topic.h"

/* The messages of one space. */
struct scan_part {
	struct sq_space *space;
	struct sq_topic_scan *scan; /* NULL: it is through, or selects nothing */
	struct sq_bytes grant;      /* only topics that it selects; empty: all */
	bool narrows;               /* the scan follows it */
};

struct sq_retained_scan {
	uint64_t upto; /* number of the last retained message that is of it */
	/* Of the slice. */
	const struct scan_part *part;
	uint64_t now_ms;
	sq_retained_fn *fn;
	void *arg;
	size_t at, n;
	struct scan_part parts[];
};

/* Whether the part may have the topic, and none before it of the same space has. */
static bool
scan_grants(const struct sq_retained_scan *scan, struct sq_bytes topic)
{
	const struct scan_part *part = scan->part;

	if (!part->narrows && !sq_topic_match(part->grant, topic))
		return false;
	for (const struct scan_part *before = scan->parts + 1; before < part; before++) {
		if (before->space == part->space && sq_topic_match(before->grant, topic))
			return false;
	}
	return true;
}

static bool
scan_visit(struct sq_index_entry *e, void *arg)
{
	struct sq_retained *kept = SQ_CONTAINER_OF(e, struct sq_retained, entry);
	const struct sq_retained_scan *scan = arg;

	if (kept->number > scan->upto ||
	    (kept->expires_ms != 0 && kept->expires_ms <= scan->now_ms)) /* the sweep comes */
		return true;
	if (scan->part->grant.len > 0 && !scan_grants(scan, sq_image_topic(kept->msg.image)))
		return true;
	return scan->fn(&kept->msg, &kept->origin, kept->expires_ms, scan->arg);
}

/* Of two filters that a name must both match, the scan follows one. */
static void
scan_part_open(
    struct scan_part *part, struct sq_space *s, struct sq_bytes filter, struct sq_bytes grant)
{
	part->space = s;
	part->grant = grant;
	part->narrows = grant.len > 0 && sq_topic_covers(filter, grant);
	pthread_mutex_lock(&s->retained_lock);
	if (sq_topic_index_count(s->retained) > 0 &&
	    sq_topic_scan_open(s->retained, part->narrows ? grant : filter, &part->scan) != SQ_OK)
		part->scan = NULL;
	pthread_mutex_unlock(&s->retained_lock);
}

struct sq_retained_scan *
sq_retained_scan_open(struct sq_router *r, struct sq_space *s, struct sq_bytes filter)
{
	struct sq_retained_scan *scan;
	size_t n = 1, open = 0;

	SQ_LIST_FOR_EACH(g, &s->reads, struct sq_grant, of_reader)
		n++;
	scan = sq_xcalloc(1, sizeof *scan + n * sizeof *scan->parts);
	scan->upto = atomic_load(&r->retained_number);
	scan_part_open(&scan->parts[scan->n++], s, filter, (struct sq_bytes){0});
	SQ_LIST_FOR_EACH(g, &s->reads, struct sq_grant, of_reader)
		scan_part_open(&scan->parts[scan->n++], g->from, filter, g->filter);
	for (size_t i = 0; i < scan->n; i++)
		open += scan->parts[i].scan != NULL;
	if (open == 0)
		sq_retained_scan_close(&scan);
	return scan;
}

uint64_t
sq_retained_scan_upto(const struct sq_retained_scan *scan)
{
	return scan->upto;
}

static void
scan_part_close(struct scan_part *part)
{
	if (part->scan == NULL)
		return;
	pthread_mutex_lock(&part->space->retained_lock);
	sq_topic_scan_close(&part->scan);
	pthread_mutex_unlock(&part->space->retained_lock);
}

void
sq_retained_scan_close(struct sq_retained_scan **scanp)
{
	struct sq_retained_scan *scan = *scanp;

	*scanp = NULL;
	for (size_t i = 0; scan != NULL && i < scan->n; i++)
		scan_part_close(&scan->parts[i]);
	free(scan);
}

/* Goes on with the part; false: the caller wants a pause. */
static bool
scan_part_next(struct sq_retained_scan *scan, struct scan_part *part, size_t *left)
{
	size_t before, room = *left;
	bool more;

	scan->part = part;
	sq_slice_lock(part->space);
	before = sq_topic_scan_visited(part->scan);
	more = sq_topic_scan_next(part->scan, room, scan_visit, scan);
	*left -= sq_topic_scan_visited(part->scan) - before;
	sq_slice_unlock(part->space);
	if (!more)
		scan_part_close(part);
	return !more;
}

bool
sq_retained_scan_next(
    struct sq_retained_scan *scan, uint64_t now_ms, size_t *left, sq_retained_fn *fn, void *arg)
{
	scan->now_ms = now_ms;
	scan->fn = fn;
	scan->arg = arg;
	for (; scan->at < scan->n; scan->at++) {
		struct scan_part *part = &scan->parts[scan->at];

		if (part->scan == NULL)
			continue;
		if (*left == 0 || !scan_part_next(scan, part, left))
			return true;
	}
	return false;
}
