/* net/h2/deliveries: frames out of bytes in any split. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/h2/deliveries.h"

enum { MAX = 4096 };

static struct sq_buf in, seen;
static unsigned blocks;

static void
setup(void)
{
	struct sq_msg m = sq_msg_new(1, false, (struct sq_bytes){(const unsigned char *)"a/b", 3},
	    (struct sq_bytes){NULL, 0}, 60, (struct sq_bytes){(const unsigned char *)"payload", 7});
	struct sq_origin origin = {1, 2, 3, 1};
	struct sq_target t = {.epoch = 9, .delivery = 4, .packet_id = 2, .flags = 1, .n_subs = 2};
	static const uint32_t subs[] = {5, 6};
	size_t at;

	sq_frame_heartbeat(&in);
	at = sq_deliver_open(&in, &origin, 30, m.image);
	cr_assert_eq(sq_deliver_target(&in, at, &t, subs), 0);
	sq_frame_detached(&in, 77, 0x98, (struct sq_bytes){0}, 2);
	at = sq_deliver_open(&in, NULL, SQ_MSG_NO_EXPIRY, m.image);
	cr_assert_eq(sq_deliver_target(&in, at, &t, subs), 0);
	sq_frame_draining(&in, (struct sq_bytes){0}, 2);
	sq_msg_unref(&m);
}

static void
tidy(void)
{
	sq_buf_fini(&in);
	sq_buf_fini(&seen);
}

TestSuite(deliveries, .init = setup, .fini = tidy);

static int
see(void *arg, const struct sq_frame *f, struct sq_block *block)
{
	int *limit = arg;

	blocks += block != NULL;
	sq_buf_printf(&seen, "%u", f->type);
	if (f->type == SQ_FRAME_DELIVER) {
		struct sq_bytes p = sq_image_payload(f->deliver.image),
				targets = f->deliver.targets;

		sq_buf_printf(&seen, " %.*s %u %llu", (int)p.len, (const char *)p.p,
		    f->deliver.expiry_s, (unsigned long long)sq_target_next(&targets).epoch);
	} else if (f->type == SQ_FRAME_DETACHED) {
		sq_buf_printf(&seen, " %llu %u", (unsigned long long)f->epoch, f->reason);
	}
	sq_buf_printf(&seen, "\n");
	return limit != NULL && --*limit == 0 ? SQ_ECLOSED : 0;
}

static const char want[] = "1\n2 payload 30 9\n3 77 152\n2 payload 4294967295 9\n4\n";

static void
expect_all(void)
{
	cr_assert_eq(sq_buf_len(&seen), sizeof want - 1);
	cr_assert_arr_eq(sq_buf_data(&seen), want, sizeof want - 1);
	sq_buf_drain(&seen, sq_buf_len(&seen));
}

/* Feeds a copy of exactly these bytes, so that ASan sees a read past them. */
static int
feed(struct sq_deliveries *d, const unsigned char *p, size_t len, size_t max, int *limit)
{
	unsigned char *copy = sq_xmalloc(len);
	int rc;

	memcpy(copy, p, len);
	rc = sq_deliveries_feed(d, copy, len, max, see, limit);
	free(copy);
	return rc;
}

Test(deliveries, whole_frames_are_seen_without_a_block)
{
	struct sq_deliveries d = {0};

	cr_assert_eq(feed(&d, sq_buf_data(&in), sq_buf_len(&in), MAX, NULL), 0);
	cr_assert_eq(blocks, 0);
	cr_assert(!sq_deliveries_partial(&d));
	expect_all();
}

Test(deliveries, cut_in_two_at_each_byte)
{
	for (size_t cut = 0; cut <= sq_buf_len(&in); cut++) {
		struct sq_deliveries d = {0};

		cr_assert_eq(feed(&d, sq_buf_data(&in), cut, MAX, NULL), 0);
		cr_assert_eq(feed(&d, sq_buf_data(&in) + cut, sq_buf_len(&in) - cut, MAX, NULL), 0);
		cr_assert(!sq_deliveries_partial(&d));
		expect_all();
	}
}

Test(deliveries, byte_by_byte)
{
	struct sq_deliveries d = {0};

	for (size_t i = 0; i < sq_buf_len(&in); i++)
		cr_assert_eq(feed(&d, sq_buf_data(&in) + i, 1, MAX, NULL), 0);
	cr_assert_eq(blocks, 5);
	expect_all();
}

Test(deliveries, truncated_stream_is_partial_and_frees_its_block)
{
	struct sq_deliveries d = {0};

	cr_assert_eq(feed(&d, sq_buf_data(&in), sq_buf_len(&in) - 1, MAX, NULL), 0);
	cr_assert(sq_deliveries_partial(&d));
	sq_deliveries_fini(&d);
	cr_assert(!sq_deliveries_partial(&d));
}

Test(deliveries, malformed_and_oversized_frames_end_the_feed_in_any_split)
{
	static const struct {
		unsigned char bytes[6];
		size_t len;
		int rc;
	} cases[] = {
	    {{0, 0, 0, 0, 0, 0}, 6, SQ_EINVAL},   /* no type */
	    {{0, 0, 0, 2, 1, 0}, 6, SQ_EINVAL},   /* heartbeat with contents */
	    {{0, 0, 0, 2, 3, 0}, 6, SQ_EINVAL},   /* detached cut short */
	    {{0, 0, 16, 0, 2, 0}, 6, SQ_ETOOBIG}, /* 4 bytes above MAX */
	    {{255, 255, 255, 255, 2, 0}, 6, SQ_ETOOBIG},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++)
		for (size_t piece = 1; piece <= cases[i].len; piece++) {
			struct sq_deliveries d = {0};
			int rc = 0;

			for (size_t at = 0; at < cases[i].len && rc == 0; at += piece) {
				size_t left = cases[i].len - at;

				rc = feed(&d, cases[i].bytes + at, left < piece ? left : piece, MAX,
				    NULL);
			}
			cr_assert_eq(rc, cases[i].rc, "case %zu in pieces of %zu", i, piece);
			sq_deliveries_fini(&d);
		}
	cr_assert_eq(sq_buf_len(&seen), 0);
}

Test(deliveries, owner_ends_the_feed)
{
	for (int limit = 1; limit <= 5; limit++)
		for (size_t piece = 1; piece <= 200; piece += 199) {
			struct sq_deliveries d = {0};
			int left = limit, rc = 0;

			for (size_t at = 0; at < sq_buf_len(&in) && rc == 0; at += piece) {
				size_t n = sq_buf_len(&in) - at;

				rc = feed(
				    &d, sq_buf_data(&in) + at, n < piece ? n : piece, MAX, &left);
			}
			cr_assert_eq(rc, SQ_ECLOSED);
			cr_assert_eq(left, 0);
			sq_deliveries_fini(&d);
		}
}
