/* The router: who gets a topic, and what is retained. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/metrics/metrics.h"
#include "broker/route/retained.h"
#include "broker/route/router.h"
#include "core/buf.h"
#include "core/mem.h"

static struct sq_router *router;
static struct sq_space *space;
static struct sq_route_cache *cache;
static struct sq_shares *shares; /* one alone has the whole */

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static int64_t
metric(enum sq_broker_metric m)
{
	return atomic_load(&sq_broker_metrics.values[m]);
}

static struct sq_account *
space_account(void *arg, const char *name)
{
	(void)arg;
	return sq_account_new(shares, SQ_SHARE_OF_SPACE, name, NULL);
}

static void
begin(uint32_t max_matches)
{
	struct sq_router_cfg cfg = {.metrics = &sq_broker_metrics,
	    .max_matches = max_matches,
	    .new_account = space_account};
	struct sq_shares_cfg totals = {
	    .totals = {[SQ_SHARE_RETAINED] = 3, [SQ_SHARE_RETAINED_BYTES] = 1000}};

	shares = sq_shares_new(&totals);
	router = sq_router_new(&cfg);
	space = sq_router_space(router, "space");
	cache = sq_route_cache_new();
}

static void
setup(void)
{
	begin(0);
}

static void
setup_crowd(void)
{
	begin(SQ_MATCHES_MIN);
}

static void
teardown(void)
{
	sq_route_cache_free(&cache);
	sq_router_free(&router);
	sq_shares_free(&shares);
}

TestSuite(route_router, .init = setup, .fini = teardown);
TestSuite(router_crowd, .init = setup_crowd, .fini = teardown);

static void
bind_to(struct sq_binding *b, struct sq_sink *sink, const char *filter)
{
	struct sq_topic_filter f;

	cr_assert_eq(sq_topic_filter_parse(text(filter), &f, NULL), SQ_OK);
	b->sink = sink;
	sq_space_wrlock(space);
	sq_router_bind(router, space, &f, b);
	sq_space_unlock(space);
}

static void
unbind(struct sq_binding *b)
{
	sq_space_wrlock(space);
	sq_router_unbind(router, b);
	sq_space_unlock(space);
}

static struct sq_msg
message(const char *topic, const char *payload, struct sq_bytes props)
{
	return sq_msg_new(1, true, text(topic), props, SQ_MSG_NO_EXPIRY, text(payload));
}

/* How many bindings of 'sink' the topic selects in 'in'. */
static size_t
matches_in(
    struct sq_space *in, const char *topic, struct sq_bytes props, const struct sq_sink *sink)
{
	struct sq_msg m = message(topic, "x", props);
	struct sq_binding **v;
	size_t n, of_sink = 0;

	sq_space_rdlock(in);
	v = sq_router_match(cache, in, m.image, &n);
	for (size_t i = 0; i < n; i++)
		of_sink += v[i]->sink == sink;
	sq_space_unlock(in);
	sq_msg_unref(&m);
	return of_sink;
}

static size_t
matches(const char *topic, const struct sq_sink *sink)
{
	return matches_in(space, topic, (struct sq_bytes){0}, sink);
}

Test(route_router, a_topic_reaches_its_bindings_and_no_others)
{
	struct sq_sink sink = {0}, other = {0};
	struct sq_binding a = {0}, b = {0}, c = {0};

	bind_to(&a, &sink, "a/+");
	bind_to(&b, &sink, "a/b");
	bind_to(&c, &other, "#");
	cr_assert_eq(sink.n_bindings, 2);
	cr_assert_eq(metric(SQ_M_SUBSCRIPTIONS), 3);
	cr_assert_eq(matches("a/b", &sink), 2);
	cr_assert_eq(matches("a/c", &sink), 1);
	cr_assert_eq(matches("b", &sink), 0);
	cr_assert_eq(matches("b", &other), 1);
	cr_assert_eq(matches("$SYS/x", &other), 0);
	unbind(&a);
	unbind(&b);
	unbind(&c);
	unbind(&c);
	cr_assert_eq(sink.n_bindings, 0);
	cr_assert_eq(metric(SQ_M_SUBSCRIPTIONS), 0);
}

Test(route_router, a_cached_route_ends_with_its_binding)
{
	struct sq_sink sink = {0};
	struct sq_binding *b = sq_xcalloc(1, sizeof *b), again = {0};

	bind_to(b, &sink, "a");
	cr_assert_eq(matches("a", &sink), 1);
	cr_assert_eq(matches("a", &sink), 1);
	unbind(b);
	free(b); /* a stale pointer would be seen by the sanitiser */
	cr_assert_eq(matches("a", &sink), 0);
	bind_to(&again, &sink, "+");
	cr_assert_eq(matches("a", &sink), 1);
	unbind(&again);
}

Test(route_router, a_topic_too_long_for_the_cache_is_matched_all_the_same)
{
	struct sq_sink sink = {0};
	struct sq_binding b = {0};
	char topic[1000];

	memset(topic, 'x', sizeof topic - 1);
	topic[sizeof topic - 1] = '\0';
	bind_to(&b, &sink, "+");
	cr_assert_eq(matches(topic, &sink), 1);
	unbind(&b);
	cr_assert_eq(matches(topic, &sink), 0);
}

Test(route_router, spaces_do_not_see_each_other)
{
	struct sq_space *other = sq_router_space(router, "other");
	struct sq_sink sink = {0};
	struct sq_binding b = {0};

	cr_assert_neq(other, space);
	cr_assert_eq(sq_router_space(router, "space"), space);
	bind_to(&b, &sink, "a");
	cr_assert_eq(matches("a", &sink), 1);
	cr_assert_eq(matches_in(other, "a", (struct sq_bytes){0}, &sink), 0);
	cr_assert_eq(matches("a", &sink), 1);
	unbind(&b);
}

/* Property blocks as the sidecar forwards them. */

static const unsigned char red[] = {0x26, 0, 3, 't', 'a', 'g', 0, 3, 'r', 'e', 'd'};
static const unsigned char red_twice[] = {0x01, 1, 0x03, 0, 1, 'x', 0x26, 0, 3, 't', 'a', 'g', 0, 3,
    'r', 'e', 'd', 0x26, 0, 1, 'k', 0, 1, 'v', 0x26, 0, 3, 't', 'a', 'g', 0, 3, 'r', 'e', 'd'};

Test(route_router, a_tag_selects_messages_that_carry_it)
{
	struct sq_sink sink = {0}, plain = {0};
	struct sq_binding b = {0}, p = {0};
	struct sq_bytes one = {red, sizeof red}, two = {red_twice, sizeof red_twice};

	bind_to(&p, &plain, "a/b");
	cr_assert_eq(matches("a/b", &plain), 1); /* cached before a tag is asked for */
	bind_to(&b, &sink, "$tag/red/a/#");
	cr_assert_eq(matches("a/b", &sink), 0);
	cr_assert_eq(matches_in(space, "a/b", one, &sink), 1);
	cr_assert_eq(matches_in(space, "a/b", one, &plain), 1);
	cr_assert_eq(matches_in(space, "b", one, &sink), 0);
	cr_assert_eq(matches_in(space, "a/b", two, &sink), 1, "a tag that comes twice counts once");
	for (size_t n = 0; n < sizeof red_twice; n++) /* cut anywhere: some answer, no harm */
		(void)matches_in(space, "a/b", (struct sq_bytes){red_twice, n}, &sink);
	unbind(&b);
	cr_assert_eq(matches_in(space, "a/b", one, &sink), 0);
	unbind(&p);
}

/* Properties with 'n' tags of which 'different' differ. */
static struct sq_buf
many_tags(unsigned n, unsigned different)
{
	struct sq_buf props = {0};

	for (unsigned i = 0; i < n; i++) {
		char tag[16];
		int len = snprintf(tag, sizeof tag, "tag-%u", i % different);

		sq_buf_u8(&props, 0x26);
		sq_buf_u16(&props, 3);
		sq_buf_append(&props, "tag", 3);
		sq_buf_u16(&props, (uint16_t)len);
		sq_buf_append(&props, tag, (size_t)len);
	}
	return props;
}

static uint64_t
cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 100 ms are allowed, without sanitizers: what it took was minutes. */
Test(route_router, ten_thousand_filters_and_a_hundred_thousand_tags_are_no_bomb, .timeout = 60)
{
	enum { FILTERS = 10000, TAGS = 100000 };
	struct sq_binding *b = sq_xcalloc(FILTERS, sizeof *b);
	struct sq_sink sink = {0};
	const unsigned different[] = {1, 32, 33, 50000};
	const size_t reached[] = {
	    FILTERS / 50, FILTERS / 50 * 32, FILTERS / 50 * 32, FILTERS / 50 * 32};

	for (unsigned i = 0; i < FILTERS; i++) {
		char filter[32];

		snprintf(filter, sizeof filter, "$tag/tag-%u/%s", i % 50, i % 2 ? "a/#" : "+/b");
		bind_to(&b[i], &sink, filter);
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(different); i++) {
		struct sq_buf props = many_tags(TAGS, different[i]);
		uint64_t start = cpu_ms();

		cr_assert_eq(matches_in(space, "a/b", sq_buf_bytes(&props), &sink), reached[i],
		    "each binding once, of 32 tags at most");
		cr_assert_lt(cpu_ms() - start, 1000, "%u different tags", different[i]);
		sq_buf_fini(&props);
	}
	for (unsigned i = 0; i < FILTERS; i++)
		unbind(&b[i]);
	free(b);
}

/* Retained. */

static int
retain(const char *topic, const char *payload, uint64_t expires_ms)
{
	struct sq_msg m = message(topic, payload, (struct sq_bytes){0});
	struct sq_origin origin = {1, 2, 3, 0};
	uint64_t number;
	int err;

	sq_space_rdlock(space);
	err = sq_router_retain(router, space, &m, &origin, expires_ms, false, NULL, &number);
	sq_space_unlock(space);
	sq_msg_unref(&m);
	return err;
}

struct seen {
	size_t n, stop_at;
	char last[32];
	uint8_t copy;
};

static bool
see(const struct sq_msg *m, const struct sq_origin *origin, uint64_t expires_ms, void *arg)
{
	struct sq_bytes payload = sq_image_payload(m->image);
	struct seen *s = arg;

	(void)expires_ms;
	s->copy = origin->copy;
	snprintf(s->last, sizeof s->last, "%.*s", (int)payload.len, (const char *)payload.p);
	return ++s->n != s->stop_at;
}

static struct seen
retained(const char *filter, uint64_t now_ms, size_t stop_at)
{
	struct seen s = {.stop_at = stop_at};
	struct sq_retained_scan *scan = sq_retained_scan_open(router, space, text(filter));

	size_t left = 1000;

	while (
	    scan != NULL && sq_retained_scan_next(scan, now_ms, &left, see, &s) && s.n != stop_at)
		continue;
	sq_retained_scan_close(&scan);
	return s;
}

Test(route_router, a_retained_message_is_kept_replaced_and_removed)
{
	struct seen s;

	cr_assert_eq(retain("a/b", "one", 0), SQ_OK);
	cr_assert_eq(retain("a/c", "two", 0), SQ_OK);
	s = retained("a/b", 0, 0);
	cr_assert_eq(s.n, 1);
	cr_assert_str_eq(s.last, "one");
	cr_assert_eq(s.copy, 1, "its origin differs from the live copy's");
	cr_assert_eq(retained("a/+", 0, 0).n, 2);
	cr_assert_eq(retained("#", 0, 1).n, 1, "the visitor may stop");
	cr_assert_eq(retain("a/b", "three", 0), SQ_OK);
	cr_assert_str_eq(retained("a/b", 0, 0).last, "three");
	cr_assert_eq(metric(SQ_M_RETAINED), 2);
	cr_assert_eq(retain("a/b", "", 0), SQ_OK);
	cr_assert_eq(retain("nothing/there", "", 0), SQ_OK);
	cr_assert_eq(retained("a/b", 0, 0).n, 0);
	cr_assert_eq(metric(SQ_M_RETAINED), 1);
}

Test(route_router, retained_messages_have_a_limit_in_number)
{
	cr_assert_eq(retain("a", "1", 0), SQ_OK);
	cr_assert_eq(retain("b", "1", 0), SQ_OK);
	cr_assert_eq(retain("c", "1", 0), SQ_OK);
	cr_assert_eq(retain("d", "1", 0), SQ_ENOMEM);
	cr_assert_eq(retain("c", "2", 0), SQ_OK, "replacing needs no room");
	cr_assert_eq(retain("b", "", 0), SQ_OK);
	cr_assert_eq(retain("d", "1", 0), SQ_OK);
	cr_assert_eq(metric(SQ_M_RETAINED), 3);
}

Test(route_router, retained_messages_have_a_limit_in_bytes)
{
	char big[900];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	cr_assert_eq(retain("a", big, 0), SQ_OK);
	cr_assert_eq(retain("b", big, 0), SQ_ENOMEM);
	cr_assert_eq(retain("a", big, 0), SQ_OK, "its own bytes make room for it");
	cr_assert_eq(retain("a", "small", 0), SQ_OK);
	cr_assert_eq(retain("b", big, 0), SQ_OK);
}

static struct sq_txn *
sweep_txn(void *arg)
{
	return arg; /* none of these has a record */
}

static void
sweep(uint64_t now_ms)
{
	struct sq_txn txn = {0};

	sq_space_rdlock(space);
	sq_router_sweep(router, now_ms, sweep_txn, &txn);
	sq_space_unlock(space);
}

Test(route_router, an_expired_retained_message_is_neither_seen_nor_kept)
{
	cr_assert_eq(retain("a", "1", 1000), SQ_OK);
	cr_assert_eq(retain("a/b", "2", 2000), SQ_OK);
	cr_assert_eq(retain("c", "3", 0), SQ_OK);
	cr_assert_eq(retained("#", 999, 0).n, 3);
	cr_assert_eq(retained("#", 1000, 0).n, 2);
	cr_assert_eq(metric(SQ_M_RETAINED), 3);
	sweep(999);
	cr_assert_eq(metric(SQ_M_RETAINED), 3);
	sweep(1000);
	cr_assert_eq(metric(SQ_M_RETAINED), 2);
	cr_assert_eq(retained("#", 9999, 0).n, 1);
	sweep(9999);
	cr_assert_eq(metric(SQ_M_RETAINED), 1);
}

static struct sq_txn *
no_txn(void *arg)
{
	(void)arg;
	return NULL;
}

Test(route_router, a_space_that_nobody_has_goes_with_its_last_retained_message)
{
	struct sq_space *kept = sq_router_space(router, "kept"), *was = space;
	struct sq_space *sys = sq_router_space_beside(router, kept, "of it");

	cr_assert_eq(sq_router_spaces(router), 3);
	space = kept;
	cr_assert_eq(retain("a", "x", 10), SQ_OK);
	sq_space_unref(&kept);
	sq_router_sweep(router, 5, no_txn, NULL);
	cr_assert_eq(sq_router_spaces(router), 3, "what is beside it has it");
	sq_space_unref(&sys);
	cr_assert_eq(sq_router_spaces(router), 2, "a message is in it");
	sq_router_sweep(router, 5, no_txn, NULL);
	cr_assert_eq(sq_router_spaces(router), 2);
	sq_router_sweep(router, 20, no_txn, NULL);
	cr_assert_eq(sq_router_spaces(router), 1);
	space = was;
	cr_assert_eq(metric(SQ_M_RETAINED), 0);
}

/* More bindings of one sink than a message comes to. */

enum { CROWD = 100 };

/* Whether one of the sink with this QoS, and whose own messages come or don't, is found. */
static bool
finds(const char *topic, const struct sq_sink *sink, uint8_t qos, uint64_t not_from)
{
	struct sq_msg m = message(topic, "x", (struct sq_bytes){0});
	struct sq_binding **v;
	bool found = false;
	size_t n;

	sq_space_rdlock(space);
	v = sq_router_match(cache, space, m.image, &n);
	for (size_t i = 0; i < n; i++)
		found |= v[i]->sink == sink && v[i]->max_qos == qos && v[i]->not_from == not_from;
	sq_space_unlock(space);
	sq_msg_unref(&m);
	return found;
}

static void
change(struct sq_binding *b, uint8_t qos, uint64_t not_from)
{
	sq_space_wrlock(space);
	b->max_qos = qos;
	b->not_from = not_from;
	sq_router_changed(b);
	sq_space_unlock(space);
}

Test(router_crowd, a_message_comes_to_so_many_bindings_of_a_sink_and_to_all_others)
{
	struct sq_sink crowd = {0}, few[2] = {{0}};
	static struct sq_binding b[CROWD], of_few[2];

	for (size_t i = 0; i < CROWD; i++) {
		bind_to(&b[i], &crowd, i % 2 > 0 ? "a/b" : "a/+");
		if (i < 2)
			bind_to(&of_few[i], &few[i], "#");
		if (i + 1 == SQ_MATCHES_MIN)
			cr_assert_eq(matches("a/b", &crowd), SQ_MATCHES_MIN);
	}
	cr_assert_eq(metric(SQ_M_MATCHES_LEFT_OUT), 0);
	for (size_t times = 1; times <= 2; times++) { /* the second one from the cache */
		size_t n = matches("a/b", &crowd);

		cr_assert(n > 0 && n <= SQ_MATCHES_MIN);
		cr_assert_eq(metric(SQ_M_MATCHES_LEFT_OUT), (int64_t)(times * (CROWD - n)));
	}
	cr_assert_eq(matches("a/b", &few[0]), 1);
	cr_assert_eq(matches("a/b", &few[1]), 1);
	for (size_t i = SQ_MATCHES_MIN; i < CROWD; i++)
		unbind(&b[i]);
	cr_assert_eq(matches("a/b", &crowd), SQ_MATCHES_MIN, "it is no crowd any more");
	for (size_t i = 0; i < SQ_MATCHES_MIN; i++)
		unbind(&b[i]);
	unbind(&of_few[0]);
	unbind(&of_few[1]);
}

Test(router_crowd, the_one_of_the_highest_qos_is_found_wherever_it_is)
{
	struct sq_sink crowd = {0};
	static struct sq_binding b[CROWD];

	for (size_t i = 0; i < CROWD; i++) {
		bind_to(&b[i], &crowd, "a");
		change(&b[i], 0, 7); /* no local */
	}
	for (size_t i = 0; i < CROWD; i++) {
		cr_assert_not(finds("a", &crowd, 2, 7));
		change(&b[i], 2, 7);
		cr_assert(finds("a", &crowd, 2, 7), "binding %zu", i);
		change(&b[i], 1, 0);
		cr_assert(finds("a", &crowd, 1, 0), "binding %zu", i);
		cr_assert_leq(matches("a", &crowd), SQ_MATCHES_MIN);
		change(&b[i], 0, 7);
	}
	for (size_t i = 0; i < CROWD; i++)
		unbind(&b[i]);
}

Test(router_crowd, sinks_are_crowded_and_no_longer_in_any_order)
{
	struct sq_sink sinks[3] = {{0}};
	static struct sq_binding b[3][CROWD];

	for (size_t i = 0; i < CROWD; i++) {
		for (size_t k = 0; k < 3; k++)
			bind_to(&b[k][i], &sinks[k], "a");
	}
	for (size_t gone = 0; gone < 3; gone++) {
		for (size_t k = 0; k < 3; k++) {
			size_t n = matches("a", &sinks[k]);

			cr_assert(k < gone ? n == 0 : n > 0 && n <= SQ_MATCHES_MIN);
		}
		for (size_t i = 0; i < CROWD; i++)
			unbind(&b[gone][i]);
	}
}
