/* The sender of a lane: batches, flights, outcomes, attach. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/link/lane_out.h"

enum { BOUND = 1 << 20 };

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static int
publish(struct sq_lane_out *l, uint8_t qos, uint16_t id, const char *payload)
{
	struct sq_lane_publish m = {.qos = qos,
	    .packet_id = id,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = text("t"),
	    .payload = text(payload)};

	return sq_lane_out_message(l, &m);
}

static int
publish_size(struct sq_lane_out *l, uint8_t qos, uint16_t id, size_t size)
{
	static unsigned char payload[2 * SQ_BATCH_BYTES_MAX];
	struct sq_lane_publish m = {.qos = qos,
	    .packet_id = id,
	    .expiry_s = 7,
	    .topic = text("t"),
	    .payload = {payload, size}};

	cr_assert_leq(size, sizeof payload);
	return sq_lane_out_message(l, &m);
}

/* What the broker reads from a flight. */
static struct sq_batch
decode(const struct sq_lane_flight *f, struct sq_buf *body)
{
	struct sq_batch b;

	sq_buf_append(body, f->header, sizeof f->header);
	sq_buf_append(body, f->entries.p, f->entries.len);
	cr_assert_eq(sq_batch_decode(sq_buf_data(body), sq_buf_len(body), SQ_LINK_VERSION, &b), 0);
	return b;
}

static struct sq_lane_flight
fly(struct sq_lane_out *l, uint64_t first, uint16_t n)
{
	struct sq_lane_flight f;
	struct sq_buf body = {0};
	struct sq_batch b;

	cr_assert(sq_lane_out_take(l, 0, &f));
	b = decode(&f, &body);
	cr_assert_eq(
	    b.first, first, "first %lu, not %lu", (unsigned long)b.first, (unsigned long)first);
	cr_assert_eq(b.n, n);
	cr_assert_eq(f.first, first);
	cr_assert_eq(f.n, n);
	sq_buf_fini(&body);
	return f;
}

static void
stay(struct sq_lane_out *l)
{
	struct sq_lane_flight f;

	cr_assert_not(sq_lane_out_take(l, 0, &f));
}

static int
answer(struct sq_lane_out *l, const struct sq_lane_flight *f, uint8_t code)
{
	unsigned char codes[SQ_BATCH_BYTES_MAX];
	struct sq_outcomes o = {.first = f->first, .n = f->n, .codes = codes};

	memset(codes, code, f->n);
	return sq_lane_out_answered(l, f, &o);
}

static void
outcome(struct sq_lane_out *l, uint16_t id, uint8_t reason)
{
	struct sq_lane_outcome o;

	cr_assert(sq_lane_out_outcome(l, &o), "no outcome for %u", id);
	cr_assert_eq(o.packet_id, id, "%u, not %u", o.packet_id, id);
	cr_assert_eq(o.reason, reason);
}

static void
no_outcome(struct sq_lane_out *l)
{
	struct sq_lane_outcome o;

	cr_assert_not(sq_lane_out_outcome(l, &o));
}

static void
attach(struct sq_lane_out *l, uint64_t last, bool same, bool clean)
{
	struct sq_lane_attach a = {.last = last, .same = same, .clean = clean, .run = 77};

	sq_lane_out_attached(l, &a);
}

Test(lane_out, entries_leave_as_one_batch_with_all_their_parts)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_publish m = {.qos = 2,
	    .retain = true,
	    .packet_id = 9,
	    .expiry_s = 60,
	    .topic = text("a/b"),
	    .props = text("\x01\x01"),
	    .payload = text("hello")};
	struct sq_lane_flight f;
	struct sq_buf body = {0};
	struct sq_batch b;
	struct sq_entry e;

	cr_assert_eq(sq_lane_out_message(l, &m), 0);
	cr_assert_eq(sq_lane_out_release(l, 8), 0);
	cr_assert_eq(publish(l, 1, 7, "x"), 0);
	cr_assert(sq_lane_out_take(l, 0, &f));
	b = decode(&f, &body);
	cr_assert_eq(b.lane, 1);
	cr_assert_eq(b.run, 5);
	cr_assert_eq(b.upto, 0);
	cr_assert_eq(b.n, 3);
	e = sq_batch_next(&b.entries);
	cr_assert_eq(e.kind, SQ_ENTRY_MESSAGE);
	cr_assert_eq(e.packet_id, 9);
	cr_assert_eq(sq_image_qos(e.image), 2);
	cr_assert(sq_image_retain(e.image));
	cr_assert_eq(sq_image_expiry(e.image), 60);
	cr_assert_eq(sq_image_topic(e.image).len, 3);
	cr_assert_arr_eq(sq_image_props(e.image).p, "\x01\x01", 2);
	cr_assert_arr_eq(sq_image_payload(e.image).p, "hello", 5);
	e = sq_batch_next(&b.entries);
	cr_assert_eq(e.kind, SQ_ENTRY_RELEASE);
	cr_assert_eq(e.packet_id, 8);
	e = sq_batch_next(&b.entries);
	cr_assert_eq(e.packet_id, 0, "a QoS 1 entry has no packet id");
	sq_buf_fini(&body);
	cr_assert_eq(answer(l, &f, 0), 0);
	outcome(l, 9, 0);
	outcome(l, 8, 0);
	outcome(l, 7, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	cr_assert_eq(sq_lane_out_bytes(l), 0);
	cr_assert_eq(sq_lane_out_last(l), 3);
	sq_lane_out_free(&l);
}

Test(lane_out, a_batch_keeps_to_its_size_unless_it_is_one_entry)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 1, BOUND);
	struct sq_lane_flight f[4];
	size_t sizes[] = {20000, 20000, 60000, 100};

	for (uint16_t i = 0; i < 4; i++)
		cr_assert_eq(publish_size(l, 1, i + 1, sizes[i]), 0);
	for (int i = 0; i < 4; i++) {
		f[i] = fly(l, (uint64_t)i + 1, 1);
		cr_assert(f[i].entries.len + SQ_BATCH_HEADER <= SQ_BATCH_BYTES_MAX || i == 2);
	}
	for (int i = 0; i < 4; i++)
		cr_assert_eq(answer(l, &f[i], 0), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, at_most_four_fly_and_what_comes_meanwhile_is_the_next_batch)
{
	struct sq_lane_out *l = sq_lane_out_new(0, 1, BOUND);
	struct sq_lane_flight f[SQ_BATCH_FLYING_MAX], next;

	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
		cr_assert_eq(publish(l, 0, 0, "x"), 0);
		f[i] = fly(l, i + 1, 1);
	}
	for (int i = 0; i < 10; i++)
		cr_assert_eq(publish(l, 0, 0, "x"), 0);
	stay(l);
	cr_assert_eq(answer(l, &f[2], 0), 0);
	next = fly(l, 5, 10);
	stay(l);
	cr_assert_eq(answer(l, &next, 0), 0);
	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
		if (i != 2)
			cr_assert_eq(answer(l, &f[i], 0), 0);
	}
	sq_lane_out_free(&l);
}

Test(lane_out, outcomes_leave_in_number_order)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 1, BOUND);
	struct sq_lane_flight a, b, c;
	struct sq_buf body = {0};

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	a = fly(l, 1, 1);
	cr_assert_eq(publish(l, 1, 2, "x"), 0);
	b = fly(l, 2, 1);
	cr_assert_eq(answer(l, &b, 0x10), 0);
	no_outcome(l);
	cr_assert_eq(publish(l, 1, 3, "x"), 0);
	c = fly(l, 3, 1);
	cr_assert_eq(decode(&c, &body).upto, 0, "number 1 has no outcome yet");
	sq_buf_fini(&body);
	cr_assert_eq(answer(l, &a, 0), 0);
	outcome(l, 1, 0);
	outcome(l, 2, 0x10);
	no_outcome(l);
	cr_assert_eq(publish(l, 1, 4, "x"), 0);
	cr_assert(sq_lane_out_take(l, 0, &a));
	cr_assert_eq(decode(&a, &body).upto, 2);
	sq_buf_fini(&body);
	cr_assert_eq(answer(l, &c, 0), 0);
	cr_assert_eq(answer(l, &a, 0), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, the_bound_refuses_and_room_comes_back)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 1, 4000);
	struct sq_lane_flight f[SQ_BATCH_FLYING_MAX];
	int n = 0;

	while (publish_size(l, 1, (uint16_t)(n + 1), 500) == 0)
		n++;
	cr_assert(n > 4 && n < 8);
	cr_assert_eq(sq_lane_out_release(l, 9), 0, "there is room for four bytes");
	cr_assert_not(sq_lane_out_room(l));
	f[0] = fly(l, 1, (uint16_t)(n + 1));
	cr_assert_eq(answer(l, &f[0], 0), 0);
	for (int i = 0; i < n; i++)
		outcome(l, (uint16_t)(i + 1), 0);
	outcome(l, 9, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_room(l));
	/* one entry always fits, however large */
	cr_assert_eq(publish_size(l, 1, 50, 60000), 0);
	cr_assert_eq(publish_size(l, 1, 51, 1), SQ_EAGAIN);
	f[0] = fly(l, (uint64_t)n + 2, 1);
	cr_assert_eq(answer(l, &f[0], 0), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, what_failed_goes_again_with_its_numbers_first)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 1, BOUND);
	struct sq_lane_flight a, b, again;

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	a = fly(l, 1, 1);
	cr_assert_eq(publish(l, 1, 2, "x"), 0);
	b = fly(l, 2, 1);
	cr_assert_eq(publish(l, 1, 3, "x"), 0);
	sq_lane_out_failed(l, &a);
	again = fly(l, 1, 1);
	cr_assert_eq(answer(l, &again, 0), 0);
	cr_assert_eq(answer(l, &b, 0), 0);
	a = fly(l, 3, 1);
	cr_assert_eq(answer(l, &a, 0), 0);
	for (uint16_t i = 1; i <= 3; i++)
		outcome(l, i, 0);
	sq_lane_out_free(&l);
}

Test(lane_out, an_answer_that_does_not_fit_is_refused)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 1, BOUND);
	struct sq_lane_flight f;
	struct sq_outcomes o = {.first = 2, .n = 1, .codes = (const unsigned char *)"\0"};

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	f = fly(l, 1, 1);
	cr_assert_eq(sq_lane_out_answered(l, &f, &o), SQ_EINVAL);
	f = fly(l, 1, 1);
	cr_assert_eq(answer(l, &f, 0x42), SQ_EINVAL, "no such outcome");
	f = fly(l, 1, 1);
	o = (struct sq_outcomes){.first = 1};
	cr_assert_eq(sq_lane_out_answered(l, &f, &o), SQ_EINVAL);
	no_outcome(l);
	f = fly(l, 1, 1);
	cr_assert_eq(answer(l, &f, 0), 0);
	outcome(l, 1, 0);
	sq_lane_out_free(&l);
}

Test(lane_out, a_gap_sends_everything_above_it_again)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 1, BOUND);
	struct sq_lane_flight f[4], again[3];

	for (uint16_t i = 0; i < 4; i++) {
		cr_assert_eq(publish(l, 1, i + 1, "x"), 0);
		f[i] = fly(l, i + 1u, 1);
	}
	cr_assert_eq(sq_lane_out_gap(l, &f[3], 1), 0);
	for (unsigned i = 0; i < 3; i++)
		again[i] = fly(l, i + 2, 1);
	stay(l);
	/* the answers to the older flights change nothing, unless they are good */
	cr_assert_eq(sq_lane_out_gap(l, &f[2], 1), 0);
	sq_lane_out_failed(l, &f[1]);
	for (unsigned i = 0; i < 3; i++) {
		struct sq_lane_flight more;

		if (sq_lane_out_take(l, 0, &more)) /* the second gap sealed them once more */
			sq_lane_out_failed(l, &more);
		cr_assert_eq(answer(l, &again[i], 0), 0);
	}
	cr_assert_eq(answer(l, &f[0], 0), 0);
	for (uint16_t i = 1; i <= 4; i++)
		outcome(l, i, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

Test(lane_out, a_gap_below_what_was_answered_wants_an_attach_and_a_new_run)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight f;
	struct sq_buf body = {0};

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	f = fly(l, 1, 1);
	cr_assert_eq(answer(l, &f, 0), 0);
	outcome(l, 1, 0);
	cr_assert_eq(publish(l, 1, 2, "x"), 0);
	f = fly(l, 2, 1);
	cr_assert_eq(sq_lane_out_gap(l, &f, 0), SQ_ESTALE);
	attach(l, 0, true, false);
	cr_assert(sq_lane_out_take(l, 0, &f));
	cr_assert_eq(f.first, 1);
	cr_assert_eq(decode(&f, &body).run, 77);
	sq_buf_fini(&body);
	cr_assert_eq(answer(l, &f, 0), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, an_attach_of_the_same_incarnation_keeps_run_and_numbers)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight a, b, again;

	attach(l, 40, false, false); /* a new lane numbers on from the broker's last */
	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	a = fly(l, 41, 1);
	cr_assert_eq(a.run, 77, "a new run with the first attach");
	cr_assert_eq(publish(l, 1, 2, "x"), 0);
	b = fly(l, 42, 1);
	/* The link is lost; the broker had accepted 41.  Both requests are still open
	 * when the attach is answered. */
	attach(l, 41, true, false);
	again = fly(l, 41, 1);
	cr_assert_eq(again.run, 77);
	sq_lane_out_failed(l, &a);
	sq_lane_out_failed(l, &b);
	b = fly(l, 42, 1);
	cr_assert_eq(answer(l, &again, 0), 0);
	outcome(l, 1, 0);
	cr_assert_eq(answer(l, &b, 0), 0);
	outcome(l, 2, 0);
	sq_lane_out_free(&l);
}

/* A broker need not have stored a number whose message found nothing durable. */
Test(lane_out, an_answered_number_that_the_broker_forgot_starts_a_new_run)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight a, b, c;

	cr_assert_eq(publish(l, 2, 1, "a"), 0);
	a = fly(l, 1, 1);
	cr_assert_eq(publish(l, 2, 2, "b"), 0);
	b = fly(l, 2, 1);
	cr_assert_eq(answer(l, &b, 0), 0);
	sq_lane_out_failed(l, &a);
	attach(l, 0, true, false);
	a = fly(l, 1, 1);
	cr_assert_eq(a.run, 77);
	cr_assert_eq(publish(l, 2, 3, "c"), 0);
	c = fly(l, 2, 1); /* as number 3 it would wait for number 2 */
	cr_assert_eq(answer(l, &c, 0), 0);
	cr_assert_eq(answer(l, &a, 0), 0);
	outcome(l, 1, 0);
	outcome(l, 2, 0);
	outcome(l, 3, 0);
	/* in the new run nothing is missing that the broker has */
	cr_assert_eq(publish(l, 2, 4, "d"), 0);
	attach(l, 2, true, false);
	a = fly(l, 3, 1);
	cr_assert_eq(answer(l, &a, 0), 0);
	outcome(l, 4, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

Test(lane_out, a_late_answer_of_an_older_flight_counts_once)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight old, again;

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	old = fly(l, 1, 1);
	attach(l, 1, true, false);
	again = fly(l, 1, 1);
	cr_assert_eq(answer(l, &old, 0x10), 0);
	outcome(l, 1, 0x10);
	no_outcome(l);
	cr_assert_eq(answer(l, &again, 0x10), 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	cr_assert_eq(sq_lane_out_bytes(l), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, another_incarnation_gets_a_new_run_and_everything_again)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight a, old;

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	a = fly(l, 1, 1);
	cr_assert_eq(publish(l, 2, 2, "y"), 0);
	old = fly(l, 2, 1);
	cr_assert_eq(publish(l, 1, 3, "z"), 0);
	sq_lane_out_failed(l, &a);
	attach(l, 0, false, false);
	a = fly(l, 1, 1);
	cr_assert_eq(a.run, 77);
	/* an answer from before says nothing about the new run's numbers */
	cr_assert_eq(answer(l, &old, 0), 0);
	no_outcome(l);
	old = fly(l, 2, 1);
	cr_assert_eq(answer(l, &a, 0), 0);
	cr_assert_eq(answer(l, &old, 0), 0);
	a = fly(l, 3, 1);
	cr_assert_eq(answer(l, &a, 0), 0);
	for (uint16_t i = 1; i <= 3; i++)
		outcome(l, i, 0);
	sq_lane_out_free(&l);
}

Test(lane_out, qos_0_that_had_flown_is_not_sent_to_another_incarnation)
{
	struct sq_lane_out *l = sq_lane_out_new(0, 5, BOUND);
	struct sq_lane_flight flown, next;

	cr_assert_eq(publish(l, 0, 0, "once"), 0);
	flown = fly(l, 1, 1);
	cr_assert_eq(publish(l, 0, 0, "waits"), 0);
	attach(l, 0, false, false);
	next = fly(l, 1, 1);
	cr_assert_arr_eq(next.entries.p + next.entries.len - 5, "waits", 5);
	sq_lane_out_failed(l, &flown); /* its memory goes now */
	stay(l);
	cr_assert_eq(answer(l, &next, 0), 0);
	outcome(l, 0, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

/* A durable session comes back to a broker that was started again: it has the
 * incarnation, and no number of lane 0. */
Test(lane_out, qos_0_that_had_flown_is_not_sent_to_a_broker_that_knows_none)
{
	struct sq_lane_out *l = sq_lane_out_new(0, 5, BOUND);
	struct sq_lane_flight flown, next;

	attach(l, 0, false, false);
	cr_assert_eq(publish(l, 0, 0, "once"), 0);
	flown = fly(l, 1, 1);
	cr_assert_eq(publish(l, 0, 0, "waits"), 0);
	sq_lane_out_failed(l, &flown);
	attach(l, 0, true, false);
	next = fly(l, 1, 1);
	cr_assert_arr_eq(next.entries.p + next.entries.len - 5, "waits", 5);
	cr_assert_eq(answer(l, &next, 0), 0);
	outcome(l, 0, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

Test(lane_out, after_a_clean_start_lane_1_drops_what_had_flown_too)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight flown, next;

	cr_assert_eq(publish(l, 1, 1, "old"), 0);
	flown = fly(l, 1, 1);
	sq_lane_out_failed(l, &flown);
	cr_assert_eq(publish(l, 1, 2, "new"), 0);
	attach(l, 0, false, true);
	next = fly(l, 1, 1);
	stay(l);
	cr_assert_eq(answer(l, &next, 0), 0);
	outcome(l, 2, 0);
	no_outcome(l);
	sq_lane_out_free(&l);
}

Test(lane_out, a_lost_run_is_taken_up_by_the_next_attach)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight f;

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	f = fly(l, 1, 1);
	cr_assert_eq(sq_lane_out_run_lost(l, &f), SQ_ESTALE);
	attach(l, 9, true, false);
	f = fly(l, 10, 1);
	cr_assert_eq(f.run, 77);
	cr_assert_eq(answer(l, &f, 0), 0);
	outcome(l, 1, 0);
	sq_lane_out_free(&l);
}

Test(lane_out, a_lost_run_of_a_batch_that_was_answered_meanwhile_is_none)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight old, again;

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	old = fly(l, 1, 1);
	attach(l, 1, true, false); /* a move: the older request is still open */
	again = fly(l, 1, 1);
	cr_assert_eq(answer(l, &old, 0), 0);
	cr_assert_eq(publish(l, 1, 2, "y"), 0);
	old = fly(l, 2, 1); /* tells the broker that outcome 1 has arrived */
	cr_assert_eq(sq_lane_out_run_lost(l, &again), 0);
	cr_assert_eq(answer(l, &old, 0), 0);
	outcome(l, 1, 0);
	outcome(l, 2, 0);
	attach(l, 2, true, false);
	cr_assert_eq(publish(l, 1, 3, "z"), 0);
	old = fly(l, 3, 1);
	cr_assert_eq(old.run, 5, "the run goes on");
	cr_assert_eq(answer(l, &old, 0), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, a_message_above_the_brokers_limit_leaves_its_number_behind)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight big, small;
	struct sq_buf body = {0};
	struct sq_batch b;
	struct sq_entry e;

	cr_assert_eq(publish_size(l, 2, 1, 60000), 0);
	cr_assert_eq(publish(l, 1, 2, "x"), 0);
	big = fly(l, 1, 1);
	small = fly(l, 2, 1);
	cr_assert_eq(sq_lane_out_too_big(l, &big, 0x83, SQ_REFUSAL_QUOTA, text("too large")), 0);
	cr_assert(sq_lane_out_take(l, 0, &big));
	b = decode(&big, &body);
	e = sq_batch_next(&b.entries);
	cr_assert_eq(e.kind, SQ_ENTRY_RELEASE);
	cr_assert_eq(b.first, 1);
	sq_buf_fini(&body);
	cr_assert_eq(answer(l, &big, 0), 0);
	cr_assert_eq(answer(l, &small, 0), 0);
	outcome(l, 1, 0x83);
	outcome(l, 2, 0);
	no_outcome(l);
	cr_assert_eq(sq_lane_out_bytes(l), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, a_qos_0_message_above_the_limit_costs_a_new_run)
{
	struct sq_lane_out *l = sq_lane_out_new(0, 5, BOUND);
	struct sq_lane_flight big, next;

	cr_assert_eq(publish_size(l, 0, 0, 60000), 0);
	cr_assert_eq(publish(l, 0, 0, "x"), 0);
	big = fly(l, 1, 1);
	cr_assert_eq(
	    sq_lane_out_too_big(l, &big, 0x83, SQ_REFUSAL_QUOTA, text("too large")), SQ_ESTALE);
	attach(l, 0, true, false);
	next = fly(l, 1, 1);
	cr_assert_eq(next.run, 77);
	cr_assert_eq(answer(l, &next, 0), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, a_held_message_goes_again_and_its_outcome_keeps_its_place)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight f, again;
	struct sq_lane_outcome o;
	unsigned char codes[] = {0, 0x97, 0};
	struct sq_outcomes out = {.first = 1, .n = 3, .codes = codes};

	cr_assert_eq(publish(l, 1, 1, "a"), 0);
	cr_assert_eq(publish(l, 2, 2, "bb"), 0);
	cr_assert_eq(publish(l, 1, 3, "c"), 0);
	f = fly(l, 1, 3);
	cr_assert_eq(sq_lane_out_answered(l, &f, &out), 0);
	outcome(l, 1, 0);
	cr_assert(sq_lane_out_outcome(l, &o));
	cr_assert_eq(o.reason, 0x97);
	sq_lane_out_hold(l);
	cr_assert(sq_lane_out_held(l));
	no_outcome(l);
	stay(l);
	cr_assert_not(sq_lane_out_idle(l));
	sq_lane_out_retry(l);
	sq_lane_out_retry(l); /* once is enough */
	again = fly(l, 4, 1);
	cr_assert_arr_eq(again.entries.p + again.entries.len - 2, "bb", 2);
	stay(l);
	cr_assert_eq(answer(l, &again, 0x97), 0);
	cr_assert(sq_lane_out_outcome(l, &o));
	cr_assert_eq(o.packet_id, 2);
	cr_assert_eq(o.reason, 0x97);
	sq_lane_out_hold(l); /* still refused */
	sq_lane_out_retry(l);
	again = fly(l, 5, 1);
	cr_assert_eq(answer(l, &again, 0), 0);
	outcome(l, 2, 0);
	outcome(l, 3, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

Test(lane_out, a_held_message_survives_an_attach_on_its_way)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight f;
	struct sq_lane_outcome o;

	cr_assert_eq(publish(l, 1, 1, "a"), 0);
	f = fly(l, 1, 1);
	cr_assert_eq(answer(l, &f, 0x97), 0);
	cr_assert(sq_lane_out_outcome(l, &o));
	sq_lane_out_hold(l);
	sq_lane_out_retry(l);
	f = fly(l, 2, 1);
	sq_lane_out_failed(l, &f);
	attach(l, 0, false, false);
	f = fly(l, 1, 1);
	cr_assert_eq(answer(l, &f, 0), 0);
	outcome(l, 1, 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

Test(lane_out, letting_a_held_message_go_frees_what_is_behind_it)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight f;
	struct sq_lane_outcome o;

	cr_assert_eq(publish(l, 1, 1, "a"), 0);
	cr_assert_eq(publish(l, 1, 2, "b"), 0);
	f = fly(l, 1, 2);
	cr_assert_eq(answer(l, &f, 0x97), 0);
	cr_assert(sq_lane_out_outcome(l, &o));
	sq_lane_out_hold(l);
	sq_lane_out_retry(l);
	f = fly(l, 3, 1);
	sq_lane_out_unhold(l);
	outcome(l, 2, 0x97);
	no_outcome(l);
	cr_assert_eq(answer(l, &f, 0), 0);
	no_outcome(l);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

Test(lane_out, a_topic_that_no_image_can_hold_is_refused)
{
	struct sq_lane_out *l = sq_lane_out_new(0, 5, BOUND);
	static unsigned char topic[UINT16_MAX + 1];
	struct sq_lane_publish m = {.expiry_s = 1, .topic = {topic, sizeof topic}};

	cr_assert_eq(sq_lane_out_message(l, &m), SQ_ETOOBIG);
	m.topic.len = 0;
	cr_assert_eq(sq_lane_out_message(l, &m), SQ_ETOOBIG);
	cr_assert(sq_lane_out_idle(l));
	sq_lane_out_free(&l);
}

Test(lane_out, a_raised_message_is_acknowledged_as_it_was_published)
{
	const struct {
		uint8_t qos, least, image;
		uint16_t id, entry_id;
	} rows[] = {{0, 1, 1, 0, 0}, {0, 2, 2, 0, 0}, {1, 2, 2, 5, 0}, {2, 1, 2, 6, 6},
	    {1, 1, 1, 7, 0}, {2, 2, 2, 8, 8}};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_lane_out *l = sq_lane_out_new(1, 9, BOUND);
		struct sq_lane_publish m = {.qos = rows[i].qos,
		    .qos_least = rows[i].least,
		    .packet_id = rows[i].id,
		    .topic = text("t")};
		struct sq_lane_outcome o;
		struct sq_lane_flight f;
		struct sq_buf body = {0};
		struct sq_batch b;
		struct sq_entry e;

		cr_assert_eq(sq_lane_out_message(l, &m), 0);
		cr_assert(sq_lane_out_take(l, 0, &f));
		b = decode(&f, &body);
		e = sq_batch_next(&b.entries);
		cr_expect_eq(sq_image_qos(e.image), rows[i].image, "row %zu", i);
		cr_expect_eq(e.packet_id, rows[i].entry_id, "row %zu", i);
		cr_assert_eq(answer(l, &f, 0), 0);
		cr_assert(sq_lane_out_outcome(l, &o));
		cr_expect_eq(o.qos, rows[i].qos, "row %zu", i);
		cr_expect_eq(o.image_qos, rows[i].image, "row %zu", i);
		cr_expect_eq(o.packet_id, rows[i].id, "row %zu", i);
		cr_expect_eq(o.kind, SQ_ENTRY_MESSAGE);
		sq_buf_fini(&body);
		sq_lane_out_free(&l);
	}
}

Test(lane_out, a_refused_publish_gets_its_outcome_in_its_place)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 9, BOUND);
	const uint8_t reasons[] = {0, 0x87, 0, 0x87};
	struct sq_lane_outcome o;
	struct sq_lane_flight f;
	struct sq_buf body = {0};
	struct sq_batch b;

	cr_assert_eq(publish(l, 1, 1, "a"), 0);
	cr_assert_eq(sq_lane_out_refused(l, 1, 2, 0x87, SQ_REFUSAL_DENIED, text("no rule")), 0);
	cr_assert_eq(publish(l, 1, 3, "b"), 0);
	cr_assert_eq(sq_lane_out_refused(l, 2, 4, 0x87, SQ_REFUSAL_DENIED, text("no rule")), 0);
	cr_assert_not(sq_lane_out_outcome(l, &o), "nothing leaves before what came first");
	cr_assert(sq_lane_out_take(l, 0, &f));
	cr_assert_eq(f.n, 4);
	b = decode(&f, &body);
	for (uint16_t i = 0; i < 4; i++) {
		struct sq_entry e = sq_batch_next(&b.entries);

		cr_expect_eq(e.image == NULL, i % 2 == 1, "the broker gets no refused message");
	}
	cr_assert_eq(answer(l, &f, 0), 0);
	for (uint16_t i = 0; i < 4; i++) {
		cr_assert(sq_lane_out_outcome(l, &o));
		cr_expect_eq(o.packet_id, i + 1);
		cr_expect_eq(o.reason, reasons[i], "entry %u: 0x%02x", i, o.reason);
		cr_expect_eq(o.kind, SQ_ENTRY_MESSAGE);
	}
	cr_expect(sq_lane_out_idle(l) || !sq_lane_out_outcome(l, &o));
	sq_buf_fini(&body);
	sq_lane_out_free(&l);
}

Test(lane_out, a_dropped_publish_is_acknowledged_in_its_place)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 9, BOUND);
	struct sq_lane_outcome o;
	struct sq_lane_flight f;

	cr_assert_eq(publish(l, 1, 1, "a"), 0);
	cr_assert_eq(sq_lane_out_refused(l, 2, 2, 0, SQ_REFUSAL_TOPIC, text("reserved")), 0);
	cr_assert(sq_lane_out_take(l, 0, &f));
	cr_assert_eq(f.n, 2);
	cr_assert_eq(answer(l, &f, 0x92), 0);
	cr_assert(sq_lane_out_outcome(l, &o));
	cr_assert(sq_lane_out_outcome(l, &o));
	cr_expect_eq(o.packet_id, 2);
	cr_expect_eq(o.kind, SQ_ENTRY_MESSAGE);
	cr_expect_eq(o.reason, 0, "whatever the broker says of the release that it was");
	cr_expect_eq(o.refusal, 0);
	cr_expect_eq(o.text.len, 0);
	sq_lane_out_free(&l);
}

/* The next outcome is for 'id', and says so. */
static void
words(struct sq_lane_out *l, uint16_t id, uint8_t refusal, const char *why)
{
	struct sq_lane_outcome o;

	cr_assert(sq_lane_out_outcome(l, &o), "no outcome for %u", id);
	cr_expect_eq(o.packet_id, id, "%u, not %u", o.packet_id, id);
	cr_expect_eq(o.refusal, refusal, "%u: refusal %u", id, o.refusal);
	cr_expect(o.text.len == strlen(why) &&
		(o.text.len == 0 || memcmp(o.text.p, why, o.text.len) == 0),
	    "%u: '%.*s'", id, (int)o.text.len, (const char *)o.text.p);
}

/* Answers with these codes and notes. */
static void
answer_notes(struct sq_lane_out *l, const struct sq_lane_flight *f, const unsigned char *codes,
    struct sq_notes *notes)
{
	struct sq_outcomes o = {.first = f->first,
	    .n = f->n,
	    .codes = codes,
	    .notes = {sq_buf_data(&notes->body), sq_buf_len(&notes->body)}};

	cr_assert_eq(sq_lane_out_answered(l, f, &o), 0);
	sq_notes_fini(notes);
}

Test(lane_out, an_outcome_comes_with_the_brokers_words)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 9, BOUND);
	struct sq_lane_flight first, second;
	struct sq_notes notes = {0};

	for (uint16_t i = 1; i <= 6; i++)
		cr_assert_eq(publish(l, 1, i, "x"), 0);
	first = fly(l, 1, 6);
	cr_assert_eq(sq_lane_out_refused(l, 2, 7, 0x87, SQ_REFUSAL_DENIED, text("no rule")), 0);
	cr_assert_eq(publish(l, 1, 8, "x"), 0);
	second = fly(l, 7, 2);
	sq_notes_add(&notes, 1, SQ_REFUSAL_QUEUE_FULL, text("q is full"));
	answer_notes(l, &second, (const unsigned char[]){0x92, 0x97}, &notes);
	no_outcome(l);
	sq_notes_add(&notes, 1, SQ_REFUSAL_PROPERTY, text("a"));
	sq_notes_add(&notes, 3, SQ_REFUSAL_QUEUE_FULL, text("b"));
	sq_notes_add(&notes, 4, SQ_REFUSAL_QUEUE_FULL, text("b"));
	answer_notes(l, &first, (const unsigned char[]){0, 0x83, 0, 0x97, 0x97, 0x97}, &notes);
	words(l, 1, 0, "");
	words(l, 2, SQ_REFUSAL_PROPERTY, "a");
	words(l, 3, 0, "");
	words(l, 4, SQ_REFUSAL_QUEUE_FULL, "b");
	words(l, 5, SQ_REFUSAL_QUEUE_FULL, "b");
	words(l, 6, 0, "");
	words(l, 7, SQ_REFUSAL_DENIED, "no rule");
	words(l, 8, SQ_REFUSAL_QUEUE_FULL, "q is full");
	no_outcome(l);
	cr_expect_eq(sq_lane_out_bytes(l), 0, "%zu", sq_lane_out_bytes(l));
	sq_lane_out_free(&l);
}

Test(lane_out, a_held_message_has_the_words_of_its_last_refusal)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 9, BOUND);
	const unsigned char full[] = {0x97};
	struct sq_lane_flight f;
	struct sq_notes notes = {0};

	cr_assert_eq(publish(l, 1, 1, "x"), 0);
	f = fly(l, 1, 1);
	sq_notes_add(&notes, 0, SQ_REFUSAL_QUEUE_FULL, text("one is full"));
	answer_notes(l, &f, full, &notes);
	words(l, 1, SQ_REFUSAL_QUEUE_FULL, "one is full");
	sq_lane_out_hold(l);
	sq_lane_out_retry(l);
	f = fly(l, 2, 1);
	sq_notes_add(&notes, 0, SQ_REFUSAL_STORE_FULL, text("the store is full"));
	answer_notes(l, &f, full, &notes);
	words(l, 1, SQ_REFUSAL_STORE_FULL, "the store is full");
	sq_lane_out_hold(l);
	sq_lane_out_retry(l);
	f = fly(l, 3, 1);
	answer_notes(l, &f, full, &notes);
	words(l, 1, 0, "");
	sq_lane_out_hold(l);
	sq_lane_out_retry(l);
	f = fly(l, 4, 1);
	answer_notes(l, &f, (const unsigned char[]){0}, &notes);
	words(l, 1, 0, "");
	no_outcome(l);
	cr_expect_eq(sq_lane_out_bytes(l), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, a_message_above_the_limit_has_words_of_ours)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 5, BOUND);
	struct sq_lane_flight big;

	cr_assert_eq(publish_size(l, 2, 1, 60000), 0);
	big = fly(l, 1, 1);
	cr_assert_eq(sq_lane_out_too_big(l, &big, 0x83, SQ_REFUSAL_QUOTA, text("too large")), 0);
	big = fly(l, 1, 1);
	cr_assert_eq(answer(l, &big, 0), 0);
	words(l, 1, SQ_REFUSAL_QUOTA, "too large");
	no_outcome(l);
	cr_expect_eq(sq_lane_out_bytes(l), 0);
	sq_lane_out_free(&l);
}

Test(lane_out, refused_publishes_have_a_bound)
{
	struct sq_lane_out *l = sq_lane_out_new(1, 9, 4096);
	unsigned n = 0;

	while (n < 65535 &&
	    sq_lane_out_refused(
		l, 1, (uint16_t)(n + 1), 0x87, SQ_REFUSAL_DENIED, text("no rule")) == 0)
		n++;
	cr_assert_lt(n, 2048u);
	cr_assert_eq(
	    sq_lane_out_refused(l, 1, 1, 0x87, SQ_REFUSAL_DENIED, text("no rule")), SQ_EAGAIN);
	sq_lane_out_free(&l);
}
