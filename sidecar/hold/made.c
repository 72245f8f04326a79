/* What a live client has subscribed to: kept to be made again when the broker has lost it,
 * and handed to the client's next connection. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "proto/annotations/annotations.h"
#include "proto/mqtt/options.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/subs.h"

struct sub {
	struct sq_hnode node;
	uint32_t sub_id;
	uint16_t len;
	uint8_t options;
	char filter[];
};

static struct sub *
made_find(const struct sq_hold *s, struct sq_bytes filter, uint64_t hash)
{
	struct sq_hnode *n = sq_htab_find(&s->subs.made, hash);

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sub *sub = SQ_CONTAINER_OF(n, struct sub, node);

		if (sub->len == filter.len && memcmp(sub->filter, filter.p, filter.len) == 0)
			return sub;
	}
	return NULL;
}

bool
sq_hold_has_made(const struct sq_hold *s, struct sq_bytes filter)
{
	return made_find(s, filter, sq_hash(filter.p, filter.len)) != NULL;
}

void
sq_hold_made(struct sq_hold *s, const struct sq_sub *e)
{
	uint64_t hash = sq_hash(e->filter.p, e->filter.len);
	struct sub *sub = made_find(s, e->filter, hash);

	if (s->holds->watch != NULL)
		s->holds->watch->made(s->holds->watcher, s, &s->subs.watched, e, sub == NULL);
	if (sub == NULL) {
		sub = sq_xmalloc(sizeof *sub + e->filter.len);
		sub->len = (uint16_t)e->filter.len;
		memcpy(sub->filter, e->filter.p, e->filter.len);
		sq_htab_insert(&s->subs.made, &sub->node, hash);
	}
	sub->options = e->options;
	sub->sub_id = e->sub_id;
}

void
sq_hold_unmade(struct sq_hold *s, struct sq_bytes filter)
{
	struct sub *sub = made_find(s, filter, sq_hash(filter.p, filter.len));

	if (sub == NULL)
		return;
	if (s->holds->watch != NULL)
		s->holds->watch->unmade(s->holds->watcher, &s->subs.watched, filter);
	sq_htab_remove(&s->subs.made, &sub->node);
	free(sub);
}

void
sq_hold_free_subs(struct sq_hold *s)
{
	struct sq_hnode *n, *next;

	if (s->holds->watch != NULL)
		s->holds->watch->forget(s->holds->watcher, &s->subs.watched);
	for (n = sq_htab_walk(&s->subs.made, NULL); n != NULL; n = next) {
		next = sq_htab_walk(&s->subs.made, n);
		sq_htab_remove(&s->subs.made, n);
		free(SQ_CONTAINER_OF(n, struct sub, node));
	}
	sq_htab_fini(&s->subs.made);
}

void
sq_hold_inherit_subs(struct sq_hold *to, struct sq_hold *from)
{
	struct sq_htab mine = to->subs.made;

	if (to->at.clean_start || !to->durable || !from->durable || mine.n != 0)
		return;
	to->subs.made = from->subs.made;
	from->subs.made = mine;
	if (to->holds->watch != NULL)
		to->holds->watch->inherit(
		    to->holds->watcher, to, &to->subs.watched, &from->subs.watched);
}

/* What is asked of the broker without its client's asking, in as many requests as it takes. */
struct asking {
	struct sq_hold *hold;
	struct sq_subreq *r; /* NULL: none is begun */
	uint8_t op;
	bool first; /* before what is asked already */
};

/* Asks for what was added. */
static void
asking_flush(struct asking *a)
{
	if (a->r == NULL)
		return;
	a->r->n = a->r->n_ask;
	sq_hold_ask(a->hold, a->r, a->first);
	a->r = NULL;
}

static void
asking_add(struct asking *a, const struct sq_sub *e)
{
	if (a->r == NULL) {
		a->r = sq_subreq_new(a->op, 0, SQ_SUBS_ENTRIES_MAX);
		a->r->again = true;
	}
	sq_subreq_ask(a->r, a->r->n_ask, e);
	if (a->r->n_ask == SQ_SUBS_ENTRIES_MAX || sq_buf_len(&a->r->entries) > SQ_SUBS_POST_MAX)
		asking_flush(a);
}

void
sq_hold_resubscribe(struct sq_hold *s)
{
	struct asking again = {.hold = s, .op = SQ_SUB_SUBSCRIBE, .first = true};
	struct sq_hnode *n;

	if (s->bye.leaving)
		return;
	sq_hold_ask_not_again(s);
	for (n = sq_htab_walk(&s->subs.made, NULL); n != NULL; n = sq_htab_walk(&s->subs.made, n)) {
		const struct sub *sub = SQ_CONTAINER_OF(n, struct sub, node);
		/* No retained messages again: the client would notice. */
		struct sq_sub e = {.op = SQ_SUB_SUBSCRIBE,
		    .sub_id = sub->sub_id,
		    .options = (uint8_t)((sub->options & ~SQ_OPTION_RETAIN) |
			SQ_RETAIN_NEVER << SQ_OPTION_RETAIN_SHIFT),
		    .filter = {(const unsigned char *)sub->filter, sub->len}};

		asking_add(&again, &e);
	}
	asking_flush(&again);
}

/* Ends 'sub' at the broker, and here. */
static void
made_end(struct sq_hold *s, struct sub *sub, struct asking *end)
{
	struct sq_sub e = {
	    .op = SQ_SUB_UNSUBSCRIBE, .filter = {(const unsigned char *)sub->filter, sub->len}};

	SQ_WARN("session",
	    "client %s: '%.*s' is ended, " SQ_ANNOTATION_SUBSCRIBE
	    " is strict, and neither declares nor allows it any more",
	    s->client_id, (int)sub->len, sub->filter);
	sq_holds_count(s->holds, SQ_M_SUBSCRIBE_ENDED, 1);
	asking_add(end, &e);
	sq_hold_unmade(s, e.filter);
}

bool
sq_hold_allows(const struct sq_hold *s, const struct sq_topic_filter *f)
{
	return !s->holds->strict || !sq_hold_has_client(s) || s->ops->allows(s->user, f);
}

void
sq_hold_enforce(struct sq_hold *s)
{
	struct asking end = {.hold = s, .op = SQ_SUB_UNSUBSCRIBE};
	struct sq_hnode *n, *next;

	if (!s->holds->strict || s->bye.leaving || s->state == SQ_HOLD_ENDED)
		return;
	for (n = sq_htab_walk(&s->subs.made, NULL); n != NULL; n = next) {
		struct sub *sub = SQ_CONTAINER_OF(n, struct sub, node);
		struct sq_topic_filter f;

		next = sq_htab_walk(&s->subs.made, n);
		if (sq_topic_filter_parse(
			(struct sq_bytes){(const unsigned char *)sub->filter, sub->len}, &f,
			NULL) != 0 ||
		    !sq_hold_allows(s, &f))
			made_end(s, sub, &end);
	}
	asking_flush(&end);
}

void
sq_holds_enforce(struct sq_holds *h, bool strict)
{
	h->strict = strict;
	SQ_LIST_FOR_EACH(s, &h->all, struct sq_hold, all)
		sq_hold_enforce(s);
}

void
sq_hold_kept(struct sq_hold *s, bool last, uint16_t n, struct sq_bytes entries)
{
	s->subs.knows_made = s->subs.knows_made || last;
	if (s->bye.leaving || s->state == SQ_HOLD_ENDED)
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct sq_kept k = sq_kept_next(&entries);
		struct sq_sub e = {.op = SQ_SUB_SUBSCRIBE,
		    .options = (uint8_t)(k.options |
			SQ_RETAIN_NEVER
			    << SQ_OPTION_RETAIN_SHIFT), /* it had its retained messages */
		    .sub_id = k.sub_id,
		    .filter = k.filter};

		if (!sq_hold_has_made(s, k.filter))
			sq_hold_made(s, &e);
	}
	sq_hold_enforce(s);
}
