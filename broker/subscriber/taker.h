/* Takers: consumers of a named queue that are no requests, as its push.  They share the queue's
 * dispatcher with who pulls: its lanes, its attempts, its bounds.
 *
 *   sq_taker_ask() ──▶ ops->take(): messages ──▶ sq_taker_settle() ──▶ ops->settled(), durable
 *
 * A message that was taken has no lease: it is the taker's until it settles it, or is dismissed.  A
 * taker may call any of this from within ops.  On the worker that owns the queue. */
#ifndef SQ_BROKER_SUBSCRIBER_TAKER_H
#define SQ_BROKER_SUBSCRIBER_TAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "core/msg.h"
#include "proto/dispatch/dispatch.h"

struct sq_identity;
struct sq_pull;
struct sq_taker;
struct sq_taker_settlement;

/* A message that was taken.  The taker has a reference to 'msg' until it settles it. */
struct sq_taken {
	const struct sq_msg *msg;
	uint64_t seq;
	unsigned char id[16]; /* as struct sq_published has it */
	uint64_t lane; /* those of one lane are in the order of the queue; without order its own */
	uint64_t arrived_ms; /* since 1970; 0: not known */
	uint64_t expires_ms; /* since 1970; 0: never */
	uint32_t attempt;    /* from 1 on */
	uint8_t qos;         /* 0 to 3, as it was published */
};

/* An ask: the taker takes up to 'n' messages once.  Embedded in the taker's, zeroed; the queue's until
 * take(), or sq_taker_take_back(). */
struct sq_taker_ask {
	unsigned n;     /* at least 1 */
	uint64_t bytes; /* of all; it gets one of any size */
	/* It is served when it is full, or that long after its first message.  It stands first until
	 * then: who waits behind it gets nothing. */
	uint64_t linger_ms;
	/* The queue's. */
	struct sq_taker *taker;
	struct sq_dispatch_grant grant;
	struct sq_list node, items;
	bool granted;
};

struct sq_taker_ops {
	/* The messages of an ask, at least one, each lane's in order; valid until the call returns, but
	 * for what is referenced. */
	void (*take)(struct sq_taker *, struct sq_taker_ask *, const struct sq_taken *, size_t n);
	/* What the settlement says is durable, or was undone: see its 'end'.  It is the taker's again. */
	void (*settled)(struct sq_taker *, struct sq_taker_settlement *);
	/* The queue ends, or the broker: all its messages are no longer its own, its asks are its own
	 * again; settlements that are out still come back. */
	void (*dismissed)(struct sq_taker *);
};

/* A taker, embedded in its user's. */
struct sq_taker {
	const struct sq_taker_ops *ops;
	/* The queue's. */
	struct sq_pull *pull; /* NULL: dismissed */
	struct sq_list node, asks;
	struct sq_list items;       /* struct sq_pull_item.in_poll */
	struct sq_list settlements; /* struct sq_taker_settlement.of_taker */
};

/* Why a message is never to be tried again: the reason of its dead letter. */
enum sq_taker_never {
	SQ_NEVER_REFUSED,    /* "refused" */
	SQ_NEVER_UNMAPPABLE, /* "unmappable" */
	SQ_NEVER_TOO_LARGE,  /* "too-large" */
	SQ_NEVER_UNROUTABLE, /* "unroutable": the peer has nobody for it */
	SQ_NEVER_LOOP,       /* "loop": it has gone round too often */
};

/* What became of a message. */
struct sq_taker_outcome {
	uint64_t seq;
	enum sq_dispatch_outcome how; /* OK, FAILED, LATER or NEVER */
	/* FAILED: it is free that much later; LATER: the same; 0: at once for LATER, and for FAILED as the
	 * queue's retry says. */
	uint64_t delay_ms;
	/* FAILED, whatever the queue's max-attempts are: it has had its attempts, or has more. */
	bool last, more;
	enum sq_taker_never why; /* NEVER */
	/* NEVER, and FAILED for when it dies: sqmqos-dead-detail, 256 bytes of UTF-8, without payload; NULL
	 * or "": none. */
	const char *detail;
};

enum sq_taker_end {
	SQ_TAKER_DONE,
	SQ_TAKER_BUSY,    /* the reply has no room, or keys are busy: nothing was done, try again */
	SQ_TAKER_REFUSED, /* the reply is a dead letter, reply-refused; the rest is done */
	/* The taker was dismissed meanwhile, or the commit failed, or there is a reply to messages that it
	 * does not have: nothing was done. */
	SQ_TAKER_GONE,
};

/* A settlement: in the taker's memory until settled(). */
struct sq_taker_settlement {
	const struct sq_taker_outcome
	    *outcomes; /* what the taker does not have any more is passed over */
	size_t n;
	/* A message that is published in the same transaction, with 'who's rights, as it is: with its own
	 * QoS, and without sqmqos-key; .image NULL: none. */
	struct sq_msg reply;
	const struct sq_identity *who;
	/* The answer. */
	enum sq_taker_end end;
	char why[160]; /* of BUSY and REFUSED */
	/* The queue's. */
	struct sq_taker *taker;
	struct sq_list node, of_taker;
};

/* Joins the queue: it counts as a consumer from now on, but while the queue is paused, until it leaves
 * or is dismissed. */
void sq_taker_join(struct sq_taker *, struct sq_pull *);
/* Leaves it: what it has goes back, untried, and asks and settlements are its own again, whatever
 * becomes of these.  ops are not called.  Nothing happens if it was dismissed. */
void sq_taker_leave(struct sq_taker *);
/* Waits for messages, behind those that wait already; while the queue is paused or the broker drains,
 * it gets none.  Nothing happens if the taker was dismissed. */
void sq_taker_ask(struct sq_taker *, struct sq_taker_ask *);
/* The ask is the taker's again; it gets nothing any more.  Nothing happens if it does not wait. */
void sq_taker_take_back(struct sq_taker_ask *);
/* Settles, all in one transaction if there is a reply; else in as many as it needs.  Settlements of one
 * turn share theirs.  settled() follows, later. */
void sq_taker_settle(struct sq_taker *, struct sq_taker_settlement *);

#endif
