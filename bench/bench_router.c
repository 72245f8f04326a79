/* Micro-benchmark of the router's index: time of a match and memory of a
 * subscription, by number and kind of subscriptions.
 *
 *   bench_router [most subscriptions, default 1000000]
 *
 * Topics are building/<b>/room/<r>/sensor/<s> at first, with more and more
 * subscriptions; then, with the most, topics of more and more levels.  Every row
 * asks for as many matches as the most, of topics that are subscribed, in random
 * order. */
#include "proto/topic/index.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

enum { TOPIC_MAX = 96, SLICE = 1000, ROOM_LEVELS = 6 };

enum kind { EXACT, PLUS, MULTI, MIX, N_KINDS };

static const char *const kind_names[N_KINDS] = {
    "exact", "one + each", "# at the end", "mix 80/15/5"};

/* What a row measures. */
struct shape {
	size_t n;
	enum kind kind;
	unsigned levels;
	size_t names; /* of each level of a deep topic; 0: topics are those of rooms */
};

static size_t matches = 1000000;
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

static struct sq_bytes
bench_bytes(const char *text, int n)
{
	return (struct sq_bytes){(const unsigned char *)text, (size_t)n};
}

/* How many names each of 'levels' levels has, so that there are at least 'n' topics. */
static size_t
bench_names(size_t n, unsigned levels)
{
	size_t names = 1, topics = 0;

	while (topics < n) {
		names++;
		topics = 1;
		for (unsigned i = 0; i < levels && topics < n; i++)
			topics *= names;
	}
	return names;
}

/* Writes the i-th of deep topics, or of filters: 'first' or 'last' stands for a level. */
static struct sq_bytes
bench_deep(
    char out[TOPIC_MAX], size_t i, const struct shape *s, const char *first, const char *last)
{
	unsigned levels = s->levels - (s->kind != EXACT);
	int n = 0;

	if (s->kind == PLUS)
		n = snprintf(out, TOPIC_MAX, "%s/", first);
	for (unsigned k = 0; k < levels; k++, i /= s->names)
		n += snprintf(out + n, TOPIC_MAX - (size_t)n, "%zu/", i % s->names);
	if (s->kind == MULTI)
		return bench_bytes(out, n + snprintf(out + n, TOPIC_MAX - (size_t)n, "%s", last));
	return bench_bytes(out, n - 1);
}

/* Writes the i-th topic; 100 sensors to a room, 100 rooms to a building. */
static struct sq_bytes
bench_topic(char out[TOPIC_MAX], size_t i, const struct shape *s)
{
	if (s->names != 0)
		return bench_deep(out, i, s, "0", "0");
	return bench_bytes(out,
	    snprintf(out, TOPIC_MAX, "building/%zu/room/%zu/sensor/%zu", i / 10000, i / 100 % 100,
		i % 100));
}

/* The filter of the i-th subscription; different for each 'i'. */
static struct sq_bytes
bench_filter(char out[TOPIC_MAX], size_t i, const struct shape *s)
{
	unsigned die = (unsigned)(i * 7919 % 100);
	enum kind kind = s->kind;

	if (s->names != 0)
		return bench_deep(out, i, s, "+", "#");
	if (kind == MIX)
		kind = die < 80 ? EXACT : die < 95 ? PLUS : MULTI;
	if (kind == PLUS) /* all rooms of a building */
		return bench_bytes(out,
		    snprintf(out, TOPIC_MAX, "building/%zu/room/+/sensor/%zu", i / 100, i % 100));
	if (kind == MULTI)
		return bench_bytes(
		    out, snprintf(out, TOPIC_MAX, "building/%zu/room/%zu/#", i / 100, i % 100));
	return bench_topic(out, i, s);
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
bench_match(const struct sq_topic_index *x, const struct shape *s, double *found)
{
	enum { POOL = 100000 };
	char(*text)[TOPIC_MAX] = sq_xmalloc(POOL * sizeof *text);
	struct sq_bytes *topics = sq_xmalloc(POOL * sizeof *topics);
	size_t calls = 0;
	uint64_t start;

	for (size_t i = 0; i < POOL; i++)
		topics[i] = bench_topic(text[i], bench_random() % s->n, s);
	start = bench_now_ns();
	for (size_t i = 0; i < matches; i++)
		sq_topic_index_match(x, topics[i % POOL], bench_count, &calls);
	start = bench_now_ns() - start;
	free(text);
	free(topics);
	*found = (double)calls / (double)matches;
	return (double)start / (double)matches;
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
bench_row(const struct shape *s)
{
	size_t n = s->n;
	struct sq_index_entry *entries = sq_xcalloc(n, sizeof *entries);
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, after;
	struct sq_topic_index *x = sq_topic_index_new();
	char text[TOPIC_MAX];
	double ns, found = 0, insert_ns, remove_ns;
	size_t names = 0;
	uint64_t start = bench_now_ns(), slice;

	for (size_t i = 0; i < n; i++)
		sq_topic_index_insert(x, SQ_NO_TAG, bench_filter(text, i, s), &entries[i]);
	insert_ns = (double)(bench_now_ns() - start) / (double)n;
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	ns = bench_match(x, s, &found);
	slice = bench_scan(x, &names);
	start = bench_now_ns();
	for (size_t i = 0; i < n; i++)
		sq_topic_index_remove(x, &entries[i]);
	remove_ns = (double)(bench_now_ns() - start) / (double)n;
	printf("%9zu  %6u  %-13s %9.0f %8.2f %10.0f %9.0f %9.0f %12" PRIu64 "\n", n, s->levels,
	    kind_names[s->kind], ns, found,
	    (double)(after - before) / (double)n + (double)sizeof *entries, insert_ns, remove_ns,
	    slice);
	if (sq_topic_index_nodes(x) != 0)
		abort();
	sq_topic_index_free(&x);
	free(entries);
}

int
main(int argc, char **argv)
{
	static const unsigned levels[] = {2, 4, 8, 16, 32};
	size_t most = matches;

	if (argc > 1)
		matches = most = strtoul(argv[1], NULL, 10);
	printf("%9s  %6s  %-13s %9s %8s %10s %9s %9s %12s\n", "subs", "levels", "kind", "ns/match",
	    "matched", "bytes/sub", "ns/insert", "ns/remove", "slice max us");
	for (size_t n = 1000; n <= most; n = n < 100000 ? n * 100 : n * 10)
		for (unsigned kind = EXACT; kind < N_KINDS; kind++)
			bench_row(&(struct shape){n, (enum kind)kind, ROOM_LEVELS, 0});
	for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
		for (unsigned kind = EXACT; kind < MIX; kind++)
			bench_row(&(struct shape){most, (enum kind)kind, levels[i],
			    bench_names(most, levels[i] - (kind != EXACT))});
	return 0;
}
