#include "broker/deed/redrive.h"

#include "broker/auth/acl/acl.h"
#include "broker/deed/find.h"
#include "broker/deed/work.h"
#include "broker/group/group.h"
#include "broker/publish/dead_queues.h"
#include "broker/publish/letter.h"
#include "broker/publish/redrive.h"
#include "core/fault.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"
#include "web/worker.h"

enum { SLICE_MSGS = 32 }; /* in one transaction, if it has room for them */

static struct sq_txn *
redrive_next(void *arg)
{
	return sq_deed_split(arg);
}

/* Whether the letter's topic and reason are wanted. */
static bool
redrive_wanted(const struct sq_deed *d, const struct sq_item *letter)
{
	struct sq_bytes props = sq_image_props(letter->msg.image), name, value;
	struct sq_bytes topic = sq_letter_topic(&letter->msg);
	bool good = d->reason == NULL;

	while (!good && sq_props_user_next(&props, &name, &value))
		good = sq_bytes_are(name, SQ_PROP_DEAD_REASON) && sq_bytes_are(value, d->reason);
	return good &&
	    (d->filter == NULL || (topic.len > 0 && sq_topic_match(sq_bytes_of(d->filter), topic)));
}

/* Publishes a letter, if it is wanted and somebody takes it. */
static void
redrive_letter(struct sq_deed *d, struct sq_sink *sink, struct sq_item *letter)
{
	struct sq_redrive r = {.shard = d->work.shard,
	    .dead = sink,
	    .txn = sq_deed_txn(d),
	    .to = d->to,
	    .next = redrive_next,
	    .arg = d};

	d->at.from = letter->seq + 1;
	if (!redrive_wanted(d, letter))
		sink->engine->ops->txn.settle(r.txn, sink->queue, letter, SQ_UNTRIED);
	else if (sq_redrive_letter(&r, letter))
		d->n++;
	else
		d->stayed++;
}

/* Draws the next letter that is wanted. */
static int
redrive_draw(struct sq_deed *d, struct sq_sink *sink, struct sq_item *out)
{
	const struct sq_queue_ops *ops = &sink->engine->ops->queue;
	int err = SQ_ENOTFOUND;

	if (d->letters == NULL)
		return ops->draw(sink->queue, d->at.from, d->at.upto, out);
	while (d->work.letter < d->n_letters) {
		uint64_t number = d->letters[d->work.letter];

		err = ops->draw(sink->queue, number, number, out);
		if (err == SQ_EAGAIN)
			break;
		d->work.letter++;
		if (err == SQ_OK)
			break;
		d->work.unread |= err == SQ_ENOMEM;
		err = SQ_ENOTFOUND;
	}
	return err;
}

static void redrive_step(struct sq_deed *d);

/* Goes on with the next of the space's queues, from 'queue' on; or the deed is done. */
static void
redrive_queue(struct sq_deed *d, unsigned queue)
{
	struct sq_tenant *tenant = sq_tenant_get(d->work.broker->tenants, d->space);

	sq_group_unref(&d->work.group);
	while (queue < SQ_DEAD_KINDS && d->work.group == NULL)
		d->work.group = sq_dead_there(
		    d->work.broker->dead, tenant, (enum sq_dead_kind)queue++);
	sq_tenant_unref(&tenant);
	if (d->work.group == NULL) {
		sq_deed_end(d, SQ_DEED_DONE, NULL);
		return;
	}
	if (d->at.queue != queue - 1)
		d->at = (struct sq_deed_place){.queue = queue - 1};
	sq_deed_go(d, &d->work.broker->shards[sq_worker_index(d->work.group->owner)], redrive_step);
}

/* Nothing more of this queue can be drawn. */
static void
redrive_end(struct sq_deed *d, int err)
{
	if (err == SQ_EAGAIN) {
		sq_deed_wait(d);
	} else if (err == SQ_ENOMEM && d->n + d->stayed > 0) {
		d->more = true;
		sq_deed_end(d, SQ_DEED_DONE, NULL);
	} else if ((err == SQ_ENOMEM || d->work.unread) && d->n + d->stayed == 0) {
		sq_deed_end(d, SQ_DEED_REFUSED,
		    "the letters are in the store alone, behind so many others that they can't be "
		    "read: redrive or purge those before them");
	} else if (d->letters != NULL && d->n + d->stayed == 0) {
		sq_deed_end(d, SQ_DEED_MISSING, "there are no such letters in that queue");
	} else if (d->name == NULL) {
		redrive_queue(d, d->at.queue + 1);
	} else {
		sq_deed_end(d, SQ_DEED_DONE, NULL);
	}
}

static void
redrive_step(struct sq_deed *d)
{
	struct sq_sink *sink = &d->work.group->sink;
	struct sq_queue_state q;
	struct sq_item letter;
	int err = SQ_OK;

	if (d->at.upto == 0) {
		sink->engine->ops->queue.state(sink->queue, &q);
		d->at.upto = q.last;
	}
	if (d->work.begun)
		SQ_FAULT("broker-redrive-committed");
	d->more = d->n + d->stayed >= d->most || sq_deed_over(d);
	if (d->more) {
		sq_deed_end(d, SQ_DEED_DONE, NULL);
		return;
	}
	for (unsigned i = 0; i < SLICE_MSGS && d->n + d->stayed < d->most; i++) {
		err = redrive_draw(d, sink, &letter);
		if (err != SQ_OK)
			break;
		redrive_letter(d, sink, &letter);
	}
	if (d->work.txn != NULL) {
		d->work.begun = true;
		SQ_FAULT("broker-redrive");
		sq_deed_commit(d);
	} else {
		redrive_end(d, err);
	}
}

static void
redrive_first(struct sq_deed *d)
{
	redrive_queue(d, d->at.queue);
}

void
sq_deed_redrive(struct sq_deed *d)
{
	const char *space = d->space;

	if (d->name != NULL && sq_deed_dead_name(d->name, &space) < 0)
		sq_deed_end(d, SQ_DEED_REFUSED,
		    "that is no queue of dead letters: those are dead~SPACE and dead-others~SPACE");
	else if (sq_deed_may(d, space, sq_bytes_of(SQ_ACL_DEAD_QUEUE)) != SQ_DEED_MAY)
		sq_deed_end(d, SQ_DEED_DENIED, NULL);
	else if (d->name != NULL)
		sq_deed_find_queue(d, redrive_step);
	else
		sq_deed_go(d, &d->work.broker->shards[0], redrive_first);
}
