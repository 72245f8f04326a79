/* Deliveries of a session at the sidecar: settlements, attach, credit. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "proto/link/inbox.h"
#include "proto/mqtt/reason.h"

enum { MSGS = 100, BYTES = 10000, SIZE = 50 };

static struct sq_inbox *
inbox(void)
{
	return sq_inbox_new(MSGS, BYTES, 16);
}

static struct sq_origin
origin(uint64_t number)
{
	return (struct sq_origin){.incarnation = 1, .run = 2, .number = number};
}

/* A delivery of message 'number'. */
static enum sq_inbox_verdict
deliver(struct sq_inbox *in, uint8_t qos, uint16_t id, uint64_t delivery, uint64_t number)
{
	struct sq_target t = {.delivery = delivery, .packet_id = id, .flags = qos};
	struct sq_origin o = origin(number);

	return sq_inbox_deliver(in, &t, &o, SIZE);
}

/* What a flight says, as "kind:delivery+n ...". */
static void
expect(const struct sq_inbox_flight *f, size_t n, const struct sq_settle *want)
{
	struct sq_settlements s;
	struct sq_settle got;
	size_t i = 0;

	cr_assert_eq(sq_settlements_decode(sq_buf_data(&f->body), sq_buf_len(&f->body), &s), 0);
	while (sq_settle_next(&s.entries, &got)) {
		cr_assert_lt(i, n, "one settlement too many: kind %u, delivery %lu", got.kind,
		    (unsigned long)got.delivery);
		cr_assert_eq(got.kind, want[i].kind, "entry %zu: kind %u", i, got.kind);
		cr_assert_eq(got.reason, want[i].reason);
		cr_assert_eq(got.n, want[i].n, "entry %zu: n %u", i, got.n);
		cr_assert_eq(got.delivery, want[i].delivery, "entry %zu: delivery %lu", i,
		    (unsigned long)got.delivery);
		i++;
	}
	cr_assert_eq(i, n, "%zu settlements, not %zu", i, n);
}

static struct sq_inbox_flight
take(struct sq_inbox *in, size_t n, const struct sq_settle *want)
{
	struct sq_inbox_flight f;

	cr_assert(sq_inbox_take(in, &f));
	expect(&f, n, want);
	return f;
}

#define TAKE(in, ...) \
	take(in, sizeof((struct sq_settle[]){__VA_ARGS__}) / sizeof(struct sq_settle), \
	    (struct sq_settle[]){__VA_ARGS__})

static void
nothing_due(struct sq_inbox *in)
{
	struct sq_inbox_flight f;

	cr_assert_not(sq_inbox_take(in, &f));
}

static struct sq_settlements
credit(const struct sq_inbox_flight *f)
{
	struct sq_settlements s;

	cr_assert_eq(sq_settlements_decode(sq_buf_data(&f->body), sq_buf_len(&f->body), &s), 0);
	return s;
}

/* An attach that lists 'ids'; takes the grant that follows if nothing else is due. */
static void
attach(struct sq_inbox *in, const struct sq_open_id *ids, uint16_t n)
{
	struct sq_attached a = {.epoch = 1,
			       .incarnation = 1,
			       .store = 1,
			       .max_packet = 1000,
			       .limits = sq_limits_unsaid,
			       .n_open = n},
			   decoded;
	struct sq_buf body = {0}, open = {0};

	for (uint16_t i = 0; i < n; i++)
		sq_open_id_put(&open, &ids[i], true);
	a.open = sq_buf_bytes(&open);
	sq_attached_encode(&body, &a, SQ_LINK_VERSION);
	sq_buf_fini(&open);
	cr_assert_eq(
	    sq_attached_decode(sq_buf_data(&body), sq_buf_len(&body), SQ_LINK_VERSION, &decoded),
	    0);
	sq_inbox_attached(in, &decoded);
	sq_buf_fini(&body);
}

/* An inbox that is attached and has granted its window. */
static struct sq_inbox *
attached(void)
{
	struct sq_inbox *in = inbox();
	struct sq_inbox_flight f;

	attach(in, NULL, 0);
	cr_assert(sq_inbox_take(in, &f));
	cr_assert_eq(credit(&f).credit_msgs, MSGS);
	cr_assert_eq(credit(&f).credit_bytes, BYTES);
	sq_inbox_done(in, &f, true);
	nothing_due(in);
	return in;
}

/* What the client says, as it may. */
static void
puback(struct sq_inbox *in, uint16_t id, uint8_t reason)
{
	cr_assert_eq(sq_inbox_puback(in, id, reason), 0, "PUBACK of %u", id);
}

static void
pubrec(struct sq_inbox *in, uint16_t id, uint8_t reason)
{
	cr_assert_eq(sq_inbox_pubrec(in, id, reason), 0, "PUBREC of %u", id);
}

static void
pubcomp(struct sq_inbox *in, uint16_t id)
{
	cr_assert_eq(sq_inbox_pubcomp(in, id), 0, "PUBCOMP of %u", id);
}

static void
pubrel_with(struct sq_inbox *in, uint16_t id, uint8_t reason)
{
	struct sq_inbox_pubrel got;

	cr_assert(sq_inbox_pubrel(in, &got), "no PUBREL for %u", id);
	cr_assert_eq(got.packet_id, id);
	cr_assert_eq(got.reason, reason, "PUBREL of %u: 0x%02x", id, got.reason);
}

static void
pubrel(struct sq_inbox *in, uint16_t id)
{
	pubrel_with(in, id, 0);
}

static void
no_pubrel(struct sq_inbox *in)
{
	struct sq_inbox_pubrel got;

	cr_assert_not(sq_inbox_pubrel(in, &got));
}

Test(inbox, acks_in_a_row_are_one_entry)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	for (uint16_t i = 1; i <= 10; i++)
		cr_assert_eq(deliver(in, 1, i, 100u + i, i), SQ_INBOX_WRITE);
	for (uint16_t i = 1; i <= 10; i++)
		puback(in, i, i == 5 ? 0x80 : 0);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 4, 101}, {SQ_SETTLE_ACK, 0x80, 1, 105},
	    {SQ_SETTLE_ACK, 0, 5, 106});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 10);
	cr_assert_eq(credit(&f).credit_bytes, BYTES + 10 * SIZE);
	cr_assert_not(sq_inbox_flushed(in));
	cr_assert_eq(sq_inbox_open(in), 10, "kept until it is confirmed");
	sq_inbox_done(in, &f, true);
	cr_assert(sq_inbox_flushed(in));
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, qos_2_goes_by_received_release_and_complete)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	cr_assert_eq(deliver(in, 2, 7, 70, 1), SQ_INBOX_WRITE);
	pubrec(in, 7, 0);
	pubrec(in, 7, 0); /* said twice, settled once */
	no_pubrel(in);
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 1, 70});
	cr_assert_eq(credit(&f).credit_msgs, MSGS, "credit comes back when it is complete");
	no_pubrel(in);
	sq_inbox_done(in, &f, true);
	pubrel(in, 7);
	no_pubrel(in);
	pubrec(in, 7, 0);
	pubrel(in, 7); /* the client asks again */
	pubcomp(in, 7);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 1, 70});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1);
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, a_refused_qos_2_delivery_is_finished_by_its_pubrec)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	deliver(in, 2, 7, 70, 1);
	pubrec(in, 7, 0x83);
	f = TAKE(in, {SQ_SETTLE_ACK, 0x83, 1, 70});
	sq_inbox_done(in, &f, true);
	no_pubrel(in);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, what_was_not_written_is_finished)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 10, 1);
	deliver(in, 2, 2, 11, 2);
	sq_inbox_discard(in, 1, 0x95);
	sq_inbox_discard(in, 2, 0x95);
	f = TAKE(in, {SQ_SETTLE_ACK, 0x95, 2, 10});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, answers_to_unknown_ids_are_no_error)
{
	struct sq_inbox *in = attached();

	puback(in, 1, 0);
	pubcomp(in, 1);
	no_pubrel(in);
	nothing_due(in);
	pubrec(in, 9, 0);
	pubrel_with(in, 9, SQ_MQTT_RC_PACKET_ID_NOT_FOUND);
	pubcomp(in, 9);
	pubrec(in, 9, 0x80);
	no_pubrel(in);
	nothing_due(in);
	sq_inbox_free(&in);
}

enum { PUBACK = 1, PUBREC = 2, PUBCOMP = 4 };

/* Exactly the packets of 'wrong' are refused for 'id', and change nothing. */
static void
refuses(struct sq_inbox *in, uint16_t id, unsigned wrong, const char *state)
{
	size_t open = sq_inbox_open(in);

	if ((wrong & PUBACK) != 0)
		cr_assert_eq(sq_inbox_puback(in, id, 0), SQ_EINVAL, "%s: PUBACK", state);
	if ((wrong & PUBREC) != 0) {
		cr_assert_eq(sq_inbox_pubrec(in, id, 0), SQ_EINVAL, "%s: PUBREC", state);
		cr_assert_eq(sq_inbox_pubrec(in, id, 0x80), SQ_EINVAL, "%s: PUBREC 0x80", state);
	}
	if ((wrong & PUBCOMP) != 0)
		cr_assert_eq(sq_inbox_pubcomp(in, id), SQ_EINVAL, "%s: PUBCOMP", state);
	no_pubrel(in);
	cr_assert_eq(sq_inbox_open(in), open);
}

Test(inbox, an_answer_of_the_wrong_kind_is_refused_in_every_state)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 10, 1);
	refuses(in, 1, PUBREC | PUBCOMP, "sent, QoS 1");
	nothing_due(in);
	puback(in, 1, 0);
	puback(in, 1, 0); /* settling: whatever it says */
	pubrec(in, 1, 0);
	pubcomp(in, 1);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 10});
	sq_inbox_done(in, &f, true);

	deliver(in, 2, 2, 20, 2);
	refuses(in, 2, PUBACK | PUBCOMP, "sent, QoS 2");
	nothing_due(in);
	pubrec(in, 2, 0);
	refuses(in, 2, PUBACK | PUBCOMP, "receiving");
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 1, 20});
	refuses(in, 2, PUBACK | PUBCOMP, "receiving, on its way");
	sq_inbox_done(in, &f, true);
	pubrel(in, 2);
	refuses(in, 2, PUBACK, "released");
	pubcomp(in, 2);
	puback(in, 2, 0);
	pubrec(in, 2, 0);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 1, 20});
	sq_inbox_done(in, &f, true);
	no_pubrel(in);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

/* A broker that has lost the session knows an orphan by its id alone. */
Test(inbox, what_is_said_of_orphans_is_harmless)
{
	struct sq_inbox *in = attached();
	struct sq_open_id ids[] = {
	    {1, SQ_OPEN_ORPHAN, 0, origin(1), 31}, {2, SQ_OPEN_ORPHAN, 0, origin(2), 32}};
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 10, 1);
	deliver(in, 2, 2, 20, 2);
	attach(in, ids, 2);
	cr_assert(sq_inbox_take(in, &f)); /* the window */
	sq_inbox_done(in, &f, true);
	pubrec(in, 1, 0);
	pubcomp(in, 1);
	puback(in, 2, 0);
	pubcomp(in, 2);
	no_pubrel(in);
	puback(in, 1, 0);
	pubrec(in, 2, 0);
	pubrel(in, 2);
	puback(in, 2, 0);
	pubcomp(in, 2);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 2, 31});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

/* The client goes on with an exchange that is over at the broker, while the id is in
 * use again: what it says then is no error, but only as long as that lasts. */
Test(inbox, the_end_of_an_older_exchange_is_harmless_under_an_id_in_use)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	pubrec(in, 1, 0);
	pubrel_with(in, 1, SQ_MQTT_RC_PACKET_ID_NOT_FOUND);
	deliver(in, 1, 1, 10, 1);
	pubcomp(in, 1); /* answers that PUBREL */
	cr_assert_eq(sq_inbox_pubcomp(in, 1), SQ_EINVAL, "a second one has no reason");
	deliver(in, 2, 1, 11, 5); /* the broker has given up the one before */
	puback(in, 1, 0);
	cr_assert_eq(sq_inbox_puback(in, 1, 0), SQ_EINVAL);
	deliver(in, 1, 1, 12, 6);

	deliver(in, 2, 2, 20, 2);
	attach(in, NULL, 0); /* all is finished there */
	cr_assert(sq_inbox_take(in, &f));
	sq_inbox_done(in, &f, true);
	deliver(in, 1, 2, 30, 3);
	deliver(in, 2, 1, 40, 4);
	pubrec(in, 2, 0); /* of the older one, crossing */
	puback(in, 1, 0);
	cr_assert_eq(sq_inbox_puback(in, 1, 0), SQ_EINVAL);
	nothing_due(in);
	pubcomp(in, 2);
	puback(in, 2, 0);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 30});
	sq_inbox_done(in, &f, true);
	sq_inbox_trim(in);
	sq_inbox_free(&in);
}

Test(inbox, held_credit_is_granted_once_it_is_let_go)
{
	struct sq_inbox *in = inbox();
	struct sq_inbox_flight f;

	sq_inbox_hold_credit(in, true);
	attach(in, NULL, 0);
	nothing_due(in);
	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	cr_assert(sq_inbox_take(in, &f), "what is settled goes");
	cr_assert_eq(credit(&f).credit_msgs, 0);
	cr_assert_eq(credit(&f).credit_bytes, 0);
	sq_inbox_done(in, &f, true);
	nothing_due(in);
	sq_inbox_hold_credit(in, false);
	f = take(in, 0, NULL);
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1);
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, held_credit_stays_held_when_a_settlement_goes_again)
{
	struct sq_inbox *in = inbox();
	struct sq_inbox_flight f;

	sq_inbox_hold_credit(in, true);
	attach(in, NULL, 0);
	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	for (int i = 0; i < 2; i++) {
		cr_assert(sq_inbox_take(in, &f));
		cr_assert_eq(credit(&f).credit_msgs, 0);
		cr_assert_eq(credit(&f).credit_bytes, 0);
		sq_inbox_again(in, &f);
	}
	cr_assert(sq_inbox_take(in, &f));
	cr_assert_eq(credit(&f).credit_msgs, 0);
	sq_inbox_done(in, &f, true);
	nothing_due(in);
	sq_inbox_hold_credit(in, false);
	f = take(in, 0, NULL);
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1);
	sq_inbox_again(in, &f);
	f = take(in, 0, NULL);
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1, "let go, it is granted again");
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, credit_for_qos_0_waits_until_half_the_window_was_written)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	for (int i = 0; i < MSGS; i++)
		sq_inbox_qos0(in, SIZE);
	nothing_due(in);
	sq_inbox_written(in, MSGS / 2 - 1, (MSGS / 2 - 1) * SIZE);
	nothing_due(in);
	sq_inbox_written(in, 1, SIZE);
	f = take(in, 0, NULL);
	cr_assert_eq(credit(&f).credit_msgs, MSGS + MSGS / 2);
	sq_inbox_done(in, &f, true);
	nothing_due(in);
	/* by bytes: one large message is enough */
	sq_inbox_qos0(in, BYTES);
	sq_inbox_written(in, 1, BYTES);
	f = take(in, 0, NULL);
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, an_attach_grants_less_while_a_client_has_not_read)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	for (int i = 0; i < 10; i++)
		sq_inbox_qos0(in, SIZE);
	attach(in, NULL, 0);
	f = take(in, 0, NULL);
	cr_assert_eq(credit(&f).credit_msgs, MSGS - 10);
	cr_assert_eq(credit(&f).credit_bytes, BYTES - 10 * SIZE);
	sq_inbox_done(in, &f, true);
	sq_inbox_written(in, 10, 10 * SIZE);
	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 1});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1);
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, two_settlements_fly_and_no_more)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight a, b, c;

	for (uint16_t i = 1; i <= 3; i++)
		deliver(in, 1, i, i, i);
	puback(in, 1, 0);
	a = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 1});
	puback(in, 2, 0);
	b = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 2});
	puback(in, 3, 0);
	cr_assert_not(sq_inbox_take(in, &c));
	cr_assert(sq_inbox_due(in));
	sq_inbox_done(in, &b, true);
	c = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 3});
	sq_inbox_done(in, &a, true);
	sq_inbox_done(in, &c, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, a_settlement_that_may_be_repeated_is)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 5, 1);
	deliver(in, 1, 2, 6, 2);
	puback(in, 1, 0);
	puback(in, 2, 0);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 2, 5});
	sq_inbox_again(in, &f);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 2, 5});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 2, "counted once");
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, an_id_in_use_again_before_its_settlement_is_confirmed_is_a_new_delivery)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f, g;

	deliver(in, 1, 1, 5, 1);
	puback(in, 1, 0);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 5});
	cr_assert_eq(deliver(in, 1, 1, 6, 2), SQ_INBOX_WRITE);
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 1, "the new one stays");
	puback(in, 1, 0);
	g = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 6});
	sq_inbox_done(in, &g, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

/* A retained message is in the queue once for each subscription that it matches. */
Test(inbox, a_copy_under_an_id_in_use_again_is_a_new_delivery)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f, g;

	deliver(in, 1, 1, 5, 1);
	puback(in, 1, 0);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 5});
	cr_assert_eq(deliver(in, 1, 1, 6, 1), SQ_INBOX_WRITE, "of the same origin");
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 1, "it stays");
	puback(in, 1, 0);
	g = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 6});
	sq_inbox_done(in, &g, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, the_put_lists_what_is_open_in_its_order_and_state)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;
	struct sq_attach a = {0};
	struct sq_open_id *ids;

	deliver(in, 1, 300, 1, 1);
	deliver(in, 2, 5, 2, 2);
	deliver(in, 2, 9, 3, 3);
	deliver(in, 2, 2, 4, 4);
	deliver(in, 1, 1, 5, 5);
	pubrec(in, 9, 0);
	pubrec(in, 2, 0);
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 2, 3});
	sq_inbox_done(in, &f, true);
	pubcomp(in, 2);
	puback(in, 1, 0);
	sq_inbox_attach(in, &a, &ids);
	cr_assert_eq(a.n_open, 5);
	cr_assert_eq(a.receive_max, 16);
	cr_assert_eq(ids[0].packet_id, 300);
	cr_assert_eq(ids[0].state, SQ_OPEN_QOS1);
	cr_assert_eq(ids[0].origin.number, 1);
	cr_assert_eq(ids[1].packet_id, 5);
	cr_assert_eq(ids[1].state, SQ_OPEN_QOS2);
	cr_assert_eq(ids[2].packet_id, 9);
	cr_assert_eq(ids[2].state, SQ_OPEN_RECEIVED);
	cr_assert_eq(ids[3].packet_id, 2);
	cr_assert_eq(ids[3].state, SQ_OPEN_RECEIVED);
	cr_assert_eq(ids[4].state, SQ_OPEN_QOS1);
	free(ids);
	sq_inbox_free(&in);
}

Test(inbox, in_flight_deliveries_are_rebound_and_not_written_again)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;
	struct sq_open_id ids[] = {
	    {1, SQ_OPEN_QOS1, 0, origin(1), 11}, {2, SQ_OPEN_QOS2, 0, origin(2), 12}};

	deliver(in, 1, 1, 1, 1);
	deliver(in, 2, 2, 2, 2);
	attach(in, ids, 2);
	cr_assert_eq(deliver(in, 1, 1, 11, 1), SQ_INBOX_KNOWN);
	cr_assert_eq(deliver(in, 2, 2, 12, 2), SQ_INBOX_KNOWN);
	puback(in, 1, 0);
	pubrec(in, 2, 0);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 11}, {SQ_SETTLE_RECEIVED, 0, 1, 12});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1, "what was sent again used credit again");
	sq_inbox_done(in, &f, true);
	pubrel(in, 2);
	sq_inbox_free(&in);
}

Test(inbox, what_the_client_finished_is_settled_again_by_the_new_ids)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight lost, f;
	struct sq_open_id ids[] = {{1, SQ_OPEN_QOS1, 0, origin(1), 11},
	    {2, SQ_OPEN_QOS2, 0, origin(2), 12}, {3, SQ_OPEN_RECEIVED, 0, origin(3), 13}};

	for (uint16_t i = 1; i <= 3; i++)
		deliver(in, i == 1 ? 1 : 2, i, i, i);
	pubrec(in, 3, 0);
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 1, 3});
	sq_inbox_done(in, &f, true);
	pubrel(in, 3);
	puback(in, 1, 0);
	pubrec(in, 2, 0);
	pubcomp(in, 3);
	cr_assert(sq_inbox_take(in, &lost));
	attach(in, ids, 3);
	sq_inbox_done(in, &lost, true); /* late, of the epoch before: says nothing now */
	no_pubrel(in);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 11}, {SQ_SETTLE_RECEIVED, 0, 1, 12},
	    {SQ_SETTLE_COMPLETE, 0, 1, 13});
	/* the messages come again while that is on its way */
	cr_assert_eq(deliver(in, 1, 1, 11, 1), SQ_INBOX_KNOWN);
	cr_assert_eq(deliver(in, 2, 2, 12, 2), SQ_INBOX_KNOWN);
	nothing_due(in);
	sq_inbox_done(in, &f, true);
	pubrel(in, 2);
	pubcomp(in, 2);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 1, 12});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, a_settled_message_that_comes_after_its_confirmation_is_not_written)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;
	struct sq_open_id ids[] = {{1, SQ_OPEN_QOS1, 0, origin(1), 11}};

	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	attach(in, ids, 1);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 11});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	cr_assert_eq(deliver(in, 1, 1, 11, 1), SQ_INBOX_KNOWN);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 11});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1);
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, what_the_answer_does_not_list_is_forgotten)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 1, 1);
	deliver(in, 2, 2, 2, 2);
	deliver(in, 2, 3, 3, 3);
	pubrec(in, 3, 0);
	attach(in, NULL, 0);
	pubrel(in, 3); /* the client waits for it */
	puback(in, 1, 0);
	pubrec(in, 2, 0);
	pubrel_with(in, 2, SQ_MQTT_RC_PACKET_ID_NOT_FOUND);
	pubcomp(in, 2);
	pubcomp(in, 3);
	cr_assert_eq(sq_inbox_open(in), 0);
	f = take(in, 0, NULL); /* only the window */
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, a_settled_message_that_was_not_listed_and_comes_again_is_settled_again)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	attach(in, NULL, 0);
	f = take(in, 0, NULL);
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	cr_assert_eq(deliver(in, 1, 1, 21, 1), SQ_INBOX_KNOWN);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 21});
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, what_is_only_remembered_goes_when_anything_new_comes)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	attach(in, NULL, 0);
	cr_assert_eq(deliver(in, 1, 2, 2, 2), SQ_INBOX_WRITE);
	cr_assert_eq(deliver(in, 1, 1, 99, 1), SQ_INBOX_WRITE, "it is new by now");
	cr_assert(sq_inbox_take(in, &f));
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

/* Everything is confirmed before the first of the frames that the attach sent
 * again arrives: more confirmations than the receive maximum. */
Test(inbox, confirmations_do_not_make_what_is_sent_again_new)
{
	enum { OPEN = 40 };
	struct sq_inbox *in = attached();
	struct sq_open_id ids[OPEN];
	struct sq_inbox_flight f;

	for (uint16_t i = 1; i <= OPEN; i++) {
		cr_assert_eq(deliver(in, 2, i, i, i), SQ_INBOX_WRITE);
		pubrec(in, i, 0);
		ids[i - 1] = (struct sq_open_id){i, SQ_OPEN_QOS2, 0, origin(i), 100u + i};
	}
	attach(in, ids, OPEN);
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, OPEN, 101});
	sq_inbox_done(in, &f, true);
	for (uint16_t i = 1; i <= OPEN; i++) {
		pubrel(in, i);
		pubcomp(in, i);
	}
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, OPEN, 101});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	for (uint16_t i = 1; i <= OPEN; i++)
		cr_assert_eq(deliver(in, 2, i, 100u + i, i), SQ_INBOX_KNOWN, "id %u", i);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, OPEN, 101});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(deliver(in, 2, 1, 200, 100), SQ_INBOX_WRITE);
	sq_inbox_free(&in);
}

Test(inbox, what_is_only_remembered_goes_at_the_next_attach)
{
	struct sq_inbox *in = attached();
	struct sq_open_id ids[] = {{1, SQ_OPEN_QOS1, 0, origin(1), 11}};
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	attach(in, ids, 1);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 11});
	sq_inbox_done(in, &f, true);
	attach(in, NULL, 0);
	cr_assert_eq(deliver(in, 1, 1, 21, 1), SQ_INBOX_WRITE);
	cr_assert_eq(sq_inbox_open(in), 1);
	sq_inbox_free(&in);
}

/* A broker that lost what another queue had under way may send that first. */
Test(inbox, what_was_listed_is_remembered_though_something_new_comes_first)
{
	struct sq_inbox *in = attached();
	struct sq_open_id ids[] = {
	    {1, SQ_OPEN_QOS2, 0, origin(1), 11}, {2, SQ_OPEN_QOS1, 0, origin(2), 12}};
	struct sq_inbox_flight f;

	deliver(in, 2, 1, 1, 1);
	deliver(in, 1, 2, 2, 2);
	pubrec(in, 1, 0x80);
	puback(in, 2, 0x80);
	attach(in, ids, 2);
	f = TAKE(in, {SQ_SETTLE_ACK, 0x80, 2, 11});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	cr_assert_eq(deliver(in, 1, 3, 13, 3), SQ_INBOX_WRITE);
	cr_assert_eq(deliver(in, 2, 1, 11, 1), SQ_INBOX_KNOWN);
	cr_assert_eq(deliver(in, 1, 2, 12, 2), SQ_INBOX_KNOWN);
	f = TAKE(in, {SQ_SETTLE_ACK, 0x80, 2, 11});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 2, "what came again gives its credit back");
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 1);
	sq_inbox_free(&in);
}

/* A retained message has one origin for ever: a second one is a new delivery. */
Test(inbox, what_was_listed_is_remembered_by_its_delivery_id)
{
	struct sq_inbox *in = attached();
	struct sq_open_id ids[] = {{1, SQ_OPEN_QOS1, 0, origin(1), 11}};
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 1, 1);
	puback(in, 1, 0);
	attach(in, ids, 1);
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 11});
	sq_inbox_done(in, &f, true);
	cr_assert_eq(deliver(in, 1, 1, 12, 1), SQ_INBOX_WRITE);
	cr_assert_eq(sq_inbox_open(in), 1);
	sq_inbox_free(&in);
}

/* The broker was started again and has only id 4, from a durable queue; the rest
 * became orphans, and each goes its way by what the client says. */
Test(inbox, a_renewed_session_keeps_its_ids_in_whatever_state)
{
	struct sq_inbox *in = attached();
	struct sq_open_id ids[] = {{1, SQ_OPEN_ORPHAN, 0, origin(1), 11},
	    {2, SQ_OPEN_ORPHAN, 0, origin(2), 12}, {3, SQ_OPEN_ORPHAN, 0, origin(3), 13},
	    {4, SQ_OPEN_QOS2, 0, origin(4), 14}, {5, SQ_OPEN_ORPHAN, 0, origin(5), 15},
	    {6, SQ_OPEN_ORPHAN, 0, origin(6), 16}, {7, SQ_OPEN_QOS2, 9, origin(7), 17}};
	struct sq_inbox_flight f;

	deliver(in, 1, 1, 1, 1); /* sent */
	deliver(in, 2, 2, 2, 2); /* sent */
	deliver(in, 2, 3, 3, 3); /* released */
	deliver(in, 2, 4, 4, 4); /* PUBREC came */
	deliver(in, 2, 5, 5, 5); /* PUBREC came */
	deliver(in, 1, 6, 6, 6); /* acknowledged */
	pubrec(in, 3, 0);
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 1, 3});
	sq_inbox_done(in, &f, true);
	pubrel(in, 3);
	pubrec(in, 4, 0);
	pubrec(in, 5, 0);
	puback(in, 6, 0);
	for (int put = 0; put < 2; put++) { /* an answer may come twice */
		attach(in, ids, 7);
		if (put == 0)
			pubrel(in, 5);
		no_pubrel(in);
	}
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 1, 14}, {SQ_SETTLE_COMPLETE, 0, 1, 16});
	sq_inbox_done(in, &f, true);
	pubrel(in, 4);
	cr_assert_eq(deliver(in, 2, 4, 14, 4), SQ_INBOX_KNOWN);
	cr_assert_eq(deliver(in, 2, 7, 17, 7), SQ_INBOX_WRITE, "its frame was lost");
	puback(in, 1, 0);
	pubrec(in, 2, 0);
	pubrel(in, 2);
	for (uint16_t id = 2; id <= 5; id++)
		pubcomp(in, id);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 5, 11});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1, "orphans use none");
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 1);
	sq_inbox_free(&in);
}

Test(inbox, orphans_keep_their_id_until_complete)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;
	struct sq_open_id ids[] = {{1, SQ_OPEN_ORPHAN, 0, origin(1), 11},
	    {2, SQ_OPEN_ORPHAN, 0, origin(2), 12}, {3, SQ_OPEN_ORPHAN, 0, origin(3), 13}};
	struct sq_attach a = {0};
	struct sq_open_id *open;

	deliver(in, 1, 1, 1, 1);
	deliver(in, 2, 2, 2, 2);
	deliver(in, 2, 3, 3, 3);
	pubrec(in, 3, 0);
	attach(in, ids, 3);
	pubrel(in, 3);
	sq_inbox_attach(in, &a, &open);
	cr_assert_eq(a.n_open, 3);
	cr_assert_eq(open[0].state, SQ_OPEN_ORPHAN);
	free(open);
	puback(in, 1, 0x80);
	pubrec(in, 2, 0);
	pubrel(in, 2);
	pubcomp(in, 2);
	pubcomp(in, 3);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 3, 11});
	cr_assert_eq(credit(&f).credit_msgs, MSGS, "they use none");
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, a_new_connection_goes_on_with_what_the_old_one_left)
{
	struct sq_inbox *in = inbox();
	struct sq_inbox_flight f;
	struct sq_open_id ids[] = {{4, SQ_OPEN_RECEIVED, 0, origin(4), 14},
	    {5, SQ_OPEN_QOS1, 0, origin(5), 15}, {6, SQ_OPEN_ORPHAN, 0, origin(6), 16}};

	attach(in, ids, 3);
	pubrel(in, 4);
	pubrel(in, 6); /* the client may hold it: the id is not free before PUBCOMP */
	no_pubrel(in);
	f = take(in, 0, NULL); /* only the window */
	sq_inbox_done(in, &f, true);
	cr_assert_eq(deliver(in, 1, 5, 15, 5), SQ_INBOX_WRITE);
	pubcomp(in, 4);
	pubcomp(in, 6);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 1, 14}, {SQ_SETTLE_COMPLETE, 0, 1, 16});
	cr_assert_eq(credit(&f).credit_msgs, MSGS);
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 1);
	sq_inbox_free(&in);
}

static void
expect_open(struct sq_inbox *in, uint16_t id, uint8_t state, uint64_t number)
{
	struct sq_attach a = {0};
	struct sq_open_id *open;

	sq_inbox_attach(in, &a, &open);
	cr_assert_eq(a.n_open, 1);
	cr_assert_eq(open[0].packet_id, id);
	cr_assert_eq(open[0].state, state);
	cr_assert_eq(open[0].origin.number, number);
	free(open);
}

/* The client may hold a QoS 2 id since an older connection.  If the broker is
 * lost before it has sent the message again, the next one must learn of the id. */
Test(inbox, a_listed_qos_2_id_is_listed_by_the_next_put_before_its_message_came)
{
	struct sq_inbox *in = inbox();
	struct sq_inbox_flight f;
	struct sq_open_id known[] = {{1, SQ_OPEN_QOS2, 0, origin(1), 11}};
	struct sq_open_id orphan[] = {{1, SQ_OPEN_ORPHAN, 0, origin(1), 21}};

	attach(in, known, 1);
	no_pubrel(in);
	expect_open(in, 1, SQ_OPEN_QOS2, 1);
	attach(in, orphan, 1); /* another broker: it has the id only from that list */
	pubrel(in, 1);
	expect_open(in, 1, SQ_OPEN_ORPHAN, 1);
	pubcomp(in, 1);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 1, 21});
	cr_assert_eq(credit(&f).credit_msgs, MSGS);
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, an_expected_message_is_written_when_it_comes)
{
	struct sq_inbox *in = inbox();
	struct sq_inbox_flight f;
	struct sq_open_id ids[] = {{1, SQ_OPEN_QOS2, 0, origin(1), 11}};

	attach(in, ids, 1);
	pubcomp(in, 1); /* what the client says of it before means nothing */
	puback(in, 1, 0);
	pubrec(in, 1, 0);
	no_pubrel(in);
	attach(in, ids, 1);
	cr_assert_eq(deliver(in, 2, 1, 11, 1), SQ_INBOX_WRITE);
	cr_assert_eq(deliver(in, 2, 1, 11, 1), SQ_INBOX_KNOWN);
	cr_assert_eq(sq_inbox_open(in), 1);
	pubrec(in, 1, 0);
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 1, 11});
	sq_inbox_done(in, &f, true);
	pubrel(in, 1);
	pubcomp(in, 1);
	f = TAKE(in, {SQ_SETTLE_COMPLETE, 0, 1, 11});
	cr_assert_eq(credit(&f).credit_msgs, MSGS + 1);
	sq_inbox_done(in, &f, true);
	cr_assert_eq(sq_inbox_open(in), 0);
	sq_inbox_free(&in);
}

Test(inbox, an_expected_id_that_the_next_answer_does_not_list_is_forgotten)
{
	struct sq_inbox *in = inbox();
	struct sq_open_id ids[] = {
	    {1, SQ_OPEN_QOS2, 0, origin(1), 11}, {2, SQ_OPEN_QOS2, 0, origin(2), 12}};
	struct sq_open_id received[] = {{2, SQ_OPEN_RECEIVED, 0, origin(2), 22}};

	attach(in, ids, 2);
	attach(in, received, 1);
	pubrel(in, 2);
	no_pubrel(in);
	expect_open(in, 2, SQ_OPEN_RECEIVED, 2);
	cr_assert_eq(deliver(in, 1, 1, 23, 3), SQ_INBOX_WRITE, "the id is used anew");
	sq_inbox_free(&in);
}

/* The PUT lists the 'n' open ids, each with the message that came by it: 'open[id % 4000]' is its
 * number. */
static void
expect_names(struct sq_inbox *in, const uint64_t *open, size_t n)
{
	struct sq_open_id *ids = NULL;
	struct sq_attach a = {0};

	sq_inbox_attach(in, &a, &ids);
	cr_assert_eq(a.n_open, n, "%u of %zu", a.n_open, n);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(ids[i].origin.number, open[ids[i].packet_id % 4000], "id %u: %lu",
		    ids[i].packet_id, (unsigned long)ids[i].origin.number);
	free(ids);
}

/* Against a plain array: ids come and go in any order, the table stays right. */
Test(inbox, the_table_keeps_every_id_through_a_long_life)
{
	struct sq_inbox *in = sq_inbox_new(1000000, 1u << 30, 2000);
	static uint64_t open[4000]; /* the number of the message that has the id */
	static uint16_t held[4000]; /* the id */
	uint64_t delivery = 1;
	unsigned seed = 12345;
	size_t n = 0;

	attach(in, NULL, 0);
	for (int step = 0; step < 60000; step++) {
		uint16_t id;

		seed = seed * 1103515245u + 12345u;
		id = (uint16_t)(1 + (seed >> 8) % 3999 * 16 % 65535); /* many collide */
		if (open[id % 4000] == 0) {
			open[id % 4000] = delivery;
			held[id % 4000] = id;
			cr_assert_eq(deliver(in, 1, id, delivery, delivery), SQ_INBOX_WRITE);
			delivery++;
			n++;
		} else if (held[id % 4000] == id) {
			puback(in, id, 0);
			open[id % 4000] = 0;
			n--;
		}
		if (step % 100 == 99) {
			struct sq_inbox_flight f;

			if (sq_inbox_take(in, &f))
				sq_inbox_done(in, &f, true);
			cr_assert_eq(sq_inbox_open(in), n, "step %d: %zu, not %zu", step,
			    sq_inbox_open(in), n);
		}
	}
	cr_assert_gt(n, 100u);
	expect_names(in, open, n);
	sq_inbox_free(&in);
}

Test(inbox, an_empty_inbox_gives_its_memory_back)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	for (uint16_t i = 1; i <= 100; i++)
		deliver(in, 1, i, i, i);
	for (uint16_t i = 1; i <= 100; i++)
		puback(in, i, 0);
	sq_inbox_trim(in); /* not yet: they are not confirmed */
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 100, 1});
	sq_inbox_done(in, &f, true);
	sq_inbox_trim(in);
	cr_assert_eq(deliver(in, 1, 1, 200, 200), SQ_INBOX_WRITE);
	cr_assert_eq(sq_inbox_open(in), 1);
	sq_inbox_free(&in);
}

/* What nothing waits for may be gathered. */

static bool
presses(struct sq_inbox *in)
{
	cr_assert(sq_inbox_due(in));
	return sq_inbox_pressing(in);
}

Test(inbox, nothing_waits_for_a_lone_settlement)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	cr_assert_not(sq_inbox_pressing(in), "nothing is due");
	deliver(in, 1, 1, 10, 1);
	puback(in, 1, 0);
	cr_assert_not(presses(in));
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 10});
	sq_inbox_done(in, &f, true);
	sq_inbox_free(&in);
}

Test(inbox, a_pubrel_waits_for_received_and_nothing_for_complete)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_pubrel rel;
	struct sq_inbox_flight f;

	deliver(in, 2, 1, 10, 1);
	cr_assert_eq(sq_inbox_pubrec(in, 1, 0), 0);
	cr_assert(presses(in));
	f = TAKE(in, {SQ_SETTLE_RECEIVED, 0, 1, 10});
	sq_inbox_done(in, &f, true);
	cr_assert(sq_inbox_pubrel(in, &rel));
	cr_assert_eq(sq_inbox_pubcomp(in, 1), 0);
	cr_assert_not(presses(in));
	sq_inbox_free(&in);
}

Test(inbox, a_dead_letter_waits_for_its_settlement)
{
	struct sq_inbox *in = attached();

	deliver(in, 1, 1, 10, 1);
	puback(in, 1, SQ_MQTT_RC_UNSPECIFIED);
	cr_assert(presses(in));
	sq_inbox_free(&in);
}

Test(inbox, half_of_the_receive_maximum_presses)
{
	struct sq_inbox *in = attached();
	struct sq_inbox_flight f;

	for (uint16_t id = 1; id < 8; id++)
		deliver(in, 1, id, id, id);
	puback(in, 1, 0);
	cr_assert_not(presses(in), "7 of 16");
	deliver(in, 1, 8, 8, 8);
	cr_assert(presses(in), "8 of 16, whoever has them");
	f = TAKE(in, {SQ_SETTLE_ACK, 0, 1, 1});
	sq_inbox_done(in, &f, true);
	puback(in, 2, 0);
	cr_assert_not(presses(in), "7 again");
	sq_inbox_free(&in);
}

Test(inbox, with_a_window_of_one_each_settlement_presses)
{
	struct sq_inbox *in = attached();

	sq_inbox_limit(in, 1);
	sq_inbox_limit(in, 5); /* of another queue */
	deliver(in, 1, 1, 10, 1);
	puback(in, 1, 0);
	cr_assert(presses(in));
	sq_inbox_free(&in);
}

Test(inbox, half_of_the_credit_in_messages_presses)
{
	struct sq_inbox *in = attached();

	for (int i = 0; i < MSGS / 2 - 2; i++)
		sq_inbox_qos0(in, 1); /* in the client's output: no credit yet */
	deliver(in, 1, 1, 10, 1);
	puback(in, 1, 0);
	cr_assert_not(presses(in), "49 of 100");
	sq_inbox_qos0(in, 1);
	cr_assert(presses(in), "50 of 100");
	sq_inbox_free(&in);
}

Test(inbox, half_of_the_credit_in_bytes_presses)
{
	struct sq_inbox *in = attached();

	deliver(in, 1, 1, 10, 1);
	puback(in, 1, 0);
	sq_inbox_qos0(in, BYTES / 2 - SIZE - 1);
	cr_assert_not(presses(in));
	sq_inbox_qos0(in, 1);
	cr_assert(presses(in));
	sq_inbox_free(&in);
}

Test(inbox, bytes_that_a_short_broker_counts_press)
{
	struct sq_inbox *in = sq_inbox_new(1000, 10 << 20, 1000);
	struct sq_inbox_flight f;

	attach(in, NULL, 0);
	cr_assert(presses(in), "the grant");
	cr_assert(sq_inbox_take(in, &f));
	sq_inbox_done(in, &f, true);
	deliver(in, 1, 1, 10, 1);
	puback(in, 1, 0);
	sq_inbox_qos0(in, (32 << 10) - SIZE - 1);
	cr_assert_not(presses(in));
	sq_inbox_qos0(in, 1);
	cr_assert(presses(in));
	sq_inbox_free(&in);
}
