/* Micro-benchmark of the router's index: time of a match and memory of a
 * subscription, by number and kind of subscriptions.
 *
 *   bench_router [most subscriptions, default 1000000]
 *
 * Topics are building/<b>/room/<r>/sensor/<s>; every row asks for a million
 * matches of topics that are subscribed, in random order. */
#include "proto/topic/index.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

enum { MATCHES = 1000000, TOPIC_MAX = 96, SLICE = 1000 };

enum kind { EXACT, PLUS, MULTI, MIX, N_KINDS };

static const char *const kind_names[N_KINDS] = {
    "exact", "one + each", "# at the end", "mix 80/15/5"};

static uint64_t state = 88172645463325252u;

static uint64_t
bench_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static uint64_t
bench_now_ns(void)
{
	return sq_clock_us() * 1000;
}

/* Writes the i-th topic; 100 sensors to a room, 100 rooms to a building. */
static struct sq_bytes
bench_topic(char out[TOPIC_MAX], size_t i)
{
	int n = snprintf(
	    out, TOPIC_MAX, "building/%zu/room/%zu/sensor/%zu", i / 10000, i / 100 % 100, i % 100);

	return (struct sq_bytes){(const unsigned char *)out, (size_t)n};
}

/* The filter of the i-th subscription; different for each 'i'. */
static struct sq_bytes
bench_filter(char out[TOPIC_MAX], size_t i, enum kind kind)
{
	unsigned die = (unsigned)(i * 7919 % 100);
	int n;

	if (kind == MIX)
		kind = die < 80 ? EXACT : die < 95 ? PLUS : MULTI;
	switch (kind) {
	case PLUS: /* all rooms of a building */
		n = snprintf(out, TOPIC_MAX, "building/%zu/room/+/sensor/%zu", i / 100, i % 100);
		break;
	case MULTI:
		n = snprintf(out, TOPIC_MAX, "building/%zu/room/%zu/#", i / 100, i % 100);
		break;
	default:
		return bench_topic(out, i);
	}
	return (struct sq_bytes){(const unsigned char *)out, (size_t)n};
}

static void
bench_count(struct sq_index_entry *e, void *arg)
{
	(void)e;
	++*(size_t *)arg;
}

static bool
bench_count_scan(struct sq_index_entry *e, void *arg)
{
	bench_count(e, arg);
	return true;
}

static double
bench_match(const struct sq_topic_index *x, size_t n_topics, double *found)
{
	enum { POOL = 100000 };
	char(*text)[TOPIC_MAX] = sq_xmalloc(POOL * sizeof *text);
	struct sq_bytes *topics = sq_xmalloc(POOL * sizeof *topics);
	size_t calls = 0;
	uint64_t start;

	for (size_t i = 0; i < POOL; i++)
		topics[i] = bench_topic(text[i], bench_random() % n_topics);
	start = bench_now_ns();
	for (size_t i = 0; i < MATCHES; i++)
		sq_topic_index_match(x, topics[i % POOL], bench_count, &calls);
	start = bench_now_ns() - start;
	free(text);
	free(topics);
	*found = (double)calls / MATCHES;
	return (double)start / MATCHES;
}

/* Goes through all names in slices; the longest slice in µs, names in 'found'. */
static uint64_t
bench_scan(struct sq_topic_index *x, size_t *found)
{
	struct sq_topic_scan *s;
	uint64_t longest = 0;
	bool more = true;

	if (sq_topic_scan_open(x, (struct sq_bytes){(const unsigned char *)"#", 1}, &s) < 0)
		abort();
	while (more) {
		uint64_t start = bench_now_ns();

		more = sq_topic_scan_next(s, SLICE, bench_count_scan, found);
		start = bench_now_ns() - start;
		if (start > longest)
			longest = start;
	}
	sq_topic_scan_close(&s);
	return longest / 1000;
}

static void
bench_row(size_t n, enum kind kind)
{
	struct sq_index_entry *entries = sq_xcalloc(n, sizeof *entries);
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, after;
	struct sq_topic_index *x = sq_topic_index_new();
	char text[TOPIC_MAX];
	double ns, found = 0, insert_ns, remove_ns;
	size_t names = 0;
	uint64_t start = bench_now_ns(), slice;

	for (size_t i = 0; i < n; i++)
		sq_topic_index_insert(x, SQ_NO_TAG, bench_filter(text, i, kind), &entries[i]);
	insert_ns = (double)(bench_now_ns() - start) / (double)n;
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	ns = bench_match(x, n, &found);
	slice = bench_scan(x, &names);
	start = bench_now_ns();
	for (size_t i = 0; i < n; i++)
		sq_topic_index_remove(x, &entries[i]);
	remove_ns = (double)(bench_now_ns() - start) / (double)n;
	printf("%9zu  %-13s %9.0f %8.2f %10.0f %9.0f %9.0f %12" PRIu64 "\n", n, kind_names[kind],
	    ns, found, (double)(after - before) / (double)n + (double)sizeof *entries, insert_ns,
	    remove_ns, slice);
	if (sq_topic_index_nodes(x) != 0)
		abort();
	sq_topic_index_free(&x);
	free(entries);
}

int
main(int argc, char **argv)
{
	size_t most = 1000000;

	if (argc > 1)
		most = strtoul(argv[1], NULL, 10);
	printf("%9s  %-13s %9s %8s %10s %9s %9s %12s\n", "subs", "kind", "ns/match", "matched",
	    "bytes/sub", "ns/insert", "ns/remove", "slice max us");
	for (size_t n = 1000; n <= most; n = n < 100000 ? n * 100 : n * 10)
		for (unsigned kind = EXACT; kind < N_KINDS; kind++)
			bench_row(n, (enum kind)kind);
	return 0;
}
