/* broker/front/link/link.h: the buffer between the broker and a deliveries response. */
#include <criterion/criterion.h>

#include "../support/fake_worker.h"
#include "broker/auth/identity/identity.h"
#include "broker/front/link/link.h"
#include "broker/share/share.h"
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
	l = sq_link_new(&(struct sq_link_cfg){.id = 1,
	    .version = SQ_LINK_VERSION,
	    .home = fake_worker(0),
	    .identity = sq_identity_nobody(),
	    .flush = flush,
	    .stream = &flushes});
}

static void
teardown(void)
{
	if (l != NULL)
		sq_link_orphan(&l);
}

TestSuite(link_buffer, .init = setup, .fini = teardown);

Test(link_buffer, what_is_put_in_a_turn_is_flushed_once)
{
	sq_link_draining(l, "");
	sq_link_draining(l, "");
	cr_assert(fake_run());
	cr_assert_eq(flushes, 1);
}

/* Calls that came by a link outlive its stream, on workers of their own, and ask who sent them. */
Test(link_buffer, its_identity_is_there_as_long_as_it_is)
{
	struct sq_outlet *o = sq_outlet_ref(sq_link_outlet(l));

	sq_link_orphan(&l);
	cr_assert_eq(sq_outlet_identity(o), sq_identity_nobody());
	sq_outlet_unref(&o);
}

/* The stream also takes when h2o has written what it had, which may be between
 * a put and its flush. */
Test(link_buffer, taking_before_the_flush_does_not_post_it_twice)
{
	struct sq_buf out = {0};

	sq_link_draining(l, "");
	cr_assert(sq_link_take(l, &out));
	sq_buf_drain(&out, sq_buf_len(&out));
	sq_link_draining(l, "");
	sq_outlet_detached(sq_link_outlet(l), 1, 0x8e, NULL);
	cr_assert(fake_run());
	cr_assert_eq(flushes, 1);
	sq_link_draining(l, "");
	cr_assert(fake_run());
	cr_assert_eq(flushes, 2, "and the next turn has one again");
	sq_buf_fini(&out);
}

static struct sq_frame
next_frame(struct sq_buf *out, size_t *at)
{
	struct sq_frame f;
	size_t used;

	cr_assert_eq(
	    sq_frame_decode(sq_buf_data(out) + *at, sq_buf_len(out) - *at, SQ_FRAME_MAX, &f, &used),
	    SQ_OK);
	*at += used;
	return f;
}

/* Targets of one message share a frame, but not over an answer: what is behind it would be
 * before it then. */
Test(link_buffer, a_delivery_behind_an_answer_joins_no_frame_before_it)
{
	struct sq_msg m = sq_msg_new(0, false, (struct sq_bytes){(const unsigned char *)"t", 1},
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){0});
	struct sq_target t = {.epoch = 7};
	struct sq_notes notes = {0};
	struct sq_buf out = {0};
	struct sq_frame f;
	size_t at = 0;

	sq_outlet_deliver(sq_link_outlet(l), &m, NULL, SQ_MSG_NO_EXPIRY, &t, NULL);
	sq_outlet_deliver(sq_link_outlet(l), &m, NULL, SQ_MSG_NO_EXPIRY, &t, NULL);
	sq_outlet_subscribed(sq_link_outlet(l), 7, 3, (const uint8_t *)"\1", 1, &notes);
	sq_outlet_deliver(sq_link_outlet(l), &m, NULL, SQ_MSG_NO_EXPIRY, &t, NULL);
	cr_assert(sq_link_take(l, &out));
	f = next_frame(&out, &at);
	cr_assert(f.type == SQ_FRAME_DELIVER && f.deliver.n == 2);
	f = next_frame(&out, &at);
	cr_assert(f.type == SQ_FRAME_SUBSCRIBED && f.epoch == 7 && f.mark == 3);
	f = next_frame(&out, &at);
	cr_assert(f.type == SQ_FRAME_DELIVER && f.deliver.n == 1);
	cr_assert_eq(at, sq_buf_len(&out));
	cr_assert(fake_run());
	sq_buf_fini(&out);
	sq_msg_unref(&m);
}

/* Connections. */

static struct sq_shares *
connections_of(uint64_t total)
{
	struct sq_shares_cfg cfg = {.spaces = 1};

	cfg.totals[SQ_SHARE_CONNECTIONS] = total;
	return sq_shares_new(&cfg);
}

static uint64_t
connections(const struct sq_account *a)
{
	return sq_share_used(a, SQ_SHARE_CONNECTIONS);
}

/* Of an identity with several spaces: whose it is, its first session says. */
Test(link_buffer, a_connection_counts_once_and_moves_to_whose_session_comes)
{
	struct sq_shares *s = connections_of(2);
	struct sq_account *a = sq_account_new(s, SQ_SHARE_OF_TENANT, "a", NULL);
	struct sq_account *b = sq_account_new(s, SQ_SHARE_OF_TENANT, "b", NULL);

	cr_assert(sq_outlet_count_first(sq_link_outlet(l), a));
	cr_assert_eq(connections(a), 1);
	sq_share_force(b, SQ_SHARE_CONNECTIONS, 1);
	cr_assert_not(sq_outlet_count(sq_link_outlet(l), b), "there is no other place");
	cr_assert_eq(connections(a), 1, "it is where it was");
	sq_share_give(b, SQ_SHARE_CONNECTIONS, 1);
	cr_assert(sq_outlet_count(sq_link_outlet(l), b));
	cr_assert_eq(connections(a), 0);
	cr_assert_eq(connections(b), 1);
	cr_assert(
	    sq_outlet_count(sq_link_outlet(l), a), "a second session is no second connection");
	cr_assert_eq(connections(a) + connections(b), 1);
	sq_link_close(l);
	cr_assert_eq(connections(b), 0);
	sq_account_free(&a);
	sq_account_free(&b);
	sq_shares_free(&s);
}

Test(link_buffer, a_connection_that_stays_with_the_first_takes_no_second_place)
{
	struct sq_shares *s = connections_of(1);
	struct sq_account *a = sq_account_new(s, SQ_SHARE_OF_TENANT, "a", NULL);

	cr_assert(sq_outlet_count_first(sq_link_outlet(l), a));
	cr_assert(sq_outlet_count(sq_link_outlet(l), a));
	cr_assert_eq(connections(a), 1);
	sq_link_close(l);
	cr_assert_eq(connections(a), 0);
	sq_account_free(&a);
	sq_shares_free(&s);
}
