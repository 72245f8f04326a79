/* Scans of an index: all names that a filter selects; see proto/topic/index.h.
 *
 * The trie is walked in pre-order.  Between slices the scan stands on a node,
 * which it keeps alive, and with it the way back to the root. */
#include <assert.h>
#include <stdlib.h>

#include "proto/topic/index_priv.h"

struct sq_topic_scan {
	struct sq_topic_index *index;
	struct topic_node *at; /* NULL: finished */
	bool multi;            /* the filter ends with # */
	size_t depth;          /* of 'at' */
	size_t visited;
	size_t n_levels; /* of the filter, without # */
	struct topic_level *levels;
	unsigned char *text;
};

/* Moves to 'to', which may be NULL, and lets go of the node before it. */
static void
scan_move(struct sq_topic_scan *s, struct topic_node *to)
{
	struct topic_node *from = s->at;

	if (to != NULL)
		to->scans++;
	s->at = to;
	if (from != NULL) {
		from->scans--;
		sq_topic_index_prune(s->index, from);
	}
}

/* Whether every child of a node at 'depth' is on the way. */
static bool
scan_takes_all(const struct sq_topic_scan *s, size_t depth)
{
	if (depth >= s->n_levels)
		return s->multi;
	return s->levels[depth].text.len == 1 && s->levels[depth].text.p[0] == '+';
}

/* Whether a wildcard brought us to a first level that it does not select
 * (MQTT-4.7.2-1).  Such nodes are visited, so that they count. */
static bool
scan_hidden(const struct sq_topic_scan *s)
{
	return s->depth == 1 && scan_takes_all(s, 0) && s->at->len > 0 && s->at->level[0] == '$';
}

static struct topic_node *
scan_down(const struct sq_topic_scan *s)
{
	if (scan_hidden(s))
		return NULL;
	if (scan_takes_all(s, s->depth))
		return s->at->children;
	if (s->depth >= s->n_levels)
		return NULL;
	return topic_child(s->index, s->at, &s->levels[s->depth]);
}

/* Goes to the next node on the way, or finishes. */
static void
scan_step(struct sq_topic_scan *s)
{
	struct topic_node *to = scan_down(s);
	const struct topic_node *from = s->at;
	size_t depth = s->depth + 1;

	while (to == NULL) {
		depth--;
		if (from->parent == NULL) {
			scan_move(s, NULL);
			return;
		}
		if (scan_takes_all(s, depth - 1))
			to = from->next;
		from = from->parent;
	}
	s->depth = depth;
	scan_move(s, to);
}

/* Reports the node's entries; false if the caller wants a pause. */
static bool
scan_report(struct sq_topic_scan *s, bool (*fn)(struct sq_index_entry *, void *), void *arg)
{
	struct sq_index_entry *e, *next;
	bool more = true;

	if (scan_hidden(s) || s->depth < s->n_levels || (s->depth > s->n_levels && !s->multi))
		return true;
	for (e = s->at->entries; e != NULL; e = next) {
		next = e->next;
		more &= fn(e, arg);
	}
	return more;
}

bool
sq_topic_scan_next(struct sq_topic_scan *s, size_t max_nodes,
    bool (*fn)(struct sq_index_entry *, void *arg), void *arg)
{
	while (s->at != NULL && max_nodes-- > 0) {
		bool more = scan_report(s, fn, arg);

		s->visited++;
		scan_step(s);
		if (!more)
			break;
	}
	return s->at != NULL;
}

size_t
sq_topic_scan_visited(const struct sq_topic_scan *s)
{
	return s->visited;
}

int
sq_topic_scan_open(struct sq_topic_index *x, struct sq_bytes filter, struct sq_topic_scan **out)
{
	struct sq_topic_filter parsed;
	struct sq_topic_scan *s;
	struct sq_bytes rest, level;
	int err = sq_topic_filter_parse(filter, &parsed, NULL);

	if (err < 0)
		return err;
	if (parsed.share.len > 0 || parsed.tag.len > 0)
		return SQ_EINVAL;
	s = sq_xcalloc(1, sizeof *s);
	s->index = x;
	s->text = (unsigned char *)sq_xmemdup0(filter.p, filter.len);
	s->levels = sq_xcalloc(parsed.levels, sizeof *s->levels);
	rest = (struct sq_bytes){s->text, filter.len};
	while (topic_next_level(&rest, &level)) {
		if (rest.p == NULL && level.len == 1 && level.p[0] == '#')
			s->multi = true;
		else
			s->levels[s->n_levels++] = (struct topic_level){
			    level, sq_topic_index_hash(x, level)};
	}
	scan_move(s, x->root);
	*out = s;
	return 0;
}

void
sq_topic_scan_close(struct sq_topic_scan **scanp)
{
	struct sq_topic_scan *s = *scanp;

	if (s == NULL)
		return;
	if (s->at != NULL)
		scan_move(s, NULL);
	free(s->levels);
	free(s->text);
	free(s);
	*scanp = NULL;
}
