/* The table of all holds: finds them by epoch and by client id, hands them what comes from the
 * pool, and has what they share. */
#ifndef SQ_SIDECAR_HOLD_TABLE_H
#define SQ_SIDECAR_HOLD_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/htab.h"
#include "core/list.h"
#include "net/pool.h"
#include "proto/link/frame.h"
#include "proto/link/limits.h"
#include "sidecar/config/config.h"
#include "sidecar/hold/budget.h"
#include "sidecar/hold/refusals.h"
#include "sidecar/loop/loop.h"
#include "sidecar/metrics/metrics.h"

struct sq_hold_watch;
struct sq_hold;

/* The holds that are attached over one link. */
struct sq_hold_link {
	struct sq_list node;
	struct sq_uplink *link;
	struct sq_list holds;
};

/* What brokers have said of themselves in their answers to attaches. */
struct sq_told {
	struct sq_limits limits; /* the sidecar's own and the broker's, the stricter of each */
	bool limits_told;        /* a broker has said its own */
	uint32_t max_packet;     /* 0: not told */
	uint64_t full_ms;        /* when a broker last had no room for a session; 0: it has again */
	enum sq_full full;
};

struct sq_holds {
	struct sq_loop *loop;
	const struct sq_sidecar_cfg *cfg;
	const struct sq_metrics *metrics;
	struct sq_pool *pool;
	uint64_t instance;
	uint64_t ordinals; /* holds of this process so far */
	struct sq_told told;
	struct sq_refusals closed; /* connections that sq_refusals_closed() tells of */
	bool link_was_up;
	struct sq_htab by_epoch;  /* attached ones */
	struct sq_htab by_client; /* the newest of each client id */
	struct sq_list all;       /* that have not ended */
	struct sq_list posts;     /* requests without an answer */
	struct sq_list waiting;   /* without a link */
	struct sq_list links;     /* struct sq_hold_link */
	size_t n;
	struct sq_budget budget;
	/* room.c's: the level as of the last turn, since when nothing is
	 * taken, and when the next line be logged. */
	unsigned memory_level;
	uint64_t short_ms, short_quiet_ms;
	/* A hold has ended: for state.c, which is below who takes that further. */
	void (*over)(struct sq_hold *, struct sq_hold *heir);
	bool strict; /* clients may not subscribe to everything: they are asked */
	const struct sq_hold_watch *watch; /* NULL: nobody watches */
	void *watcher;
};

/* The pool's owner is the table; the caller makes the pool and sets 'pool' to it. */
extern const struct sq_pool_events sq_holds_events;

/* What is given must stay. */
struct sq_holds *
sq_holds_new(struct sq_loop *, const struct sq_sidecar_cfg *, const struct sq_metrics *);
/* Ends all holds where they are, and frees the pool: their requests have failed then. */
void sq_holds_end(struct sq_holds *);
/* Frees '*hp', if any; no hold is left. */
void sq_holds_free(struct sq_holds **hp);

/* Whether brokers have been given everything; while no broker is linked, whether there is nothing
 * for one but that sessions end. */
bool sq_holds_idle(const struct sq_holds *);
/* The record of an open link; NULL if it is not known (any more). */
struct sq_hold_link *sq_holds_link(struct sq_holds *, const struct sq_uplink *);
/* A broker has answered an attach: its limits count from now on. */
void sq_holds_told(struct sq_holds *, const struct sq_attached *);
/* What clients may subscribe to is another set: what is not allowed any more is ended.  'strict':
 * not everything is. */
void sq_holds_enforce(struct sq_holds *, bool strict);
/* Appends who has no room for one more session, for people. */
void sq_holds_say_full(const struct sq_holds *, enum sq_full what, struct sq_buf *out);

static inline uint64_t
sq_holds_now(const struct sq_holds *h)
{
	return sq_loop_now(h->loop);
}

static inline void
sq_holds_count(const struct sq_holds *h, enum sq_sidecar_metric m, int64_t by)
{
	sq_metric_add(h->metrics, m, by);
}

#endif
