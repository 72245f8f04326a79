#include "broker/subscriber/taker_settle.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/group/group.h"
#include "broker/publish/dead_letters.h"
#include "broker/publish/options.h"
#include "broker/publish/received.h"
#include "broker/shard/source.h"
#include "broker/subscriber/pull_items.h"
#include "broker/subscriber/pull_run.h"
#include "broker/subscriber/pull_together.h"
#include "broker/subscriber/pull_txn.h"
#include "broker/subscriber/takers.h"
#include "core/utf8.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/tags.h"
#include "web/worker.h"

enum {
	/* A transaction that has not that much room left is committed first: there is more to a reply
	 * than its look knows before it. */
	ROOM_ITEMS = 64,
	ROOM_BYTES = 64 << 10,
};

static const char *const never_reasons[] = {
    [SQ_NEVER_REFUSED] = "refused",
    [SQ_NEVER_UNMAPPABLE] = "unmappable",
    [SQ_NEVER_TOO_LARGE] = "too-large",
    [SQ_NEVER_UNROUTABLE] = "unroutable",
    [SQ_NEVER_LOOP] = "loop",
};

/* Outcomes. */

/* The taker's item of that place; NULL: it has none. */
static struct sq_pull_item *
taker_item(const struct sq_pull *p, const struct sq_taker *t, uint64_t seq)
{
	struct sq_pull_item *it = sq_pull_item_find(p, seq);

	return it != NULL && it->taker == t ? it : NULL;
}

static enum sq_dispatch_outcome
outcome_how(const struct sq_taker_outcome *o)
{
	if (o->how != SQ_DISPATCH_FAILED)
		return o->how;
	return o->last ? SQ_DISPATCH_LAST : o->more ? SQ_DISPATCH_AGAIN : SQ_DISPATCH_FAILED;
}

static void
outcome_say(struct sq_pull *p, struct sq_pull_item *it, const struct sq_taker_outcome *o)
{
	enum sq_dispatch_outcome how = outcome_how(o);
	bool held;

	if (how == SQ_DISPATCH_NEVER)
		sq_pull_item_note(it, never_reasons[o->why], o->detail);
	else if (how != SQ_DISPATCH_OK && how != SQ_DISPATCH_LATER)
		sq_pull_item_note(it, NULL, o->detail);
	sq_taker_drop(it);
	held = sq_dispatch_outcome(
	    p->dispatch, &it->d, how, o->delay_ms, sq_worker_now_ms(p->shard->worker));
	assert(held); /* nobody else ends it */
	if (how == SQ_DISPATCH_LATER)
		sq_pull_item_free(p, it);
}

/* Says what the settlement says of its items to the dispatcher. */
static void
settle_outcomes(struct sq_pull *p, const struct sq_taker_settlement *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct sq_pull_item *it = taker_item(p, s->taker, s->outcomes[i].seq);

		if (it != NULL)
			outcome_say(p, it, &s->outcomes[i]);
	}
}

/* Replies. */

/* A settlement with a reply, that is carried out. */
struct replying {
	struct sq_taker_settlement *s;
	bool later; /* it was refused, and may be taken later */
};

/* Whether what was refused may be taken later: there was no room. */
static bool
reply_later(const struct sq_publish *p, uint8_t code)
{
	struct sq_tags tags;

	if (code != SQ_MQTT_RC_QUOTA_EXCEEDED)
		return false;
	if (p->refused.refusal == SQ_REFUSAL_QUOTA) /* of tags, for good */
		return sq_tags_read(sq_image_props(p->msg->image), &tags);
	return sq_refused_waits(&p->refused);
}

static void
reply_why(struct sq_taker_settlement *s, struct sq_bytes text)
{
	size_t len = sq_utf8_cut(text.p, text.len, sizeof s->why - 1);

	memcpy(s->why, text.p, len);
	s->why[len] = '\0';
}

static void
reply_outcome(void *arg, struct sq_publish *p, uint8_t code, uint16_t i)
{
	struct replying *r = arg;
	struct sq_notes notes = {0};
	struct sq_note note;

	r->later = reply_later(p, code);
	sq_received_explain(p, code, i, &notes);
	note = sq_note_find(sq_notes_view(&notes), i);
	if (sq_mqtt_reason_failed(code) && note.text.len > 0)
		reply_why(r->s, note.text);
	sq_notes_fini(&notes);
}

/* What the settlement adds to the transaction; false: the taker has nothing of it any more. */
static bool
reply_add(struct sq_pull_together *g, const struct sq_pull *p, const struct sq_taker_settlement *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct sq_taker_outcome *o = &s->outcomes[i];
		const struct sq_pull_item *it = taker_item(p, s->taker, o->seq);

		if (it != NULL)
			sq_pull_together_add(g, it, o->how == SQ_DISPATCH_OK);
	}
	return g->items > 0;
}

/* The transaction for it; '*fresh': an empty one. */
static struct sq_pull_txn *
reply_txn(struct sq_pull *p, const struct sq_pull_together *g, bool *fresh)
{
	struct sq_pull_txn *t = p->txns.now;
	uint64_t bytes = g->bytes + 2 * (uint64_t)sq_image_size(g->msgs[0].image) + ROOM_BYTES;

	if (t != NULL && !t->txn.engine->ops->txn.room(&t->txn, g->items + ROOM_ITEMS, bytes))
		sq_pull_commit(p);
	*fresh = p->txns.now == NULL;
	return sq_pull_txn(p);
}

/* It will never be taken: it is a dead letter, and the rest is done. */
static void
reply_bury(struct sq_pull *p, struct sq_taker_settlement *s)
{
	struct sq_publish_options asked;
	const char *queue = sq_source_name(p->group->sink.source);

	(void)sq_publish_options_parse(s->reply.image, &asked);
	sq_dead_letter(p->shard->broker, p->group->tenant, sq_pull_changes(p), &s->reply, queue,
	    "reply-refused", s->why, asked.assured);
	s->end = SQ_TAKER_REFUSED;
	settle_outcomes(p, s);
}

static void
reply_taken(struct sq_pull *p, struct sq_pull_together *g, const struct sq_taker_settlement *s)
{
	settle_outcomes(p, s);
	sq_pull_together_settle(g);
	g->txn->whole = false;
	if (g->publish.keys_locked) /* until the commit of what they are of */
		sq_pull_commit(p);
}

static void
reply_do(struct sq_pull *p, struct replying *r)
{
	struct sq_taker_settlement *s = r->s;
	struct sq_pull_together g = {
	    .who = s->who, .msgs = &s->reply, .n = 1, .outcome = reply_outcome, .arg = r};
	enum sq_together_end end;
	struct sq_pull_txn *t;
	bool fresh;

	if (!reply_add(&g, p, s)) {
		s->end = SQ_TAKER_GONE;
		return;
	}
	t = reply_txn(p, &g, &fresh);
	end = sq_pull_together(&g, p, t);
	if (end == SQ_TOGETHER_TOO_LARGE && !fresh) {
		sq_pull_together_end(&g);
		sq_pull_commit(p);
		fresh = true;
		end = sq_pull_together(&g, p, sq_pull_txn(p));
	}
	if (end == SQ_TOGETHER_TAKEN) {
		reply_taken(p, &g, s);
	} else if (end == SQ_TOGETHER_REFUSED && r->later) {
		s->end = SQ_TAKER_BUSY;
		if (fresh)
			sq_pull_txn_drop(p);
	} else {
		reply_bury(p, s);
	}
	sq_pull_together_end(&g);
}

/* Publishes the reply and does the rest in one transaction, or nothing. */
static void
settle_reply(struct sq_pull *p, struct sq_taker_settlement *s)
{
	struct replying r = {.s = s};

	if (sq_broker_recovers(p->shard->broker, sq_worker_now_ms(p->shard->worker))) {
		s->end = SQ_TAKER_BUSY;
		reply_why(s, sq_bytes_of("sessions are on their way back"));
		return;
	}
	sq_pull_run_owed(p); /* before, with room for it */
	reply_do(p, &r);
}

void
sq_takers_settle(struct sq_pull *p)
{
	struct sq_taker_settlement *s;

	assert(!p->running);
	p->running = true;
	while ((s = SQ_LIST_FIRST(&p->takers.settling, struct sq_taker_settlement, node)) != NULL) {
		sq_list_remove(&s->node);
		if (s->reply.image != NULL)
			settle_reply(p, s);
		else
			settle_outcomes(p, s);
		sq_pull_settled(p, s);
	}
	p->running = false;
}
