/* Places of subscription requests among the messages in the disk outbox.
 *
 * The outbox sends the messages of all clients in one sequence, by its own session; SUBSCRIBE and
 * UNSUBSCRIBE go by the client's session.  To keep the order of a connection, each of its requests
 * has a place in the sequence:
 *
 *   4 (mine)   5   | SUBSCRIBE |   6   7 (mine)   8
 *   'after'                            'before': the bar
 *
 * The request is posted after all entries up to 'after' had a first outcome, possibly a refusal.
 * Nothing from the bar on is sent before the request is answered.  Each of the two waits lasts for
 * at most 'wait_ms'; then the place passes.  The first clock runs while the client's session is
 * attached, the second while the outbox's is.  Every bar in front of an entry is older than the
 * entry, so all of them together hold it for at most one wait.
 *
 * Pure: knows neither sessions nor the store, and has no clock.  Times are milliseconds of the
 * caller's clock; sequences are the store's. */
#ifndef SQ_SIDECAR_OUTBOX_ORDER_H
#define SQ_SIDECAR_OUTBOX_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct sq_outbox_order;

/* A client's connection. */
struct sq_outbox_line {
	struct sq_list places; /* places without an answer, in their order */
	uint64_t last;         /* sequence of its last entry; 0: it has none */
	bool asks;             /* its session is attached, so the clock runs */
};

/* The place of one request, embedded in the request.  After sq_outbox_place_init() it waits for
 * nothing and bars nothing. */
struct sq_outbox_place {
	struct sq_list mine;  /* line->places */
	struct sq_list asked; /* in the order's list, until it is ready */
	struct sq_list bar;   /* in the order's list, until it is answered or has passed */
	struct sq_outbox_line *line;
	uint64_t after, before; /* 0: none */
	uint64_t ask_due_ms, bar_due_ms;
	bool waits;  /* it waits for the entries in front of it */
	bool passed; /* a wait has passed, and passed() was called */
};

/* The owner; its functions may not call the order. */
struct sq_outbox_order_user {
	/* A place of the line waits no longer. */
	void (*ready)(void *owner, struct sq_outbox_line *);
	/* A place of the line loses its order, because its wait has passed. */
	void (*passed)(void *owner, struct sq_outbox_line *);
};

/* Makes an order; 'wait_ms' 0: places never wait. */
struct sq_outbox_order *
sq_outbox_order_new(uint64_t wait_ms, const struct sq_outbox_order_user *, void *owner);
/* Frees the order, which has no place left; nulls the pointer. */
void sq_outbox_order_free(struct sq_outbox_order **);

void sq_outbox_line_init(struct sq_outbox_line *);
void sq_outbox_place_init(struct sq_outbox_place *);

/* --- of a connection --- */

/* Gives the line's next request its place behind the line's present entries. */
void sq_outbox_order_place(
    struct sq_outbox_order *, struct sq_outbox_line *, struct sq_outbox_place *, uint64_t now_ms);
/* The line's entry 'seq' is in the sequence; nothing for a known one. */
void sq_outbox_order_entered(
    struct sq_outbox_order *, struct sq_outbox_line *, uint64_t seq, uint64_t now_ms);
/* The client's session has been attached, or is attached no longer.  The wait of a place starts
 * anew with each attachment. */
void
sq_outbox_order_asks(struct sq_outbox_order *, struct sq_outbox_line *, bool asks, uint64_t now_ms);
/* The request has been answered or dropped: resets its place. */
void sq_outbox_order_leave(struct sq_outbox_order *, struct sq_outbox_place *);
/* Resets all places of the line, whose connection has ended. */
void sq_outbox_order_close(struct sq_outbox_order *, struct sq_outbox_line *);

/* --- of the outbox --- */

/* All entries up to 'seq' had a first outcome. */
void sq_outbox_order_outcomes(struct sq_outbox_order *, uint64_t seq);
/* Whether any place waits for outcomes. */
bool sq_outbox_order_waits(const struct sq_outbox_order *);
/* The outbox's session has been attached, or is attached no longer. */
void sq_outbox_order_sends(struct sq_outbox_order *, bool sends, uint64_t now_ms);
/* The sequence from which on nothing may be sent; UINT64_MAX: none. */
uint64_t sq_outbox_order_bar(const struct sq_outbox_order *);
/* Has places pass whose wait is over. */
void sq_outbox_order_tick(struct sq_outbox_order *, uint64_t now_ms);
/* The time of the next sq_outbox_order_tick(); 0: none. */
uint64_t sq_outbox_order_due(const struct sq_outbox_order *);

#endif
