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

/* Outputs that are filled at the same time need not grow step by step; one that follows a small
 * one is small. */
Test(output, a_new_buffer_is_as_large_as_the_last_one_got)
{
	static const size_t sizes[] = {50000, 3000, 10};
	static const size_t next[] = {SQ_OUTPUT_USUAL_MAX, 3000, 10};
	unsigned char bytes[50000] = {0};
	uint64_t msgs, size;
	int fd[2];

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct sq_output o = {0}, fresh = {0};

		pair(fd);
		memcpy(sq_output_reserve(&o, &cache, sizes[i]), bytes, sizes[i]);
		sq_output_commit(&o, sizes[i]);
		cr_assert_eq(sq_output_write(&o, &cache, fd[0], &msgs, &size), 0);
		sq_output_cache_fini(&cache); /* as if others had the spare ones */
		put(&fresh, "x");
		cr_assert_geq(fresh.buf.cap, next[i], "%zu bytes", fresh.buf.cap);
		cr_assert_lt(fresh.buf.cap, 2 * next[i] + 64, "%zu bytes", fresh.buf.cap);
		sq_output_drop(&fresh, &msgs, &size);
		close(fd[0]);
		close(fd[1]);
	}
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
