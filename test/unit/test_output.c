/* A socket's output: order of copied and referenced bytes, partial writes,
 * QoS 0 marks. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecar/mqtt/output.h"

static struct sq_output_cache cache;

static void
put(struct sq_output *o, const char *s)
{
	size_t n = strlen(s);

	memcpy(sq_output_reserve(o, &cache, n), s, n);
	sq_output_commit(o, n);
}

static void
put_ref(struct sq_output *o, const char *s)
{
	struct sq_block *b = sq_block_copy(s, strlen(s));

	sq_output_ref(o, b, b->bytes, b->size);
	sq_block_unref(&b);
}

static void
pair(int fd[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

static void
expect(int fd, const char *want)
{
	char got[256];
	ssize_t n = read(fd, got, sizeof got);

	cr_assert_eq(n, (ssize_t)strlen(want));
	cr_assert_arr_eq(got, want, strlen(want));
}

Test(output, copied_and_referenced_bytes_leave_in_order)
{
	struct sq_output o = {0};
	uint64_t msgs, bytes;
	int fd[2];

	pair(fd);
	put_ref(&o, "<one>");
	put(&o, "a");
	put(&o, "b");
	put_ref(&o, "<two>");
	put_ref(&o, "<three>");
	put(&o, "c");
	cr_assert_eq(sq_output_len(&o), 20);
	cr_assert_eq(sq_output_write(&o, &cache, fd[0], &msgs, &bytes), 0);
	expect(fd[1], "<one>ab<two><three>c");
	cr_assert_eq(sq_output_len(&o), 0);
	cr_assert_null(o.buf.base, "an empty output keeps no memory");
	put(&o, "d");
	cr_assert_eq(sq_output_write(&o, &cache, fd[0], &msgs, &bytes), 0);
	expect(fd[1], "d");
	sq_output_drop(&o, &msgs, &bytes);
	sq_output_cache_fini(&cache);
	close(fd[0]);
	close(fd[1]);
}

Test(output, marks_are_told_when_their_bytes_have_left)
{
	struct sq_output o = {0};
	uint64_t msgs, bytes;
	int fd[2];

	pair(fd);
	put(&o, "x");
	sq_output_mark(&o, 10);
	put(&o, "y");
	sq_output_mark(&o, 20);
	put(&o, "rest");
	cr_assert_eq(sq_output_write(&o, &cache, fd[0], &msgs, &bytes), 0);
	cr_assert_eq(msgs, 2);
	cr_assert_eq(bytes, 30);
	cr_assert_eq(sq_output_write(&o, &cache, fd[0], &msgs, &bytes), 0);
	cr_assert_eq(msgs, 0);
	put(&o, "z");
	sq_output_mark(&o, 5);
	sq_output_drop(&o, &msgs, &bytes);
	cr_assert_eq(msgs, 1);
	cr_assert_eq(bytes, 5);
	sq_output_cache_fini(&cache);
	close(fd[0]);
	close(fd[1]);
}

/* Many outputs may be filled before the first of them is written. */
Test(output, a_buffer_has_few_steps_to_a_burst_and_never_much_to_spare)
{
	struct sq_output o = {0};
	size_t len = 0, cap = 0;
	unsigned steps = 0;
	uint64_t msgs, size;

	while (len < 16000) {
		memset(sq_output_reserve(&o, &cache, 100), 'x', 100);
		sq_output_commit(&o, 100);
		len += 100;
		cr_assert_leq(o.buf.cap, 5 * len, "%zu for %zu bytes", o.buf.cap, len);
		steps += o.buf.cap != cap;
		cap = o.buf.cap;
	}
	cr_assert_leq(steps, 5);
	sq_output_drop(&o, &msgs, &size);
	sq_output_cache_fini(&cache);
}

/* A reader that takes a few bytes at a time gets every byte once, in order, and
 * the marks add up whatever the writes were cut into. */
Test(output, a_slow_reader_gets_every_byte)
{
	struct sq_output o = {0};
	uint64_t msgs, bytes, all_msgs = 0, want_msgs = 0;
	size_t sent = 0, got = 0;
	unsigned seed = 7;
	int fd[2], size = 4096, blocked = 0;

	pair(fd);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	while (got < 2000000) {
		unsigned char buf[5000], in[3000];
		size_t n = seed % sizeof buf + 1;
		ssize_t r;
		int rc;

		seed = seed * 1103515245u + 12345u;
		if (sent < 2000000) {
			for (size_t i = 0; i < n; i++)
				buf[i] = (unsigned char)((sent + i) % 251);
			if ((seed & 0x10000) != 0) {
				struct sq_block *b = sq_block_copy(buf, n);

				sq_output_ref(&o, b, b->bytes, n);
				sq_block_unref(&b);
			} else {
				memcpy(sq_output_reserve(&o, &cache, n), buf, n);
				sq_output_commit(&o, n);
			}
			sent += n;
			sq_output_mark(&o, n);
			want_msgs++;
		}
		rc = sq_output_write(&o, &cache, fd[0], &msgs, &bytes);
		cr_assert(rc == 0 || rc == SQ_EAGAIN);
		blocked += rc == SQ_EAGAIN;
		all_msgs += msgs;
		r = read(fd[1], in, seed % 2 ? sizeof in : 700);
		for (ssize_t i = 0; i < r; i++, got++)
			cr_assert_eq(in[i], got % 251, "byte %zu", got);
	}
	cr_assert_gt(blocked, 100);
	while (sq_output_len(&o) > 0) {
		unsigned char in[3000];

		(void)!sq_output_write(&o, &cache, fd[0], &msgs, &bytes);
		all_msgs += msgs;
		(void)!read(fd[1], in, sizeof in);
	}
	cr_assert_eq(all_msgs, want_msgs);
	sq_output_drop(&o, &msgs, &bytes);
	sq_output_cache_fini(&cache);
	close(fd[0]);
	close(fd[1]);
}

Test(output, a_closed_socket_is_an_error)
{
	struct sq_output o = {0};
	uint64_t msgs, bytes;
	int fd[2];

	signal(SIGPIPE, SIG_IGN);
	pair(fd);
	close(fd[1]);
	put(&o, "x");
	cr_assert_eq(sq_output_write(&o, &cache, fd[0], &msgs, &bytes), SQ_EIO);
	sq_output_drop(&o, &msgs, &bytes);
	sq_output_cache_fini(&cache);
	close(fd[0]);
}
