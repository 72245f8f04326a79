/* Whether the peer of a request that waits is there. */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/front/door/presence.h"

static int ends[2];
static struct sq_presence p;

static void
begin(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	sq_presence_begin(&p, ends[0]);
	cr_assert(sq_presence_here(&p));
}

TestSuite(presence, .init = begin);

Test(presence, a_peer_that_has_closed_is_gone)
{
	close(ends[1]);
	cr_assert_not(sq_presence_here(&p));
	sq_presence_fini(&p);
	close(ends[0]);
}

Test(presence, also_behind_bytes_that_nobody_has_read)
{
	cr_assert_eq(write(ends[1], "close_notify", 12), 12);
	cr_assert(sq_presence_here(&p), "it has said something, and is there");
	cr_assert_eq(shutdown(ends[1], SHUT_WR), 0);
	cr_assert_not(sq_presence_here(&p));
	sq_presence_fini(&p);
	close(ends[0]);
	close(ends[1]);
}

Test(presence, a_request_that_has_ended_is_gone_whatever_has_its_descriptor)
{
	sq_presence_end(&p);
	cr_assert_not(sq_presence_here(&p));
	sq_presence_fini(&p);
	close(ends[0]);
	close(ends[1]);
}
