/* Origins, of each owner his own: how many requests of each are with libcurl at a time.  One owner whose
 * requests to an origin hang leaves the others theirs. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/curl/out_priv.h"

enum {
	ORIGIN_STREAMS = 100, /* requests that share a connection */
};

struct sq_out_origin {
	struct sq_hnode node;
	struct sq_out *out;
	struct sq_list waiting; /* requests */
	struct sq_list ready;   /* or blocked */
	bool blocked;
	unsigned running;
	/* With HTTP/2 it is one request until there is a connection, whose requests then share it, or
	 * do not. */
	unsigned limit;
	char text[];
};

struct sq_out_owner {
	struct sq_hnode node;
	unsigned requests; /* that wait, or run */
	unsigned running;
	char text[];
};

void
sq_out_origins_init(struct sq_out *o)
{
	sq_list_init(&o->origins.ready);
	sq_list_init(&o->origins.blocked);
}

/* Owners. */

static struct sq_out_owner *
owner_get(struct sq_out *o, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;
	uint64_t hash = sq_hash(text != NULL ? text : "", len);
	struct sq_hnode *h = sq_htab_find(&o->origins.owners, hash);
	struct sq_out_owner *w;

	if (text == NULL)
		return NULL;
	for (; h != NULL; h = sq_htab_next_same(h)) {
		w = SQ_CONTAINER_OF(h, struct sq_out_owner, node);
		if (strcmp(w->text, text) == 0) {
			w->requests++;
			return w;
		}
	}
	w = sq_xcalloc(1, sizeof *w + len + 1);
	memcpy(w->text, text, len);
	w->requests = 1;
	sq_htab_insert(&o->origins.owners, &w->node, hash);
	return w;
}

static void
owner_put(struct sq_out *o, struct sq_out_owner *w)
{
	if (w == NULL || --w->requests > 0)
		return;
	assert(w->running == 0);
	sq_htab_remove(&o->origins.owners, &w->node);
	free(w);
}

static bool
owner_has_room(const struct sq_out *o, const struct sq_out_owner *w)
{
	return w == NULL || w->running < (o->total + 1) / 2;
}

/* Origins. */

static struct sq_out_origin *
origin_find(struct sq_hnode *h, const struct sq_buf *text)
{
	for (; h != NULL; h = sq_htab_next_same(h)) {
		struct sq_out_origin *g = SQ_CONTAINER_OF(h, struct sq_out_origin, node);

		if (strlen(g->text) == sq_buf_len(text) &&
		    memcmp(g->text, sq_buf_data(text), sq_buf_len(text)) == 0)
			return g;
	}
	return NULL;
}

static struct sq_out_origin *
origin_of(const struct sq_out_transfer *t)
{
	struct sq_out *o = t->out;
	bool http2 = t->https && t->req->way->http2;
	struct sq_buf text = {0};
	struct sq_out_origin *g;
	uint64_t hash;

	sq_buf_printf(&text, "%d%d%s:%u %s", t->https, http2, t->host, t->port,
	    t->owner != NULL ? t->owner->text : "");
	hash = sq_hash(sq_buf_data(&text), sq_buf_len(&text));
	g = origin_find(sq_htab_find(&o->origins.all, hash), &text);
	if (g != NULL) {
		sq_buf_fini(&text);
		return g;
	}
	g = sq_xcalloc(1, sizeof *g + sq_buf_len(&text) + 1);
	memcpy(g->text, sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	g->out = o;
	g->limit = http2 ? 1 : o->per_origin;
	sq_list_init(&g->waiting);
	sq_list_init(&g->ready);
	sq_htab_insert(&o->origins.all, &g->node, hash);
	return g;
}

/* Notes whether it is ready, or frees it. */
static void
origin_review(struct sq_out_origin *g)
{
	struct sq_out_origins *all = &g->out->origins;

	if (sq_list_empty(&g->waiting) || g->running >= g->limit) {
		sq_list_remove(&g->ready);
		g->blocked = false;
	} else if (sq_list_empty(&g->ready)) {
		sq_list_push_back(&all->ready, &g->ready);
	}
	if (g->running == 0 && sq_list_empty(&g->waiting)) {
		sq_htab_remove(&all->all, &g->node);
		free(g);
	}
}

void
sq_out_origins_enter(struct sq_out_transfer *t)
{
	struct sq_out_origin *g;

	t->owner = owner_get(t->out, t->req->way->owner);
	g = t->origin = origin_of(t);
	t->place = SQ_OUT_AT_ORIGIN;
	sq_list_push_back(&g->waiting, &t->req->node);
	if (g->blocked) { /* it may be another's */
		g->blocked = false;
		sq_list_remove(&g->ready);
	}
	origin_review(g);
}

/* One of its requests runs no more: who has been blocked by its share may go on. */
static void
owner_leaves(struct sq_out *o, struct sq_out_owner *w)
{
	if (w == NULL)
		return;
	assert(w->running > 0);
	w->running--;
	SQ_LIST_FOR_EACH(g, &o->origins.blocked, struct sq_out_origin, ready)
		g->blocked = false;
	sq_list_splice(&o->origins.ready, &o->origins.blocked);
}

void
sq_out_origins_leave(struct sq_out_transfer *t)
{
	struct sq_out_origin *g = t->origin;

	if (g == NULL)
		return;
	t->origin = NULL;
	sq_list_remove(&t->req->node);
	if (t->place == SQ_OUT_RUNNING) {
		assert(g->running > 0 && t->out->origins.running > 0);
		g->running--;
		t->out->origins.running--;
		owner_leaves(t->out, t->owner);
	}
	owner_put(t->out, t->owner);
	t->owner = NULL;
	origin_review(g);
}

void
sq_out_origin_shares(struct sq_out_origin *g, bool shares)
{
	g->limit = shares ? ORIGIN_STREAMS : g->out->per_origin;
	origin_review(g);
}

/* The first request that waits there whose owner has not got his share; NULL: none. */
static struct sq_out_transfer *
origin_first(const struct sq_out_origin *g)
{
	SQ_LIST_FOR_EACH(r, &g->waiting, struct sq_out_request, node)
		if (owner_has_room(g->out, r->transfer->owner))
			return r->transfer;
	return NULL;
}

struct sq_out_transfer *
sq_out_origins_next(struct sq_out *o)
{
	struct sq_out_origin *g;
	struct sq_out_transfer *t;

	while (o->origins.running < o->total &&
	    (g = SQ_LIST_FIRST(&o->origins.ready, struct sq_out_origin, ready)) != NULL) {
		sq_list_remove(&g->ready); /* to its end, if it stays ready: each in turn */
		t = origin_first(g);
		if (t == NULL) {
			g->blocked = true;
			sq_list_push_back(&o->origins.blocked, &g->ready);
			continue;
		}
		sq_list_remove(&t->req->node);
		t->place = SQ_OUT_RUNNING;
		g->running++;
		o->origins.running++;
		if (t->owner != NULL)
			t->owner->running++;
		origin_review(g);
		return t;
	}
	return NULL;
}

void
sq_out_origins_fini(struct sq_out *o)
{
	assert(o->origins.all.n == 0 && o->origins.owners.n == 0);
	sq_htab_fini(&o->origins.all);
	sq_htab_fini(&o->origins.owners);
}
