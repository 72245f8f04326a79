/* Intrusive hash table: chained, power-of-two buckets, grows and shrinks with
 * its load.  The caller computes hashes, compares keys and owns the objects.
 * A zeroed struct is an empty table. */
#ifndef SQ_CORE_HTAB_H
#define SQ_CORE_HTAB_H

#include <stddef.h>
#include <stdint.h>

#include "core/mem.h"

struct sq_hnode {
	struct sq_hnode *next;
	uint64_t hash;
};

struct sq_htab {
	struct sq_hnode **buckets;
	size_t n;    /* nodes in the table */
	size_t mask; /* buckets - 1; 0 while 'buckets' is NULL */
};

void sq_htab_insert(struct sq_htab *, struct sq_hnode *, uint64_t hash);
/* 'node' must be in the table. */
void sq_htab_remove(struct sq_htab *, struct sq_hnode *);
/* First node with 'hash', or NULL; go on with sq_htab_next_same(). */
struct sq_hnode *sq_htab_find(const struct sq_htab *, uint64_t hash);
struct sq_hnode *sq_htab_next_same(const struct sq_hnode *);
/* Walks all nodes in no order: pass NULL first; returns NULL at the end.  The
 * node just returned must stay in the table until the next call; those before
 * it may be removed meanwhile.  Don't insert during a walk. */
struct sq_hnode *sq_htab_walk(const struct sq_htab *, const struct sq_hnode *at);
/* Walks in slices between which the table may change: calls 'fn', which leaves the table alone, for
 * a few nodes, and returns where to go on: pass 0 first; 0 is the end.  Nodes that are there all
 * the while come at least once. */
size_t sq_htab_slice(
    const struct sq_htab *, size_t at, void (*fn)(struct sq_hnode *, void *arg), void *arg);
/* Frees the buckets, not the nodes. */
void sq_htab_fini(struct sq_htab *);

/* SipHash-2-4 of 'len' bytes under a key drawn at process start, so that a
 * peer that chooses names can't choose collisions. */
uint64_t sq_hash(const void *p, size_t len);
/* The same under a key of the caller's, for values that outlive a process. */
uint64_t sq_siphash(uint64_t k0, uint64_t k1, const void *p, size_t len);
/* A cheap mix for keys that no peer chooses (ids of ours). */
static inline uint64_t
sq_hash_u64(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

#endif
