/* The places that subscriptions have among the messages in the disk outbox.
 *
 * The outbox sends the messages of all clients in one sequence, by its own session; a
 * client's SUBSCRIBE and UNSUBSCRIBE go by the client's session.  So that a connection
 * keeps its order, each of its subscriptions requests has a place in the sequence:
 *
 *   4 (mine)   5   | SUBSCRIBE |   6   7 (mine)   8
 *   'after'                            'before': the bar
 *
 * The request is not posted before all up to 'after' had a first outcome, be it a refusal;
 * nothing from the bar on is sent before the request is answered.  Each of the two lasts
 * for at most the wait, from then on it passes.  The clock of the first runs while the
 * client's session is attached, that of the second while the outbox's is; every bar in
 * front of an entry is older than the entry is, so all of them together hold it for at
 * most the wait.
 *
 * Knows neither sessions nor the store, and has no clock: times are milliseconds of the
 * caller's, sequences are the store's. */
#ifndef SQ_SIDECAR_OUTBOX_ORDER_H
#define SQ_SIDECAR_OUTBOX_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct sq_outbox_order;

/* A connection. */
struct sq_outbox_line {
	struct sq_list places; /* that are not answered, in their order */
	uint64_t last;         /* sequence of its last entry; 0: it has none */
	bool asks;             /* its session is attached: the clock runs */
};

/* The place of one request, a part of it.  After sq_outbox_place_init() it is nowhere: it
 * waits for nothing and bars nothing. */
struct sq_outbox_place {
	struct sq_list mine;  /* line->places */
	struct sq_list asked; /* the order's, until it is ready */
	struct sq_list bar;   /* the order's, until it is answered or has passed */
	struct sq_outbox_line *line;
	uint64_t after, before; /* 0: none */
	uint64_t ask_due_ms, bar_due_ms;
	bool waits;  /* for the entries in front of it */
	bool passed; /* one of the two, and it was told */
};

/* The owner; may not call the order from there. */
struct sq_outbox_order_user {
	/* A place of the line need not wait any longer. */
	void (*ready)(void *owner, struct sq_outbox_line *);
	/* A place of the line did not keep its order: the wait has passed. */
	void (*passed)(void *owner, struct sq_outbox_line *);
};

/* 'wait_ms' 0: nothing ever waits. */
struct sq_outbox_order *
sq_outbox_order_new(uint64_t wait_ms, const struct sq_outbox_order_user *, void *owner);
/* No place is left in it. */
void sq_outbox_order_free(struct sq_outbox_order **);

void sq_outbox_line_init(struct sq_outbox_line *);
void sq_outbox_place_init(struct sq_outbox_place *);

/* --- of a connection --- */

/* The line's next request takes its place behind the entries of the line so far. */
void sq_outbox_order_place(
    struct sq_outbox_order *, struct sq_outbox_line *, struct sq_outbox_place *, uint64_t now_ms);
/* The line's entry 'seq' is in the sequence; one that is known changes nothing. */
void sq_outbox_order_entered(
    struct sq_outbox_order *, struct sq_outbox_line *, uint64_t seq, uint64_t now_ms);
/* Its session is attached, or is not any more.  In between, a place does not wait in vain:
 * its wait starts anew with the next attachment. */
void
sq_outbox_order_asks(struct sq_outbox_order *, struct sq_outbox_line *, bool asks, uint64_t now_ms);
/* The request is answered, or is none any more: the place is nowhere again. */
void sq_outbox_order_leave(struct sq_outbox_order *, struct sq_outbox_place *);
/* All places of the line leave, as its connection is no more. */
void sq_outbox_order_close(struct sq_outbox_order *, struct sq_outbox_line *);

/* --- of the outbox --- */

/* All up to 'seq' had a first outcome. */
void sq_outbox_order_outcomes(struct sq_outbox_order *, uint64_t seq);
/* Whether any place waits for outcomes. */
bool sq_outbox_order_waits(const struct sq_outbox_order *);
/* Its session is attached, or is not any more. */
void sq_outbox_order_sends(struct sq_outbox_order *, bool sends, uint64_t now_ms);
/* The first entry that is not to be sent; UINT64_MAX: there is none. */
uint64_t sq_outbox_order_bar(const struct sq_outbox_order *);
/* Places that have waited for long enough pass. */
void sq_outbox_order_tick(struct sq_outbox_order *, uint64_t now_ms);
/* When that is due next; 0: never. */
uint64_t sq_outbox_order_due(const struct sq_outbox_order *);

#endif
