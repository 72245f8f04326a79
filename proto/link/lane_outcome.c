/* Outcomes of a lane, handed out in number order; notes on refused entries; and the held message,
 * which is sent again.  See lane_out.h. */
#include <assert.h>

#include "core/mem.h"
#include "proto/link/lane_out_priv.h"

/* Words. */

/* Keeps the broker's notes on the batch. */
static void
words_told(struct sq_lane_out *l, struct sq_lane_batch *b, struct sq_bytes notes)
{
	if (notes.len == 0)
		return;
	l->bytes -= sq_lane_words_bytes(b->words);
	if (b->words == NULL)
		b->words = sq_xcalloc(1, sizeof *b->words);
	sq_buf_append(&b->words->told.list.body, notes.p, notes.len);
	l->bytes += sq_lane_words_bytes(b->words);
}

/* The note on entry 'index', which is above those that were asked for before. */
static struct sq_note
words_find(struct sq_lane_notes *from, uint16_t index)
{
	struct sq_bytes rest = {
	    sq_buf_data(&from->list.body) + from->at, sq_buf_len(&from->list.body) - from->at};
	const struct sq_note *last = &from->last;

	while (last->index + last->n <= index && sq_note_next(&rest, &from->last))
		continue;
	from->at = sq_buf_len(&from->list.body) - rest.len;
	if (index >= last->index && index - last->index < last->n)
		return *last;
	return (struct sq_note){0};
}

static struct sq_note
batch_note(struct sq_lane_batch *b, uint16_t index)
{
	bool own = (b->metas[index].bits & SQ_META_FORCED) != 0;

	if (b->words == NULL || b->metas[index].reason == 0)
		return (struct sq_note){0};
	return words_find(own ? &b->words->own : &b->words->told, index);
}

/* Answers. */

/* The held message has the outcome of its batch. */
static void
held_answer(struct sq_lane_out *l, struct sq_lane_batch *b)
{
	struct sq_note note = batch_note(b, 0);

	l->held_meta.reason = b->metas[0].reason;
	l->settled = true;
	l->held_refusal = note.refusal;
	sq_buf_fini(&l->held_text);
	sq_buf_append(&l->held_text, note.text.p, note.text.len);
}

void
sq_lane_answer(struct sq_lane_out *l, struct sq_lane_batch *b, const struct sq_outcomes *o)
{
	for (unsigned i = 0; i < b->n; i++) {
		if ((b->metas[i].bits & SQ_META_FORCED) == 0)
			b->metas[i].reason = o->codes[i];
	}
	words_told(l, b, o->notes);
	sq_lane_enter(l, b, SQ_LB_ANSWERED);
	if (l->top < b->first + b->n - 1)
		l->top = b->first + b->n - 1;
	if (b->retry) {
		/* It stands in for the held message, not for itself. */
		if (l->held && l->retrying)
			held_answer(l, b);
		sq_lane_unlist(l, b);
	}
}

bool
sq_lane_out_outcome(struct sq_lane_out *l, struct sq_lane_outcome *out)
{
	struct sq_lane_batch *b;
	const struct sq_lane_meta *m;
	struct sq_note note;

	if (l->held) {
		if (!l->settled)
			return false;
		l->held = l->retrying = l->settled = false;
		m = &l->held_meta;
		note.refusal = l->held_refusal;
		note.text = sq_buf_bytes(&l->held_text);
		l->last_batch = NULL; /* hold() goes on with the entry that it has */
	} else {
		sq_buf_fini(&l->held_entry);
		while ((b = SQ_LIST_FIRST(&l->batches, struct sq_lane_batch, node)) != NULL &&
		    b->state == SQ_LB_ANSWERED && b->handed == b->n)
			sq_lane_unlist(l, b);
		if (b == NULL || b->state != SQ_LB_ANSWERED)
			return false;
		l->last_batch = b;
		l->last_index = b->handed;
		m = &b->metas[b->handed];
		note = batch_note(b, b->handed++);
	}
	*out = (struct sq_lane_outcome){.kind = m->bits >> SQ_META_KIND_SHIFT & 3,
	    .qos = m->bits & SQ_META_QOS,
	    .image_qos = m->bits >> SQ_META_IMAGE_QOS_SHIFT & SQ_META_QOS,
	    .reason = m->reason,
	    .refusal = note.refusal,
	    .packet_id = m->packet_id,
	    .own = (m->bits & SQ_META_FORCED) != 0,
	    .text = note.text};
	return true;
}

void
sq_lane_out_hold(struct sq_lane_out *l)
{
	struct sq_lane_batch *b = l->last_batch;
	struct sq_bytes rest;

	assert(!l->held);
	if (b != NULL) {
		const unsigned char *at = NULL;

		assert((b->metas[l->last_index].bits & SQ_META_FORCED) == 0);
		rest = sq_buf_bytes(&b->bytes);
		for (unsigned i = 0; i <= l->last_index; i++) {
			at = rest.p;
			(void)sq_batch_next(&rest);
		}
		sq_buf_append(&l->held_entry, at, (size_t)(rest.p - at));
		l->held_meta = b->metas[l->last_index];
		l->last_batch = NULL;
	}
	assert(sq_buf_len(&l->held_entry) != 0);
	l->held = true;
	l->retrying = l->settled = false;
}

bool
sq_lane_out_held(const struct sq_lane_out *l)
{
	return l->held;
}

void
sq_lane_out_retry(struct sq_lane_out *l)
{
	struct sq_lane_batch *b;
	size_t size = sq_buf_len(&l->held_entry);

	if (!l->held || l->retrying)
		return;
	/* A batch of its own: room for it is never found in an open one. */
	b = sq_lane_open_batch(l, SQ_BATCH_BYTES_MAX);
	sq_buf_append(&b->bytes, sq_buf_data(&l->held_entry), size);
	sq_lane_batch_meta(b, l->held_meta);
	b->retry = true;
	sq_lane_enter(l, b, SQ_LB_SEALED);
	l->next++;
	l->bytes += size;
	l->retrying = true;
}

void
sq_lane_out_unhold(struct sq_lane_out *l)
{
	l->held = l->retrying = l->settled = false;
	sq_buf_fini(&l->held_entry);
	sq_buf_fini(&l->held_text);
}
