/* The sender of a disk outbox: numbers, batches and their outcomes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "sidecar/outbox/priv.h"

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 2000 };

static struct sq_outbox_entry *
ahead_first(const struct sq_outbox_store *st)
{
	return SQ_LIST_FIRST(&st->ahead, struct sq_outbox_entry, journal.node);
}

uint64_t
sq_outbox_done_seq(const struct sq_outbox_store *st)
{
	const struct sq_outbox_entry *e = ahead_first(st);

	return e != NULL ? e->seq - 1 : st->loaded_seq;
}

uint64_t
sq_outbox_done_bytes(const struct sq_outbox_store *st)
{
	const struct sq_outbox_entry *e = ahead_first(st);

	return e != NULL ? e->end - e->size : st->loaded_bytes;
}

uint64_t
sq_outbox_first_number(const struct sq_outbox_store *st)
{
	const struct sq_outbox_entry *e = ahead_first(st);

	return e != NULL ? e->number : st->next_number;
}

uint64_t
sq_outbox_store_last(const struct sq_outbox_store *st)
{
	return sq_outbox_first_number(st) - 1;
}

uint64_t
sq_outbox_store_incarnation(const struct sq_outbox_store *st)
{
	return st->incarnation;
}

bool
sq_outbox_store_flies(const struct sq_outbox_store *st)
{
	return st->flying != 0;
}

uint64_t
sq_outbox_store_due(const struct sq_outbox_store *st)
{
	return st->due_ms;
}

void
sq_outbox_finish(struct sq_outbox_store *st)
{
	struct sq_outbox_entry *e;

	while ((e = ahead_first(st)) != NULL && e->send == SQ_OUTBOX_DONE) {
		st->ahead_bytes -= e->size;
		st->since_state += e->size;
		st->dirty = true;
		if (st->outcome == e)
			st->outcome = NULL;
		sq_outbox_entry_free(e);
	}
}

static bool
skipped(const struct sq_outbox_store *st, uint64_t seq)
{
	for (size_t i = 0; i < st->n_skips; i++) {
		if (seq >= st->skips[i].first && seq - st->skips[i].first < st->skips[i].n)
			return true;
	}
	return false;
}

void
sq_outbox_load(struct sq_outbox_store *st, struct sq_outbox_entry *e)
{
	assert(e->seq > st->loaded_seq);
	st->loaded_seq = e->seq;
	st->loaded_bytes = e->end;
	if (skipped(st, e->seq)) {
		sq_outbox_entry_free(e);
		return;
	}
	e->number = st->next_number++;
	sq_list_push_back(&st->ahead, &e->journal.node);
	st->ahead_bytes += e->size;
}

/* --- numbers --- */

/* What is not finished gets numbers from 'number' on. */
static void
numbers_give(struct sq_outbox_store *st, uint64_t number)
{
	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->send == SQ_OUTBOX_DONE)
			continue;
		e->send = SQ_OUTBOX_WAITS;
		e->sent = false;
		e->number = number++;
	}
	st->next_number = number;
}

void
sq_outbox_settle_numbers(struct sq_outbox_store *st)
{
	if (st->flying != 0)
		return;
	if (st->renumber) {
		st->renumber = st->rewind = false;
		st->run = st->renumber_run;
		st->highest = st->renumber_last;
		numbers_give(st, st->renumber_last + 1);
		sq_outbox_write_state(st, true);
		return;
	}
	if (!st->rewind || !st->attached)
		return;
	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->send == SQ_OUTBOX_WAITS && e->sent)
			return; /* its outcome comes first */
	}
	st->rewind = false;
	numbers_give(st, st->highest + 1);
	sq_outbox_write_state(st, true);
}

/* The broker had the numbers up to 'last'; their outcomes are lost with the run.
 * What it is known to have refused it did not take. */
static void
numbers_taken(struct sq_outbox_store *st, uint64_t last)
{
	uint64_t seq = st->loaded_seq;

	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->number <= last && e->send != SQ_OUTBOX_REFUSED)
			e->send = SQ_OUTBOX_DONE;
	}
	/* Those that are not read again yet are passed over when they are. */
	for (uint64_t n = st->next_number; n <= last && seq + 1 < st->next_seq; n++) {
		do
			seq++;
		while (skipped(st, seq) && seq + 1 < st->next_seq);
	}
	if (seq > st->loaded_seq) {
		st->skips = sq_xrealloc(st->skips, (st->n_skips + 1) * sizeof *st->skips);
		st->skips[st->n_skips++] = (struct sq_outbox_skip){
		    st->loaded_seq + 1, seq - st->loaded_seq};
	}
	sq_outbox_finish(st);
}

void
sq_outbox_store_attached(
    struct sq_outbox_store *st, uint64_t incarnation, uint64_t last, uint64_t run)
{
	bool goes_on = incarnation == st->incarnation && last + 1 >= sq_outbox_first_number(st);

	st->attached = true;
	if (last > st->highest)
		st->highest = last;
	if (goes_on && !st->run_lost && !st->renumber)
		return;
	if (goes_on && st->run_lost)
		numbers_taken(st, last);
	st->incarnation = incarnation;
	st->run_lost = false;
	st->renumber = true;
	st->renumber_last = last;
	st->renumber_run = run;
	sq_outbox_settle_numbers(st);
}

/* --- batches --- */

void
sq_outbox_store_bar(struct sq_outbox_store *st, uint64_t seq)
{
	st->bar = seq;
}

uint64_t
sq_outbox_store_outcomes(struct sq_outbox_store *st)
{
	struct sq_list *at = st->outcome != NULL ? st->outcome->journal.node.next : st->ahead.next;

	for (; at != &st->ahead; at = at->next) {
		struct sq_outbox_entry *e = SQ_CONTAINER_OF(
		    at, struct sq_outbox_entry, journal.node);

		if (e->send != SQ_OUTBOX_DONE && !e->answered)
			break;
		st->outcome = e;
	}
	return st->outcome != NULL ? st->outcome->seq : sq_outbox_done_seq(st);
}

static void
batch_put(struct sq_outbox_batch *b, struct sq_outbox_entry *e)
{
	unsigned char head[SQ_ENTRY_HEADER];

	/* No packet id: the number alone makes it once.  The release of an id that
	 * is not held uses a number up, and no more. */
	sq_entry_header(head, e->dropped ? SQ_ENTRY_RELEASE : SQ_ENTRY_MESSAGE, e->dropped ? 1 : 0);
	sq_buf_append(&b->body, head, sizeof head);
	if (!e->dropped)
		sq_buf_append(&b->body, e->bytes + e->image, e->size - e->image);
	e->send = SQ_OUTBOX_FLIES;
	e->sent = true;
	b->n++;
}

/* Whether the entry may go into a batch now, in its turn. */
static bool
entry_goes(const struct sq_outbox_store *st, const struct sq_outbox_entry *e)
{
	return e->send == SQ_OUTBOX_WAITS && (e->sent || !st->rewind) && e->seq < st->bar;
}

/* The entry to start with, or NULL. */
static struct sq_outbox_entry *
batch_start(const struct sq_outbox_store *st)
{
	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->send == SQ_OUTBOX_WAITS)
			return entry_goes(st, e) ? e : NULL;
	}
	return NULL;
}

static void
batch_fill(struct sq_outbox_store *st, struct sq_outbox_batch *b, struct sq_outbox_entry *start)
{
	struct sq_list *at = &start->journal.node;
	unsigned char header[SQ_BATCH_HEADER] = {0};
	struct sq_batch head;

	sq_buf_append(&b->body, header, sizeof header);
	for (; at != &st->ahead; at = at->next) {
		struct sq_outbox_entry *e = SQ_CONTAINER_OF(
		    at, struct sq_outbox_entry, journal.node);
		size_t size = SQ_ENTRY_HEADER + (e->dropped ? 0 : e->size - e->image);

		if (!entry_goes(st, e) || e->number != b->first + b->n ||
		    b->n == SQ_OUTBOX_BATCH_ENTRIES_MAX)
			break;
		if (b->n != 0 && (st->slow || sq_buf_len(&b->body) + size > SQ_BATCH_BYTES_MAX))
			break;
		batch_put(b, e);
	}
	head = (struct sq_batch){.lane = 1,
	    .n = b->n,
	    .run = st->run,
	    .first = b->first,
	    .upto = sq_outbox_first_number(st) - 1};
	sq_batch_header(sq_buf_data(&b->body), &head);
	if (b->first + b->n - 1 > st->highest)
		st->highest = b->first + b->n - 1;
}

struct sq_outbox_batch *
sq_outbox_store_take(struct sq_outbox_store *st, uint64_t now_ms)
{
	struct sq_outbox_entry *start;
	struct sq_outbox_batch *b;

	if (!st->attached || st->gates != 0 || st->renumber || st->run_lost ||
	    st->flying >= (st->slow ? 1u : SQ_BATCH_FLYING_MAX) || now_ms < st->due_ms)
		return NULL;
	st->due_ms = 0;
	start = batch_start(st);
	if (start == NULL)
		return NULL;
	b = sq_xcalloc(1, sizeof *b);
	b->first = start->number;
	batch_fill(st, b, start);
	sq_list_push_back(&st->batches, &b->node);
	st->flying++;
	return b;
}

static void
batch_end(struct sq_outbox_store *st, struct sq_outbox_batch **bp)
{
	struct sq_outbox_batch *b = *bp;

	*bp = NULL;
	st->flying--;
	sq_list_remove(&b->node);
	sq_buf_fini(&b->body);
	free(b);
}

static void
batch_waits(struct sq_outbox_store *st, const struct sq_outbox_batch *b)
{
	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->send == SQ_OUTBOX_FLIES && e->number >= b->first &&
		    e->number - b->first < b->n)
			e->send = SQ_OUTBOX_WAITS;
	}
}

void
sq_outbox_store_failed(struct sq_outbox_store *st, struct sq_outbox_batch **bp)
{
	batch_waits(st, *bp);
	batch_end(st, bp);
	sq_outbox_settle_numbers(st);
}

void
sq_outbox_store_run_lost(struct sq_outbox_store *st, struct sq_outbox_batch **bp)
{
	st->run_lost = true;
	st->attached = false;
	sq_outbox_store_failed(st, bp);
}

static void
entry_refused(struct sq_outbox_store *st, const struct sq_outbox_entry *e, uint8_t reason,
    const struct sq_note *note)
{
	const unsigned char *p = e->bytes + SQ_OUTBOX_ENTRY_HEADER + 16;
	char *client = sq_xmemdup0(p + 2, sq_get16(p));

	st->cfg.refused(st->cfg.owner, client, reason, note, e->dropped);
	free(client);
}

static void
entry_too_big(struct sq_outbox_store *st, struct sq_outbox_entry *e)
{
	static const char text[] = "the message is above the broker's limits.max-packet";
	struct sq_note note = {
	    .refusal = SQ_REFUSAL_QUOTA, .text = {(const unsigned char *)text, sizeof text - 1}};

	e->dropped = e->answered = true;
	entry_refused(st, e, SQ_MQTT_RC_PACKET_TOO_LARGE, &note);
}

void
sq_outbox_store_too_big(struct sq_outbox_store *st, struct sq_outbox_batch **bp)
{
	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->send == SQ_OUTBOX_FLIES && e->number == (*bp)->first && (*bp)->n == 1)
			entry_too_big(st, e);
	}
	sq_outbox_store_failed(st, bp);
}

/* Whether a message that was refused with 'reason' may be taken later. */
static bool
reason_passes(uint8_t reason)
{
	return reason == SQ_MQTT_RC_QUOTA_EXCEEDED || reason == SQ_MQTT_RC_UNSPECIFIED;
}

static void
entry_outcome(struct sq_outbox_store *st, struct sq_outbox_entry *e, uint8_t reason,
    struct sq_bytes notes, uint16_t index)
{
	bool refused = sq_mqtt_reason_failed(reason) && !e->dropped,
	     passes = refused && reason_passes(reason);

	e->answered = true;
	if (refused) {
		struct sq_note note = sq_note_find(notes, index);

		e->dropped = !passes;
		entry_refused(st, e, reason, &note);
	}
	if (passes) {
		e->send = SQ_OUTBOX_REFUSED;
		return;
	}
	e->send = SQ_OUTBOX_DONE;
	st->slow = false;
	st->retry_ms = 0;
}

/* Something of the batch was refused for a while. */
static void
batch_refused(struct sq_outbox_store *st, uint64_t now_ms)
{
	st->rewind = st->slow = true;
	if (st->due_ms != 0)
		return;
	st->retry_ms = st->retry_ms == 0      ? RETRY_MIN_MS
	    : st->retry_ms * 2 < RETRY_MAX_MS ? st->retry_ms * 2
					      : RETRY_MAX_MS;
	st->due_ms = now_ms + st->retry_ms;
}

int
sq_outbox_store_answered(struct sq_outbox_store *st, struct sq_outbox_batch **bp,
    const struct sq_outcomes *o, uint64_t now_ms)
{
	const struct sq_outbox_batch *b = *bp;
	bool refused = false;
	uint16_t index;

	if (o->first != b->first || o->n != b->n) {
		sq_outbox_store_failed(st, bp);
		return SQ_EINVAL;
	}
	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->send != SQ_OUTBOX_FLIES || e->number < b->first ||
		    e->number - b->first >= b->n)
			continue;
		index = (uint16_t)(e->number - b->first);
		entry_outcome(st, e, o->codes[index], o->notes, index);
		refused = refused || e->send == SQ_OUTBOX_REFUSED;
	}
	if (refused)
		batch_refused(st, now_ms);
	batch_end(st, bp);
	sq_outbox_finish(st);
	sq_outbox_settle_numbers(st);
	return 0;
}
