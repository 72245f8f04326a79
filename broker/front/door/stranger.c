/* Guests that must leave; see broker/front/door/stranger.h. */
#include "broker/front/door/stranger.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

#define UNHELD SQ_STANDING_HELD
#define COUNTED SQ_STANDING_KNOWN /* those below it, whose bytes count */

enum {
	SIZES = 33,         /* classes of bytes held, by powers of 2; 0: nothing */
	LEAVING_SLACK = 32, /* guests above the limit, while others go for them */
};

/* Strangers of one address. */
struct sq_stranger_address {
	struct sq_hnode node;
	unsigned char bytes[SQ_STRANGER_ADDRESS_SIZE];
	struct sq_list strangers; /* the oldest first */
	unsigned n;
	unsigned refs; /* these, those that are asked, and who is about to be one */
};

/* The guests that a worker is to be told of. */
struct leavers {
	struct sq_list guests; /* by their by_age */
	bool woken;
};

struct sq_strangers {
	pthread_mutex_t lock;
	struct sq_strangers_cfg cfg;
	struct sq_list by_age[UNHELD];          /* the oldest first */
	struct sq_list by_size[COUNTED][SIZES]; /* who holds something */
	struct sq_htab addresses;
	struct leavers *leavers; /* by worker */
	size_t n[SQ_STANDING_COUNT], n_leaving, bytes;
};

static const struct {
	const char *name, *text;
} ends[] = {{"none", "nothing"},
#define END_ROW(X, symbol, name, text) {name, text},
    SQ_ENDS(END_ROW, )
#undef END_ROW
};

const char *
sq_end_name(enum sq_end why)
{
	return ends[why].name;
}

const char *
sq_end_text(enum sq_end why)
{
	return ends[why].text;
}

struct sq_strangers *
sq_strangers_new(const struct sq_strangers_cfg *cfg)
{
	struct sq_strangers *s = sq_xcalloc(1, sizeof *s);

	assert(cfg->workers > 0);
	s->cfg = *cfg;
	pthread_mutex_init(&s->lock, NULL);
	for (unsigned i = 0; i < UNHELD; i++)
		sq_list_init(&s->by_age[i]);
	for (unsigned i = 0; i < COUNTED; i++)
		for (unsigned k = 0; k < SIZES; k++)
			sq_list_init(&s->by_size[i][k]);
	s->leavers = sq_xcalloc(cfg->workers, sizeof *s->leavers);
	for (unsigned i = 0; i < cfg->workers; i++)
		sq_list_init(&s->leavers[i].guests);
	return s;
}

void
sq_strangers_free(struct sq_strangers **sp)
{
	struct sq_strangers *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (unsigned i = 0; i < SQ_STANDING_COUNT; i++)
		assert(s->n[i] == 0);
	assert(s->n_leaving == 0 && s->bytes == 0);
	sq_htab_fini(&s->addresses);
	pthread_mutex_destroy(&s->lock);
	free(s->leavers);
	free(s);
}

/* Addresses. */

/* The record of an address, with a reference for the caller. */
static struct sq_stranger_address *
address_ref(struct sq_strangers *s, const unsigned char bytes[SQ_STRANGER_ADDRESS_SIZE])
{
	uint64_t hash = sq_hash(bytes, SQ_STRANGER_ADDRESS_SIZE);
	struct sq_stranger_address *a = NULL;
	struct sq_hnode *n;

	for (n = sq_htab_find(&s->addresses, hash); n != NULL; n = sq_htab_next_same(n)) {
		a = SQ_CONTAINER_OF(n, struct sq_stranger_address, node);
		if (memcmp(a->bytes, bytes, sizeof a->bytes) == 0)
			break;
	}
	if (n == NULL) {
		a = sq_xcalloc(1, sizeof *a);
		memcpy(a->bytes, bytes, sizeof a->bytes);
		sq_list_init(&a->strangers);
		sq_htab_insert(&s->addresses, &a->node, hash);
	}
	a->refs++;
	return a;
}

static void
address_unref(struct sq_strangers *s, struct sq_stranger_address *a)
{
	if (--a->refs > 0)
		return;
	assert(a->n == 0);
	sq_htab_remove(&s->addresses, &a->node);
	free(a);
}

/* Counts the guest for its address, or counts it no more. */
static void
address_count(struct sq_guest *g, bool counted)
{
	struct sq_stranger_address *a = g->address;

	if (a == NULL || counted != sq_list_empty(&g->by_address))
		return;
	if (!counted)
		sq_list_remove(&g->by_address);
	else if (sq_list_empty(&g->by_age)) /* it comes */
		sq_list_push_back(&a->strangers, &g->by_address);
	else /* it comes back, from a token that was in vain */
		sq_list_push_front(&a->strangers, &g->by_address);
	a->n += counted ? 1 : -1u;
}

static void
address_drop(struct sq_strangers *s, struct sq_guest *g)
{
	struct sq_stranger_address *a = g->address;

	if (a == NULL)
		return;
	address_count(g, false);
	g->address = NULL;
	address_unref(s, a);
}

/* Sizes. */

static unsigned
size_class(size_t bytes)
{
	unsigned k = bytes == 0 ? 0 : 64 - (unsigned)__builtin_clzll(bytes);

	return k < SIZES ? k : SIZES - 1;
}

static void
guest_size(struct sq_strangers *s, struct sq_guest *g, size_t bytes)
{
	s->bytes += bytes - g->bytes;
	g->bytes = bytes;
	sq_list_remove(&g->by_size);
	if (bytes > 0)
		sq_list_push_back(&s->by_size[g->standing][size_class(bytes)], &g->by_size);
}

/* The one that holds the most, of the largest class that has any; NULL: nobody does. */
static struct sq_guest *
guest_biggest_of(struct sq_strangers *s, enum sq_standing standing)
{
	struct sq_guest *most = NULL;

	for (unsigned k = SIZES; k-- > 0 && most == NULL;)
		SQ_LIST_FOR_EACH(g, &s->by_size[standing][k], struct sq_guest, by_size)
			if (most == NULL || g->bytes > most->bytes)
				most = g;
	return most;
}

/* Standings. */

/* Takes the guest out of all lists and counts. */
static void
guest_unlink(struct sq_strangers *s, struct sq_guest *g)
{
	if (g->standing < COUNTED)
		guest_size(s, g, 0);
	address_drop(s, g);
	sq_list_remove(&g->by_age);
	s->n[g->standing]--;
}

static void
guest_leave(struct sq_strangers *s, struct sq_guest *g, enum sq_end why)
{
	struct leavers *l = &s->leavers[g->worker];

	guest_unlink(s, g);
	g->leaving = why;
	s->n_leaving++;
	sq_list_push_back(&l->guests, &g->by_age);
	if (l->woken)
		return;
	l->woken = true;
	s->cfg.wake(s->cfg.owner, g->worker);
}

static struct sq_guest *
guest_oldest(struct sq_strangers *s)
{
	for (unsigned i = 0; i < UNHELD; i++)
		if (!sq_list_empty(&s->by_age[i]))
			return SQ_LIST_FIRST(&s->by_age[i], struct sq_guest, by_age);
	return NULL;
}

/* Whether one more finds no place. */
static bool
strangers_full(const struct sq_strangers *s)
{
	size_t unheld = 0;

	for (unsigned i = 0; i < UNHELD; i++)
		unheld += s->n[i];
	return unheld >= s->cfg.max - s->cfg.max / 4 ||
	    unheld + s->n[SQ_STANDING_HELD] >= s->cfg.max;
}

/* Makes a place, if there is none. */
static enum sq_end
strangers_room(struct sq_strangers *s)
{
	struct sq_guest *g;

	if (s->n_leaving > s->cfg.max / 4 + LEAVING_SLACK)
		return SQ_END_FULL;
	if (!strangers_full(s))
		return SQ_END_NONE;
	g = guest_oldest(s);
	if (g == NULL)
		return SQ_END_FULL;
	guest_leave(s, g, SQ_END_FULL);
	return SQ_END_NONE;
}

/* Makes room among the strangers of an address. */
static void
address_room(struct sq_strangers *s, const struct sq_stranger_address *a)
{
	if (s->cfg.per_address > 0 && a->n >= s->cfg.per_address)
		guest_leave(
		    s, SQ_LIST_FIRST(&a->strangers, struct sq_guest, by_address), SQ_END_ADDRESS);
}

enum sq_end
sq_strangers_enter(struct sq_strangers *s, struct sq_guest *g, unsigned worker,
    const unsigned char address[SQ_STRANGER_ADDRESS_SIZE], uint64_t now_ms)
{
	struct sq_stranger_address *a;
	enum sq_end why;

	*g = (struct sq_guest){.worker = worker, .began_ms = now_ms};
	sq_list_init(&g->by_age);
	sq_list_init(&g->by_size);
	sq_list_init(&g->by_address);
	pthread_mutex_lock(&s->lock);
	a = address_ref(s, address);
	address_room(s, a);
	why = strangers_room(s);
	if (why == SQ_END_NONE) {
		g->address = a;
		address_count(g, true);
		sq_list_push_back(&s->by_age[SQ_STANDING_STRANGER], &g->by_age);
		s->n[SQ_STANDING_STRANGER]++;
	} else {
		address_unref(s, a);
	}
	pthread_mutex_unlock(&s->lock);
	return why;
}

void
sq_strangers_leave(struct sq_strangers *s, struct sq_guest *g)
{
	pthread_mutex_lock(&s->lock);
	if (g->leaving == SQ_END_NONE) {
		guest_unlink(s, g);
	} else {
		sq_list_remove(&g->by_age);
		s->n_leaving--;
	}
	pthread_mutex_unlock(&s->lock);
}

static void
guest_stand(struct sq_strangers *s, struct sq_guest *g, enum sq_standing standing)
{
	size_t bytes = g->bytes;

	if (g->standing < COUNTED)
		guest_size(s, g, 0);
	if (standing < COUNTED)
		address_count(g, standing == SQ_STANDING_STRANGER);
	else
		address_drop(s, g);
	sq_list_remove(&g->by_age);
	s->n[g->standing]--;
	s->n[standing]++;
	g->standing = standing;
	if (standing == SQ_STANDING_STRANGER) /* it is the first to go now */
		sq_list_push_front(&s->by_age[standing], &g->by_age);
	else if (standing < UNHELD)
		sq_list_push_back(&s->by_age[standing], &g->by_age);
	if (standing < COUNTED)
		guest_size(s, g, bytes);
}

void
sq_strangers_stand(struct sq_strangers *s, struct sq_guest *g, enum sq_standing standing)
{
	if (g->standing == standing)
		return;
	pthread_mutex_lock(&s->lock);
	if (g->leaving == SQ_END_NONE)
		guest_stand(s, g, standing);
	else
		g->standing = standing;
	pthread_mutex_unlock(&s->lock);
}

bool
sq_strangers_hold(struct sq_strangers *s, struct sq_guest *g, size_t bytes)
{
	bool stays;

	if (g->standing >= COUNTED)
		return true;
	pthread_mutex_lock(&s->lock);
	if (g->leaving == SQ_END_NONE && g->bytes != bytes)
		guest_size(s, g, bytes);
	while (s->bytes > s->cfg.total) {
		struct sq_guest *most = guest_biggest_of(s, SQ_STANDING_STRANGER);

		if (most == NULL)
			most = guest_biggest_of(s, SQ_STANDING_ASKED);
		guest_leave(s, most, SQ_END_MEMORY);
	}
	stays = g->leaving != SQ_END_MEMORY;
	pthread_mutex_unlock(&s->lock);
	return stays;
}

struct sq_guest *
sq_strangers_leaving(struct sq_strangers *s, unsigned worker, enum sq_end *why)
{
	struct leavers *l = &s->leavers[worker];
	struct sq_guest *g;

	pthread_mutex_lock(&s->lock);
	g = SQ_LIST_FIRST(&l->guests, struct sq_guest, by_age);
	if (g != NULL) {
		sq_list_remove(&g->by_age);
		*why = g->leaving;
	} else {
		l->woken = false;
	}
	pthread_mutex_unlock(&s->lock);
	return g;
}

struct sq_strangers_counts
sq_strangers_count(struct sq_strangers *s)
{
	struct sq_strangers_counts counts = {0};

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < SQ_STANDING_COUNT; i++)
		counts.guests += s->n[i];
	counts.strangers = s->n[SQ_STANDING_STRANGER] + s->n[SQ_STANDING_ASKED];
	counts.bytes = s->bytes;
	pthread_mutex_unlock(&s->lock);
	return counts;
}
