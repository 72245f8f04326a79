#include "broker/subscriber/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shard/shard.h"
#include "broker/subscriber/pull_past.h"
#include "core/mem.h"
#include "proto/declaration/kept.h"
#include "web/worker.h"

/* How 'space' and 'name' stand to a queue's. */
static int
table_compare(const char *space, const char *name, const struct sq_subscriber *s)
{
	int c = strcmp(space, s->space);

	return c != 0 ? c : strcmp(name, s->name);
}

/* The place of the first queue that is not before 'space' and 'name'. */
static size_t
table_place(const struct sq_subscribers *all, const char *space, const char *name)
{
	size_t low = 0, high = all->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (table_compare(space, name, all->sorted[mid]) > 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
table_insert(struct sq_subscribers *all, struct sq_subscriber *s)
{
	size_t at = table_place(all, s->space, s->name);

	if (all->n == all->room) {
		all->room = all->room > 0 ? 2 * all->room : 16;
		all->sorted = sq_xrealloc(all->sorted, all->room * sizeof(*all->sorted));
	}
	memmove(&all->sorted[at + 1], &all->sorted[at], (all->n - at) * sizeof(*all->sorted));
	all->sorted[at] = s;
	all->n++;
	sq_htab_insert(&all->by_id, &s->by_id, sq_hash_u64(s->id));
}

static void
table_remove(struct sq_subscribers *all, struct sq_subscriber *s)
{
	size_t at = table_place(all, s->space, s->name);

	assert(all->sorted[at] == s);
	all->n--;
	memmove(&all->sorted[at], &all->sorted[at + 1], (all->n - at) * sizeof(*all->sorted));
	sq_htab_remove(&all->by_id, &s->by_id);
}

struct sq_subscriber *
sq_subscriber_new(
    struct sq_subscribers *all, struct sq_group *g, struct sq_declaration *decl, uint64_t revision)
{
	struct sq_subscriber *s = sq_xcalloc(1, sizeof *s);
	struct sq_bytes name = sq_named_queue(g);

	s->all = all;
	s->group = g;
	s->shard = &all->broker->shards[sq_worker_index(g->owner)];
	s->id = g->id;
	s->space = sq_xstrdup(sq_tenant_name(g->tenant));
	s->name = sq_xmemdup0(name.p, name.len);
	s->decl = sq_declaration_keep(decl);
	s->revision = revision;
	sq_list_init(&s->settles);
	sq_list_push_back(&sq_subscribers_part(s->shard)->list, &s->of_shard);
	pthread_mutex_lock(&all->lock);
	table_insert(all, s);
	pthread_mutex_unlock(&all->lock);
	return s;
}

void
sq_subscriber_free(struct sq_subscriber **sp)
{
	struct sq_subscriber *s = *sp;
	struct sq_subscribers *all = s->all;

	*sp = NULL;
	assert(s->pull == NULL);
	sq_list_remove(&s->of_shard);
	pthread_mutex_lock(&all->lock);
	table_remove(all, s);
	pthread_mutex_unlock(&all->lock);
	sq_group_unref(&s->group);
	sq_declaration_unref(&s->decl);
	sq_pull_past_free(&s->past);
	free(s->declarer);
	free(s->pause_why);
	free(s->space);
	free(s->name);
	free(s);
}

struct sq_subscriber *
sq_subscriber_find(const struct sq_shard *sh, const char *space, const char *name)
{
	struct sq_subscribers *all = sh->broker->subscribers;
	struct sq_subscriber *s = NULL;
	size_t at;

	pthread_mutex_lock(&all->lock);
	at = table_place(all, space, name);
	if (at < all->n && table_compare(space, name, all->sorted[at]) == 0)
		s = all->sorted[at];
	pthread_mutex_unlock(&all->lock);
	assert(s == NULL || s->shard == sh);
	return s;
}

struct sq_shard *
sq_subscribers_owner(const struct sq_subscribers *all, const char *space, const char *name)
{
	char *group = sq_named_group(space, sq_bytes_of(name));
	struct sq_shard *sh = sq_group_owner(all->broker, group);

	free(group);
	return sh;
}

/* Under the table's lock. */
static struct sq_subscriber *
table_by_id(const struct sq_subscribers *all, uint64_t id)
{
	struct sq_hnode *at = sq_htab_find(&all->by_id, sq_hash_u64(id));

	for (; at != NULL; at = sq_htab_next_same(at)) {
		struct sq_subscriber *s = SQ_CONTAINER_OF(at, struct sq_subscriber, by_id);

		if (s->id == id)
			return s;
	}
	return NULL;
}

struct sq_shard *
sq_subscribers_owner_of(struct sq_subscribers *all, uint64_t id)
{
	const struct sq_subscriber *s;
	struct sq_shard *sh;

	pthread_mutex_lock(&all->lock);
	s = table_by_id(all, id);
	sh = s != NULL ? s->shard : NULL;
	pthread_mutex_unlock(&all->lock);
	return sh;
}

struct sq_subscriber *
sq_subscriber_by_id(const struct sq_shard *sh, uint64_t id)
{
	struct sq_subscribers *all = sh->broker->subscribers;
	struct sq_subscriber *s;

	pthread_mutex_lock(&all->lock);
	s = table_by_id(all, id);
	pthread_mutex_unlock(&all->lock);
	return s != NULL && s->shard == sh ? s : NULL;
}

size_t
sq_subscribers_behind(const struct sq_subscribers *all, const char *space, const char *after)
{
	size_t at = table_place(all, space, after != NULL ? after : "");

	if (after != NULL && at < all->n && table_compare(space, after, all->sorted[at]) == 0)
		at++;
	return at;
}

const struct sq_subscriber *
sq_subscribers_at(const struct sq_subscribers *all, const char *space, size_t place)
{
	if (place >= all->n || strcmp(all->sorted[place]->space, space) != 0)
		return NULL;
	return all->sorted[place];
}
