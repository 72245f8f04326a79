/* Intrusive hash table and SipHash; see core/htab.h.
 *
 * A walk goes through the buckets in the order of their bit-reversed numbers.
 * Then a bucket and the one it is merged with, or split from, are neighbours,
 * so nodes may be removed during a walk although that shrinks the table. */
#include "core/htab.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"

#define HTAB_MIN ((size_t)8)

/* ---- table ---- */

/* The bucket that a walk visits after 'i', or 0 after the last. */
static size_t
htab_after(const struct sq_htab *t, size_t i)
{
	size_t bit = (t->mask + 1) >> 1;

	while ((i & bit) != 0) {
		i ^= bit;
		bit >>= 1;
	}
	return i | bit;
}

/* Doubles the buckets: each chain is split in two and keeps its order. */
static void
htab_grow(struct sq_htab *t)
{
	size_t half = t->mask + 1;

	if (t->buckets == NULL) {
		t->buckets = sq_xcalloc(HTAB_MIN, sizeof *t->buckets);
		t->mask = HTAB_MIN - 1;
		return;
	}
	assert(half <= SIZE_MAX / 2 / sizeof *t->buckets);
	t->buckets = sq_xrealloc(t->buckets, 2 * half * sizeof *t->buckets);
	for (size_t i = 0; i < half; i++) {
		struct sq_hnode *node = t->buckets[i];
		struct sq_hnode **low = &t->buckets[i], **high = &t->buckets[i + half];

		for (; node != NULL; node = node->next) {
			struct sq_hnode ***tail = (node->hash & half) != 0 ? &high : &low;

			**tail = node;
			*tail = &node->next;
		}
		*low = *high = NULL;
	}
	t->mask = 2 * half - 1;
}

/* Halves the buckets: each chain gets its upper neighbour's at its end. */
static void
htab_shrink(struct sq_htab *t)
{
	size_t half = (t->mask + 1) / 2;

	for (size_t i = 0; i < half; i++) {
		struct sq_hnode **tail = &t->buckets[i];

		while (*tail != NULL)
			tail = &(*tail)->next;
		*tail = t->buckets[i + half];
	}
	t->buckets = sq_xrealloc(t->buckets, half * sizeof *t->buckets);
	t->mask = half - 1;
}

void
sq_htab_insert(struct sq_htab *t, struct sq_hnode *node, uint64_t hash)
{
	struct sq_hnode **head;

	if (t->buckets == NULL || t->n > t->mask)
		htab_grow(t);
	head = &t->buckets[hash & t->mask];
	node->hash = hash;
	node->next = *head;
	*head = node;
	t->n++;
}

void
sq_htab_remove(struct sq_htab *t, struct sq_hnode *node)
{
	struct sq_hnode **at;

	assert(t->buckets != NULL);
	at = &t->buckets[node->hash & t->mask];
	while (*at != node) {
		assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = node->next;
	node->next = NULL;
	t->n--;
	if (t->mask + 1 > HTAB_MIN && t->n < (t->mask + 1) / 4)
		htab_shrink(t);
}

struct sq_hnode *
sq_htab_find(const struct sq_htab *t, uint64_t hash)
{
	struct sq_hnode *node;

	if (t->buckets == NULL)
		return NULL;
	for (node = t->buckets[hash & t->mask]; node != NULL; node = node->next)
		if (node->hash == hash)
			return node;
	return NULL;
}

struct sq_hnode *
sq_htab_next_same(const struct sq_hnode *at)
{
	struct sq_hnode *node;

	for (node = at->next; node != NULL; node = node->next)
		if (node->hash == at->hash)
			return node;
	return NULL;
}

struct sq_hnode *
sq_htab_walk(const struct sq_htab *t, const struct sq_hnode *at)
{
	size_t i;

	if (t->buckets == NULL)
		return NULL;
	if (at == NULL) {
		if (t->buckets[0] != NULL)
			return t->buckets[0];
		i = 0;
	} else {
		if (at->next != NULL)
			return at->next;
		i = at->hash & t->mask;
	}
	while ((i = htab_after(t, i)) != 0)
		if (t->buckets[i] != NULL)
			return t->buckets[i];
	return NULL;
}

/* Where buckets were split or merged meanwhile, those that the cursor has passed are passed in
 * the new order too: bit-reversed numbers go on in the same place. */
size_t
sq_htab_slice(const struct sq_htab *t, size_t at, void (*fn)(struct sq_hnode *, void *), void *arg)
{
	if (t->buckets == NULL)
		return 0;
	at &= t->mask;
	for (struct sq_hnode *node = t->buckets[at]; node != NULL; node = node->next)
		fn(node, arg);
	return htab_after(t, at);
}

/* The 64 bits in reverse order. */
static uint64_t
htab_reversed(uint64_t x)
{
	x = __builtin_bswap64(x);
	x = (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4 | (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f));
	x = (x & UINT64_C(0x3333333333333333)) << 2 | (x >> 2 & UINT64_C(0x3333333333333333));
	return (x & UINT64_C(0x5555555555555555)) << 1 | (x >> 1 & UINT64_C(0x5555555555555555));
}

uint64_t
sq_hnode_place(const struct sq_hnode *node)
{
	return htab_reversed(node->hash);
}

/* A bucket has a range of places, and the next in the order of walks has the next range. */
struct sq_hnode *
sq_htab_seek(const struct sq_htab *t, uint64_t from)
{
	size_t i = htab_reversed(from) & t->mask;
	struct sq_hnode *first = NULL;

	if (t->buckets == NULL)
		return NULL;
	do {
		for (struct sq_hnode *node = t->buckets[i]; node != NULL; node = node->next) {
			if (sq_hnode_place(node) >= from &&
			    (first == NULL || sq_hnode_place(node) < sq_hnode_place(first)))
				first = node;
		}
	} while (first == NULL && (i = htab_after(t, i)) != 0);
	return first;
}

void
sq_htab_fini(struct sq_htab *t)
{
	free(t->buckets);
	*t = (struct sq_htab){0};
}

/* ---- SipHash-2-4 (Aumasson, Bernstein) ---- */

static uint64_t hash_key[2];

/* Drawn before main(), so that no thread can see it change. */
__attribute__((constructor)) static void
hash_init(void)
{
	hash_key[0] = sq_random_u64();
	hash_key[1] = sq_random_u64();
}

static uint64_t
hash_rotl(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static uint64_t
hash_le64(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void
hash_round(uint64_t v[4], int times)
{
	while (times-- > 0) {
		v[0] += v[1];
		v[1] = hash_rotl(v[1], 13) ^ v[0];
		v[0] = hash_rotl(v[0], 32);
		v[2] += v[3];
		v[3] = hash_rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = hash_rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = hash_rotl(v[1], 17) ^ v[2];
		v[2] = hash_rotl(v[2], 32);
	}
}

uint64_t
sq_siphash(uint64_t k0, uint64_t k1, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t v[4] = {
	    k0 ^ UINT64_C(0x736f6d6570736575),
	    k1 ^ UINT64_C(0x646f72616e646f6d),
	    k0 ^ UINT64_C(0x6c7967656e657261),
	    k1 ^ UINT64_C(0x7465646279746573),
	};
	uint64_t last = (uint64_t)len << 56;
	size_t left;

	for (left = len; left >= 8; left -= 8, p += 8) {
		uint64_t m = hash_le64(p, 8);

		v[3] ^= m;
		hash_round(v, 2);
		v[0] ^= m;
	}
	last |= hash_le64(p, left);
	v[3] ^= last;
	hash_round(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	hash_round(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
sq_hash(const void *p, size_t len)
{
	return sq_siphash(hash_key[0], hash_key[1], p, len);
}
