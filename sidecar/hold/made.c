/* The subscriptions of a live client: kept to be made again after a broker has lost them, and
 * passed to the client's next connection. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/mqtt/options.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/subs.h"

static struct sq_made *
made_find(const struct sq_hold *hold, struct sq_bytes filter, uint64_t hash)
{
	struct sq_hnode *n = sq_htab_find(&hold->subs.made, hash);

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_made *sub = SQ_CONTAINER_OF(n, struct sq_made, node);

		if (sub->len == filter.len && memcmp(sub->filter, filter.p, filter.len) == 0)
			return sub;
	}
	return NULL;
}

bool
sq_hold_has_made(const struct sq_hold *hold, struct sq_bytes filter)
{
	return made_find(hold, filter, sq_hash(filter.p, filter.len)) != NULL;
}

bool
sq_hold_is_sure_of(const struct sq_hold *hold, struct sq_bytes filter)
{
	const struct sq_made *sub = made_find(hold, filter, sq_hash(filter.p, filter.len));

	return sub != NULL && !sub->inherited;
}

void
sq_hold_made(struct sq_hold *hold, const struct sq_sub *e)
{
	uint64_t hash = sq_hash(e->filter.p, e->filter.len);
	struct sq_made *sub = made_find(hold, e->filter, hash);

	if (hold->holds->watch != NULL)
		hold->holds->watch->made(
		    hold->holds->watcher, hold, &hold->subs.watched, e, sub == NULL);
	if (sub == NULL) {
		sub = sq_xmalloc(sizeof *sub + e->filter.len);
		sub->len = (uint16_t)e->filter.len;
		memcpy(sub->filter, e->filter.p, e->filter.len);
		sq_htab_insert(&hold->subs.made, &sub->node, hash);
	}
	sub->options = e->options;
	sub->sub_id = e->sub_id;
	sub->inherited = false;
}

void
sq_hold_knows_made(struct sq_hold *hold)
{
	hold->subs.knows_made = true;
}

static void
made_remove(struct sq_hold *hold, struct sq_made *sub)
{
	struct sq_bytes filter = {(const unsigned char *)sub->filter, sub->len};

	if (hold->holds->watch != NULL)
		hold->holds->watch->unmade(hold->holds->watcher, &hold->subs.watched, filter);
	sq_htab_remove(&hold->subs.made, &sub->node);
	free(sub);
}

void
sq_hold_unmade(struct sq_hold *hold, struct sq_bytes filter)
{
	struct sq_made *sub = made_find(hold, filter, sq_hash(filter.p, filter.len));

	if (sub != NULL)
		made_remove(hold, sub);
}

void
sq_hold_disinherit(struct sq_hold *hold)
{
	struct sq_hnode *n, *next;

	for (n = sq_htab_walk(&hold->subs.made, NULL); n != NULL; n = next) {
		struct sq_made *sub = SQ_CONTAINER_OF(n, struct sq_made, node);

		next = sq_htab_walk(&hold->subs.made, n);
		if (sub->inherited)
			made_remove(hold, sub);
	}
}

void
sq_hold_free_subs(struct sq_hold *hold)
{
	struct sq_hnode *n, *next;

	if (hold->holds->watch != NULL)
		hold->holds->watch->forget(hold->holds->watcher, &hold->subs.watched);
	for (n = sq_htab_walk(&hold->subs.made, NULL); n != NULL; n = next) {
		next = sq_htab_walk(&hold->subs.made, n);
		sq_htab_remove(&hold->subs.made, n);
		free(SQ_CONTAINER_OF(n, struct sq_made, node));
	}
	sq_htab_fini(&hold->subs.made);
}

void
sq_hold_inherit_subs(struct sq_hold *to, struct sq_hold *from)
{
	struct sq_htab mine = to->subs.made;
	struct sq_hnode *n = NULL;

	if (to->at.clean_start || !to->durable || !from->durable || mine.n != 0)
		return;
	to->subs.made = from->subs.made;
	from->subs.made = mine;
	while ((n = sq_htab_walk(&to->subs.made, n)) != NULL)
		SQ_CONTAINER_OF(n, struct sq_made, node)->inherited = true;
	if (to->holds->watch != NULL)
		to->holds->watch->inherit(
		    to->holds->watcher, to, &to->subs.watched, &from->subs.watched);
}

bool
sq_hold_allows(const struct sq_hold *hold, const struct sq_topic_filter *f)
{
	return !hold->holds->strict || !sq_hold_has_client(hold) ||
	    hold->ops->allows(hold->user, f);
}
