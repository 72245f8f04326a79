/* Retained messages for a new subscription come in slices, one in each turn of the worker. */
#include <stdio.h>

#include "../support/broker_world.h"

enum { TOPICS = 2000 };

static struct world w;
static struct peer p, sub;

static void
setup(void)
{
	world_init(&w);
	w.cfg.queue_max_msgs = 2 * TOPICS;
	w.cfg.retained_max_msgs = 2 * TOPICS;
	world_start(&w, 2);
	p = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber~pod");
	peer_connect(&p);
	peer_connect(&sub);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(session_retained_scan, .init = setup, .fini = teardown);

static void
topic_name(char *out, size_t size, unsigned i)
{
	snprintf(out, size, "t/%u", i);
}

static void
retain_all(const char *payload)
{
	char topic[16];

	for (unsigned i = 0; i < TOPICS; i++) {
		topic_name(topic, sizeof topic, i);
		(void)peer_retain(&p, topic, payload, 0);
	}
}

static struct fake_call *
subscribe_only(const char *filter)
{
	struct sq_sub e = {.op = SQ_SUB_SUBSCRIBE, .options = 1, .filter = text(filter)};

	return peer_sub_post(&sub, &e);
}

/* How many deliveries there are by now, of each topic and payload. */
struct got {
	unsigned n, old[TOPICS], fresh[TOPICS];
};

static void
take(struct got *g)
{
	struct fake_delivery *d;
	unsigned i;

	while ((d = peer_next(&sub)) != NULL) {
		cr_assert_eq(sscanf(d->topic, "t/%u", &i), 1);
		cr_assert_lt(i, TOPICS);
		g->n++;
		if (d->payload[0] == 'o')
			g->old[i]++;
		else
			g->fresh[i]++;
	}
}

Test(session_retained_scan, a_turn_brings_a_part_and_others_come_between)
{
	static struct got got;
	struct fake_call *c;
	unsigned turns = 0;

	retain_all("old");
	c = subscribe_only("#");
	fake_run_turn();
	cr_assert_gt(fake_pending(), 0, "not all at once");
	while (fake_pending() > 0) {
		cr_assert_lt(++turns, 100);
		fake_run_turn();
	}
	cr_assert_geq(turns, 2);
	fake_call_free(&c);
	peer_credit(&sub, 2 * TOPICS, 1 << 24);
	world_run();
	take(&got);
	cr_assert_eq(got.n, TOPICS);
	for (unsigned i = 0; i < TOPICS; i++)
		cr_assert_eq(got.old[i], 1, "topic %u", i);
}

/* Whatever is replaced, removed or new while the scan goes on comes once. */
Test(session_retained_scan, what_is_retained_meanwhile_comes_once)
{
	static struct got got;
	struct fake_call *c, *posts[100];
	unsigned n = 0;
	char topic[16];

	retain_all("old");
	c = subscribe_only("#");
	fake_run_turn();
	while (c->answers == 0 && n < 100) {
		topic_name(topic, sizeof topic, n * 397 % TOPICS);
		posts[n++] = peer_post(
		    &p, 1, &(struct entry){.topic = topic, .payload = "new", .retain = true}, 1);
		fake_run_turn();
	}
	world_run();
	cr_assert_geq(n, 2);
	cr_assert_lt(n, 100);
	peer_credit(&sub, 2 * TOPICS, 1 << 24);
	world_run();
	take(&got);
	while (n > 0) /* paced till here */
		fake_call_free(&posts[--n]);
	fake_call_free(&c);
	for (unsigned i = 0; i < TOPICS; i++) {
		cr_assert_leq(got.old[i], 1);
		cr_assert_leq(got.fresh[i], 1, "topic %u came as a live one and by the scan", i);
		cr_assert_geq(got.old[i] + got.fresh[i], 1, "topic %u is lost", i);
	}
}

Test(session_retained_scan, an_unsubscribe_ends_the_scan)
{
	struct fake_call *c;

	retain_all("old");
	c = subscribe_only("#");
	fake_run_turn();
	cr_assert_gt(fake_pending(), 0);
	cr_assert_eq(peer_unsubscribe(&sub, "#"), 0);
	cr_assert_eq(fake_pending(), 0);
	cr_assert_eq(c->answers, 1, "its request is answered all the same");
	fake_call_free(&c);
}

Test(session_retained_scan, a_session_that_ends_meanwhile_leaves_nothing)
{
	struct fake_call *c;

	retain_all("old");
	c = subscribe_only("#");
	fake_run_turn();
	cr_assert_gt(fake_pending(), 0);
	peer_detach(&sub, 0, false);
	cr_assert_eq(c->answers, 1);
	fake_call_free(&c);
}

/* A subscriber whose queue is full of QoS 3 messages, each of which asks for a receipt. */
enum { WAIT = 600 };

static void
setup_full(void)
{
	world_init(&w);
	w.cfg.queue_max_msgs = WAIT;
	w.cfg.retained_max_msgs = 2 * TOPICS;
	world_start(&w, 2);
	p = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber~pod");
	peer_connect(&p);
	sub.ordinal = 1;
	cr_assert_eq(peer_attach(&sub), 200); /* and takes nothing */
}

TestSuite(session_retained_scan_full, .init = setup_full, .fini = teardown);

/* A slice holds the lock of retained messages, behind which nobody may wait for that of the
 * space: the receipts of what leaves the queue for them are published later. */
Test(session_retained_scan_full, what_leaves_the_queue_in_a_slice_sends_its_receipt_behind_it)
{
	static const char *const props[] = {"sqmqos-qos", "3", "sqmqos-receipt", "done", NULL};
	struct fake_call *c;

	retain_all("old");
	cr_assert_lt(peer_subscribe(&sub, "q", 2), 0x80);
	for (unsigned i = 0; i < WAIT; i++)
		(void)peer_send(&p,
		    &(struct entry){.topic = "q",
			.qos = 2,
			.id = (uint16_t)(i + 1),
			.expiry_s = 1,
			.props = props});
	world_pass(&w, 2000);
	c = subscribe_only("t/#");
	world_run();
	fake_call_free(&c);
	cr_assert_eq(world_metric(SQ_M_RECEIPTS), WAIT);
}
