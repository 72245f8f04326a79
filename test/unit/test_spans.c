#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/clock.h"
#include "core/spans.h"

enum { SIZE = 16 };

static struct sq_trace
trace(bool is_sampled)
{
	struct sq_trace t = {.id = {1, 2}, .span = {3, 4}, .sampled = is_sampled};

	return t;
}

/* Records a span whose body has 'mark' bytes; false: it was dropped. */
static bool
record(size_t mark)
{
	struct sq_trace t = trace(true);
	struct sq_span *s = sq_span_new(SQ_SPAN_DELIVER, &t, sq_clock_us());

	if (s == NULL)
		return false;
	sq_span_message(s, sq_bytes_of("orders/1"), mark, 1);
	sq_span_record(s);
	return true;
}

Test(spans, nothing_is_recorded_unless_started_and_sampled)
{
	struct sq_trace yes = trace(true), no = trace(false);
	struct sq_span out[2];

	cr_expect(!sq_spans_on());
	cr_expect_null(sq_span_new(SQ_SPAN_QUEUE, &yes, 0));
	sq_spans_start(SIZE);
	cr_expect_null(sq_span_new(SQ_SPAN_QUEUE, &no, 0));
	cr_expect_eq(sq_spans_take(out, 2), 0);
	cr_expect_eq(sq_spans_recorded(), 0);
	cr_expect_eq(sq_spans_dropped(), 0, "what is not sampled is not missed");
	sq_spans_stop();
	cr_expect(!sq_spans_on());
}

Test(spans, a_span_has_its_trace_times_and_texts)
{
	struct sq_trace t = trace(true);
	uint64_t before = sq_clock_us();
	struct sq_span out[2], *s;
	char deep[400];

	memset(deep, 'a', sizeof deep);
	memcpy(deep + SQ_SPAN_TOPIC_MAX - 2, "\xc3\xa9", 2); /* is not cut in two */
	sq_spans_start(SIZE);
	s = sq_span_new(SQ_SPAN_QUEUE, &t, before - 1500);
	cr_assert_not_null(s);
	sq_span_message(s, (struct sq_bytes){(unsigned char *)deep, sizeof deep}, 7, 2);
	sq_span_record(s);
	cr_assert_eq(sq_spans_take(out, 2), 1);
	cr_expect_eq(out[0].what, SQ_SPAN_QUEUE);
	cr_expect_eq(memcmp(out[0].trace, t.id, SQ_TRACE_ID), 0);
	cr_expect_eq(memcmp(out[0].parent, t.span, SQ_SPAN_ID), 0);
	cr_expect_neq(memcmp(out[0].id, t.span, SQ_SPAN_ID), 0);
	cr_expect_geq(out[0].end_us - out[0].start_us, 1500);
	cr_expect_leq(out[0].end_us, sq_clock_wall_us());
	cr_expect_eq(strlen(out[0].topic), SQ_SPAN_TOPIC_MAX - 2);
	cr_expect_eq(out[0].body_bytes, 7);
	sq_spans_stop();
}

Test(spans, a_full_ring_drops_and_counts)
{
	struct sq_span out[2 * SIZE];

	sq_spans_start(SIZE);
	for (size_t i = 0; i < SIZE + 5; i++)
		cr_expect_eq(record(i), i < SIZE);
	cr_expect_eq(sq_spans_recorded(), SIZE);
	cr_expect_eq(sq_spans_dropped(), 5);
	cr_assert_eq(sq_spans_take(out, 3), 3);
	cr_expect(record(100));
	cr_assert_eq(sq_spans_take(out, 2 * SIZE), SIZE - 3 + 1);
	for (size_t i = 0; i < SIZE - 3; i++)
		cr_expect_eq(out[i].body_bytes, i + 3, "in their order");
	cr_expect_eq(out[SIZE - 3].body_bytes, 100);
	cr_expect_eq(sq_spans_take(out, 2 * SIZE), 0);
	sq_spans_stop();
}

enum { WRITERS = 4, EACH = 20000 };

static void *
writer(void *arg)
{
	size_t *taken = arg;

	for (size_t i = 1; i <= EACH; i++)
		*taken += record(i);
	return NULL;
}

/* Takes all that is there; per thread the marks must rise. */
static size_t
take_all(void)
{
	struct sq_span out[SIZE];
	size_t n, all = 0;

	while ((n = sq_spans_take(out, SIZE)) > 0) {
		for (size_t i = 0; i < n; i++) {
			cr_assert_str_eq(out[i].topic, "orders/1", "a span is whole");
			cr_assert(out[i].body_bytes > 0 && out[i].body_bytes <= EACH);
		}
		all += n;
	}
	return all;
}

Test(spans, threads_record_while_another_takes)
{
	pthread_t threads[WRITERS];
	size_t wrote[WRITERS] = {0}, sum = 0, all = 0;

	sq_spans_start(SIZE);
	for (int i = 0; i < WRITERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, writer, &wrote[i]), 0);
	while (sq_spans_recorded() + sq_spans_dropped() < (uint64_t)WRITERS * EACH)
		all += take_all();
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		sum += wrote[i];
	}
	all += take_all();
	cr_expect_eq(all, sum, "none is lost that was recorded");
	cr_expect_eq(sq_spans_recorded(), sum);
	cr_expect_eq(sq_spans_recorded() + sq_spans_dropped(), (uint64_t)WRITERS * EACH);
	sq_spans_stop();
}
