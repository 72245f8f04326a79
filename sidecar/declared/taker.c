/* The taker of declared messages; see taker.h. */
#include "sidecar/declared/taker.h"

#include <assert.h>
#include <stdlib.h>

#include "core/glob.h"
#include "core/mem.h"

/* Where a client stands; the order is that of the choice. */
enum rank {
	RANK_NAMED,      /* a name matches it */
	RANK_SUBSCRIBER, /* the rest is without names; has sent a SUBSCRIBE */
	RANK_QUIET,      /* has not published */
	RANK_ANSWERER,   /* has published, after it received something */
	RANK_PUBLISHER,  /* has published before */
	RANK_FRESH,      /* has not settled */
	RANK_UNNAMED,    /* with names: none matches it */
	RANK_COUNT
};
enum { RANK_CHOSEN_LAST = RANK_ANSWERER };

struct sq_taker {
	uint64_t settle_ms, alone_ms; /* since when there is one client only */
	char *const *globs;
	size_t n_globs;
	struct sq_list all; /* in the order of their coming */
	struct sq_list of[RANK_COUNT];
	size_t n, n_settled; /* 'n_settled' without names only */
	struct sq_taker_client *taker;
	bool wanted;
};

struct sq_taker *
sq_taker_new(uint64_t settle_ms)
{
	struct sq_taker *t = sq_xcalloc(1, sizeof *t);

	t->settle_ms = settle_ms;
	sq_list_init(&t->all);
	for (int i = 0; i < RANK_COUNT; i++)
		sq_list_init(&t->of[i]);
	return t;
}

void
sq_taker_free(struct sq_taker **tp)
{
	struct sq_taker *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(c, &t->all, struct sq_taker_client, all) {
		sq_list_remove(&c->all);
		sq_list_remove(&c->place);
		c->in = false;
	}
	free(t);
}

static bool
taker_matches(const struct sq_taker *t, const char *id)
{
	for (size_t i = 0; i < t->n_globs; i++) {
		if (sq_glob_match(t->globs[i], id))
			return true;
	}
	return false;
}

static bool
rank_settled(uint8_t rank)
{
	return rank >= RANK_SUBSCRIBER && rank <= RANK_PUBLISHER;
}

/* The list of a rank is in the order of their coming. */
static void
taker_place(struct sq_taker *t, struct sq_taker_client *c, enum rank rank)
{
	struct sq_list *at = &t->of[rank];

	t->n_settled -= rank_settled(c->rank);
	t->n_settled += rank_settled((uint8_t)rank);
	c->rank = (uint8_t)rank;
	sq_list_remove(&c->place);
	while (at->prev != &t->of[rank] &&
	    SQ_CONTAINER_OF(at->prev, struct sq_taker_client, place)->since_ms > c->since_ms)
		at = at->prev;
	sq_list_insert(at, &c->place);
}

/* The rank of a client that has settled. */
static enum rank
taker_rank(const struct sq_taker_client *c)
{
	if (c->flags & SQ_TAKER_SUBSCRIBED)
		return RANK_SUBSCRIBER;
	if ((c->flags & SQ_TAKER_PUBLISHED) == 0)
		return RANK_QUIET;
	return c->flags & SQ_TAKER_EARLY ? RANK_PUBLISHER : RANK_ANSWERER;
}

static void
taker_place_first(struct sq_taker *t, struct sq_taker_client *c)
{
	if (t->n_globs == 0)
		taker_place(t, c, RANK_FRESH);
	else
		taker_place(t, c, taker_matches(t, c->id) ? RANK_NAMED : RANK_UNNAMED);
}

void
sq_taker_wanted(struct sq_taker *t, bool wanted)
{
	t->wanted = wanted;
	if (!wanted)
		t->taker = NULL;
}

void
sq_taker_name(struct sq_taker *t, char *const *globs, size_t n)
{
	t->globs = globs;
	t->n_globs = n;
	SQ_LIST_FOR_EACH(c, &t->all, struct sq_taker_client, all)
		taker_place_first(t, c);
	if (t->taker != NULL && t->taker->rank == RANK_UNNAMED)
		t->taker = NULL;
}

void
sq_taker_opened(
    struct sq_taker *t, struct sq_taker_client *c, const char *id, void *owner, uint64_t now_ms)
{
	assert(!c->in);
	c->in = true;
	c->id = id;
	c->owner = owner;
	c->since_ms = now_ms;
	c->rank = RANK_COUNT;
	sq_list_init(&c->place);
	sq_list_push_back(&t->all, &c->all);
	if (++t->n == 1)
		t->alone_ms = now_ms;
	taker_place_first(t, c);
}

void
sq_taker_left(struct sq_taker *t, struct sq_taker_client *c, uint64_t now_ms)
{
	if (!c->in)
		return;
	c->in = false;
	if (--t->n == 1)
		t->alone_ms = now_ms;
	t->n_settled -= rank_settled(c->rank);
	sq_list_remove(&c->all);
	sq_list_remove(&c->place);
	if (t->taker == c)
		t->taker = NULL;
}

void
sq_taker_did(struct sq_taker *t, struct sq_taker_client *c, enum sq_taker_flag flag)
{
	if (!c->in || (c->flags & flag) != 0)
		return;
	if (flag == SQ_TAKER_PUBLISHED && (c->flags & SQ_TAKER_RECEIVED) == 0)
		c->flags |= SQ_TAKER_EARLY;
	c->flags |= (uint8_t)flag;
	if (rank_settled(c->rank) && taker_rank(c) != (enum rank)c->rank)
		taker_place(t, c, taker_rank(c));
}

static void
taker_settle(struct sq_taker *t, uint64_t now_ms)
{
	struct sq_taker_client *c;

	while ((c = SQ_LIST_FIRST(&t->of[RANK_FRESH], struct sq_taker_client, place)) != NULL &&
	    c->since_ms + t->settle_ms <= now_ms)
		taker_place(t, c, taker_rank(c));
}

/* A publisher that is alone; NULL: there is none. */
static struct sq_taker_client *
taker_alone(const struct sq_taker *t)
{
	return t->n == 1 ? SQ_LIST_FIRST(&t->of[RANK_PUBLISHER], struct sq_taker_client, place)
			 : NULL;
}

/* Whether it is one for want of another. */
static bool
taker_yields(const struct sq_taker_client *c)
{
	return c->rank == RANK_PUBLISHER && (c->flags & SQ_TAKER_RECEIVED) == 0;
}

/* Whether a client that came while 'c' was settling still does: it may turn out to be
 * the better one. */
static bool
taker_waits(const struct sq_taker *t, const struct sq_taker_client *c)
{
	const struct sq_taker_client *fresh = SQ_LIST_FIRST(
	    &t->of[RANK_FRESH], struct sq_taker_client, place);

	return fresh != NULL && c->rank > RANK_SUBSCRIBER &&
	    fresh->since_ms < c->since_ms + t->settle_ms;
}

static struct sq_taker_client *
taker_choose(const struct sq_taker *t, uint64_t now_ms)
{
	for (int i = 0; i <= RANK_CHOSEN_LAST; i++) {
		struct sq_taker_client *c = SQ_LIST_FIRST(&t->of[i], struct sq_taker_client, place);

		if (c != NULL)
			return taker_waits(t, c) ? NULL : c;
	}
	return t->alone_ms + t->settle_ms <= now_ms ? taker_alone(t) : NULL;
}

struct sq_taker_client *
sq_taker_turn(struct sq_taker *t, uint64_t now_ms)
{
	struct sq_taker_client *c;

	taker_settle(t, now_ms);
	if (!t->wanted || (t->taker != NULL && !taker_yields(t->taker)))
		return t->taker;
	c = taker_choose(t, now_ms);
	if (c != NULL) {
		c->flags |= SQ_TAKER_TOOK;
		t->taker = c;
	}
	return t->taker;
}

uint64_t
sq_taker_due_ms(const struct sq_taker *t)
{
	const struct sq_taker_client *fresh = SQ_LIST_FIRST(
	    &t->of[RANK_FRESH], struct sq_taker_client, place);

	if (!t->wanted)
		return 0;
	if (fresh != NULL)
		return fresh->since_ms + t->settle_ms;
	return t->taker == NULL && taker_alone(t) != NULL ? t->alone_ms + t->settle_ms : 0;
}

/* Whether one is about to be chosen, once those that came after it have settled. */
static bool
taker_comes(const struct sq_taker *t)
{
	for (int i = 0; t->taker == NULL && i <= RANK_CHOSEN_LAST; i++) {
		if (!sq_list_empty(&t->of[i]))
			return true;
	}
	return false;
}

size_t
sq_taker_others(const struct sq_taker *t, const struct sq_taker_client **out, size_t max)
{
	size_t n = 0;

	if (!t->wanted || t->n_settled < 2 || taker_comes(t))
		return 0;
	SQ_LIST_FOR_EACH(c, &t->all, struct sq_taker_client, all) {
		if (n == max)
			break;
		if (rank_settled(c->rank) && c != t->taker)
			out[n++] = c;
	}
	return t->n_settled - (t->taker != NULL && rank_settled(t->taker->rank));
}

bool
sq_taker_named(const struct sq_taker *t)
{
	return t->n_globs != 0;
}

size_t
sq_taker_unmatched(const struct sq_taker *t)
{
	return t->wanted && t->n_globs > 0 && sq_list_empty(&t->of[RANK_NAMED]) ? t->n : 0;
}
