/* broker/session/window: what is under way to a client, without a broker. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/session/window.h"
#include "core/bytes.h"

enum { BYTES = 100, GROUP = 7 };

static struct sq_window w;
static unsigned released;
static int queue; /* stands for a group's sink */

static void
setup(void)
{
	released = 0;
	sq_window_init(&w, NULL);
}

static void
tidy(void)
{
	struct sq_pending_row all = sq_pending_take_all(&w.pending);

	for (uint32_t i = 0; i < all.n; i++) {
		sq_item_fini(&sq_pending_at(&all, i)->item);
		sq_queue_ref_release(&sq_pending_at(&all, i)->from);
	}
	free(all.ring);
	for (uint32_t i = 0; i < w.cap_slots; i++) {
		if (w.slots[i].state != 0)
			sq_slot_free(&w, &w.slots[i]);
	}
	sq_window_fini(&w);
}

TestSuite(session_window, .init = setup, .fini = tidy);

static void
release(struct sq_sink *sink)
{
	cr_assert_eq((void *)sink, (void *)&queue);
	released++;
}

static struct sq_queue_ref
group(void)
{
	return (struct sq_queue_ref){GROUP, (struct sq_sink *)(void *)&queue, release};
}

static struct sq_item
item(uint64_t number)
{
	struct sq_block *block = sq_block_new(BYTES);

	memset(block->bytes, 0, BYTES);
	sq_put32(block->bytes, BYTES);
	return (struct sq_item){.msg = {block, block->bytes},
	    .qos = 1,
	    .seq = number,
	    .origin = {.incarnation = 1, .run = 2, .number = number}};
}

static struct sq_slot *
open_slot(uint64_t number, uint8_t state)
{
	struct sq_slot *slot = sq_slot_take(&w);

	slot->item = item(number);
	sq_slot_weigh(&w, slot);
	slot->state = state;
	sq_slot_number(&w, slot);
	sq_slot_sent(&w, slot);
	return slot;
}

Test(session_window, the_lowest_packet_id_is_taken_first)
{
	struct sq_slot *a = open_slot(1, SQ_OPEN_QOS1);

	cr_assert_eq(sq_slot_packet_id(&w, a), 1);
	cr_assert_eq(sq_slot_packet_id(&w, open_slot(2, SQ_OPEN_QOS1)), 2);
	sq_slot_free(&w, &w.slots[0]);
	cr_assert_eq(sq_slot_packet_id(&w, open_slot(3, SQ_OPEN_QOS1)), 1);
	cr_assert_eq(w.n_slots, 2);
	cr_assert_eq(w.n_sent, 2);
}

Test(session_window, a_delivery_id_finds_its_slot_until_that_is_freed)
{
	for (uint64_t i = 1; i <= 200; i++) /* more than the ring begins with */
		(void)open_slot(i, SQ_OPEN_QOS1);
	for (uint64_t i = 1; i <= 200; i++)
		cr_assert_eq(sq_slot_find(&w, i)->item.seq, i);
	sq_slot_free(&w, sq_slot_find(&w, 2));
	cr_assert_null(sq_slot_find(&w, 2));
	cr_assert_eq(w.ids.base, 1, "the first is open yet");
	sq_slot_free(&w, sq_slot_find(&w, 1));
	cr_assert_eq(w.ids.base, 3, "ids are reused from the first open one on");
	cr_assert_null(sq_slot_find(&w, 0));
	cr_assert_null(sq_slot_find(&w, 201));
}

Test(session_window, bytes_are_counted_while_a_slot_has_its_message)
{
	struct sq_slot *slot = open_slot(1, SQ_OPEN_QOS2);

	cr_assert_geq(w.open_bytes, BYTES);
	sq_item_fini(&slot->item);
	sq_slot_weigh(&w, slot);
	cr_assert_eq(w.open_bytes, 0);
}

Test(session_window, a_slot_gives_back_its_queue)
{
	struct sq_slot *slot = open_slot(1, SQ_OPEN_QOS1);

	slot->from = group();
	sq_slot_free(&w, slot);
	cr_assert_eq(released, 1);
}

Test(session_window, a_slot_has_nothing_of_its_last_delivery)
{
	struct sq_slot *slot = open_slot(1, SQ_OPEN_QOS2);
	struct sq_pending next = {.item = item(2)};

	slot->stored = slot->expected = slot->listed = slot->retain = slot->traced_again = true;
	w.old.n_expected = 1;
	slot->orphan_queue = slot->traced_us = 9;
	sq_unsent_push(&w, slot, 8);
	sq_unsent_pop(&w);
	sq_slot_free(&w, slot);
	cr_assert_eq(sq_slot_open(&w, &next, 1, false, NULL), slot);
	cr_assert_not(slot->stored || slot->expected || slot->listed || slot->retain);
	cr_assert_not(slot->sent || slot->unsent || slot->traced_again);
	cr_assert_eq(slot->traced_us, 0);
	cr_assert_eq(slot->orphan_queue, 0);
	cr_assert_eq(slot->announce, 0);
	cr_assert_eq(slot->order, 1);
	cr_assert_eq(slot->item.origin.number, 2);
	cr_assert(sq_queue_ref_own(&slot->from));
}

Test(session_window, a_slot_begins_at_a_cache_line_however_many_there_are)
{
	for (uint64_t i = 1; i <= 40; i++)
		cr_assert_eq((uintptr_t)open_slot(i, SQ_OPEN_QOS1) % SQ_SLOT_LINE, 0);
	for (uint64_t i = 1; i <= 40; i++) /* none was lost when there were more */
		cr_assert_eq(sq_slot_find(&w, i)->item.seq, i);
}

Test(session_window, a_fetch_of_what_is_not_there_does_nothing)
{
	sq_slot_take_soon(&w);
	sq_slot_find_soon(&w, 1);
	sq_slot_free(&w, open_slot(1, SQ_OPEN_QOS1));
	sq_slot_take_soon(&w);
	sq_slot_find_soon(&w, 1);
	sq_slot_find_soon(&w, UINT64_MAX);
	cr_assert_eq(w.n_slots, 0);
}

Test(session_window, pending_items_keep_their_order)
{
	for (uint64_t i = 2; i <= 20; i++)
		sq_pending_push(&w.pending, &(struct sq_pending){.item = item(i)});
	sq_pending_unpop(&w.pending, &(struct sq_pending){.item = item(1)});
	cr_assert_eq(w.pending.bytes, 20 * BYTES);
	for (uint64_t i = 1; i <= 20; i++) {
		struct sq_pending p = sq_pending_pop(&w.pending);

		cr_assert_eq(p.item.seq, i);
		sq_item_fini(&p.item);
	}
	cr_assert_eq(w.pending.bytes, 0);
}

Test(session_window, all_that_is_pending_is_taken_at_once)
{
	struct sq_member *m = (struct sq_member *)(void *)&queue;
	struct sq_pending_row all;

	sq_pending_push(&w.pending, &(struct sq_pending){item(1), group(), m});
	cr_assert(sq_pending_of(&w.pending, m));
	cr_assert_not(sq_pending_of(&w.pending, NULL));
	all = sq_pending_take_all(&w.pending);
	cr_assert_eq(w.pending.n, 0);
	cr_assert_eq(all.n, 1);
	w.pending = all;
}

Test(session_window, unsent_slots_leave_in_the_order_of_their_choice)
{
	struct sq_slot *a, *b;

	(void)open_slot(1, SQ_OPEN_QOS2);
	(void)open_slot(2, SQ_OPEN_QOS1);
	a = &w.slots[1];
	b = &w.slots[0];
	sq_unsent_push(&w, a, 0);
	sq_unsent_push(&w, b, 0);
	cr_assert_eq(sq_unsent_first(&w), a);
	sq_unsent_pop(&w);
	cr_assert_not(a->unsent);
	cr_assert(b->unsent);
	sq_window_unattach(&w);
	cr_assert_null(sq_unsent_first(&w));
	cr_assert_not(b->unsent);
}

Test(session_window, an_epoch_lists_what_is_open_and_sends_it_again_in_order)
{
	struct sq_open_id *ids;

	(void)open_slot(1, SQ_OPEN_QOS1);
	(void)open_slot(2, SQ_OPEN_RECEIVED);
	sq_slot_free(&w, &w.slots[0]);
	(void)open_slot(3, SQ_OPEN_QOS1); /* a lower packet id, sent later */
	cr_assert_eq(sq_window_attach(&w, 10, &ids), 2);
	cr_assert_eq(ids[0].packet_id, 2);
	cr_assert_eq(ids[0].delivery, 1);
	cr_assert_eq(ids[1].packet_id, 1);
	cr_assert_eq(ids[1].delivery, 2);
	cr_assert_eq(w.n_sent, 1, "the client has what it received");
	cr_assert_eq(sq_resend_first(&w), &w.slots[1]);
	sq_resend_pop(&w);
	cr_assert_eq(sq_resend_first(&w), &w.slots[0]);
	sq_resend_pop(&w);
	cr_assert_null(sq_resend_first(&w));
	free(ids);
}

/* What a PUT lists. */

static unsigned char text[256];

static struct sq_attach
listed(const struct sq_open_id *ids, uint16_t n)
{
	struct sq_attach in = {.instance = 1,
			     .ordinal = 1,
			     .attempt = 1,
			     .receive_max = 1,
			     .n_open = n},
			 out;
	struct sq_buf b = {0};

	sq_attach_encode(&b, &in, ids);
	cr_assert_leq(sq_buf_len(&b), sizeof text);
	memcpy(text, sq_buf_data(&b), sq_buf_len(&b));
	cr_assert_eq(sq_attach_decode(text, sq_buf_len(&b), &out), SQ_OK);
	sq_buf_fini(&b);
	return out;
}

Test(session_window, ids_of_another_incarnation_stay_taken)
{
	struct sq_open_id id = {.packet_id = 1, .state = SQ_OPEN_QOS2, .queue = 9};
	struct sq_listed how = {.fresh = true, .stores = true};
	struct sq_attach a = listed(&id, 1);
	struct sq_changed changed;

	open_slot(5, SQ_OPEN_QOS1)->stored = true;
	sq_window_list(&w, &a, &how, &changed);
	cr_assert_eq(w.slots[0].state, SQ_OPEN_ORPHAN);
	cr_assert_eq(w.slots[0].orphan_queue, 9);
	cr_assert_eq(w.slots[1].item.seq, 5, "what has the id here has another one");
	cr_assert_eq(changed.n, 2);
	cr_assert_eq(changed.ids[0], 2);
	cr_assert_eq(changed.ids[1], 1);
	free(changed.ids);
}

Test(session_window, nothing_is_to_be_written_where_nothing_is_stored)
{
	struct sq_open_id id = {.packet_id = 3, .state = SQ_OPEN_QOS2};
	struct sq_listed how = {.fresh = true};
	struct sq_attach a = listed(&id, 1);
	struct sq_changed changed;

	sq_window_list(&w, &a, &how, &changed);
	cr_assert_eq(w.slots[2].state, SQ_OPEN_ORPHAN);
	cr_assert_eq(changed.n, 0);
	free(changed.ids);
}

Test(session_window, a_lost_delivery_of_a_durable_session_is_expected)
{
	struct sq_open_id id = {.packet_id = 4,
	    .state = SQ_OPEN_QOS1,
	    .queue = GROUP,
	    .origin = {.incarnation = 1, .run = 2, .number = 8}};
	struct sq_listed how = {.durable = true, .stores = true, .restored = true};
	struct sq_attach a = listed(&id, 1);
	struct sq_pending p = {.item = item(8)}, of_group = {.item = item(8), .from = group()};
	struct sq_changed changed;
	struct sq_slot *slot;

	sq_window_list(&w, &a, &how, &changed);
	cr_assert_eq(changed.n, 0, "it comes again from the store");
	free(changed.ids);
	cr_assert_eq(w.old.n_expected, 1);
	cr_assert_null(sq_window_expected(&w, &p, false, NULL), "of another queue");
	slot = sq_window_expected(&w, &of_group, false, NULL);
	cr_assert_eq(slot, &w.slots[3]);
	cr_assert_eq(w.old.n_expected, 0);
	cr_assert_eq(slot->from.id, GROUP);
	sq_item_fini(&p.item);
}

Test(session_window, what_another_connection_expected_is_not_the_next_ones)
{
	struct sq_open_id id = {.packet_id = 4, .state = SQ_OPEN_QOS1, .queue = GROUP};
	struct sq_listed how = {.durable = true, .stores = true, .restored = true};
	struct sq_attach a = listed(&id, 1), none = listed(NULL, 0);
	struct sq_changed changed;

	a = listed(&id, 1);
	sq_window_list(&w, &a, &how, &changed);
	free(changed.ids);
	cr_assert_eq(w.n_slots, 1);
	sq_window_list(&w, &none, &how, &changed);
	free(changed.ids);
	cr_assert_eq(w.n_slots, 0);
	cr_assert_eq(w.old.n_expected, 0);
}

Test(session_window, what_was_finished_before_it_came_again_is_known)
{
	struct sq_slot slot = {.item.origin = {.incarnation = 1, .run = 2, .number = 3}};
	struct sq_pending p = {.item = item(3)};

	sq_window_acked(&w, &slot);
	cr_assert_not(sq_window_was_acked(&w, &p), "nothing is to come again");
	w.old.items = 1;
	sq_window_acked(&w, &slot);
	sq_window_old_taken(&w, 3);
	cr_assert_eq(w.old.items, 0);
	cr_assert(sq_window_was_acked(&w, &p));
	cr_assert_not(sq_window_was_acked(&w, &p), "once");
	sq_window_old_back(&w, 4);
	cr_assert_eq(w.old.items, 0, "a newer one");
	sq_window_old_back(&w, 3);
	cr_assert_eq(w.old.items, 1);
	sq_item_fini(&p.item);
}
