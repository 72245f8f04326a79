/* What h2o's loop says of its sockets. */
#include <criterion/criterion.h>
#include <h2o.h>
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
