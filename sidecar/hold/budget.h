/* The bounds of memory that all holds share: what their clients publish, on its way to a broker, and
 * what brokers may send to them.
 *
 * Publishes: all together have a bound, shared so that no client is shut out by another: one may
 * hold so many times what is free (a share), and nobody overtakes one that waits for the bound
 * itself, or a large message would never fit.  Who gets no room is paused, and told when to try
 * again.
 * Windows: a new hold gets a part of what is left of a part of the limit; at least a least one.
 *
 * Pure: no clock, no sockets, no holds. */
#ifndef SQ_SIDECAR_HOLD_BUDGET_H
#define SQ_SIDECAR_HOLD_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/list.h"

/* One hold's part. */
struct sq_budget_share {
	struct sq_list paused; /* the budget's, while its client waits */
	size_t held;           /* bytes of publishes that no broker has accepted */
	uint64_t window;       /* bytes that a broker may send it */
};

struct sq_budget_user {
	/* The client of the share is paused; not said again before writable(). */
	void (*paused)(struct sq_budget_share *);
	/* It may try again. */
	void (*writable)(struct sq_budget_share *);
};

struct sq_budget {
	const struct sq_budget_user *user;
	uint64_t held, max;            /* bytes of publishes, and their bound */
	uint64_t lane_max, window_max; /* for one hold: on its way to a broker, and from it */
	uint64_t windows;              /* sum of those given */
	struct sq_list paused;         /* struct sq_budget_share, in the order in which they came */
	struct sq_budget_share *first; /* of those that the bound itself keeps waiting; or NULL */
	bool drops_qos0; /* without a broker, QoS 0 is dropped rather than waited for */
};

void sq_budget_init(struct sq_budget *, const struct sq_budget_user *, uint64_t max,
    uint64_t lane_max, uint64_t window_max);
/* Another bound; those that wait try again. */
void sq_budget_resize(struct sq_budget *, uint64_t max);

/* Gives a window, of what 'limit' bytes of memory (0: no limit) allow for all. */
void sq_budget_open(struct sq_budget *, struct sq_budget_share *, uint64_t limit);
/* Its client waits no more. */
void sq_budget_unwait(struct sq_budget *, struct sq_budget_share *);
/* Takes the window back; the share holds nothing, and does not wait. */
void sq_budget_close(struct sq_budget *, struct sq_budget_share *);

/* Whether the share may hold 'size' bytes more; 'flows': a broker takes what it sends.  SQ_EAGAIN: it
 * is paused. */
int sq_budget_admit(
    struct sq_budget *, struct sq_budget_share *, size_t size, bool flows) SQ_MUST_CHECK;
/* Whether a message of QoS 0 of 'size' is to be dropped, and counted. */
bool
sq_budget_drops(const struct sq_budget *, const struct sq_budget_share *, size_t size, bool flows);
/* The share holds 'now' bytes: those that wait try again once a quarter is free. */
void sq_budget_held(struct sq_budget *, struct sq_budget_share *, size_t now);
/* The client of the share waits until the next sq_budget_resume(), whatever for. */
void sq_budget_pause(struct sq_budget *, struct sq_budget_share *);
/* All that wait try again, in the order in which they came. */
void sq_budget_resume(struct sq_budget *);

#endif
