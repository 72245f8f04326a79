#include "broker/push/breaker.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

enum { WINDOW = 20 }; /* ends of requests that are looked back at */

struct sq_breaker {
	struct sq_hnode node;
	char *origin;
	unsigned refs; /* under the table's lock */
	pthread_mutex_t lock;
	/* Under its own. */
	enum sq_breaker_state state;
	bool probing; /* HALF: the probe is out */
	uint64_t pause_ms, until_ms;
	uint32_t in_a_row; /* failures */
	uint32_t window;   /* the last ends, a bit each: it has failed */
	unsigned seen;     /* of them, up to WINDOW */
};

struct sq_breakers {
	pthread_mutex_t lock;
	struct sq_htab by_origin;
};

struct sq_breakers *
sq_breakers_new(void)
{
	struct sq_breakers *all = sq_xcalloc(1, sizeof *all);

	pthread_mutex_init(&all->lock, NULL);
	return all;
}

void
sq_breakers_free(struct sq_breakers **ap)
{
	struct sq_breakers *all = *ap;

	*ap = NULL;
	if (all == NULL)
		return;
	assert(all->by_origin.n == 0);
	sq_htab_fini(&all->by_origin);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

static struct sq_breaker *
breaker_find(const struct sq_breakers *all, const char *origin, uint64_t hash)
{
	struct sq_hnode *n = sq_htab_find(&all->by_origin, hash);

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_breaker *b = SQ_CONTAINER_OF(n, struct sq_breaker, node);

		if (strcmp(b->origin, origin) == 0)
			return b;
	}
	return NULL;
}

struct sq_breaker *
sq_breaker_get(struct sq_breakers *all, const char *origin)
{
	uint64_t hash = sq_hash(origin, strlen(origin));
	struct sq_breaker *b;

	pthread_mutex_lock(&all->lock);
	b = breaker_find(all, origin, hash);
	if (b == NULL) {
		b = sq_xcalloc(1, sizeof *b);
		b->origin = sq_xstrdup(origin);
		pthread_mutex_init(&b->lock, NULL);
		sq_htab_insert(&all->by_origin, &b->node, hash);
	}
	b->refs++;
	pthread_mutex_unlock(&all->lock);
	return b;
}

void
sq_breaker_put(struct sq_breakers *all, struct sq_breaker **bp)
{
	struct sq_breaker *b = *bp;
	bool last;

	*bp = NULL;
	if (b == NULL)
		return;
	pthread_mutex_lock(&all->lock);
	last = --b->refs == 0;
	if (last)
		sq_htab_remove(&all->by_origin, &b->node);
	pthread_mutex_unlock(&all->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b->origin);
	free(b);
}

/* The one place that writes the state. */
static void
breaker_set(struct sq_breaker *b, enum sq_breaker_state state)
{
	b->state = state;
	b->probing = false;
	b->in_a_row = 0;
	b->window = 0;
	b->seen = 0;
}

static void
breaker_open(struct sq_breaker *b, const struct sq_breaker_cfg *cfg, uint64_t now_ms)
{
	breaker_set(b, SQ_BREAKER_OPEN);
	b->pause_ms = b->pause_ms == 0 ? cfg->probe_ms : 2 * b->pause_ms;
	if (b->pause_ms > cfg->max_ms)
		b->pause_ms = cfg->max_ms;
	b->until_ms = now_ms + b->pause_ms;
}

static bool
breaker_may(const struct sq_breaker *b, uint64_t now_ms, uint64_t *until_ms)
{
	switch (b->state) {
	case SQ_BREAKER_CLOSED:
		return true;
	case SQ_BREAKER_OPEN:
		*until_ms = b->until_ms;
		return now_ms >= b->until_ms;
	case SQ_BREAKER_HALF:
		/* The probe's end says more, which may be any time. */
		*until_ms = now_ms + 1;
		return !b->probing;
	}
	return false;
}

bool
sq_breaker_may(struct sq_breaker *b, uint64_t now_ms, uint64_t *until_ms)
{
	bool may;

	pthread_mutex_lock(&b->lock);
	may = breaker_may(b, now_ms, until_ms);
	pthread_mutex_unlock(&b->lock);
	return may;
}

bool
sq_breaker_pass(struct sq_breaker *b, const struct sq_breaker_cfg *cfg, uint64_t now_ms,
    bool *probe, uint64_t *until_ms)
{
	bool may;

	*probe = false;
	pthread_mutex_lock(&b->lock);
	may = breaker_may(b, now_ms, until_ms);
	if (!may && b->state == SQ_BREAKER_HALF)
		*until_ms = now_ms + cfg->probe_ms;
	if (may && b->state != SQ_BREAKER_CLOSED) {
		breaker_set(b, SQ_BREAKER_HALF);
		b->probing = *probe = true;
	}
	pthread_mutex_unlock(&b->lock);
	return may;
}

/* Notes an end; whether there were too many failures. */
static bool
breaker_note(struct sq_breaker *b, const struct sq_breaker_cfg *cfg, bool healthy)
{
	b->window = (b->window << 1 | (healthy ? 0u : 1u)) & ((1u << WINDOW) - 1);
	if (b->seen < WINDOW)
		b->seen++;
	b->in_a_row = healthy ? 0 : b->in_a_row + 1;
	return b->in_a_row >= cfg->failures ||
	    (b->seen == WINDOW && 2 * __builtin_popcount(b->window) >= WINDOW);
}

int
sq_breaker_tell(struct sq_breaker *b, const struct sq_breaker_cfg *cfg, bool healthy, bool probe,
    uint64_t now_ms)
{
	int changed = -1;

	pthread_mutex_lock(&b->lock);
	if (b->state == SQ_BREAKER_CLOSED && breaker_note(b, cfg, healthy) && !healthy) {
		breaker_open(b, cfg, now_ms);
		changed = SQ_BREAKER_OPEN;
	} else if (b->state == SQ_BREAKER_HALF && probe) {
		if (healthy) {
			breaker_set(b, SQ_BREAKER_CLOSED);
			b->pause_ms = 0;
		} else {
			breaker_open(b, cfg, now_ms);
		}
		changed = (int)b->state;
	}
	pthread_mutex_unlock(&b->lock);
	return changed;
}

void
sq_breaker_unprobed(struct sq_breaker *b)
{
	pthread_mutex_lock(&b->lock);
	if (b->state == SQ_BREAKER_HALF)
		b->probing = false;
	pthread_mutex_unlock(&b->lock);
}

enum sq_breaker_state
sq_breaker_state(struct sq_breaker *b)
{
	enum sq_breaker_state state;

	pthread_mutex_lock(&b->lock);
	state = b->state;
	pthread_mutex_unlock(&b->lock);
	return state;
}
