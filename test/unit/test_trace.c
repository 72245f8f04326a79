#include <string.h>

#include <criterion/criterion.h>

#include "core/trace.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static int
parse(const char *text, struct sq_trace *t)
{
	return sq_traceparent_parse(sq_bytes_of(text), t);
}

Test(trace, a_traceparent_is_read_and_written)
{
	char out[SQ_TRACEPARENT_LEN + 1], id[2 * SQ_TRACE_ID + 1];
	struct sq_trace t;

	cr_assert_eq(parse("00-" TRACE "-" SPAN "-01", &t), 0);
	cr_expect(t.sampled);
	cr_expect_eq(t.id[0], 0x4b);
	cr_expect_eq(t.id[15], 0x36);
	cr_expect_eq(t.span[7], 0xb7);
	sq_traceparent_format(&t, out);
	cr_expect_str_eq(out, "00-" TRACE "-" SPAN "-01");
	sq_trace_id_format(&t, id);
	cr_expect_str_eq(id, TRACE);
	cr_assert_eq(parse("00-" TRACE "-" SPAN "-00", &t), 0);
	cr_expect(!t.sampled);
	cr_assert_eq(parse("00-" TRACE "-" SPAN "-02", &t), 0);
	cr_expect(!t.sampled, "the flag of a random id says nothing about sampling");
	cr_assert_eq(parse("00-" TRACE "-" SPAN "-ff", &t), 0, "unknown flags are no fault");
	cr_expect(t.sampled);
	sq_traceparent_format(&t, out);
	cr_expect_str_eq(out, "00-" TRACE "-" SPAN "-01", "and are not passed on");
}

Test(trace, a_later_version_is_read_as_far_as_it_is_known)
{
	struct sq_trace t;

	cr_expect_eq(parse("cc-" TRACE "-" SPAN "-01", &t), 0);
	cr_expect_eq(parse("cc-" TRACE "-" SPAN "-01-what-comes", &t), 0);
	cr_expect(t.sampled);
	cr_expect_eq(parse("01-" TRACE "-" SPAN "-01-", &t), 0);
	cr_expect_neq(parse("cc-" TRACE "-" SPAN "-01.what", &t), 0);
	cr_expect_neq(parse("cc-" TRACE "-" SPAN "-011", &t), 0);
}

/* From the W3C's own tests of trace-context. */
Test(trace, what_is_malformed_is_refused)
{
	static const char *const bad[] = {
	    "",
	    "00",
	    "00-",
	    "00-" TRACE,
	    "00-" TRACE "-" SPAN,
	    "00-" TRACE "-" SPAN "-",
	    "00-" TRACE "-" SPAN "-1",
	    "00-" TRACE "-" SPAN "-01-",
	    "00-" TRACE "-" SPAN "-01-what",
	    "00-" TRACE "-" SPAN "-011",
	    "00-" TRACE "-" SPAN "-.0",
	    "00-" TRACE "-" SPAN "-0.",
	    "00-" TRACE "-" SPAN "-0G",
	    "00-" TRACE "-" SPAN "-FF",
	    "ff-" TRACE "-" SPAN "-01",
	    "FF-" TRACE "-" SPAN "-01",
	    ".0-" TRACE "-" SPAN "-01",
	    "0.-" TRACE "-" SPAN "-01",
	    "0-" TRACE "-" SPAN "-01",
	    "000-" TRACE "-" SPAN "-01",
	    "00-00000000000000000000000000000000-" SPAN "-01",
	    "00-" TRACE "-0000000000000000-01",
	    "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
	    "00-" TRACE "-00F067AA0BA902B7-01",
	    "00-.bf92f3577b34da6a3ce929d0e0e4736-" SPAN "-01",
	    "00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-01",
	    "00-4bf92f3577b34da6a3ce929d0e0e47366-" SPAN "-01",
	    "00-" TRACE "-.0f067aa0ba902b7-01",
	    "00-" TRACE "-00f067aa0ba902b-01",
	    "00-" TRACE "-00f067aa0ba902b77-01",
	    "00_" TRACE "-" SPAN "-01",
	    "00-" TRACE "_" SPAN "-01",
	    "00-" TRACE "-" SPAN "_01",
	    " 00-" TRACE "-" SPAN "-01",
	    "00-" TRACE "-" SPAN "-01 ",
	    "00-" TRACE "-" SPAN "-01,00-" TRACE "-" SPAN "-01",
	};
	struct sq_trace t;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(parse(bad[i], &t), SQ_EINVAL, "'%s'", bad[i]);
}

static size_t
prop(unsigned char *at, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);

	at[0] = 0x26;
	sq_put16(at + 1, (uint16_t)n);
	memcpy(at + 3, name, n);
	sq_put16(at + 3 + n, (uint16_t)v);
	memcpy(at + 5 + n, value, v);
	return 5 + n + v;
}

Test(trace, it_is_found_among_the_properties)
{
	unsigned char b[512];
	struct sq_trace t;
	size_t n = prop(b, "tag", "blue");

	cr_expect_eq(sq_trace_find((struct sq_bytes){0}, &t), SQ_TRACE_NONE);
	n += prop(b + n, "Traceparent", "other name");
	cr_expect_eq(sq_trace_find((struct sq_bytes){b, n}, &t), SQ_TRACE_NONE);
	n += prop(b + n, "traceparent", "00-" TRACE "-" SPAN "-01");
	n += prop(b + n, "tracestate", "a=b");
	cr_expect_eq(sq_trace_find((struct sq_bytes){b, n}, &t), SQ_TRACE_GOOD);
	cr_expect(t.sampled);
	n += prop(b + n, "traceparent", "00-" TRACE "-" SPAN "-01");
	cr_expect_eq(sq_trace_find((struct sq_bytes){b, n}, &t), SQ_TRACE_BAD, "there are two");
	n = prop(b, "traceparent", "00-" TRACE "-" SPAN);
	cr_expect_eq(sq_trace_find((struct sq_bytes){b, n}, &t), SQ_TRACE_BAD);
}

Test(trace, one_that_is_sampled)
{
	static const struct {
		const char *value;
		bool sampled;
	} cases[] = {
	    {"00-" TRACE "-" SPAN "-01", true},
	    {"00-" TRACE "-" SPAN "-00", false},
	    {"00-" TRACE "-" SPAN "-0f", true},
	    {"00-" TRACE "-" SPAN "-fe", false},
	    {"00-" TRACE "-" SPAN "-0g", false},
	    {"00-" TRACE "-" SPAN "-01-", false},
	    {"01-" TRACE "-" SPAN "-01-x", true},
	    {"00-" TRACE "-" SPAN "-1", false},
	    {"", false},
	};
	unsigned char b[512];
	struct sq_trace t;
	size_t n;

	cr_expect(!sq_trace_sampled((struct sq_bytes){0}, &t));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		n = prop(b, "tag", "blue");
		n += prop(b + n, "traceparent", cases[i].value);
		cr_expect_eq(sq_trace_sampled((struct sq_bytes){b, n}, &t), cases[i].sampled, "%s",
		    cases[i].value);
	}
	n = prop(b, "traceparent", "00-" TRACE "-" SPAN "-01");
	n += prop(b + n, "traceparent", "00-" TRACE "-" SPAN "-01");
	cr_expect(!sq_trace_sampled((struct sq_bytes){b, n}, &t), "there are two");
}

Test(trace, words_for_the_log)
{
	char out[SQ_TRACE_WORDS];
	unsigned char b[512];
	size_t n = prop(b, "traceparent", "00-" TRACE "-" SPAN "-00");

	cr_expect_str_eq(sq_trace_words((struct sq_bytes){0}, out), "");
	cr_expect_str_eq(sq_trace_words((struct sq_bytes){b, n}, out), " trace_id=" TRACE);
	n = prop(b, "traceparent", "00-" TRACE "-");
	cr_expect_str_eq(sq_trace_words((struct sq_bytes){b, n}, out), "");
}

/* How many of 'n' new traces are sampled, by a generator with a known seed. */
static unsigned
sampled(double share, unsigned n)
{
	struct sq_trace_random r;
	struct sq_trace t;
	unsigned out = 0;

	sq_trace_seed(&r, 42);
	for (unsigned i = 0; i < n; i++)
		out += sq_trace_new(&r, sq_trace_share(share), &t);
	return out;
}

Test(trace, the_share_of_new_traces_that_is_sampled)
{
	cr_expect_eq(sampled(0, 100000), 0);
	cr_expect_eq(sampled(1, 100000), 100000);
	/* Of 100,000 draws: the mean and four standard deviations. */
	cr_expect(sampled(0.01, 100000) > 1000 - 126 && sampled(0.01, 100000) < 1000 + 126);
	cr_expect(sampled(0.5, 100000) > 50000 - 633 && sampled(0.5, 100000) < 50000 + 633);
	/* One that is sampled with a share is so with a greater one. */
	cr_expect(sampled(0.25, 1000) < sampled(0.75, 1000));
}

Test(trace, the_last_bits_of_the_id_decide)
{
	struct sq_trace_random r;
	uint64_t share = sq_trace_share(0.3);
	struct sq_trace t;

	sq_trace_seed(&r, 7);
	for (unsigned i = 0; i < 10000; i++) {
		struct sq_trace_random before = r;
		uint64_t low = sq_trace_draw(&before);
		bool sampled = sq_trace_new(&r, share, &t);

		cr_assert_eq(sampled, (low & ((UINT64_C(1) << 56) - 1)) < share);
		if (sampled) {
			cr_assert(t.sampled);
			cr_assert_eq(sq_get64(t.id + 8), low);
		} else {
			cr_assert_eq(memcmp(&r, &before, sizeof r), 0, "nothing else is drawn");
		}
	}
}

Test(trace, who_decides_by_the_id_of_one_that_is_not_sampled_does_so_too)
{
	struct sq_trace_random r;
	uint64_t share = sq_trace_share(0.99);
	struct sq_trace t;

	sq_trace_seed(&r, 7);
	for (unsigned i = 0; i < 1000; i++) {
		sq_trace_unsampled(&r, share, &t);
		cr_assert(!t.sampled);
		cr_assert_geq(sq_get64(t.id + 8) & ((UINT64_C(1) << 56) - 1), share);
	}
}

Test(trace, draws_differ_and_are_never_zero)
{
	static const unsigned char zero[SQ_TRACE_ID];
	struct sq_trace_random r, other;
	struct sq_trace a, b;

	sq_trace_seed(&r, 0);
	sq_trace_seed(&other, 1);
	cr_expect_neq(sq_trace_draw(&r), sq_trace_draw(&other));
	for (unsigned i = 0; i < 10000; i++) {
		cr_assert(sq_trace_new(&r, sq_trace_share(1), &a));
		cr_assert(sq_trace_new(&r, sq_trace_share(1), &b));
		cr_assert_neq(memcmp(a.id, b.id, SQ_TRACE_ID), 0);
		cr_assert_neq(memcmp(a.span, b.span, SQ_SPAN_ID), 0);
		cr_assert_neq(memcmp(a.id, zero, SQ_TRACE_ID), 0);
		cr_assert_neq(memcmp(a.span, zero, SQ_SPAN_ID), 0);
	}
}

Test(trace, a_share_as_it_is_configured)
{
	static const char *const bad[] = {
	    "", ".", "-0", "+1", "1.1", "2", "0x1", "1e-2", "nan", "inf", "0.1.2", " 1", "1 %"};
	uint64_t share;

	cr_expect_eq(sq_trace_share_parse("0", &share), 0);
	cr_expect_eq(share, 0);
	cr_expect_eq(sq_trace_share_parse("1", &share), 0);
	cr_expect_eq(share, sq_trace_share(1));
	cr_expect_eq(sq_trace_share_parse("0.01", &share), 0);
	cr_expect_eq(share, sq_trace_share(0.01));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(sq_trace_share_parse(bad[i], &share), SQ_EINVAL, "'%s'", bad[i]);
}
