/* core/htab: the table against a plain array, walks that remove, SipHash. */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

#define N 3000u

struct obj {
	struct sq_hnode node;
	unsigned key;
	bool in;
	unsigned seen;
};

static struct obj *
find(const struct sq_htab *t, uint64_t hash, unsigned key)
{
	struct sq_hnode *n = sq_htab_find(t, hash);

	while (n != NULL && SQ_CONTAINER_OF(n, struct obj, node)->key != key)
		n = sq_htab_next_same(n);
	return n != NULL ? SQ_CONTAINER_OF(n, struct obj, node) : NULL;
}

/* Only 512 hashes, so that several keys share one. */
static uint64_t
hash_of(unsigned key)
{
	return sq_hash_u64(key % 512);
}

Test(htab, holds_what_was_put_in_and_nothing_else)
{
	static struct obj objs[N];
	struct sq_htab t = {0};
	size_t n = 0;

	srand(7);
	cr_assert_null(sq_htab_find(&t, 1));
	for (unsigned i = 0; i < N; i++)
		objs[i].key = i;
	for (int round = 0; round < 60000; round++) {
		struct obj *o = &objs[(unsigned)rand() % N];

		/* Fill, then empty, so that it grows and shrinks. */
		if (!o->in && (round < 30000 || rand() % 8 == 0)) {
			sq_htab_insert(&t, &o->node, hash_of(o->key));
			o->in = true;
			n++;
		} else if (o->in && (round >= 30000 || rand() % 8 == 0)) {
			sq_htab_remove(&t, &o->node);
			o->in = false;
			n--;
		}
		cr_assert_eq(t.n, n);
		cr_assert_eq(find(&t, hash_of(o->key), o->key) == o, o->in);
	}
	for (unsigned i = 0; i < N; i++)
		cr_assert_eq(find(&t, hash_of(i), i), objs[i].in ? &objs[i] : NULL);
	sq_htab_fini(&t);
}

Test(htab, buckets_follow_the_load)
{
	static struct obj objs[N];
	struct sq_htab t = {0};

	for (unsigned i = 0; i < N; i++)
		sq_htab_insert(&t, &objs[i].node, sq_hash_u64(i));
	cr_assert_geq(t.mask + 1, N);
	for (unsigned i = 0; i < N; i++)
		sq_htab_remove(&t, &objs[i].node);
	cr_assert_leq(t.mask + 1, 8);
	sq_htab_fini(&t);
	cr_assert_null(t.buckets);
}

Test(htab, walk_meets_each_node_once)
{
	static struct obj objs[N];
	struct sq_htab t = {0};

	cr_assert_null(sq_htab_walk(&t, NULL));
	for (unsigned i = 0; i < N; i++)
		sq_htab_insert(&t, &objs[i].node, sq_hash_u64(i));
	for (struct sq_hnode *n = sq_htab_walk(&t, NULL); n != NULL; n = sq_htab_walk(&t, n))
		SQ_CONTAINER_OF(n, struct obj, node)->seen++;
	for (unsigned i = 0; i < N; i++)
		cr_assert_eq(objs[i].seen, 1);
	sq_htab_fini(&t);
}

Test(htab, walk_that_removes_meets_each_node_once_though_the_table_shrinks)
{
	static struct obj objs[N];

	/* Keep every k-th node; k = N removes nearly all. */
	for (unsigned k = 1; k <= N; k = k * 3 + 1) {
		struct sq_htab t = {0};
		struct sq_hnode *n, *next;
		unsigned met = 0;

		memset(objs, 0, sizeof objs);
		for (unsigned i = 0; i < N; i++)
			sq_htab_insert(&t, &objs[i].node, sq_hash_u64(i));
		for (n = sq_htab_walk(&t, NULL); n != NULL; n = next) {
			SQ_CONTAINER_OF(n, struct obj, node)->seen++;
			next = sq_htab_walk(&t, n);
			if (met++ % k != 0)
				sq_htab_remove(&t, n);
		}
		for (unsigned i = 0; i < N; i++)
			cr_assert_eq(objs[i].seen, 1, "k %u", k);
		sq_htab_fini(&t);
	}
}

Test(hash, siphash_gives_the_published_vectors)
{
	/* Key 00..0f, inputs of 00, 00 01, ...: from the reference code. */
	const uint64_t k0 = UINT64_C(0x0706050403020100), k1 = UINT64_C(0x0f0e0d0c0b0a0908);
	unsigned char in[15];

	for (unsigned i = 0; i < sizeof in; i++)
		in[i] = (unsigned char)i;
	cr_assert_eq(sq_siphash(k0, k1, in, 0), UINT64_C(0x726fdb47dd0e0e31));
	cr_assert_eq(sq_siphash(k0, k1, in, 1), UINT64_C(0x74f839c593dc67fd));
	cr_assert_eq(sq_siphash(k0, k1, in, 8), UINT64_C(0x93f5f5799a932462));
	cr_assert_eq(sq_siphash(k0, k1, in, 15), UINT64_C(0xa129ca6149be45e5));
}

Test(hash, same_bytes_same_hash)
{
	cr_assert_eq(sq_hash("abc", 3), sq_hash("abc", 3));
	cr_assert_neq(sq_hash("abc", 3), sq_hash("abd", 3));
	cr_assert_neq(sq_hash("abc", 2), sq_hash("abc", 3));
}

static void
see(struct sq_hnode *node, void *arg)
{
	SQ_CONTAINER_OF(node, struct obj, node)->seen++;
	(void)arg;
}

/* The first 'n' stay; 'by' of the others come or go between two slices. */
static void
walk_in_slices(struct sq_htab *t, struct obj *objs, unsigned n, bool grows)
{
	unsigned next = n;
	size_t at = 0;

	do {
		at = sq_htab_slice(t, at, see, NULL);
		for (unsigned i = 0; i < 8 && next < N; i++, next++) {
			if (grows)
				sq_htab_insert(t, &objs[next].node, sq_hash_u64(next));
			else
				sq_htab_remove(t, &objs[next].node);
		}
	} while (at != 0);
	for (unsigned i = 0; i < n; i++)
		cr_assert_geq(objs[i].seen, 1, "%u was there all the while", i);
}

Test(htab, slices_pass_all_that_stay_while_the_table_grows_or_shrinks)
{
	for (int grows = 0; grows < 2; grows++) {
		struct obj *objs = sq_xcalloc(N, sizeof *objs);
		struct sq_htab t = {0};

		for (unsigned i = 0; i < (grows ? 100 : N); i++)
			sq_htab_insert(&t, &objs[i].node, sq_hash_u64(i));
		walk_in_slices(&t, objs, 100, grows);
		sq_htab_fini(&t);
		free(objs);
	}
	cr_assert_eq(sq_htab_slice(&(struct sq_htab){0}, 0, see, NULL), 0);
}

/* ---- sq_htab_seek ---- */

/* Meets the first node from 'from' on; returns where to go on, 0 at the end. */
static uint64_t
seek_step(const struct sq_htab *t, uint64_t from, bool *end)
{
	struct sq_hnode *n = sq_htab_seek(t, from);

	*end = n == NULL;
	if (n == NULL)
		return 0;
	from = sq_hnode_place(n);
	for (; n != NULL; n = sq_htab_next_same(n))
		SQ_CONTAINER_OF(n, struct obj, node)->seen++;
	*end = from == UINT64_MAX;
	return from + 1;
}

Test(htab, seek_goes_by_ascending_places_and_meets_each_node_once)
{
	static struct obj objs[N];
	struct sq_htab t = {0};
	uint64_t from = 0;
	bool end = false;

	cr_assert_null(sq_htab_seek(&t, 0));
	for (unsigned i = 0; i < N; i++)
		sq_htab_insert(&t, &objs[i].node, hash_of(i));
	while (!end) {
		uint64_t next = seek_step(&t, from, &end);

		cr_assert(end || next > from);
		from = next;
	}
	for (unsigned i = 0; i < N; i++)
		cr_assert_eq(objs[i].seen, 1);
	sq_htab_fini(&t);
}

Test(htab, seek_meets_what_stays_exactly_once_though_the_table_grows_and_shrinks)
{
	static struct obj stays[N], comes[4 * N];

	for (unsigned every = 1; every <= 1000; every = every * 10) {
		struct sq_htab t = {0};
		uint64_t from = 0;
		unsigned step = 0, in = 0;
		bool end = false;

		memset(stays, 0, sizeof stays);
		memset(comes, 0, sizeof comes);
		for (unsigned i = 0; i < N; i++)
			sq_htab_insert(&t, &stays[i].node, sq_hash_u64(i));
		while (!end) {
			from = seek_step(&t, from, &end);
			/* Up to five times as large, and back. */
			for (unsigned i = 0; ++step % every == 0 && i < 64; i++) {
				struct obj *o = &comes[in++ % (4 * N)];

				if (o->in)
					sq_htab_remove(&t, &o->node);
				else
					sq_htab_insert(&t, &o->node, sq_hash_u64(N + in));
				o->in = !o->in;
			}
		}
		for (unsigned i = 0; i < N; i++)
			cr_assert_eq(stays[i].seen, 1, "every %u: %u", every, stays[i].seen);
		for (unsigned i = 0; i < 4 * N; i++)
			cr_assert_leq(comes[i].seen, 1 + in / (4 * N));
		sq_htab_fini(&t);
	}
}

Test(htab, seek_of_the_last_place)
{
	struct obj o = {.seen = 0};
	struct sq_htab t = {0};

	sq_htab_insert(&t, &o.node, UINT64_MAX);
	cr_assert_eq(sq_htab_seek(&t, UINT64_MAX), &o.node);
	cr_assert_eq(sq_hnode_place(&o.node), UINT64_MAX);
	sq_htab_remove(&t, &o.node);
	sq_htab_insert(&t, &o.node, 1);
	cr_assert_eq(sq_hnode_place(&o.node), UINT64_C(1) << 63);
	cr_assert_null(sq_htab_seek(&t, (UINT64_C(1) << 63) + 1));
	sq_htab_fini(&t);
}
