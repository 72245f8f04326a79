/* broker/front/door/toll.h: what frames cost. */
#include <criterion/criterion.h>

#include <string.h>

#include "broker/front/door/toll.h"
#include "core/bytes.h"

static struct sq_toll toll;
static unsigned char bytes[200000];
static size_t len;

static void
add(unsigned type, unsigned flags, size_t body)
{
	const unsigned char head[] = {(unsigned char)(body >> 16), (unsigned char)(body >> 8),
	    (unsigned char)body, (unsigned char)type, (unsigned char)flags, 0, 0, 0, 1};

	memcpy(bytes + len, head, sizeof head);
	memset(bytes + len + sizeof head, 0x7f, body); /* in a head: fields of 257 bytes */
	len += sizeof head + body;
}

static void
start(void)
{
	len = 0;
	sq_toll_init(&toll, 1000);
}

/* What has been spent for all bytes. */
static int64_t
spent(void)
{
	sq_toll_init(&toll, 1000);
	sq_toll_take(&toll, bytes, len);
	return SQ_TOLL_BURST - toll.left;
}

TestSuite(toll, .init = start);

Test(toll, frames_that_carry_no_work_cost)
{
	add(0, 0, 100); /* DATA */
	add(0, 1, 0);   /* its end */
	add(0, 1, 3);
	cr_assert_eq(spent(), 0);
	add(0, 0, 0);
	add(0, 0, 63);
	cr_assert_eq(spent(), 2);
	for (unsigned type = 1; type <= 9; type++)
		add(type, 0, 8);
	cr_assert_eq(spent(), 11);
	add(77, 0, 0);
	cr_assert_eq(spent(), 11 + SQ_TOLL_UNKNOWN);
}

/* A HEADERS frame on a stream, without a block. */
static void
head_on(uint32_t stream)
{
	add(1, 5, 1);
	sq_put32(bytes + len - 1 - 4, stream);
}

Test(toll, a_second_head_of_a_stream_is_its_trailers)
{
	head_on(1);
	head_on(3);
	head_on(1);
	cr_assert_gt(spent(), 0);
	cr_assert(!sq_toll_trailed(&toll, 3));
	cr_assert(sq_toll_trailed(&toll, 1));
	cr_assert(!sq_toll_trailed(&toll, 1), "it is forgotten");
	len = 0;
	head_on(5);
	for (unsigned i = 0; i < SQ_TOLL_TRAILED; i++)
		head_on(5);
	(void)spent();
	cr_assert(sq_toll_good(&toll, 1000));
	head_on(5);
	(void)spent();
	cr_assert(!sq_toll_good(&toll, 1000), "more than can be known");
}

Test(toll, a_cut_anywhere_changes_nothing)
{
	int64_t whole;

	add(4, 0, 12);
	add(1, 4, 30);
	add(0, 0, 20);
	add(0, 1, 300);
	add(6, 0, 8);
	add(8, 0, 4);
	whole = spent();
	cr_assert_eq(whole, 5);
	for (size_t cut = 0; cut <= len; cut++) {
		size_t at = 0;

		sq_toll_init(&toll, 1000);
		sq_toll_take(&toll, bytes, cut);
		while (at + 9 <= cut) { /* as h2o takes whole frames out */
			size_t n = 9 + ((size_t)bytes[at + 1] << 8 | bytes[at + 2]);

			if (at + n > cut)
				break;
			at += n;
		}
		sq_toll_take(&toll, bytes + at, len - at);
		cr_assert_eq(SQ_TOLL_BURST - toll.left, whole, "cut at %zu", cut);
	}
}

/* The begin of a head with one field, whose value goes on for 16 MiB. */
static void
add_large(size_t body)
{
	static const unsigned char field[] = {0, 1, 'x', 0x7f, 0xff, 0xff, 0xff, 0x07};

	add(1, 0, body);
	memcpy(bytes + len - body, field, sizeof field);
}

Test(toll, heads_have_a_size)
{
	add_large(24000);
	add(9, 0, 24000);
	spent();
	cr_assert_not(sq_toll_head_too_large(&toll));
	add(1, 4, 1000); /* another */
	add(9, 4, 0);
	spent();
	cr_assert_not(sq_toll_head_too_large(&toll));
	cr_assert_eq(toll.heads, 49000);
	sq_toll_take(&toll, bytes, 100); /* nothing whole */
	cr_assert_eq(toll.heads, 0);
	len = 0;
	add_large(24000);
	add(9, 0, 24000);
	add(9, 4, 2000);
	spent();
	cr_assert(sq_toll_head_too_large(&toll));
}

/* A head of these fields, cut into frames at each place; how many are counted. */
static void
fields(const unsigned char *p, size_t n, unsigned want)
{
	for (size_t cut = 0; cut <= n; cut++) {
		start();
		add(1, 0, cut);
		memcpy(bytes + 9, p, cut);
		add(9, 4, n - cut);
		memcpy(bytes + 18 + cut, p + cut, n - cut);
		spent();
		cr_assert_eq(toll.fields.n, want, "cut at %zu: %u", cut, toll.fields.n);
	}
}

Test(toll, fields_of_a_head_are_counted)
{
	static const unsigned char tables[] = {0x82, 0xff, 0x80, 0x01, 0x87};
	static const unsigned char literals[] = {0x40, 1, 'a', 1, 'b', 0x00, 0, 0, 0x10, 0x81, 0x8c,
	    2, 'c', 'd', 0x44, 0, 0x7f, 0x80, 0x01, 1, 0x82, 0x0f, 0x2f, 3, 0x82, 0x82, 0x82};
	static const unsigned char sizes[] = {0x20, 0x3f, 0xe1, 0x1f, 0x82};
	unsigned char text[300] = {0x04, 0x7f, 0xa0, 0x01}; /* 127 + 32 + 128 */

	fields(tables, sizeof tables, 3);
	fields(literals, sizeof literals, 6);
	fields(sizes, sizeof sizes, 3);
	memset(text + 4, 0x82, sizeof text - 4);
	fields(text, sizeof text, 1 + 300 - 4 - 287);
}

Test(toll, padding_and_priority_are_no_fields)
{
	add(1, 8 | 32 | 4, 1 + 5 + 90 + 100);
	memset(bytes + 9, 0x82, len - 9);
	bytes[9] = 100;
	spent();
	cr_assert_eq(toll.fields.n, 90);
	bytes[9] = 255; /* more than there is */
	spent();
	cr_assert_eq(toll.fields.n, 0);
}

Test(toll, a_head_has_a_number_of_fields)
{
	add(1, 4, SQ_TOLL_FIELDS_MAX);
	memset(bytes + 9, 0x90, SQ_TOLL_FIELDS_MAX);
	spent();
	cr_assert_not(sq_toll_head_too_large(&toll));
	add(1, 4, 1); /* another */
	bytes[len - 1] = 0x90;
	spent();
	cr_assert_not(sq_toll_head_too_large(&toll));
	add(9, 4, SQ_TOLL_FIELDS_MAX);
	memset(bytes + len - SQ_TOLL_FIELDS_MAX, 0x90, SQ_TOLL_FIELDS_MAX);
	spent();
	cr_assert(sq_toll_head_too_large(&toll));
}

Test(toll, time_and_work_bring_in_what_floods_spend)
{
	uint64_t now = 1000;

	sq_toll_spend(&toll, SQ_TOLL_BURST);
	cr_assert(sq_toll_good(&toll, now));
	sq_toll_spend(&toll, 1);
	cr_assert_not(sq_toll_good(&toll, now));
	for (unsigned i = 0; i < 1000; i++) /* in pieces of a millisecond, too */
		sq_toll_good(&toll, ++now);
	cr_assert_eq(toll.left, SQ_TOLL_PER_SECOND - 1);
	now += 1000000;
	cr_assert(sq_toll_good(&toll, now));
	cr_assert_eq(toll.left, SQ_TOLL_BURST);
	sq_toll_earn(&toll, 500);
	now += 1000000;
	cr_assert(sq_toll_good(&toll, now));
	cr_assert_eq(toll.left, SQ_TOLL_BURST + 500, "earned is kept");
	for (unsigned i = 0; i < 10; i++)
		sq_toll_earn(&toll, SIZE_MAX);
	cr_assert_eq(toll.left, SQ_TOLL_MOST);
}

/* A consumer that says WINDOW_UPDATE twice for each DATA frame of 1 KiB. */
Test(toll, a_fast_consumer_does_not_meet_it)
{
	for (unsigned i = 0; i < 100000; i++) {
		sq_toll_earn(&toll, SQ_TOLL_SEND + 1024 / SQ_TOLL_SENT_BYTES);
		sq_toll_spend(&toll, 2);
		cr_assert(sq_toll_good(&toll, 1000));
	}
}
