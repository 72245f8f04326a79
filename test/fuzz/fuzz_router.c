/* The router's matching, with a clock: whatever is subscribed and published, the time that a
 * message takes is in proportion to what there is to look at, and no more.
 *
 * The input is lines, each behind a letter and a digit N: 'b' binds a filter 4^N times, 't' gives the
 * message a tag 10^N times, 'd' the same with a number behind it, so that all differ; any other
 * line is the topic. */
#include "broker/route/router.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/metrics/metrics.h"
#include "core/buf.h"
#include "core/mem.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"

enum {
	BINDINGS_MAX = 10000,
	TAGS_MAX = 100000,
	PROPS_MAX = 1 << 20,
	TRIES = 3,      /* the quickest counts */
	STEP_NS = 1000, /* with sanitizers, and a cold cache */
	BASE_NS = 2000000,
};

static struct sq_binding *bindings;
static struct sq_sink sink;

struct input {
	struct sq_router *router;
	struct sq_space *space;
	struct sq_buf props;
	struct sq_bytes topic;
	size_t n_bindings, n_tags, levels;
};

static size_t
times(unsigned char digit, size_t base)
{
	size_t n = 1;

	for (int i = '0'; i < digit && i < '5'; i++)
		n *= base;
	return n;
}

static void
input_bind(struct input *in, struct sq_bytes text, size_t n)
{
	struct sq_topic_filter f;

	if (sq_topic_filter_parse(text, &f, NULL) != SQ_OK || f.levels > 32)
		return;
	for (; n > 0 && in->n_bindings < BINDINGS_MAX; n--) {
		struct sq_binding *b = &bindings[in->n_bindings++];

		*b = (struct sq_binding){.sink = &sink};
		sq_space_wrlock(in->space);
		sq_router_bind(in->router, in->space, &f, b);
		sq_space_unlock(in->space);
		in->levels += f.levels;
	}
}

static void
input_tag(struct input *in, struct sq_bytes text, size_t n, bool numbered)
{
	for (size_t i = 0; i < n && in->n_tags < TAGS_MAX && sq_buf_len(&in->props) < PROPS_MAX;
	     i++) {
		char number[24] = "";
		int len = numbered ? snprintf(number, sizeof number, "%zu", i) : 0;

		sq_buf_u8(&in->props, 0x26);
		sq_buf_u16(&in->props, 3);
		sq_buf_append(&in->props, "tag", 3);
		sq_buf_u16(&in->props, (uint16_t)(text.len + (size_t)len));
		sq_buf_append(&in->props, text.p, text.len);
		sq_buf_append(&in->props, number, (size_t)len);
		in->n_tags++;
	}
}

static void
input_line(struct input *in, struct sq_bytes line)
{
	struct sq_bytes rest = {line.p + 2, line.len > 2 ? line.len - 2 : 0};

	if (line.len > 2 && line.len < 256 && line.p[0] == 'b')
		input_bind(in, rest, times(line.p[1], 4));
	else if (line.len > 2 && line.len < 256 && (line.p[0] == 't' || line.p[0] == 'd'))
		input_tag(in, rest, times(line.p[1], 10), line.p[0] == 'd');
	else if (sq_topic_name_check_levels(line, 64, NULL) == SQ_OK)
		in->topic = line;
}

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Each binding once, at most. */
static void
check_once(struct sq_binding *const *v, size_t n, size_t n_bindings)
{
	unsigned char *seen = sq_xcalloc(n_bindings + 1, 1);

	for (size_t i = 0; i < n; i++)
		assert(seen[v[i] - bindings]++ == 0);
	free(seen);
}

static void
input_match(struct input *in, struct sq_msg m)
{
	struct sq_route_cache *cache = sq_route_cache_new();
	uint64_t best = UINT64_MAX, budget;
	struct sq_tags tags;

	for (int i = 0; i < TRIES; i++) {
		uint64_t start = cpu_ns(), ns;
		struct sq_binding **v;
		size_t n;

		sq_space_rdlock(in->space);
		v = sq_router_match(cache, in->space, m.image, &n);
		sq_space_unlock(in->space);
		ns = cpu_ns() - start;
		best = ns < best ? ns : best;
		check_once(v, n, in->n_bindings);
	}
	(void)sq_tags_read(sq_image_props(m.image), &tags);
	budget = BASE_NS +
	    STEP_NS * (in->levels + in->n_bindings + in->n_tags * (tags.n + 1) + tags.n * 64);
	if (best > budget) {
		fprintf(stderr, "%zu bindings, %zu tags: %llu ns, more than %llu\n", in->n_bindings,
		    in->n_tags, (unsigned long long)best, (unsigned long long)budget);
		abort();
	}
	sq_route_cache_free(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_router_cfg cfg = {.metrics = &sq_broker_metrics};
	struct input in = {.router = sq_router_new(&cfg)};
	struct sq_msg m;

	if (bindings == NULL)
		bindings = sq_xcalloc(BINDINGS_MAX, sizeof *bindings);
	in.space = sq_router_space(in.router, "s");
	in.topic = sq_bytes_of("t");
	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = (end != NULL ? (size_t)(end - data) : size) - at;

		input_line(&in, (struct sq_bytes){data + at, len});
		at += len + 1;
	}
	m = sq_msg_new(
	    0, false, in.topic, sq_buf_bytes(&in.props), SQ_MSG_NO_EXPIRY, sq_bytes_of("x"));
	input_match(&in, m);
	sq_space_wrlock(in.space);
	for (size_t i = 0; i < in.n_bindings; i++)
		sq_router_unbind(in.router, &bindings[i]);
	sq_space_unlock(in.space);
	sq_msg_unref(&m);
	sq_buf_fini(&in.props);
	sq_router_free(&in.router);
	return 0;
}
