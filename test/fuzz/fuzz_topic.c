/* Topic rules, matching and the index: they must agree with each other.
 *
 * The input is lines.  A line that starts with '-' takes a filter out again,
 * one with '=' is a topic; every other is a filter.  What is refused must be
 * refused with a reason, and the rest must match the same in all ways. */
#include "proto/topic/index.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/utf8.h"

enum { N = 32 };

struct item {
	struct sq_index_entry entry;
	struct sq_topic_filter filter;
	unsigned hits;
};

static void
hit(struct sq_index_entry *e, void *arg)
{
	SQ_CONTAINER_OF(e, struct item, entry)->hits++;
	++*(size_t *)arg;
}

static bool
hit_scan(struct sq_index_entry *e, void *arg)
{
	hit(e, arg);
	return true;
}

static bool
same(struct sq_bytes a, struct sq_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static void
check_topic(const struct sq_topic_index *x, struct item *items, size_t n, struct sq_bytes topic)
{
	for (size_t k = 0; k <= n; k++) {
		struct sq_bytes tag = k < n ? items[k].filter.tag : SQ_NO_TAG;
		size_t calls = 0, found;

		if (k < n && tag.len == 0)
			continue;
		found = tag.len > 0 ? sq_topic_index_match_tag(x, tag, topic, hit, &calls)
				    : sq_topic_index_match(x, topic, hit, &calls);
		assert(found == calls);
		for (size_t i = 0; i < n; i++) {
			bool want = sq_index_entry_linked(&items[i].entry) &&
			    same(items[i].filter.tag, tag) &&
			    sq_topic_match(items[i].filter.filter, topic);

			assert(items[i].hits == want);
			items[i].hits = 0;
		}
	}
}

/* Every name of its own index that 'filter' selects, by a scan. */
static void
check_scan(struct sq_topic_index *names, struct item *items, size_t n, struct sq_bytes filter)
{
	struct sq_topic_scan *s;
	size_t calls = 0;

	if (sq_topic_scan_open(names, filter, &s) < 0)
		return;
	while (sq_topic_scan_next(s, 3, hit_scan, &calls))
		;
	sq_topic_scan_close(&s);
	for (size_t i = 0; i < n; i++) {
		assert(items[i].hits == sq_topic_match(filter, items[i].filter.filter));
		items[i].hits = 0;
	}
}

/* What a filter covers it selects, too, and it covers itself; two that select one topic
 * overlap. */
static void
check_covers(const struct item *items, size_t n, struct sq_bytes filter, const struct item *named,
    size_t n_named)
{
	assert(sq_topic_covers(filter, filter));
	for (size_t i = 0; i < n; i++) {
		struct sq_bytes other = items[i].filter.filter;
		bool wider = sq_topic_covers(filter, other);
		bool narrower = sq_topic_covers(other, filter);
		bool overlap = sq_topic_overlaps(filter, other);

		assert(overlap == sq_topic_overlaps(other, filter));
		assert(overlap || (!wider && !narrower));

		for (size_t k = 0; k < n_named; k++) {
			struct sq_bytes topic = named[k].filter.filter;

			assert(!wider || !sq_topic_match(other, topic) ||
			    sq_topic_match(filter, topic));
			assert(overlap || !sq_topic_match(filter, topic) ||
			    !sq_topic_match(other, topic));
			assert(!narrower || !sq_topic_match(filter, topic) ||
			    sq_topic_match(other, topic));
		}
	}
}

struct run {
	struct sq_topic_index *filters, *names;
	struct item items[N], named[N];
	size_t n_items, n_named;
};

static void
run_topic(struct run *r, struct sq_bytes topic)
{
	const char *why = NULL;

	if (sq_topic_name_check(topic, &why) < 0) {
		assert(why != NULL);
		return;
	}
	check_topic(r->filters, r->items, r->n_items, topic);
	if (r->n_named < N) {
		struct item *it = &r->named[r->n_named++];

		it->filter.filter = topic;
		sq_topic_index_insert(r->names, SQ_NO_TAG, topic, &it->entry);
	}
}

static void
run_filter(struct run *r, struct sq_bytes text)
{
	struct sq_topic_filter f;
	const char *why = NULL;

	if (sq_topic_filter_parse(text, &f, &why) < 0) {
		assert(why != NULL);
		return;
	}
	assert(f.wildcard == (sq_topic_name_check(f.filter, NULL) < 0));
	check_scan(r->names, r->named, r->n_named, f.filter);
	check_covers(r->items, r->n_items, f.filter, r->named, r->n_named);
	if (r->n_items < N) {
		struct item *it = &r->items[r->n_items++];

		it->filter = f;
		sq_topic_index_insert(r->filters, f.tag, f.filter, &it->entry);
		assert(sq_topic_index_find(r->filters, f.tag, f.filter) == &it->entry);
	}
}

static void
run_remove(struct run *r, struct sq_bytes text)
{
	struct sq_topic_filter f;
	struct sq_index_entry *e;

	if (sq_topic_filter_parse(text, &f, NULL) < 0)
		return;
	e = sq_topic_index_find(r->filters, f.tag, f.filter);
	if (e != NULL)
		sq_topic_index_remove(r->filters, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run r = {0};

	(void)sq_utf8_valid(data, len);
	r.filters = sq_topic_index_new();
	r.names = sq_topic_index_new();
	while (len > 0) {
		const uint8_t *end = memchr(data, '\n', len);
		size_t n = end == NULL ? len : (size_t)(end - data);

		if (n > 0 && data[0] == '=')
			run_topic(&r, (struct sq_bytes){data + 1, n - 1});
		else if (n > 0 && data[0] == '-')
			run_remove(&r, (struct sq_bytes){data + 1, n - 1});
		else
			run_filter(&r, (struct sq_bytes){data, n});
		if (end != NULL)
			n++;
		data += n;
		len -= n;
	}
	for (size_t i = 0; i < N; i++) {
		sq_topic_index_remove(r.filters, &r.items[i].entry);
		sq_topic_index_remove(r.names, &r.named[i].entry);
	}
	assert(sq_topic_index_nodes(r.filters) == 0 && sq_topic_index_nodes(r.names) == 0);
	sq_topic_index_free(&r.filters);
	sq_topic_index_free(&r.names);
	return 0;
}
