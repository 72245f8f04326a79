/* The gaps of a sequence: a sorted array, because gaps open at its end and
 * are rarely closed. */
#include "bench/track.h"

#include <stdlib.h>
#include <string.h>

void
sq_track_fini(struct sq_track *t)
{
	free(t->gap);
	memset(t, 0, sizeof *t);
}

/* Inserts a gap at index 'at'; returns false at the limit. */
static int
track_insert(struct sq_track *t, uint32_t at, uint64_t from, uint64_t to)
{
	if (t->ngaps == SQ_TRACK_GAPS_MAX)
		return 0;
	if (t->ngaps == t->cap) {
		t->cap = t->cap == 0 ? 16 : t->cap * 2;
		t->gap = realloc(t->gap, t->cap * sizeof *t->gap);
		if (t->gap == NULL)
			abort();
	}
	memmove(t->gap + at + 1, t->gap + at, (t->ngaps - at) * sizeof *t->gap);
	t->gap[at] = (struct sq_track_gap){from, to};
	t->ngaps++;
	return 1;
}

/* The index of the first gap that ends above 'seq'. */
static uint32_t
track_find(const struct sq_track *t, uint64_t seq)
{
	uint32_t lo = 0, hi = t->ngaps;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->gap[mid].to > seq)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Takes 'seq' out of the gap at index 'at'. */
static void
track_close(struct sq_track *t, uint32_t at, uint64_t seq)
{
	struct sq_track_gap *g = &t->gap[at];
	uint64_t to = g->to;

	if (g->from == seq) {
		g->from++;
	} else {
		g->to = seq;
		if (seq + 1 < to && !track_insert(t, at + 1, seq + 1, to))
			t->forgotten += to - seq - 1;
		return;
	}
	if (g->from == g->to) {
		t->ngaps--;
		memmove(g, g + 1, (t->ngaps - at) * sizeof *g);
	}
}

enum sq_track_result
sq_track_odd(struct sq_track *t, uint64_t seq)
{
	uint32_t at;

	if (seq == t->next) {
		t->next++;
		return SQ_TRACK_NEXT;
	}
	if (seq > t->next) {
		if (!track_insert(t, t->ngaps, t->next, seq))
			t->forgotten += seq - t->next;
		t->missing += seq - t->next;
		t->next = seq + 1;
		return SQ_TRACK_SKIP;
	}
	at = track_find(t, seq);
	if (at < t->ngaps && t->gap[at].from <= seq)
		track_close(t, at, seq);
	else if (t->forgotten > 0)
		t->forgotten--;
	else {
		t->duplicate++;
		return SQ_TRACK_DUPLICATE;
	}
	t->missing--;
	t->late++;
	return SQ_TRACK_LATE;
}
