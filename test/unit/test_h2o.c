/* What h2o's loop says of its sockets. */
#include <criterion/criterion.h>
#include <h2o.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "web/h2o.h"

static unsigned written;

static void
on_written(h2o_socket_t *sock, const char *err)
{
	(void)sock;
	cr_assert_null(err);
	written++;
}

Test(h2o, what_was_written_outside_of_a_run_is_pending_until_the_next)
{
	h2o_iovec_t bytes = {(char *)(uintptr_t) "x", 1};
	h2o_loop_t *loop = h2o_evloop_create();
	h2o_socket_t *sock;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	sock = h2o_evloop_socket_create(loop, fds[0], H2O_SOCKET_FLAG_DONT_READ);
	h2o_evloop_run(loop, 0);
	cr_assert_not(sq_h2o_pending(loop));
	h2o_socket_write(sock, &bytes, 1, on_written);
	cr_assert(sq_h2o_pending(loop), "or who sleeps now hears of it only afterwards");
	cr_assert_eq(written, 0u);
	h2o_evloop_run(loop, 0);
	cr_assert_eq(written, 1u);
	cr_assert_not(sq_h2o_pending(loop));
	h2o_socket_close(sock);
	h2o_evloop_run(loop, 0);
	close(fds[1]);
	sq_h2o_thread_fini(loop);
	h2o_evloop_destroy(loop);
}

/* What a socket has read at once. */
static size_t come;

static void
on_come(h2o_socket_t *sock, const char *err)
{
	cr_assert_null(err);
	come = sock->input->size;
}

/* Sends 'len' bytes to the socket and has it read. */
static void
feed(h2o_loop_t *loop, int fd, h2o_socket_t *sock, size_t len)
{
	static const char bytes[100000];

	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	h2o_socket_read_start(sock, on_come);
	h2o_evloop_run(loop, 1000);
	cr_assert_eq(come, len);
}

Test(h2o, a_socket_reads_into_large_buffers_while_nothing_waits_in_a_small_one)
{
	h2o_loop_t *loop = h2o_evloop_create();
	h2o_socket_t *sock;
	size_t capacity;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	sock = h2o_evloop_socket_create(loop, fds[0], 0);
	feed(loop, fds[1], sock, 10);
	cr_assert_not(sq_h2o_read_large(sock), "there is something in it");
	cr_assert_eq(sock->input->size, 10u);
	h2o_buffer_consume(&sock->input, 10);
	cr_assert(sq_h2o_read_large(sock));
	cr_assert_null(sock->input->bytes, "an idle socket has no memory");
	feed(loop, fds[1], sock, 10);
	capacity = sock->input->capacity;
	h2o_buffer_consume(&sock->input, 10);
	cr_assert(sq_h2o_read_large(sock), "from now on");
	feed(loop, fds[1], sock, 100000);
	cr_assert_eq(sock->input->capacity, capacity, "it did not grow");
	sock->input->bytes[99990] = '7';
	h2o_buffer_consume(&sock->input, 99990);
	cr_assert_not(sq_h2o_read_large(sock));
	cr_assert_eq(sock->input->size, 10u);
	cr_assert_eq(sock->input->bytes[0], '7');
	cr_assert_lt(sock->input->capacity, capacity, "a rest does not keep a large buffer");
	h2o_socket_close(sock);
	h2o_evloop_run(loop, 0);
	close(fds[1]);
	sq_h2o_thread_fini(loop);
	h2o_evloop_destroy(loop);
}

Test(h2o, ciphertext_is_read_into_large_buffers_too)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	h2o_loop_t *loop = h2o_evloop_create();
	h2o_socket_t *sock;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	sock = h2o_evloop_socket_create(loop, fds[0], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
	h2o_socket_ssl_handshake(sock, ctx, NULL, on_come);
	cr_assert(sq_h2o_read_large(sock));
	h2o_socket_close(sock);
	h2o_evloop_run(loop, 0);
	close(fds[1]);
	sq_h2o_thread_fini(loop);
	h2o_evloop_destroy(loop);
	SSL_CTX_free(ctx);
}
