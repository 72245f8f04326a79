#include "broker/session/linked.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/session/session.h"
#include "core/mem.h"

/* A link that sessions of the shard have; there is none without. */
struct sq_linked {
	struct sq_hnode node;    /* of the shard, by 'link' */
	struct sq_outlet *link;  /* theirs */
	struct sq_list sessions; /* by 'on_link' */
	struct sq_list blocked;  /* those that wait for room, by 'blocked' */
};

static uint64_t
linked_hash(const struct sq_outlet *link)
{
	return sq_hash_u64((uintptr_t)link);
}

static struct sq_linked *
linked_find(const struct sq_shard *sh, const struct sq_outlet *link)
{
	for (struct sq_hnode *n = sq_htab_find(&sh->sessions->links, linked_hash(link)); n != NULL;
	     n = sq_htab_next_same(n)) {
		struct sq_linked *l = SQ_CONTAINER_OF(n, struct sq_linked, node);

		if (l->link == link)
			return l;
	}
	return NULL;
}

static struct sq_linked *
linked_get(struct sq_shard *sh, struct sq_outlet *link)
{
	struct sq_linked *l = linked_find(sh, link);

	if (l != NULL)
		return l;
	l = sq_xcalloc(1, sizeof *l);
	l->link = link;
	sq_list_init(&l->sessions);
	sq_list_init(&l->blocked);
	sq_htab_insert(&sh->sessions->links, &l->node, linked_hash(link));
	return l;
}

void
sq_linked_join(struct sq_session *s, struct sq_outlet *link)
{
	if (s->on_link.of != NULL && s->on_link.of->link == link)
		return;
	sq_linked_leave(s);
	s->on_link.of = linked_get(s->shard, link);
	sq_outlet_count_session(link, 1);
	sq_list_push_back(&s->on_link.of->sessions, &s->on_link.node);
}

void
sq_linked_leave(struct sq_session *s)
{
	struct sq_linked *l = s->on_link.of;

	if (l == NULL)
		return;
	s->on_link.of = NULL;
	sq_outlet_count_session(l->link, -1);
	sq_list_remove(&s->on_link.node);
	sq_list_remove(&s->on_link.blocked);
	if (!sq_list_empty(&l->sessions))
		return;
	assert(sq_list_empty(&l->blocked));
	sq_htab_remove(&s->shard->sessions->links, &l->node);
	free(l);
}

void
sq_linked_block(struct sq_session *s)
{
	assert(s->on_link.of != NULL);
	if (sq_list_empty(&s->on_link.blocked))
		sq_list_push_back(&s->on_link.of->blocked, &s->on_link.blocked);
}

struct sq_session *
sq_linked_first(const struct sq_shard *sh, const struct sq_outlet *link)
{
	struct sq_linked *l = linked_find(sh, link);

	return l != NULL ? SQ_LIST_FIRST(&l->sessions, struct sq_session, on_link.node) : NULL;
}

void
sq_linked_writable(struct sq_shard *sh, struct sq_outlet *link)
{
	struct sq_linked *l = linked_find(sh, link);

	if (l == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(s, &l->blocked, struct sq_session, on_link.blocked) {
		sq_list_remove(&s->on_link.blocked);
		sq_session_wake(s);
	}
}
