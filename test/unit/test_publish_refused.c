/* The broker's words on what it refuses: notes on the outcomes of a batch, and metrics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_world.h"
#include "core/mem.h"

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct world w;
static struct peer pub, sub;

static void
setup(void)
{
	world_init(&w);
	w.cfg.queue_max_msgs = 2;
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	peer_connect(&pub);
	sub = peer_new(&w, "s~w~subscriber");
	sub.ordinal = 1;
	cr_assert_eq(peer_attach(&sub), 200); /* no credit */
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0);
	cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(publish_refused, .init = setup, .fini = teardown);

/* The notes of an answered batch, in version 2. */
static struct sq_bytes
notes(const struct fake_call *c)
{
	struct sq_outcomes out;

	cr_assert_eq(c->answers, 1);
	cr_assert_eq(fake_call_status(c), 200);
	cr_assert_eq(
	    sq_outcomes_decode(sq_buf_data(&c->answer), sq_buf_len(&c->answer), 2, &out), 0);
	return out.notes;
}

static void
expect_note(struct sq_bytes *b, unsigned index, unsigned n, unsigned refusal, const char *begins)
{
	struct sq_note note;

	cr_assert(sq_note_next(b, &note), "no note on %u", index);
	cr_expect_eq(note.index, index);
	cr_expect_eq(note.n, n);
	cr_expect_eq(note.refusal, refusal);
	cr_expect(note.text.len >= strlen(begins) &&
		(begins[0] == '\0' || memcmp(note.text.p, begins, strlen(begins)) == 0),
	    "%u: %.*s", index, (int)note.text.len, (const char *)note.text.p);
}

static struct fake_call *
post(const struct entry *entries, uint16_t n)
{
	struct fake_call *c = peer_post(&pub, 1, entries, n);

	world_run();
	return c;
}

Test(publish_refused, each_refused_entry_has_a_note)
{
	const struct entry e[] = {
	    {.topic = "free", .payload = "x", .qos = 1},
	    {.topic = "t", .payload = "x", .qos = 1},
	    {.topic = "t", .payload = "x", .qos = 2, .id = 7},
	    {.topic = "free", .payload = "x", .qos = 1, .props = PROPS("sqmqos-dealy", "1")},
	    {.topic = "free", .payload = "x", .qos = 1, .props = PROPS("sqmqos-delay", "3601")},
	    {.topic = "$dead/t", .payload = "x", .qos = 1},
	    {.topic = "t", .payload = "x", .qos = 1},
	};
	struct fake_call *c = post(e, SQ_ARRAY_LEN(e));
	struct sq_bytes b = notes(c);
	struct sq_note note;

	expect_note(&b, 1, 2, SQ_REFUSAL_QUEUE_FULL,
	    "queue s~w~subscriber is full: 2 messages of 36 bytes wait (queue.max-messages: 2), ");
	expect_note(&b, 3, 1, SQ_REFUSAL_PROPERTY, "unknown user property sqmqos-dealy, did");
	expect_note(&b, 4, 1, SQ_REFUSAL_PROPERTY,
	    "sqmqos-delay is too long (delayed.max-delay in seconds: 3600)");
	expect_note(&b, 5, 1, SQ_REFUSAL_TOPIC, "$dead is for dead letters");
	expect_note(&b, 6, 1, SQ_REFUSAL_QUEUE_FULL, "queue s~w~subscriber is full");
	cr_expect_not(sq_note_next(&b, &note));
	fake_call_free(&c);
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_QUEUE_FULL), 3);
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_PROPERTY), 2);
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_TOPIC), 1);
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_OTHER), 0);
	cr_expect_eq(world_metric(SQ_M_REFUSED), 6);
}

/* Its queue's name is cut in the midst of a character, or not. */
Test(publish_refused, a_long_name_is_cut_at_a_character)
{
	for (size_t ascii = 1; ascii <= 2; ascii++) {
		char group[400] = "aa", topic[] = {(char)('0' + ascii), '\0'};
		struct fake_call *c;
		struct sq_bytes b;

		for (size_t i = 0; i < 150; i++)
			memcpy(group + ascii + 2 * i, "\xc3\xa9", 3);
		cr_assert_eq(peer_sub(&sub,
				 &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
				     .options = 1,
				     .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE | SQ_SUB_CONSUME,
				     .group = text(group),
				     .filter = text(topic)}),
		    1);
		for (int i = 0; i < 2; i++)
			cr_assert_eq(peer_publish(&pub, topic, "x", 1), 0);
		c = post(&(struct entry){.topic = topic, .payload = "x", .qos = 1}, 1);
		b = notes(c);
		expect_note(&b, 0, 1, SQ_REFUSAL_QUEUE_FULL, "queue declared~s~w~a");
		fake_call_free(&c);
	}
}

Test(publish_refused, a_batch_without_refusals_has_no_notes)
{
	const struct entry e[] = {{.topic = "free", .payload = "x", .qos = 1},
	    {.topic = "free", .payload = "x", .qos = 1}};
	struct fake_call *c = post(e, 2);

	cr_expect_eq(notes(c).len, 0);
	fake_call_free(&c);
}

Test(publish_refused, what_is_answered_again_may_be_without_words)
{
	const struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_call *c = post(&e, 1);

	cr_expect_gt(notes(c).len, 0);
	fake_call_free(&c);
	c = peer_batch(&pub, 1, pub.run[1], pub.next[1] - 1, 0, &e, 1);
	world_run();
	cr_expect_eq(call_outcome(c, 0), 0x97);
	cr_expect_eq(notes(c).len, 0);
	fake_call_free(&c);
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_QUEUE_FULL), 1);
}

Test(publish_refused, an_older_sidecar_gets_codes_alone)
{
	const struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct sq_outcomes out;
	struct fake_call *c;

	fake_link_set_version(w.links[0], 1);
	c = post(&e, 1);
	cr_assert_eq(
	    sq_outcomes_decode(sq_buf_data(&c->answer), sq_buf_len(&c->answer), 1, &out), 0);
	cr_expect_eq(out.codes[0], 0x97);
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_QUEUE_FULL), 1);
	fake_call_free(&c);
}

Test(publish_refused, words_have_a_bound)
{
	struct entry e[200];
	char names[200][24];
	unsigned texts = 0, n = 0;
	struct sq_note note;
	struct fake_call *c;
	struct sq_bytes b;

	for (unsigned i = 0; i < 200; i++) {
		const char **props = sq_xmalloc(3 * sizeof *props);

		snprintf(names[i], sizeof names[i], "sqmqos-x%u", i);
		props[0] = names[i];
		props[1] = "1";
		props[2] = NULL;
		e[i] = (struct entry){.topic = "free", .payload = "x", .qos = 1, .props = props};
	}
	c = post(e, 200);
	b = notes(c);
	while (sq_note_next(&b, &note)) {
		texts += note.text.len > 0;
		n += note.n;
		cr_expect_eq(note.refusal, SQ_REFUSAL_PROPERTY);
	}
	cr_expect_eq(texts, SQ_NOTE_TEXTS_MAX);
	cr_expect_eq(n, 200);
	fake_call_free(&c);
	for (unsigned i = 0; i < 200; i++)
		free((void *)(uintptr_t)e[i].props);
}

Test(publish_refused, retained_delayed_and_keys_name_their_limits)
{
	const struct {
		struct entry e;
		const char *begins;
	} rows[] = {
	    {{.topic = "r", .payload = "x", .qos = 1, .retain = true},
		"there is no room for a retained message (retained.max-messages: 0, "
		"retained.max-bytes: "},
	    {{.topic = "r", .payload = "x", .qos = 1, .props = PROPS("sqmqos-delay", "9")},
		"there is no room for a delayed message (delayed.max-messages: 0, "
		"delayed.max-bytes: "},
	    {{.topic = "r", .payload = "x", .qos = 2, .id = 9, .props = PROPS("sqmqos-key", "k")},
		"there is no room for a new key (idempotency.max-keys: 0)"},
	};

	world_stop(&w);
	world_init(&w);
	w.cfg.retained_max_msgs = w.cfg.delayed_max_msgs = w.cfg.max_keys = 0;
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	peer_connect(&pub);
	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct fake_call *c = post(&rows[i].e, 1);
		struct sq_bytes b = notes(c);

		cr_expect_eq(call_outcome(c, 0), 0x97);
		expect_note(&b, 0, 1, SQ_REFUSAL_QUOTA, rows[i].begins);
		fake_call_free(&c);
	}
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_QUOTA), 3);
}
