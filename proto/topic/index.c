/* The router's index; see proto/topic/index.h, and index_priv.h for the form.
 *
 * The hash of a level is a folded multiplication of what it contains with
 * secrets of this process: SipHash costs several times as much per level and
 * message.  Peers choose the levels but see neither secrets nor hashes, and a
 * collision costs a comparison, never a wrong match. */
#include "proto/topic/index.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/topic/index_priv.h"

/* ---- hash ---- */

static inline uint64_t
index_read64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t
index_read32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

uint64_t
sq_topic_index_hash(const struct sq_topic_index *x, struct sq_bytes level)
{
	const unsigned char *p = level.p;
	size_t len = level.len;
	uint64_t h = len;
	uint64_t a = 0, b = 0;

	for (; len > 16; len -= 16, p += 16)
		h = topic_mum(index_read64(p) ^ x->key[0] ^ h, index_read64(p + 8) ^ x->key[1]);
	if (len >= 8) {
		a = index_read64(p);
		b = index_read64(p + len - 8);
	} else if (len >= 4) {
		a = index_read32(p);
		b = index_read32(p + len - 4);
	} else if (len > 0) {
		a = (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
	}
	return topic_mum(a ^ x->key[0] ^ h, b ^ x->key[1]);
}

/* ---- nodes ---- */

static struct topic_node *
index_node_new(struct topic_node *parent, struct sq_bytes level)
{
	struct topic_node *n = sq_xmalloc(sizeof *n + level.len);

	assert(level.len <= SQ_TOPIC_MAX);
	memset(n, 0, sizeof *n);
	n->parent = parent;
	n->len = (uint16_t)level.len;
	if (level.len > 0)
		memcpy(n->level, level.p, level.len);
	return n;
}

static struct topic_node *
index_child_make(struct sq_topic_index *x, struct topic_node *parent, struct sq_bytes text)
{
	struct topic_level level = {text, sq_topic_index_hash(x, text)};
	struct topic_node *n = topic_child(x, parent, &level);

	if (n != NULL)
		return n;
	n = index_node_new(parent, text);
	n->next = parent->children;
	if (n->next != NULL)
		n->next->prev = n;
	parent->children = n;
	sq_htab_insert(&x->nodes, &n->hnode, topic_path_hash(x, parent, level.hash));
	x->n_nodes++;
	return n;
}

static struct topic_node *
index_plus_make(struct sq_topic_index *x, struct topic_node *parent)
{
	if (parent->plus == NULL) {
		parent->plus = index_node_new(parent, (struct sq_bytes){(const void *)"+", 1});
		/* No lookup finds it, but its children's hashes start from here. */
		parent->plus->hnode.hash = topic_path_hash(x, parent, x->key[0]);
		x->n_nodes++;
	}
	return parent->plus;
}

/* Takes a childless node out of its parent and frees it. */
static void
index_node_free(struct sq_topic_index *x, struct topic_node *n)
{
	struct topic_node *parent = n->parent;

	assert(n->children == NULL && n->plus == NULL && n->scans == 0);
	if (parent->plus == n) {
		parent->plus = NULL;
	} else {
		if (n->prev != NULL)
			n->prev->next = n->next;
		else
			parent->children = n->next;
		if (n->next != NULL)
			n->next->prev = n->prev;
		sq_htab_remove(&x->nodes, &n->hnode);
	}
	x->n_nodes--;
	free(n);
}

void
sq_topic_index_prune(struct sq_topic_index *x, struct topic_node *n)
{
	while (n->parent != NULL && n->children == NULL && n->plus == NULL && n->entries == NULL &&
	    n->multi == NULL && n->scans == 0) {
		struct topic_node *parent = n->parent;

		index_node_free(x, n);
		n = parent;
	}
}

struct sq_topic_index *
sq_topic_index_new(void)
{
	struct sq_topic_index *x = sq_xcalloc(1, sizeof *x);

	/* The same for all indices of a process: sq_hash() has the secret. */
	for (size_t i = 0; i < SQ_ARRAY_LEN(x->key); i++) {
		char name[] = {'t', 'o', 'p', 'i', 'c', (char)('0' + i)};

		x->key[i] = sq_hash(name, sizeof name) | 1; /* a 0 would hash all to 0 */
	}
	x->root = index_node_new(NULL, (struct sq_bytes){0});
	x->tags = index_node_new(NULL, (struct sq_bytes){0});
	x->root->hnode.hash = topic_mum(x->key[0], x->key[1]);
	x->tags->hnode.hash = topic_mum(x->key[0], x->key[2]);
	return x;
}

/* Frees what is below 'top', the lowest first. */
static void
index_clear(struct sq_topic_index *x, struct topic_node *top)
{
	struct topic_node *n = top;

	for (;;) {
		if (n->children != NULL) {
			n = n->children;
		} else if (n->plus != NULL) {
			n = n->plus;
		} else if (n == top) {
			return;
		} else {
			struct topic_node *parent = n->parent;

			index_node_free(x, n);
			n = parent;
		}
	}
}

void
sq_topic_index_free(struct sq_topic_index **indexp)
{
	struct sq_topic_index *x = *indexp;

	if (x == NULL)
		return;
	index_clear(x, x->root);
	index_clear(x, x->tags);
	assert(x->n_nodes == 0);
	free(x->root);
	free(x->tags);
	sq_htab_fini(&x->nodes);
	free(x);
	*indexp = NULL;
}

/* ---- entries ---- */

static bool
index_is(struct sq_bytes level, unsigned char c)
{
	return level.len == 1 && level.p[0] == c;
}

void
sq_topic_index_insert(
    struct sq_topic_index *x, struct sq_bytes tag, struct sq_bytes filter, struct sq_index_entry *e)
{
	struct topic_node *n = tag.len > 0 ? index_child_make(x, x->tags, tag) : x->root;
	struct sq_index_entry **head = NULL;
	struct sq_bytes level;

	assert(e->node == NULL);
	while (topic_next_level(&filter, &level)) {
		if (index_is(level, '#') && filter.p == NULL)
			head = &n->multi;
		else if (index_is(level, '+'))
			n = index_plus_make(x, n);
		else
			n = index_child_make(x, n, level);
	}
	if (head == NULL)
		head = &n->entries;
	e->node = n;
	e->pprev = head;
	e->next = *head;
	if (e->next != NULL)
		e->next->pprev = &e->next;
	*head = e;
	x->n_entries++;
}

void
sq_topic_index_remove(struct sq_topic_index *x, struct sq_index_entry *e)
{
	struct topic_node *n = e->node;

	if (n == NULL)
		return;
	*e->pprev = e->next;
	if (e->next != NULL)
		e->next->pprev = e->pprev;
	*e = (struct sq_index_entry){0};
	x->n_entries--;
	sq_topic_index_prune(x, n);
}

struct sq_index_entry *
sq_topic_index_find(const struct sq_topic_index *x, struct sq_bytes tag, struct sq_bytes filter)
{
	const struct topic_node *n = x->root;
	struct topic_level level;

	if (tag.len > 0) {
		level = (struct topic_level){tag, sq_topic_index_hash(x, tag)};
		n = topic_child(x, x->tags, &level);
	}
	while (n != NULL && topic_next_level(&filter, &level.text)) {
		if (index_is(level.text, '#') && filter.p == NULL)
			return n->multi;
		if (index_is(level.text, '+')) {
			n = n->plus;
			continue;
		}
		level.hash = sq_topic_index_hash(x, level.text);
		n = topic_child(x, n, &level);
	}
	return n == NULL ? NULL : n->entries;
}

size_t
sq_topic_index_count(const struct sq_topic_index *x)
{
	return x->n_entries;
}

size_t
sq_topic_index_nodes(const struct sq_topic_index *x)
{
	return x->n_nodes;
}

/* ---- match ---- */

enum { INDEX_FETCH = 16 }; /* levels worth fetching ahead */

static size_t
index_emit(struct sq_index_entry *e, void (*fn)(struct sq_index_entry *, void *), void *arg)
{
	size_t n = 0;

	for (; e != NULL; e = e->next, n++)
		fn(e, arg);
	return n;
}

/* Splits 'topic' into 'levels'; returns how many, or 0 if they are too many.
 *
 * The hashes of the path without wildcards follow from the topic alone, so all
 * of it is fetched at once instead of one miss after the other: the buckets
 * first, then the nodes that they lead to. */
static size_t
index_split(const struct sq_topic_index *x, const struct topic_node *root, struct sq_bytes topic,
    struct topic_level levels[SQ_TOPIC_LEVELS_MAX])
{
	struct sq_hnode **buckets[INDEX_FETCH];
	uint64_t path = root->hnode.hash;
	struct sq_bytes text;
	size_t n = 0;

	while (topic_next_level(&topic, &text)) {
		if (n == SQ_TOPIC_LEVELS_MAX)
			return 0;
		levels[n] = (struct topic_level){text, sq_topic_index_hash(x, text)};
		if (n < INDEX_FETCH && root->children != NULL) {
			path = topic_path_step(x, path, levels[n].hash);
			buckets[n] = &x->nodes.buckets[path & x->nodes.mask];
			__builtin_prefetch(buckets[n]);
		}
		n++;
	}
	if (root->children != NULL) {
		for (size_t i = 0; i < n && i < INDEX_FETCH; i++)
			__builtin_prefetch(*buckets[i]);
	}
	return n;
}

/* Depth first, the literal child before the one for +, which waits on a stack:
 * at most one waits for each level of the topic. */
static size_t
index_match(const struct sq_topic_index *x, const struct topic_node *root, struct sq_bytes topic,
    void (*fn)(struct sq_index_entry *, void *), void *arg)
{
	struct topic_level levels[SQ_TOPIC_LEVELS_MAX];
	struct {
		const struct topic_node *node;
		size_t depth;
	} waiting[SQ_TOPIC_LEVELS_MAX];
	size_t n_levels, n_waiting = 0, found = 0, depth = 0;
	const struct topic_node *n = root;
	bool dollar = topic.len > 0 && topic.p[0] == '$';

	n_levels = index_split(x, root, topic, levels);
	if (n_levels == 0)
		return 0;
	for (;;) {
		bool wild = depth > 0 || !dollar; /* MQTT-4.7.2-1 */
		const struct topic_node *child = NULL;

		if (wild && n->multi != NULL)
			found += index_emit(n->multi, fn, arg);
		if (depth == n_levels) {
			found += index_emit(n->entries, fn, arg);
		} else {
			if (wild && n->plus != NULL) {
				waiting[n_waiting].node = n->plus;
				waiting[n_waiting++].depth = depth + 1;
			}
			child = topic_child(x, n, &levels[depth]);
		}
		if (child != NULL) {
			n = child;
			depth++;
		} else if (n_waiting > 0) {
			n = waiting[--n_waiting].node;
			depth = waiting[n_waiting].depth;
		} else {
			return found;
		}
	}
}

size_t
sq_topic_index_match(const struct sq_topic_index *x, struct sq_bytes topic,
    void (*fn)(struct sq_index_entry *, void *arg), void *arg)
{
	return index_match(x, x->root, topic, fn, arg);
}

size_t
sq_topic_index_match_tag(const struct sq_topic_index *x, struct sq_bytes tag, struct sq_bytes topic,
    void (*fn)(struct sq_index_entry *, void *arg), void *arg)
{
	struct topic_level level = {tag, sq_topic_index_hash(x, tag)};
	const struct topic_node *root = topic_child(x, x->tags, &level);

	return root == NULL ? 0 : index_match(x, root, topic, fn, arg);
}
