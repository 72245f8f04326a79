/* Layout of the index, for index.c and scan.c only. */
#ifndef SQ_PROTO_TOPIC_INDEX_PRIV_H
#define SQ_PROTO_TOPIC_INDEX_PRIV_H

#include <stdint.h>
#include <string.h>

#include "core/htab.h"
#include "proto/topic/index.h"

/* One level of one or more filters.  It lives while an entry, a child or a
 * scan needs it.  Literal children are in the index's table under a hash of
 * the whole path and in their parent's list, newest first, so that a scan,
 * which goes towards the older ones, ends.  The child for + is only pointed
 * to; # has no node, its entries are in 'multi' of the level before it. */
struct topic_node {
	struct sq_hnode hnode;
	struct topic_node *parent; /* NULL: one of the index's two roots */
	struct topic_node *children;
	struct topic_node *plus;
	struct sq_index_entry *entries; /* filters that end here */
	struct sq_index_entry *multi;   /* filters that go on with # and end */
	struct topic_node *next, *prev; /* siblings */
	uint32_t scans;                 /* that stand here */
	uint16_t len;
	unsigned char level[];
};

struct sq_topic_index {
	struct sq_htab nodes;
	struct topic_node *root; /* of filters without tag */
	struct topic_node *tags; /* its children are the roots of one tag each */
	uint64_t key[3];
	size_t n_entries;
	size_t n_nodes; /* without the two roots */
};

/* A level of a topic, and its hash without regard to its place. */
struct topic_level {
	struct sq_bytes text;
	uint64_t hash;
};

uint64_t sq_topic_index_hash(const struct sq_topic_index *, struct sq_bytes level);

/* Frees 'n' and its ancestors as far as nobody needs them. */
void sq_topic_index_prune(struct sq_topic_index *, struct topic_node *n);

static inline uint64_t
topic_mum(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Hash of the path that adds a level to another path. */
static inline uint64_t
topic_path_step(const struct sq_topic_index *x, uint64_t path, uint64_t level)
{
	return topic_mum(path ^ level, x->key[2]);
}

static inline uint64_t
topic_path_hash(const struct sq_topic_index *x, const struct topic_node *parent, uint64_t level)
{
	return topic_path_step(x, parent->hnode.hash, level);
}

/* The literal child of 'parent' for 'level', or NULL. */
static inline struct topic_node *
topic_child(const struct sq_topic_index *x, const struct topic_node *parent,
    const struct topic_level *level)
{
	uint64_t hash;
	struct sq_hnode *h;

	if (parent->children == NULL)
		return NULL;
	hash = topic_path_hash(x, parent, level->hash);
	for (h = x->nodes.buckets[hash & x->nodes.mask]; h != NULL; h = h->next) {
		struct topic_node *n = SQ_CONTAINER_OF(h, struct topic_node, hnode);

		if (h->hash == hash && n->parent == parent && n->len == level->text.len &&
		    memcmp(n->level, level->text.p, n->len) == 0)
			return n;
	}
	return NULL;
}

/* Cuts the first level off '*rest'; false after the last. */
static inline bool
topic_next_level(struct sq_bytes *rest, struct sq_bytes *level)
{
	size_t i = 0;

	if (rest->p == NULL)
		return false;
	while (i < rest->len && rest->p[i] != '/')
		i++;
	*level = (struct sq_bytes){rest->p, i};
	if (i == rest->len)
		*rest = (struct sq_bytes){0};
	else
		*rest = (struct sq_bytes){rest->p + i + 1, rest->len - i - 1};
	return true;
}

#endif
