/* Timers: what is due comes out in order, whatever was moved or taken out. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/heap.h"

enum { N = 300 };

Test(heap, an_empty_heap_has_nothing_due)
{
	struct sq_heap h = {0};

	cr_assert_null(sq_heap_pop(&h, UINT64_MAX));
	sq_heap_fini(&h);
}

Test(heap, nodes_come_out_by_their_due_time_and_not_before)
{
	struct sq_heap_node nodes[N] = {0};
	struct sq_heap h = {0};

	for (unsigned i = 0; i < N; i++)
		sq_heap_set(&h, &nodes[i], (i * 7919u) % N);
	for (uint64_t now = 0; now < N; now++) {
		struct sq_heap_node *n = sq_heap_pop(&h, now);

		cr_assert_not_null(n);
		cr_assert_eq(n->due, now);
		cr_assert_eq(n->pos, 0);
		cr_assert_null(sq_heap_pop(&h, now));
	}
	sq_heap_fini(&h);
}

Test(heap, a_node_moves_both_ways_and_stays_single)
{
	struct sq_heap_node a = {0}, b = {0}, c = {0};
	struct sq_heap h = {0};

	sq_heap_set(&h, &a, 10);
	sq_heap_set(&h, &b, 20);
	sq_heap_set(&h, &c, 30);
	sq_heap_set(&h, &c, 5);
	sq_heap_set(&h, &a, 40);
	sq_heap_set(&h, &a, 40);
	cr_assert_eq(h.n, 3);
	cr_assert_eq(sq_heap_pop(&h, 100), &c);
	cr_assert_eq(sq_heap_pop(&h, 100), &b);
	cr_assert_eq(sq_heap_pop(&h, 100), &a);
	cr_assert_null(sq_heap_pop(&h, 100));
	sq_heap_fini(&h);
}

Test(heap, a_removed_node_never_comes_and_twice_is_harmless)
{
	struct sq_heap_node nodes[N] = {0};
	struct sq_heap h = {0};
	struct sq_heap_node *n;
	uint64_t last = 0;
	unsigned left = 0;

	srand(1);
	for (unsigned i = 0; i < N; i++)
		sq_heap_set(&h, &nodes[i], (uint64_t)rand() % 1000);
	for (unsigned i = 0; i < N; i += 3) {
		sq_heap_remove(&h, &nodes[i]);
		sq_heap_remove(&h, &nodes[i]);
	}
	for (; (n = sq_heap_pop(&h, UINT64_MAX)) != NULL; left++) {
		cr_assert_neq((n - nodes) % 3, 0);
		cr_assert_geq(n->due, last);
		last = n->due;
	}
	cr_assert_eq(left, N - N / 3);
	sq_heap_fini(&h);
}
