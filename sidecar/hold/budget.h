/* Budget: the bounds of memory that all holds share, for publishes on their way to a broker and for
 * messages that brokers may send.
 *
 * Publishes: all clients share one bound.  One client may hold a multiple of the free rest (its
 * share), so that no client shuts out another.  A client that waits for the bound itself is
 * overtaken by none, or a large message would never fit.  A client without room is paused, and told
 * when to try again.
 *
 * Windows: a new hold gets a part of the memory that is left for windows, at least a minimum.
 *
 * Pure: no clock, no sockets, no holds.  Sizes are bytes. */
#ifndef SQ_SIDECAR_HOLD_BUDGET_H
#define SQ_SIDECAR_HOLD_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/list.h"

/* The part of one hold. */
struct sq_budget_share {
	struct sq_list paused; /* in the budget's list while its client waits */
	size_t held;           /* bytes of publishes that no broker has accepted */
	uint64_t window;       /* bytes that a broker may send it */
};

struct sq_budget_user {
	/* The share's client is paused; not repeated before writable(). */
	void (*paused)(struct sq_budget_share *);
	/* The share's client may try again. */
	void (*writable)(struct sq_budget_share *);
};

struct sq_budget {
	const struct sq_budget_user *user;
	uint64_t held, max;            /* bytes of publishes, and their bound */
	uint64_t lane_max, window_max; /* bounds of one hold: to a broker, and from it */
	uint64_t windows;              /* sum of the windows that were given */
	struct sq_list paused;         /* struct sq_budget_share, in the order in which they came */
	struct sq_budget_share *first; /* first in line for the bound itself; NULL: none */
	bool drops_qos0;               /* see sq_budget_drop_qos0() */
};

void sq_budget_init(struct sq_budget *, const struct sq_budget_user *, uint64_t max,
    uint64_t lane_max, uint64_t window_max);
/* From now on QoS 0 is dropped rather than waited for, without a broker. */
void sq_budget_drop_qos0(struct sq_budget *);
/* Sets another bound; paused clients try again. */
void sq_budget_resize(struct sq_budget *, uint64_t max);

/* Gives the share its window.  'limit' is the memory limit in bytes; 0: no limit. */
void sq_budget_open(struct sq_budget *, struct sq_budget_share *, uint64_t limit);
/* The share's client no longer waits. */
void sq_budget_unwait(struct sq_budget *, struct sq_budget_share *);
/* Takes the window back from a share that holds nothing and does not wait. */
void sq_budget_close(struct sq_budget *, struct sq_budget_share *);

/* Whether the share may hold 'size' bytes more.  'flows': a broker accepts its messages.
 * SQ_EAGAIN: no; the share is paused. */
int sq_budget_admit(
    struct sq_budget *, struct sq_budget_share *, size_t size, bool flows) SQ_MUST_CHECK;
/* Whether a message of QoS 0 of 'size' is to be dropped, and counted. */
bool
sq_budget_drops(const struct sq_budget *, const struct sq_budget_share *, size_t size, bool flows);
/* Notes that the share holds 'now' bytes; paused clients try again once a quarter is free. */
void sq_budget_held(struct sq_budget *, struct sq_budget_share *, size_t now);
/* Pauses the share's client until the next sq_budget_resume(), for a reason of the caller's. */
void sq_budget_pause(struct sq_budget *, struct sq_budget_share *);
/* Paused clients try again, in the order in which they were paused. */
void sq_budget_resume(struct sq_budget *);

#endif
