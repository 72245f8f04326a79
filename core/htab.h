/* Intrusive hash table: chained, with a power of two of buckets; grows and shrinks with its
 * load.  The caller computes hashes, compares keys and owns the objects.
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

/* 'node' must be in no table; the table does not look for an equal one. */
void sq_htab_insert(struct sq_htab *, struct sq_hnode *, uint64_t hash);
/* 'node' must be in the table. */
void sq_htab_remove(struct sq_htab *, struct sq_hnode *);
/* The first node with 'hash', or NULL. */
struct sq_hnode *sq_htab_find(const struct sq_htab *, uint64_t hash);
/* The next node with the same hash, or NULL. */
struct sq_hnode *sq_htab_next_same(const struct sq_hnode *);
/* Walks all nodes in no order: 'at' is NULL at first, then the node just returned; NULL: the end.
 * The node just returned stays in the table until the next call; nodes before it may be removed.
 * Nothing is inserted during a walk. */
struct sq_hnode *sq_htab_walk(const struct sq_htab *, const struct sq_hnode *at);
/* Walks in slices, between which the table may change.  A slice calls 'fn', which does not change
 * the table, for a few nodes and returns the 'at' of the next slice: 0 at first, and 0 at the end.
 * A node that is in the table all the while is met at least once. */
size_t sq_htab_slice(
    const struct sq_htab *, size_t at, void (*fn)(struct sq_hnode *, void *arg), void *arg);
/* The place of a node in an order of all nodes that does not depend on the table's size: the bits of
 * its hash, reversed. */
uint64_t sq_hnode_place(const struct sq_hnode *);
/* The first node whose place is 'from' or behind it; NULL: there is none.  For walks between whose
 * steps the table may change: a walk that goes on at the place behind the last one meets each node
 * that is in the table all the while exactly once.  Nodes of one place have the same hash:
 * sq_htab_next_same() has the others.  Takes a few steps on average. */
struct sq_hnode *sq_htab_seek(const struct sq_htab *, uint64_t from);
/* Frees the buckets, not the nodes. */
void sq_htab_fini(struct sq_htab *);

/* SipHash-2-4 of 'len' bytes under a random key of the process, so that a peer who chooses names
 * cannot choose collisions.  Thread: any. */
uint64_t sq_hash(const void *p, size_t len);
/* SipHash-2-4 under the caller's key, for values that outlive a process.  Thread: any. */
uint64_t sq_siphash(uint64_t k0, uint64_t k1, const void *p, size_t len);
/* A cheap mix for keys that no peer chooses, such as our own ids. */
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
