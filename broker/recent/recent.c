#include "broker/recent/recent.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/htab.h"
#include "core/mem.h"
#include "core/utf8.h"

enum { SAME_MS = 1000 }; /* for so long the texts of an entry stand for those of equal things */

/* Things may come in a flood: what is looked through for each of them stands close together. */
struct sq_recent {
	uint64_t last_id, turn;
	unsigned n;
	uint64_t is[SQ_RECENT_MAX];   /* of each entry: the hash of the texts that are compared, */
	uint64_t of[SQ_RECENT_MAX];   /* that of the first two, */
	uint64_t used[SQ_RECENT_MAX]; /* and the turn of its last thing */
	struct sq_recent_entry v[SQ_RECENT_MAX]; /* in no order */
};

struct sq_recent *
sq_recent_new(void)
{
	return sq_xcalloc(1, sizeof(struct sq_recent));
}

void
sq_recent_free(struct sq_recent **rp)
{
	struct sq_recent *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	for (unsigned i = 0; i < r->n; i++)
		free(r->v[i].store);
	free(r);
}

static struct sq_bytes
recent_cut(struct sq_bytes text)
{
	if (text.len > SQ_RECENT_TEXT_MAX)
		text.len = sq_utf8_cut(text.p, text.len, SQ_RECENT_TEXT_MAX);
	return text;
}

/* Of the first 'n' texts, each with its length before it. */
static uint64_t
recent_hash(const struct sq_bytes *texts, unsigned n)
{
	unsigned char all[SQ_RECENT_TEXTS * (SQ_RECENT_TEXT_MAX + 2)];
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		struct sq_bytes text = recent_cut(texts[i]);

		sq_put16(all + len, (uint16_t)text.len);
		len += 2;
		if (text.len > 0)
			memcpy(all + len, text.p, text.len);
		len += text.len;
	}
	return sq_hash(all, len);
}

/* The place for a new thing: a free one; that of the oldest of its own kind, if there are enough of
 * them; else that of the oldest of all. */
static unsigned
recent_place(struct sq_recent *r, uint64_t of)
{
	unsigned oldest = 0, own = SQ_RECENT_MAX, owns = 0;

	for (unsigned i = 0; i < r->n; i++) {
		if (r->used[i] < r->used[oldest])
			oldest = i;
		if (r->of[i] != of)
			continue;
		owns++;
		if (own == SQ_RECENT_MAX || r->used[i] < r->used[own])
			own = i;
	}
	if (owns >= SQ_RECENT_OF_MAX)
		return own;
	return r->n < SQ_RECENT_MAX ? r->n++ : oldest;
}

static void
recent_fill(struct sq_recent_entry *e, const struct sq_bytes *texts)
{
	size_t len = 0, at = 0;

	for (unsigned i = 0; i < SQ_RECENT_TEXTS; i++)
		len += recent_cut(texts[i]).len;
	free(e->store);
	e->store = sq_xmalloc(len + 1);
	for (unsigned i = 0; i < SQ_RECENT_TEXTS; i++) {
		struct sq_bytes text = recent_cut(texts[i]);

		e->texts[i] = (struct sq_bytes){text.p != NULL ? e->store + at : NULL, text.len};
		if (text.len > 0)
			memcpy(e->store + at, text.p, text.len);
		at += text.len;
	}
}

/* The place of an equal thing, or of a new entry. */
static unsigned
recent_find(struct sq_recent *r, const struct sq_bytes *texts, uint64_t is)
{
	uint64_t of;
	unsigned at = 0;

	while (at < r->n && (is == 0 || r->is[at] != is))
		at++;
	if (at < r->n)
		return at;
	of = recent_hash(texts, 2);
	at = recent_place(r, of);
	r->is[at] = is;
	r->of[at] = of;
	r->v[at].id = ++r->last_id;
	r->v[at].n = 0;
	return at;
}

void
sq_recent_note(struct sq_recent *r, const struct sq_bytes *texts, unsigned n_same, uint64_t number)
{
	uint64_t now_ms = sq_clock_wall_ms();
	unsigned at = recent_find(r, texts, n_same > 0 ? recent_hash(texts, n_same) : 0);
	struct sq_recent_entry *e = &r->v[at];

	r->used[at] = ++r->turn;
	if (e->n == 0)
		e->first_ms = now_ms;
	if (e->n == 0 || now_ms - e->filled_ms >= SAME_MS || e->number != number) {
		recent_fill(e, texts);
		e->filled_ms = now_ms;
	}
	e->n++;
	e->last_ms = now_ms;
	e->number = number;
}

const struct sq_recent_entry *
sq_recent_seek(const struct sq_recent *r, uint64_t id)
{
	const struct sq_recent_entry *found = NULL;

	for (unsigned i = 0; i < r->n; i++) {
		const struct sq_recent_entry *e = &r->v[i];

		if (e->id >= id && (found == NULL || e->id < found->id))
			found = e;
	}
	return found;
}

bool
sq_recent_walk(const struct sq_recent *r, struct sq_view_slice *v,
    void (*row)(struct sq_view_slice *, const struct sq_recent_entry *))
{
	struct sq_view_place at = {sq_view_from(v).of, 0};
	const struct sq_recent_entry *e;

	while ((e = sq_recent_seek(r, at.of)) != NULL) {
		at.of = e->id;
		if (!sq_view_visit(v, at))
			return false;
		row(v, e);
		at.of++;
	}
	return true;
}
