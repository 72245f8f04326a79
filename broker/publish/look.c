#include "broker/publish/look.h"

#include <assert.h>
#include <stdlib.h>

struct look_sink {
	struct sq_hnode node;
	const struct sq_sink *sink;
	struct sq_look_pending before; /* the present message */
	struct sq_look_pending all;
	uint16_t last; /* the last message that it gets */
};

struct look_key {
	struct sq_hnode node;
	struct sq_message_key key;
};

static struct look_sink *
look_find(const struct sq_look *l, const struct sq_sink *sink)
{
	struct sq_hnode *n = sq_htab_find(&l->sinks, sq_hash_u64((uintptr_t)sink));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct look_sink *at = SQ_CONTAINER_OF(n, struct look_sink, node);

		if (at->sink == sink)
			return at;
	}
	return NULL;
}

struct sq_look_pending
sq_look_pending(const struct sq_look *l, const struct sq_sink *sink)
{
	const struct look_sink *at = sq_look_only(l) ? look_find(l, sink) : NULL;

	if (at == NULL)
		return (struct sq_look_pending){0};
	return at->last == l->message ? at->before : at->all;
}

void
sq_look_put(struct sq_look *l, const struct sq_sink *sink, uint32_t bytes)
{
	struct look_sink *at = look_find(l, sink);

	if (at == NULL) {
		at = sq_xcalloc(1, sizeof *at);
		at->sink = sink;
		sq_htab_insert(&l->sinks, &at->node, sq_hash_u64((uintptr_t)sink));
	} else if (at->last == l->message) {
		return;
	}
	at->last = l->message;
	at->before = at->all;
	at->all.n++;
	at->all.bytes += bytes;
}

static uint64_t
key_bucket(const struct sq_message_key *key)
{
	return sq_hash(&key->hash, sizeof key->hash);
}

enum sq_key_state
sq_look_key(const struct sq_look *l, const struct sq_message_key *key)
{
	struct sq_hnode *n = sq_htab_find(&l->keys, key_bucket(key));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		const struct look_key *at = SQ_CONTAINER_OF(n, struct look_key, node);

		if (at->key.hash.hi == key->hash.hi && at->key.hash.lo == key->hash.lo)
			return at->key.print == key->print ? SQ_KEY_KNOWN : SQ_KEY_OTHER;
	}
	return SQ_KEY_NEW;
}

void
sq_look_add_key(struct sq_look *l, const struct sq_message_key *key)
{
	struct look_key *at = sq_xcalloc(1, sizeof *at);

	at->key = *key;
	sq_htab_insert(&l->keys, &at->node, key_bucket(key));
	l->new_keys++;
}

void
sq_look_fini(struct sq_look *l)
{
	struct sq_hnode *at, *next;

	assert(l->delayed == 0 && l->retained.msgs == 0);
	for (at = sq_htab_walk(&l->sinks, NULL); at != NULL; at = next) {
		next = sq_htab_walk(&l->sinks, at);
		sq_htab_remove(&l->sinks, at);
		free(SQ_CONTAINER_OF(at, struct look_sink, node));
	}
	for (at = sq_htab_walk(&l->keys, NULL); at != NULL; at = next) {
		next = sq_htab_walk(&l->keys, at);
		sq_htab_remove(&l->keys, at);
		free(SQ_CONTAINER_OF(at, struct look_key, node));
	}
	sq_htab_fini(&l->sinks);
	sq_htab_fini(&l->keys);
}
