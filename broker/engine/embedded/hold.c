#include "broker/engine/embedded/hold.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "store/held.h"

enum { HOLD_PART = 8 }; /* of the tables' maximum, by which they may grow */

struct sq_hold {
	struct sq_table *table;
	struct sq_metrics metrics;
	int dirfd;
	uint64_t own;    /* drawn for this opening */
	uint64_t number; /* whose tables are held, or were; 0: nobody's */
	bool pinned;
	uint64_t since_ms;
};

struct sq_hold *
sq_hold_new(struct sq_table *t, const char *dir, const struct sq_metrics *metrics)
{
	struct sq_hold *h = sq_xcalloc(1, sizeof *h);

	h->table = t;
	h->metrics = *metrics;
	h->own = sq_random_u64();
	h->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return h;
}

static void
hold_unpin(struct sq_hold *h)
{
	if (!h->pinned)
		return;
	h->pinned = false;
	sq_table_unpin(h->table);
	sq_metric_set(&h->metrics, SQ_M_STORE_HELD, 0);
}

void
sq_hold_free(struct sq_hold **hp)
{
	struct sq_hold *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	hold_unpin(h);
	if (h->dirfd >= 0)
		close(h->dirfd);
	free(h);
}

/* Ends the hold on behalf of the store, while its holder goes on. */
static void
hold_cut(struct sq_hold *h, const char *why)
{
	hold_unpin(h);
	sq_held_answer(h->dirfd, h->number, h->own, why);
	sq_metric_add(&h->metrics, SQ_M_STORE_HELD_CUT, 1);
	SQ_WARN("store", "the backup is not waited for any longer: %s", why);
}

static void
hold_begin(struct sq_hold *h, uint64_t number)
{
	h->number = number;
	if (!h->pinned && sq_table_pin(h->table) != SQ_OK) {
		hold_cut(h, sq_table_error(h->table));
		return;
	}
	if (!h->pinned)
		SQ_INFO("store", "a backup copies the store");
	h->pinned = true;
	h->since_ms = sq_clock_ms();
	sq_metric_set(&h->metrics, SQ_M_STORE_HELD, 1);
	sq_held_answer(h->dirfd, number, h->own, NULL);
}

void
sq_hold_look(struct sq_hold *h, bool no_room)
{
	uint64_t number = h->dirfd >= 0 ? sq_held_for(h->dirfd, SQ_HELD_TABLES) : 0;

	if (number == 0) {
		if (h->pinned)
			SQ_INFO("store", "the backup has ended after %llu ms",
			    (unsigned long long)(sq_clock_ms() - h->since_ms));
		hold_unpin(h);
		h->number = 0;
	} else if (number != h->number) {
		hold_begin(h, number);
	}
	if (!h->pinned)
		return;
	if (no_room)
		hold_cut(h, "the store has no room for what it writes");
	else if (sq_table_pin_bytes(h->table) > sq_table_max(h->table) / HOLD_PART)
		hold_cut(h,
		    "so much was written meanwhile that the tables have grown by an eighth of "
		    "store.max-size");
}
