/* Batches of a lane: their entries, their states, and notes on refused entries; see
 * lane_out_priv.h. */
#include <stdlib.h>

#include "core/mem.h"
#include "proto/link/lane_out_priv.h"

enum { ENTRIES_MAX = 8192, BATCH_OVERHEAD = 96 };

/* Words. */

size_t
sq_lane_words_bytes(const struct sq_lane_words *w)
{
	return w == NULL
	    ? 0
	    : sizeof *w + sq_buf_len(&w->own.list.body) + sq_buf_len(&w->told.list.body);
}

void
sq_lane_words_free(struct sq_lane_words **wp)
{
	struct sq_lane_words *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	sq_notes_fini(&w->own.list);
	sq_notes_fini(&w->told.list);
	free(w);
}

void
sq_lane_say(struct sq_lane_out *l, struct sq_lane_batch *b, uint16_t index, uint8_t refusal,
    struct sq_bytes text)
{
	size_t before = sq_lane_words_bytes(b->words);

	if (b->words == NULL)
		b->words = sq_xcalloc(1, sizeof *b->words);
	sq_notes_add(&b->words->own.list, index, refusal, text);
	l->bytes += sq_lane_words_bytes(b->words) - before;
}

/* Batches. */

void
sq_lane_batch_free(struct sq_lane_batch *b)
{
	free(b->metas);
	sq_lane_words_free(&b->words);
	sq_buf_fini(&b->bytes);
	free(b);
}

void
sq_lane_unlist(struct sq_lane_out *l, struct sq_lane_batch *b)
{
	if (l->scan == &b->node)
		l->scan = b->node.next;
	if (b->state == SQ_LB_FLYING)
		l->flying--;
	sq_list_remove(&b->node);
	l->bytes -= sq_buf_len(&b->bytes) + sq_lane_words_bytes(b->words) + BATCH_OVERHEAD;
	if (l->last_batch == b)
		l->last_batch = NULL;
	b->listed = false;
	if (b->flights == 0)
		sq_lane_batch_free(b);
}

void
sq_lane_enter(struct sq_lane_out *l, struct sq_lane_batch *b, enum sq_lane_batch_state to)
{
	if (b->state == SQ_LB_FLYING)
		l->flying--;
	if (to == SQ_LB_FLYING)
		l->flying++;
	if (to == SQ_LB_SEALED && b->state != SQ_LB_OPEN)
		l->scan = l->batches.next; /* it may stand before 'scan' */
	b->state = to;
}

struct sq_lane_batch *
sq_lane_open_batch(struct sq_lane_out *l, size_t size)
{
	struct sq_lane_batch *b = sq_list_empty(&l->batches)
	    ? NULL
	    : SQ_CONTAINER_OF(l->batches.prev, struct sq_lane_batch, node);
	size_t room = SQ_BATCH_BYTES_MAX - SQ_BATCH_HEADER;

	if (b != NULL && b->state == SQ_LB_OPEN) {
		if (sq_buf_len(&b->bytes) + size <= room && b->n < ENTRIES_MAX &&
		    b->mark == l->mark && !l->wait_next)
			return b;
		l->hint = sq_buf_len(&b->bytes);
		sq_lane_enter(l, b, SQ_LB_SEALED);
	}
	b = sq_xcalloc(1, sizeof *b);
	b->state = SQ_LB_OPEN;
	b->listed = true;
	b->first = l->next;
	b->mark = l->mark;
	b->waits = l->wait_next;
	l->wait_next = false;
	sq_buf_reserve(&b->bytes, size > l->hint ? size : l->hint);
	sq_list_push_back(&l->batches, &b->node);
	if (l->scan == &l->batches)
		l->scan = &b->node;
	l->bytes += BATCH_OVERHEAD;
	return b;
}

void
sq_lane_batch_meta(struct sq_lane_batch *b, struct sq_lane_meta m)
{
	if (b->n == b->metas_cap) {
		b->metas_cap = (uint16_t)(b->metas_cap == 0 ? 4 : b->metas_cap * 4);
		b->metas = sq_xrealloc(b->metas, b->metas_cap * sizeof *b->metas);
	}
	b->metas[b->n++] = m;
}
