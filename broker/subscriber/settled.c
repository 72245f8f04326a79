#include "broker/subscriber/settled.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

void
sq_settled_init(struct sq_settled *s, size_t max, uint64_t max_bytes)
{
	*s = (struct sq_settled){.max = max, .max_bytes = max_bytes};
	sq_list_init(&s->by_age);
}

void
sq_settled_fini(struct sq_settled *s)
{
	SQ_LIST_FOR_EACH_SAFE(e, &s->by_age, struct sq_settled_entry, by_age)
		sq_settled_remove(s, e);
	sq_htab_fini(&s->by_name);
}

void
sq_settled_move(struct sq_settled *to, struct sq_settled *from)
{
	assert(to->by_name.n == 0);
	sq_htab_fini(&to->by_name);
	*to = *from;
	sq_list_init(&to->by_age);
	sq_list_splice(&to->by_age, &from->by_age);
	sq_settled_init(from, from->max, from->max_bytes);
}

/* Keyed, because a peer may choose what the name is a hash of. */
static uint64_t
settled_bucket(const struct sq_settled_name *name)
{
	return sq_hash(name, sizeof *name);
}

struct sq_settled_entry *
sq_settled_find(const struct sq_settled *s, const struct sq_settled_name *name)
{
	struct sq_hnode *n = sq_htab_find(&s->by_name, settled_bucket(name));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_settled_entry *e = SQ_CONTAINER_OF(n, struct sq_settled_entry, node);

		if (e->name.hi == name->hi && e->name.lo == name->lo)
			return e;
	}
	return NULL;
}

struct sq_settled_entry *
sq_settled_add(struct sq_settled *s, const struct sq_settled_name *name, uint64_t expires_ms,
    struct sq_buf *value)
{
	struct sq_settled_entry *e = sq_xcalloc(1, sizeof *e);
	struct sq_list *at = s->by_age.prev;

	e->name = *name;
	e->expires_ms = expires_ms;
	if (value != NULL) {
		e->value = *value;
		*value = (struct sq_buf){0};
		s->bytes += sq_buf_len(&e->value);
	}
	while (at != &s->by_age && /* most come in order */
	    SQ_CONTAINER_OF(at, struct sq_settled_entry, by_age)->expires_ms > expires_ms)
		at = at->prev;
	sq_list_insert(at->next, &e->by_age);
	sq_htab_insert(&s->by_name, &e->node, settled_bucket(name));
	return e;
}

struct sq_settled_entry *
sq_settled_over(const struct sq_settled *s, uint64_t now_ms)
{
	struct sq_settled_entry *e = SQ_LIST_FIRST(&s->by_age, struct sq_settled_entry, by_age);

	return e != NULL &&
		(e->expires_ms <= now_ms || s->by_name.n > s->max || s->bytes > s->max_bytes)
	    ? e
	    : NULL;
}

void
sq_settled_remove(struct sq_settled *s, struct sq_settled_entry *e)
{
	sq_htab_remove(&s->by_name, &e->node);
	sq_list_remove(&e->by_age);
	s->bytes -= sq_buf_len(&e->value);
	sq_buf_fini(&e->value);
	free(e);
}
