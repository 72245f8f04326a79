/* The table of all holds, by epoch and by client id; dispatches the pool's events to them, and has
 * their shared state.  On the loop's thread. */
#ifndef SQ_SIDECAR_HOLD_TABLE_H
#define SQ_SIDECAR_HOLD_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
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

/* Properties of the brokers, from their answers to attaches. */
struct sq_told {
	struct sq_limits limits; /* the stricter of the sidecar's and the broker's, each */
	bool limits_told;        /* a broker's are included */
	uint32_t max_packet;     /* bytes; 0: not known */
	uint64_t full_ms;        /* when a broker had no room for a session; 0: it has room */
	enum sq_full full;
};

/* Each member is written by the file in its comment alone; the others are fixed by
 * sq_holds_new(), which sets up all of them (holds.c).  Folders above read, and call. */
struct sq_holds {
	struct sq_loop *loop;
	const struct sq_sidecar_cfg *cfg;
	const struct sq_metrics *metrics;
	struct sq_pool *pool; /* holds.c */
	uint64_t instance;
	/* table.c */
	struct sq_list all; /* those that have not ended */
	size_t n;           /* of them */
	uint64_t ordinals;  /* holds of this process so far */
	struct sq_told told;
	const struct sq_hold_watch *watch; /* NULL: none */
	void *watcher;
	/* state.c */
	struct sq_htab by_epoch;  /* attached ones */
	struct sq_htab by_client; /* the newest of each client id */
	struct sq_list waiting;   /* without a link */
	/* holds.c */
	struct sq_list links; /* struct sq_hold_link */
	bool link_was_up;
	uint64_t frames; /* deliver frames so far */
	/* request.c */
	struct sq_list posts; /* requests without an answer */
	/* budget.c */
	struct sq_budget budget;
	/* room.c: the level of the last turn, since when nothing is accepted, and when the next
	 * line may be logged. */
	unsigned memory_level;
	uint64_t short_ms, short_quiet_ms;
	/* remake.c */
	bool strict; /* sqmqos.io/subscribe restricts clients: each filter is checked */
	/* refusals.c */
	struct sq_refusals closed; /* connections that sq_refusals_closed() tells of */
	/* Called by state.c, which lies below its callee, when a hold has ended: see
	 * sq_hold_over(). */
	void (*over)(struct sq_hold *, struct sq_hold *heir);
};

/* For the pool, whose owner is the table. */
extern const struct sq_pool_events sq_holds_events;

/* Makes an empty table.  The arguments must outlive it. */
struct sq_holds *
sq_holds_new(struct sq_loop *, const struct sq_sidecar_cfg *, const struct sq_metrics *);
/* Makes the pool that the configuration describes, which starts to dial; once.  SQ_EINVAL, with a line
 * in 'err': an address, a TLS file or the token is not good. */
int sq_holds_dial(struct sq_holds *, struct sq_buf *err) SQ_MUST_CHECK;
/* Watches the clients' subscriptions; before the first hold is opened. */
void sq_holds_watch(struct sq_holds *, const struct sq_hold_watch *, void *watcher);
/* Ends all holds at once and frees the pool; requests fail. */
void sq_holds_end(struct sq_holds *);
/* Frees '*hp', if any; no hold is left. */
void sq_holds_free(struct sq_holds **hp);

/* Whether nothing is left to send to a broker.  While no broker is linked, ends of sessions alone
 * do not count. */
bool sq_holds_idle(const struct sq_holds *);
/* A new hold is among all, by its 'node'.  Returns its ordinal. */
uint64_t sq_holds_enter(struct sq_holds *, struct sq_list *node);
/* It has ended. */
void sq_holds_leave(struct sq_holds *, struct sq_list *node);
/* The entry of an open link; NULL: the link is unknown or closed. */
struct sq_hold_link *sq_holds_link(struct sq_holds *, const struct sq_uplink *);
/* Applies the limits in a broker's answer to an attach. */
void sq_holds_told(struct sq_holds *, const struct sq_attached *);
/* A broker had no room for a session; has room. */
void sq_holds_full(struct sq_holds *, enum sq_full);
void sq_holds_has_room(struct sq_holds *);
/* The rights of clients have changed: ends subscriptions that they no longer allow.  'strict': the
 * rights restrict clients. */
void sq_holds_enforce(struct sq_holds *, bool strict);
/* Appends, for people, whose room for one more session is used up. */
void sq_holds_say_full(const struct sq_holds *, enum sq_full what, struct sq_buf *out);

static inline uint64_t
sq_holds_now(const struct sq_holds *h)
{
	return sq_loop_now(h->loop);
}

/* Counts in a row that the loop's thread alone writes, and so by no locked instruction: some are
 * for each message. */
static inline void
sq_holds_count(const struct sq_holds *h, enum sq_sidecar_metric m, int64_t by)
{
	sq_metric_set(h->metrics, m, sq_metric_get(h->metrics, m) + by);
}

#endif
