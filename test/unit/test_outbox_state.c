/* The parts below a disk outbox's store: skips, held packet ids, and the written state
 * (sidecar/outbox/state.h, held.h). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sidecar/outbox/held.h"
#include "sidecar/outbox/state.h"

static void
hold(struct sq_outbox_held *h, const char *client, uint16_t id)
{
	sq_outbox_held_add(h, client, strlen(client), id);
}

Test(outbox_state, skips_that_follow_on_each_other_are_one)
{
	struct sq_outbox_skips s = {0};

	sq_outbox_skips_add(&s, 5, 1);
	sq_outbox_skips_add(&s, 6, 2);
	sq_outbox_skips_add(&s, 9, 1);
	cr_assert_eq(s.n, 2);
	cr_assert(sq_outbox_skips_has(&s, 5) && sq_outbox_skips_has(&s, 7));
	cr_assert(!sq_outbox_skips_has(&s, 4) && !sq_outbox_skips_has(&s, 8));
	sq_outbox_skips_prune(&s, 6);
	cr_assert(sq_outbox_skips_has(&s, 7), "one that is above goes with its run");
	sq_outbox_skips_prune(&s, 7);
	cr_assert_eq(s.n, 1);
	cr_assert(sq_outbox_skips_has(&s, 9));
	sq_outbox_skips_fini(&s);
}

Test(outbox_state, held_ids_are_of_their_client)
{
	struct sq_outbox_held h;

	sq_outbox_held_init(&h);
	hold(&h, "a", 1);
	hold(&h, "a", 1);
	hold(&h, "a", UINT16_MAX);
	hold(&h, "b", 1);
	sq_outbox_held_remove(&h, "a", 1, 1);
	cr_assert(!sq_outbox_held_has(&h, "a", 1));
	cr_assert(sq_outbox_held_has(&h, "a", UINT16_MAX) && sq_outbox_held_has(&h, "b", 1));
	sq_outbox_held_forget(&h, "b", 1);
	cr_assert(!sq_outbox_held_has(&h, "b", 1));
	cr_assert_eq(h.clients.n, 1);
	sq_outbox_held_remove(&h, "a", 1, UINT16_MAX);
	cr_assert_eq(h.clients.n, 0, "a client without one is forgotten");
	sq_outbox_held_fini(&h);
}

Test(outbox_state, of_too_many_clients_the_one_used_longest_ago_is_forgotten)
{
	struct sq_outbox_held h;
	char name[16];

	sq_outbox_held_init(&h);
	for (int i = 0; i < 4096; i++) {
		(void)snprintf(name, sizeof name, "c%d", i);
		hold(&h, name, 7);
	}
	hold(&h, "c0", 8); /* used anew */
	hold(&h, "more", 7);
	cr_assert_eq(h.clients.n, 4096);
	cr_assert(!sq_outbox_held_has(&h, "c1", 7));
	cr_assert(sq_outbox_held_has(&h, "c0", 7) && sq_outbox_held_has(&h, "more", 7));
	sq_outbox_held_fini(&h);
}

/* A state with something in each of its members. */
static void
write_state(struct sq_buf *b)
{
	struct sq_outbox_state s = {.done_seq = 3,
	    .done_bytes = 300,
	    .low = 2,
	    .next_seq = 12,
	    .tail_bytes = 1200,
	    .run = UINT64_MAX,
	    .incarnation = 77,
	    .first_number = 4};
	struct sq_outbox_held h;

	sq_outbox_held_init(&h);
	hold(&h, "client", 5);
	hold(&h, "client", 500);
	sq_outbox_skips_add(&s.skips, 5, 2);
	sq_outbox_skips_add(&s.skips, 9, 1);
	sq_outbox_state_put(&s, &h, b);
	sq_outbox_skips_fini(&s.skips);
	sq_outbox_held_fini(&h);
}

static int
read_state(struct sq_outbox_state *s, struct sq_outbox_held *h, const struct sq_buf *b, size_t len)
{
	return sq_outbox_state_get(s, h, (struct sq_bytes){sq_buf_data(b), len});
}

Test(outbox_state, what_was_written_is_read)
{
	struct sq_buf b = {0}, again = {0};
	struct sq_outbox_state s;
	struct sq_outbox_held h;

	write_state(&b);
	sq_outbox_held_init(&h);
	hold(&h, "another", 1);
	cr_assert_eq(read_state(&s, &h, &b, sq_buf_len(&b)), 0);
	cr_assert(s.done_seq == 3 && s.done_bytes == 300 && s.low == 2 && s.next_seq == 12);
	cr_assert(s.tail_bytes == 1200 && s.run == UINT64_MAX && s.incarnation == 77);
	cr_assert(s.first_number == 4 && s.skips.n == 2 && sq_outbox_skips_has(&s.skips, 9));
	cr_assert(sq_outbox_held_has(&h, "client", 5) && sq_outbox_held_has(&h, "client", 500));
	cr_assert(!sq_outbox_held_has(&h, "another", 1), "it takes the place of what was held");
	sq_outbox_state_put(&s, &h, &again);
	cr_assert_eq(sq_buf_len(&again), sq_buf_len(&b));
	cr_assert_arr_eq(sq_buf_data(&again), sq_buf_data(&b), sq_buf_len(&b));
	sq_outbox_skips_fini(&s.skips);
	sq_outbox_held_fini(&h);
	sq_buf_fini(&b);
	sq_buf_fini(&again);
}

Test(outbox_state, one_that_is_cut_or_longer_is_malformed)
{
	struct sq_buf b = {0};
	struct sq_outbox_state s;
	struct sq_outbox_held h;

	write_state(&b);
	sq_outbox_held_init(&h);
	for (size_t len = 0; len < sq_buf_len(&b); len++)
		cr_assert_eq(read_state(&s, &h, &b, len), SQ_EINVAL, "%zu bytes", len);
	sq_buf_u8(&b, 0);
	cr_assert_eq(read_state(&s, &h, &b, sq_buf_len(&b)), SQ_EINVAL);
	sq_outbox_held_fini(&h);
	sq_buf_fini(&b);
}
