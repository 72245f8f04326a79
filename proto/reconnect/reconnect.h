/* Life of one link to a broker: when to dial, probe, drain and drop it.
 *
 * A pure state machine: no socket, no clock, no allocation after new.  The
 * owner passes the time in, carries out the action that comes back, and calls
 * with SQ_RECONNECT_TICK when sq_reconnect_deadline() has come.
 *
 *   backoff -> dialing -> up <-> probing          (down, drop -> backoff)
 *                          |        |
 *                        draining <-> draining, probing -> ended
 *
 * A link that drains is not dialled again: its owner opens a new one, with a
 * machine of its own, before it closes this one. */
#ifndef SQ_PROTO_RECONNECT_RECONNECT_H
#define SQ_PROTO_RECONNECT_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

struct sq_reconnect;

enum sq_reconnect_event {
	SQ_RECONNECT_TICK,   /* time has passed; harmless at any time */
	SQ_RECONNECT_UP,     /* the dial came through: the link is usable */
	SQ_RECONNECT_HEARD,  /* bytes came in; cheap, for each read */
	SQ_RECONNECT_GOAWAY, /* the peer, or the owner, wants the link replaced */
	SQ_RECONNECT_DOWN,   /* the connection or the dial has ended */
};

enum sq_reconnect_action {
	SQ_RECONNECT_WAIT,  /* nothing to do */
	SQ_RECONNECT_DIAL,  /* connect; answer with UP or DOWN */
	SQ_RECONNECT_PROBE, /* send something that the peer must answer (PING) */
	SQ_RECONNECT_DRAIN, /* put no more on it, move what it carries, then close it */
	SQ_RECONNECT_DROP,  /* close it now; a DOWN may follow and changes nothing */
};

struct sq_reconnect_cfg {
	uint32_t backoff_min_ms; /* bound of the first wait, at least 1 */
	uint32_t backoff_max_ms; /* bound of the longest, at least the first */
	uint32_t stable_ms;      /* up for this long: the next backoff starts anew */
	uint32_t dial_timeout_ms;
	uint32_t probe_after_ms;     /* silence before a probe, at least 1 */
	uint32_t drop_after_ms;      /* silence before a drop, above probe_after_ms */
	uint32_t max_age_ms;         /* then drain, up to a quarter earlier; 0: never */
	uint32_t drain_ms;           /* time to drain before a drop */
	uint32_t retry_after_max_ms; /* the longest wait a peer may ask for */
};

/* Waits up to 0.1 s to 15 s, dial within 10 s, probe after 6.5 s and drop after
 * 10 s of silence, age 30 min, drain within 30 s, Retry-After up to 5 min. */
extern const struct sq_reconnect_cfg sq_reconnect_defaults;

/* A machine whose first dial is due at 'now_ms'.  'cfg' is copied; 'seed' (any
 * value, different in each process and link) makes the jitter. */
struct sq_reconnect *
sq_reconnect_new(const struct sq_reconnect_cfg *cfg, uint64_t seed, uint64_t now_ms);
/* Frees '*rp', if any, and nulls it. */
void sq_reconnect_free(struct sq_reconnect **rp);

/* Takes in 'ev'; returns what the owner must do now.  UP is legal only while
 * dialing; what comes late otherwise (HEARD or DOWN after a drop) is ignored. */
enum sq_reconnect_action
sq_reconnect_step(struct sq_reconnect *, enum sq_reconnect_event ev, uint64_t now_ms);

/* The peer asked for patience (429 or 503 with Retry-After): the backoff that
 * runs, or the next one, lasts at least 'ms' plus its jitter. */
void sq_reconnect_retry_after(struct sq_reconnect *, uint64_t ms);

/* There is reason to dial now: the backoff that runs ends. */
void sq_reconnect_hurry(struct sq_reconnect *, uint64_t now_ms);

/* When TICK is next due; UINT64_MAX once ended.  HEARD moves it later without
 * notice, so a timer may fire early and ask again. */
uint64_t sq_reconnect_deadline(const struct sq_reconnect *);
/* Whether new work may go on it: up, and neither draining nor ended. */
bool sq_reconnect_usable(const struct sq_reconnect *);
/* Dials and links in a row that failed or ended before 'stable_ms'. */
unsigned sq_reconnect_failures(const struct sq_reconnect *);
/* The state's name, for logs. */
const char *sq_reconnect_state(const struct sq_reconnect *);

#endif
