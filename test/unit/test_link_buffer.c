/* broker/link.h: the buffer between the broker and a deliveries response. */
#include <criterion/criterion.h>

#include "../support/fake_worker.h"
#include "broker/link_priv.h"
#include "core/mem.h"

static struct sq_link *l;
static unsigned flushes;

static void
flush(void *stream)
{
	(void)stream;
	flushes++;
}

static void
setup(void)
{
	fake_workers_init(1);
	l = sq_link_new(&(struct sq_link_cfg){
	    .id = 1, .home = fake_worker(0), .flush = flush, .stream = &flushes});
}

static void
teardown(void)
{
	sq_link_orphan(l);
	sq_link_unref(&l);
}

TestSuite(link_buffer, .init = setup, .fini = teardown);

Test(link_buffer, what_is_put_in_a_turn_is_flushed_once)
{
	sq_link_draining(l);
	sq_link_draining(l);
	cr_assert(fake_run());
	cr_assert_eq(flushes, 1);
}

/* The stream also takes when h2o has written what it had, which may be between
 * a put and its flush. */
Test(link_buffer, taking_before_the_flush_does_not_post_it_twice)
{
	struct sq_buf out = {0};

	sq_link_draining(l);
	cr_assert(sq_link_take(l, &out));
	sq_buf_drain(&out, sq_buf_len(&out));
	sq_link_draining(l);
	sq_link_detached(l, 1, 0x8e, NULL);
	cr_assert(fake_run());
	cr_assert_eq(flushes, 1);
	sq_link_draining(l);
	cr_assert(fake_run());
	cr_assert_eq(flushes, 2, "and the next turn has one again");
	sq_buf_fini(&out);
}
