/* core/err, mem, buf, bytes, block, msg, clock. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <signal.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/thread.h"
#include "core/block.h"
#include "core/buf.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/msg.h"

Test(err, every_code_has_a_text_of_its_own)
{
	for (int e = 0; e >= SQ_EDENIED; e--) {
		cr_assert_str_neq(sq_strerror(e), "unknown error");
		for (int f = 0; f > e; f--)
			cr_assert_str_neq(sq_strerror(e), sq_strerror(f));
	}
	cr_assert_str_eq(sq_strerror(1), "unknown error");
	cr_assert_str_eq(sq_strerror(SQ_EDENIED - 1), "unknown error");
	cr_assert_str_eq(sq_strerror(INT32_MIN), "unknown error");
}

Test(mem, zero_sizes_give_memory)
{
	char *p = sq_xmalloc(0), *q = sq_xcalloc(0, 8), *r = sq_xmemdup0(NULL, 0);

	cr_assert(p != NULL && q != NULL);
	cr_assert_str_eq(r, "");
	p = sq_xrealloc(p, 0);
	free(p);
	free(q);
	free(r);
}

Test(mem, secrets_differ_in_any_byte)
{
	unsigned char a[32] = {0}, b[32] = {0};

	cr_assert(sq_secret_equal(a, b, sizeof a));
	for (size_t i = 0; i < sizeof a; i++) {
		b[i] = 0x80;
		cr_assert(!sq_secret_equal(a, b, sizeof a));
		b[i] = 0;
	}
}

Test(buf, is_a_queue_of_bytes)
{
	struct sq_buf b = {0};
	unsigned char in = 0, out = 0;

	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t add = (size_t)rand() % 50, take;

		for (size_t i = 0; i < add; i++)
			sq_buf_u8(&b, in++);
		take = sq_buf_len(&b) != 0 ? (size_t)rand() % (sq_buf_len(&b) + 1) : 0;
		for (size_t i = 0; i < take; i++)
			cr_assert_eq(sq_buf_data(&b)[i], out++);
		sq_buf_drain(&b, take);
	}
	cr_assert_leq(b.cap, 8192, "capacity follows the contents");
	sq_buf_fini(&b);
	cr_assert_null(b.base);
}

Test(buf, appended_and_reserved_bytes_stay_in_order)
{
	struct sq_buf b = {0};
	unsigned char *p;

	sq_buf_append(&b, "abc", 3);
	sq_buf_append(&b, NULL, 0);
	sq_buf_drain(&b, 1);
	p = sq_buf_reserve(&b, 1000);
	memset(p, 'x', 1000);
	sq_buf_commit(&b, 1000);
	cr_assert_eq(sq_buf_len(&b), 1002);
	cr_assert_arr_eq(sq_buf_data(&b), "bcxx", 4);
	sq_buf_drain(&b, 1002);
	cr_assert_eq(b.end, 0, "an empty buffer starts anew");
	sq_buf_trim(&b, 4096);
	cr_assert_not_null(b.base);
	sq_buf_trim(&b, 16);
	cr_assert_null(b.base);
}

Test(buf, integers_are_big_endian)
{
	struct sq_buf b = {0};

	sq_buf_u8(&b, 1);
	sq_buf_u16(&b, 0x0203);
	sq_buf_u32(&b, 0x04050607);
	sq_buf_u64(&b, UINT64_C(0x08090a0b0c0d0e0f));
	for (size_t i = 0; i < 15; i++)
		cr_assert_eq(sq_buf_data(&b)[i], i + 1);
	sq_buf_fini(&b);
}

Test(buf, printf_grows_as_needed)
{
	struct sq_buf b = {0};

	sq_buf_printf(&b, "%s=%d;", "a", 7);
	sq_buf_printf(&b, "%5000s", "end");
	cr_assert_eq(sq_buf_len(&b), 5004);
	cr_assert_arr_eq(sq_buf_data(&b), "a=7; ", 5);
	cr_assert_arr_eq(sq_buf_data(&b) + 5001, "end", 3);
	sq_buf_fini(&b);
}

Test(bytes, reads_past_the_end_turn_bad_and_stay_bad)
{
	static const unsigned char in[] = {1, 2, 3, 4, 5};
	struct sq_reader r = sq_reader(in, sizeof in);

	cr_assert_eq(sq_read8(&r), 1);
	cr_assert_eq(sq_read16(&r), 0x0203);
	cr_assert_eq(sq_read32(&r), 0);
	cr_assert(r.bad);
	cr_assert_eq(sq_read8(&r), 0, "although a byte is left");
	r = sq_reader(NULL, 0);
	cr_assert_not_null(sq_read_bytes(&r, 0));
	cr_assert_eq(sq_read64(&r), 0);
	cr_assert(r.bad);
}

Test(block, lives_until_its_last_reference)
{
	struct sq_block *a = sq_block_copy("abc", 3), *b = sq_block_ref(a);

	sq_block_unref(&a);
	cr_assert_null(a);
	cr_assert_eq(b->size, 3);
	cr_assert_arr_eq(b->bytes, "abc", 3);
	sq_block_unref(&b);
	sq_block_unref(&b);
}

static struct sq_bytes
bytes(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

Test(msg, parts_come_back_from_the_image)
{
	struct sq_msg m = sq_msg_new(2, true, bytes("a/b"), bytes("\x01\x01"), 60, bytes("load"));
	struct sq_msg c = sq_msg_clone(&m), r = sq_msg_ref(m);

	cr_assert_eq(sq_image_size(m.image), 16 + 3 + 2 + 4);
	cr_assert_eq(sq_image_qos(m.image), 2);
	cr_assert(sq_image_retain(m.image));
	cr_assert_eq(sq_image_expiry(m.image), 60);
	cr_assert_eq(sq_image_topic(m.image).len, 3);
	cr_assert_arr_eq(sq_image_topic(m.image).p, "a/b", 3);
	cr_assert_arr_eq(sq_image_props(m.image).p, "\x01\x01", 2);
	cr_assert_eq(sq_image_payload(m.image).len, 4);
	cr_assert_arr_eq(sq_image_payload(m.image).p, "load", 4);
	cr_assert_eq(sq_image_check(m.image, m.block->size), 0);
	sq_msg_unref(&m);
	sq_msg_unref(&r);
	cr_assert_eq(sq_image_check(c.image, c.block->size), 0, "a clone stands alone");
	cr_assert_arr_eq(sq_image_payload(c.image).p, "load", 4);
	sq_msg_unref(&c);
}

Test(msg, truncated_image_is_refused_at_each_length)
{
	struct sq_msg m = sq_msg_new(
	    1, false, bytes("t"), bytes(""), SQ_MSG_NO_EXPIRY, bytes("xyz"));

	for (size_t len = 0; len < m.block->size; len++) {
		unsigned char *cut = sq_xmalloc(len); /* so that ASan sees a read past it */

		memcpy(cut, m.image, len);
		cr_assert_eq(sq_image_check(cut, len), SQ_EINVAL, "cut at %zu", len);
		free(cut);
	}
	cr_assert_eq(sq_image_check(m.image, m.block->size + 100u - 100u), 0);
	sq_msg_unref(&m);
}

Test(msg, header_with_wrong_fields_is_refused)
{
	static const struct {
		size_t at;
		unsigned char value;
		const char *what;
	} wrong[] = {
	    {4, 3, "QoS 3"},
	    {4, 8, "unknown flag"},
	    {5, 1, "reserved byte"},
	    {7, 0, "no topic"},
	    {7, 200, "topic past the end"},
	    {11, 200, "properties past the end"},
	    {8, 0xff, "huge properties"},
	    {0, 1, "size past the input"},
	    {3, 15, "size below the header"},
	    {3, 17, "size below its parts"},
	};
	struct sq_msg m = sq_msg_new(
	    1, false, bytes("t"), bytes("p"), SQ_MSG_NO_EXPIRY, bytes("xyz"));

	for (size_t i = 0; i < SQ_ARRAY_LEN(wrong); i++) {
		struct sq_msg c = sq_msg_clone(&m);

		c.block->bytes[wrong[i].at] = wrong[i].value;
		cr_assert_eq(
		    sq_image_check(c.image, c.block->size), SQ_EINVAL, "%s", wrong[i].what);
		sq_msg_unref(&c);
	}
	sq_msg_unref(&m);
}

Test(clock, goes_forward_and_randoms_differ)
{
	uint64_t a = sq_clock_us(), b = sq_clock_us();

	cr_assert_leq(a, b);
	cr_assert_leq(a / 1000, sq_clock_ms());
	cr_assert_neq(sq_random_u64(), sq_random_u64());
}

struct item {
	struct sq_list node;
	int v;
};

Test(list, splice_and_safe_walk_keep_order)
{
	struct sq_list a, b;
	struct item items[6];
	int want = 0;

	sq_list_init(&a);
	sq_list_init(&b);
	for (int i = 0; i < 6; i++) {
		items[i].v = i;
		sq_list_push_back(i < 3 ? &a : &b, &items[i].node);
	}
	sq_list_splice(&a, &b);
	cr_assert(sq_list_empty(&b));
	SQ_LIST_FOR_EACH_SAFE(it, &a, struct item, node) {
		cr_assert_eq(it->v, want++);
		sq_list_remove(&it->node);
		sq_list_remove(&it->node);
	}
	cr_assert_eq(want, 6);
	cr_assert(sq_list_empty(&a));
}

static void *
mask_of_thread(void *out)
{
	pthread_sigmask(SIG_SETMASK, NULL, out);
	return NULL;
}

Test(thread, takes_no_signal_but_that_of_its_own_system_calls)
{
	sigset_t mask;
	pthread_t thread;

	sq_thread_start(&thread, mask_of_thread, &mask);
	pthread_join(thread, NULL);
	cr_assert(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1));
	cr_assert(!sigismember(&mask, SIGSYS), "blocked, it ends the process");
}
