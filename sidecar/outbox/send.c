/* Numbers, batches and their outcomes; see send.h. */
#include "sidecar/outbox/send.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/link/retry.h"
#include "proto/mqtt/reason.h"

enum {
	BATCH_ENTRIES_MAX = 1024,
	/* Messages whose outcomes are in no synced state: fewer than a broker keeps outcomes of over
	 * its restart whatever they are (proto/link/lane_in.h), and no more bytes than may be read at
	 * once after a kill. */
	UNSEEN_MAX = 2048,
	UNSEEN_BYTES_MAX = 2 << 20,
};

static struct sq_outbox_entry *
ahead_first(const struct sq_outbox_send *s)
{
	return SQ_LIST_FIRST(&s->ahead, struct sq_outbox_entry, journal.node);
}

void
sq_outbox_send_init(struct sq_outbox_send *s, sq_outbox_refused_fn *refused, void *owner)
{
	*s = (struct sq_outbox_send){.refused = refused, .owner = owner, .bar = UINT64_MAX};
	s->numbers.next = 1;
	s->numbers.window = UNSEEN_MAX;
	sq_list_init(&s->ahead);
	sq_list_init(&s->batches);
}

void
sq_outbox_send_fini(struct sq_outbox_send *s)
{
	assert(sq_list_empty(&s->batches) && s->flying == 0);
	SQ_LIST_FOR_EACH_SAFE(e, &s->ahead, struct sq_outbox_entry, journal.node)
		sq_outbox_entry_free(e);
	sq_outbox_skips_fini(&s->skips);
}

void
sq_outbox_send_restore(struct sq_outbox_send *s, struct sq_outbox_state *from)
{
	assert(sq_list_empty(&s->ahead));
	s->loaded_seq = from->done_seq;
	s->loaded_bytes = from->done_bytes;
	s->numbers.run = from->run;
	s->numbers.incarnation = from->incarnation;
	s->numbers.next = from->first_number;
	s->numbers.seen = from->first_number - 1;
	s->numbers.seen_bytes = from->done_bytes;
	sq_outbox_skips_fini(&s->skips);
	s->skips = from->skips;
	from->skips = (struct sq_outbox_skips){0};
}

void
sq_outbox_send_state(struct sq_outbox_send *s, struct sq_outbox_state *out)
{
	out->done_seq = sq_outbox_send_done_seq(s);
	out->done_bytes = sq_outbox_send_done_bytes(s);
	out->run = s->numbers.run;
	out->incarnation = s->numbers.incarnation;
	out->first_number = sq_outbox_send_first_number(s);
	sq_outbox_skips_prune(&s->skips, out->done_seq);
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way == SQ_OUTBOX_DONE)
			sq_outbox_skips_add(&out->skips, e->seq, 1);
	}
	for (size_t i = 0; i < s->skips.n; i++)
		sq_outbox_skips_add(&out->skips, s->skips.v[i].first, s->skips.v[i].n);
}

bool
sq_outbox_send_whole(const struct sq_outbox_send *s)
{
	const struct sq_outbox_entry *first = ahead_first(s);

	if (s->numbers.renumber)
		return false;
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way == SQ_OUTBOX_DONE && e->number > first->number)
			return false;
	}
	return true;
}

uint64_t
sq_outbox_send_done_seq(const struct sq_outbox_send *s)
{
	const struct sq_outbox_entry *e = ahead_first(s);

	return e != NULL ? e->seq - 1 : s->loaded_seq;
}

uint64_t
sq_outbox_send_done_bytes(const struct sq_outbox_send *s)
{
	const struct sq_outbox_entry *e = ahead_first(s);

	return e != NULL ? e->end - e->size : s->loaded_bytes;
}

uint64_t
sq_outbox_send_first_number(const struct sq_outbox_send *s)
{
	const struct sq_outbox_entry *e = ahead_first(s);

	return e != NULL ? e->number : s->numbers.next;
}

const struct sq_outbox_entry *
sq_outbox_send_first(const struct sq_outbox_send *s)
{
	return ahead_first(s);
}

size_t
sq_outbox_send_finish(struct sq_outbox_send *s)
{
	struct sq_outbox_entry *e;
	size_t bytes = 0;

	while ((e = ahead_first(s)) != NULL && e->way == SQ_OUTBOX_DONE) {
		bytes += e->size;
		if (s->outcome == e)
			s->outcome = NULL;
		sq_outbox_entry_free(e);
	}
	assert(s->ahead_bytes >= bytes);
	s->ahead_bytes -= bytes;
	return bytes;
}

void
sq_outbox_send_load(struct sq_outbox_send *s, struct sq_outbox_entry *e)
{
	assert(e->seq > s->loaded_seq && e->way == SQ_OUTBOX_WAITS);
	s->loaded_seq = e->seq;
	s->loaded_bytes = e->end;
	if (sq_outbox_skips_has(&s->skips, e->seq)) {
		sq_outbox_entry_free(e);
		return;
	}
	e->number = s->numbers.next++;
	sq_list_push_back(&s->ahead, &e->journal.node);
	s->ahead_bytes += e->size;
}

/* --- numbers --- */

/* Whether the entry was sent under its number, possibly before a restart. */
static bool
entry_sent(const struct sq_outbox_send *s, const struct sq_outbox_entry *e)
{
	return e->number <= s->numbers.highest;
}

bool
sq_outbox_send_lacks(const struct sq_outbox_send *s)
{
	return s->numbers.rewind && s->numbers.next <= s->numbers.highest;
}

/* Unfinished entries get numbers from 'number' on. */
static void
numbers_give(struct sq_outbox_send *s, uint64_t number)
{
	assert(s->flying == 0);
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way == SQ_OUTBOX_DONE) {
			e->number = 0; /* it had one of the old ones */
			continue;
		}
		e->way = SQ_OUTBOX_WAITS;
		e->number = number++;
	}
	s->numbers.next = number;
}

bool
sq_outbox_send_settle(struct sq_outbox_send *s)
{
	struct sq_outbox_numbers *n = &s->numbers;

	if (s->flying != 0)
		return false;
	if (n->renumber) {
		n->renumber = n->rewind = false;
		n->run = n->new_run;
		n->highest = n->last;
		numbers_give(s, n->last + 1);
		s->gates++;
		return true;
	}
	if (!n->rewind || !s->attached || sq_outbox_send_lacks(s))
		return false;
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way == SQ_OUTBOX_WAITS && entry_sent(s, e))
			return false; /* its outcome comes first */
	}
	n->rewind = false;
	numbers_give(s, n->highest + 1);
	s->gates++;
	return true;
}

void
sq_outbox_send_written(
    struct sq_outbox_send *s, uint64_t first_number, uint64_t done_bytes, bool gates)
{
	s->numbers.seen = first_number - 1;
	s->numbers.seen_bytes = done_bytes;
	if (!gates)
		return;
	assert(s->gates > 0);
	s->gates--;
}

bool
sq_outbox_send_due(const struct sq_outbox_send *s)
{
	const struct sq_outbox_numbers *n = &s->numbers;

	return sq_outbox_send_first_number(s) > n->seen + n->window / 2 ||
	    sq_outbox_send_done_bytes(s) > n->seen_bytes + UNSEEN_BYTES_MAX / 2;
}

/* The broker had the numbers up to 'last'; their outcomes are lost with the run.
 * Entries that it is known to have refused it did not take. */
static void
numbers_taken(struct sq_outbox_send *s, uint64_t last, uint64_t next_seq)
{
	uint64_t seq = s->loaded_seq;

	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->number <= last && e->way != SQ_OUTBOX_REFUSED)
			e->way = SQ_OUTBOX_DONE;
	}
	/* Entries that are not loaded yet are skipped when they are. */
	for (uint64_t n = s->numbers.next; n <= last && seq + 1 < next_seq; n++) {
		do
			seq++;
		while (sq_outbox_skips_has(&s->skips, seq) && seq + 1 < next_seq);
	}
	if (seq > s->loaded_seq)
		sq_outbox_skips_add(&s->skips, s->loaded_seq + 1, seq - s->loaded_seq);
}

void
sq_outbox_send_attached(
    struct sq_outbox_send *s, uint64_t incarnation, uint64_t last, uint64_t run, uint64_t next_seq)
{
	struct sq_outbox_numbers *n = &s->numbers;
	/* More numbers than all entries can have had: the journal has lost some. */
	bool beyond = last >= n->next + (next_seq - 1 - s->loaded_seq);
	bool goes_on = incarnation == n->incarnation && !beyond &&
	    last + 1 >= sq_outbox_send_first_number(s);

	s->attached = true;
	if (last > n->highest)
		n->highest = last;
	if (goes_on && !n->run_lost && !n->renumber)
		return;
	if (goes_on && n->run_lost)
		numbers_taken(s, last, next_seq);
	n->incarnation = incarnation;
	n->run_lost = false;
	n->renumber = true;
	n->last = last;
	n->new_run = run;
}

void
sq_outbox_send_renew(struct sq_outbox_send *s)
{
	s->numbers.incarnation = 0; /* numbers are given anew once the new session is attached */
	s->attached = false;
}

/* --- batches --- */

void
sq_outbox_send_bar(struct sq_outbox_send *s, uint64_t seq)
{
	s->bar = seq;
}

uint64_t
sq_outbox_send_outcomes(struct sq_outbox_send *s)
{
	struct sq_list *at = s->outcome != NULL ? s->outcome->journal.node.next : s->ahead.next;

	for (; at != &s->ahead; at = at->next) {
		struct sq_outbox_entry *e = SQ_CONTAINER_OF(
		    at, struct sq_outbox_entry, journal.node);

		if (e->way != SQ_OUTBOX_DONE && !e->answered)
			break;
		s->outcome = e;
	}
	return s->outcome != NULL ? s->outcome->seq : sq_outbox_send_done_seq(s);
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
	assert(e->way == SQ_OUTBOX_WAITS);
	e->way = SQ_OUTBOX_FLIES;
	b->n++;
}

/* Whether an entry may be sent that was not yet. */
static bool
entry_may(const struct sq_outbox_send *s, const struct sq_outbox_entry *e)
{
	const struct sq_outbox_numbers *n = &s->numbers;

	return !n->rewind && e->number <= n->seen + n->window &&
	    (e == ahead_first(s) || e->end <= n->seen_bytes + UNSEEN_BYTES_MAX);
}

/* Whether the entry may go into a batch now, in its turn. */
static bool
entry_goes(const struct sq_outbox_send *s, const struct sq_outbox_entry *e)
{
	return e->way == SQ_OUTBOX_WAITS && e->seq < s->bar &&
	    (entry_sent(s, e) || entry_may(s, e));
}

/* The entry to start with, or NULL. */
static struct sq_outbox_entry *
batch_start(const struct sq_outbox_send *s)
{
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way == SQ_OUTBOX_WAITS)
			return entry_goes(s, e) ? e : NULL;
	}
	return NULL;
}

static void
batch_fill(struct sq_outbox_send *s, struct sq_outbox_batch *b, struct sq_outbox_entry *start)
{
	struct sq_list *at = &start->journal.node;
	unsigned char header[SQ_BATCH_HEADER] = {0};
	struct sq_batch head;

	sq_buf_append(&b->body, header, sizeof header);
	for (; at != &s->ahead; at = at->next) {
		struct sq_outbox_entry *e = SQ_CONTAINER_OF(
		    at, struct sq_outbox_entry, journal.node);
		size_t size = SQ_ENTRY_HEADER + (e->dropped ? 0 : e->size - e->image);

		if (!entry_goes(s, e) || e->number != b->first + b->n || b->n == BATCH_ENTRIES_MAX)
			break;
		if (b->n != 0 && (s->slow || sq_buf_len(&b->body) + size > SQ_BATCH_BYTES_MAX))
			break;
		batch_put(b, e);
	}
	head = (struct sq_batch){.lane = 1,
	    .n = b->n,
	    .run = s->numbers.run,
	    .first = b->first,
	    .upto = s->numbers.seen};
	sq_batch_header(sq_buf_data(&b->body), &head);
	if (b->first + b->n - 1 > s->numbers.highest)
		s->numbers.highest = b->first + b->n - 1;
}

struct sq_outbox_batch *
sq_outbox_send_take(struct sq_outbox_send *s, uint64_t now_ms)
{
	struct sq_outbox_entry *start;
	struct sq_outbox_batch *b;

	if (!s->attached || s->gates != 0 || s->numbers.renumber || s->numbers.run_lost ||
	    s->flying >= (s->slow ? 1u : SQ_BATCH_FLYING_MAX) || now_ms < s->due_ms)
		return NULL;
	s->due_ms = 0;
	start = batch_start(s);
	if (start == NULL)
		return NULL;
	b = sq_xcalloc(1, sizeof *b);
	b->first = start->number;
	batch_fill(s, b, start);
	sq_list_push_back(&s->batches, &b->node);
	s->flying++;
	return b;
}

static void
batch_end(struct sq_outbox_send *s, struct sq_outbox_batch **bp)
{
	struct sq_outbox_batch *b = *bp;

	assert(s->flying > 0);
	*bp = NULL;
	s->flying--;
	sq_list_remove(&b->node);
	sq_buf_fini(&b->body);
	free(b);
}

static void
batch_waits(struct sq_outbox_send *s, const struct sq_outbox_batch *b)
{
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way == SQ_OUTBOX_FLIES && e->number >= b->first &&
		    e->number - b->first < b->n)
			e->way = SQ_OUTBOX_WAITS;
	}
}

void
sq_outbox_send_failed(struct sq_outbox_send *s, struct sq_outbox_batch **bp)
{
	batch_waits(s, *bp);
	batch_end(s, bp);
}

void
sq_outbox_send_run_lost(struct sq_outbox_send *s, struct sq_outbox_batch **bp)
{
	s->numbers.run_lost = true;
	s->attached = false;
	sq_outbox_send_failed(s, bp);
}

static void
entry_refused(struct sq_outbox_send *s, const struct sq_outbox_entry *e, uint8_t reason,
    const struct sq_note *note)
{
	const unsigned char *p = e->bytes + SQ_OUTBOX_ENTRY_HEADER + 16;
	char *client = sq_xmemdup0(p + 2, sq_get16(p));

	s->refused(s->owner, client, reason, note, e->dropped);
	free(client);
}

static void
entry_too_big(struct sq_outbox_send *s, struct sq_outbox_entry *e)
{
	static const char text[] = SQ_RETRY_TOO_BIG;
	struct sq_note note = {
	    .refusal = SQ_REFUSAL_QUOTA, .text = {(const unsigned char *)text, sizeof text - 1}};

	e->dropped = e->answered = true;
	entry_refused(s, e, SQ_MQTT_RC_PACKET_TOO_LARGE, &note);
}

void
sq_outbox_send_too_big(struct sq_outbox_send *s, struct sq_outbox_batch **bp)
{
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way == SQ_OUTBOX_FLIES && e->number == (*bp)->first && (*bp)->n == 1)
			entry_too_big(s, e);
	}
	sq_outbox_send_failed(s, bp);
}

static void
entry_outcome(struct sq_outbox_send *s, struct sq_outbox_entry *e, uint8_t reason,
    struct sq_bytes notes, uint16_t index)
{
	bool refused = sq_mqtt_reason_failed(reason) && !e->dropped,
	     passes = refused && sq_retry_passes(reason);

	e->answered = true;
	if (refused) {
		struct sq_note note = sq_note_find(notes, index);

		e->dropped = !passes;
		entry_refused(s, e, reason, &note);
	}
	if (passes) {
		e->way = SQ_OUTBOX_REFUSED;
		return;
	}
	e->way = SQ_OUTBOX_DONE;
	s->slow = false;
	s->retry_ms = 0;
}

/* Something of the batch was refused for a while. */
static void
batch_refused(struct sq_outbox_send *s, uint64_t now_ms)
{
	s->numbers.rewind = s->slow = true;
	if (s->due_ms != 0)
		return;
	s->retry_ms = sq_retry_next_ms(s->retry_ms);
	s->due_ms = now_ms + s->retry_ms;
}

int
sq_outbox_send_answered(struct sq_outbox_send *s, struct sq_outbox_batch **bp,
    const struct sq_outcomes *o, uint64_t now_ms)
{
	const struct sq_outbox_batch *b = *bp;
	bool refused = false;
	uint16_t index;

	if (o->first != b->first || o->n != b->n) {
		sq_outbox_send_failed(s, bp);
		return SQ_EINVAL;
	}
	SQ_LIST_FOR_EACH(e, &s->ahead, struct sq_outbox_entry, journal.node) {
		if (e->way != SQ_OUTBOX_FLIES || e->number < b->first ||
		    e->number - b->first >= b->n)
			continue;
		index = (uint16_t)(e->number - b->first);
		entry_outcome(s, e, o->codes[index], o->notes, index);
		refused = refused || e->way == SQ_OUTBOX_REFUSED;
	}
	if (refused)
		batch_refused(s, now_ms);
	batch_end(s, bp);
	return 0;
}
