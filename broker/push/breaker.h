/* Breakers: one for each origin (scheme, host, port) of a space, shared by its queues that push to it.
 *
 *   CLOSED ──'failures' in a row, or half of the last 20──▶ OPEN ──its pause──▶ HALF: one probe
 *     ▲                                                       ▲                    │
 *     └───────────────the probe succeeded─────────────────────┼────────────────────┤
 *                                                             └──it failed, pause doubled
 * Thread: any.  Locks: its own. */
#ifndef SQ_BROKER_PUSH_BREAKER_H
#define SQ_BROKER_PUSH_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct sq_breaker;
struct sq_breakers;

/* By how bad it is; as numbers in metrics. */
enum sq_breaker_state { SQ_BREAKER_CLOSED, SQ_BREAKER_HALF, SQ_BREAKER_OPEN };

struct sq_breakers *sq_breakers_new(void);
void sq_breakers_free(struct sq_breakers **);
/* That of an origin, "https://host:443", of a space; a reference, to be given back. */
struct sq_breaker *sq_breaker_get(struct sq_breakers *, const char *origin);
void sq_breaker_put(struct sq_breakers *, struct sq_breaker **);

struct sq_breaker_cfg {
	uint32_t failures;
	uint64_t probe_ms, max_ms;
};

/* Whether a request could go now, without taking the probe; '*until_ms' as below. */
bool sq_breaker_may(struct sq_breaker *, uint64_t now_ms, uint64_t *until_ms);
/* Whether a request may go now; '*probe': as the one that probes, whose end must be told.  False:
 * '*until_ms' says when to ask again. */
bool sq_breaker_pass(struct sq_breaker *, const struct sq_breaker_cfg *, uint64_t now_ms,
    bool *probe, uint64_t *until_ms);
/* How a request has ended.  Returns the state if that has changed by it, for a line in the log; else
 * -1. */
int sq_breaker_tell(
    struct sq_breaker *, const struct sq_breaker_cfg *, bool healthy, bool probe, uint64_t now_ms);
/* The probe was never sent, or cancelled: the next request is the probe. */
void sq_breaker_unprobed(struct sq_breaker *);
enum sq_breaker_state sq_breaker_state(struct sq_breaker *);

#endif
