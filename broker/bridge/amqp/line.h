/* A thread with one connection to a peer: it dials, again and again, one URL after another, and serves
 * its user while it is connected.
 *
 *   worker ──sq_amqp_line_wake()──▶ thread: up() ─▶ frame()…, work()… ─▶ down() ─▶ (backoff) ─▶ up() … */
#ifndef SQ_BROKER_BRIDGE_AMQP_LINE_H
#define SQ_BROKER_BRIDGE_AMQP_LINE_H

#include "broker/bridge/amqp/peer.h"
#include "proto/reconnect/reconnect.h"

/* What the user wants next. */
struct sq_amqp_wants {
	bool hold;      /* reads nothing for now */
	bool write;     /* wakes when the socket takes bytes */
	bool idle;      /* nothing of the user's is under way: a line that closes may end */
	uint64_t at_ms; /* of sq_clock_ms(): wakes then; 0: no such time */
};

/* Called on the line's thread alone.  An error, with the trouble set and the reason in 'why', ends the
 * connection. */
struct sq_amqp_line_user {
	int (*up)(void *arg, struct sq_amqp_peer *, struct sq_buf *why);
	/* A frame of the channel, good until the user calls sq_amqp_peer_done(), which it does soon. */
	int (*frame)(void *arg, struct sq_amqp_peer *, const amqp_frame_t *, struct sq_buf *why);
	/* After frames, and each time that it was woken; the peer NULL: not connected. */
	int (*work)(
	    void *arg, struct sq_amqp_peer *, struct sq_amqp_wants *out, struct sq_buf *why);
	/* The connection is over. */
	void (*down)(void *arg);
	/* It is connected, or is not, or no longer: with the reason. */
	void (*state)(void *arg, bool up, enum sq_amqp_trouble, const char *why);
	void *arg;
};

struct sq_amqp_line;

/* Starts one, of which 'first' says with which URL it begins.  The configuration is copied. */
struct sq_amqp_line *
sq_amqp_line_new(const struct sq_amqp_peer_cfg *, size_t first, const struct sq_amqp_line_user *);
/* Has work() called soon.  Thread: any. */
void sq_amqp_line_wake(struct sq_amqp_line *);
/* Ends lines: each as soon as its user is idle, or, at the latest, when 'within_ms' is over.  Then calls
 * 'ended' on a thread of its own, after which nothing of a line calls its user any more, and the lines
 * are not to be used. */
void sq_amqp_lines_close(struct sq_amqp_line *const *, size_t n, unsigned within_ms,
    void (*ended)(void *arg), void *arg);

/* When to try again what failed at a peer, the first time at once. */
struct sq_reconnect *sq_amqp_backoff_new(void);

/* Copies a configuration; frees a copy. */
void sq_amqp_peer_cfg_copy(const struct sq_amqp_peer_cfg *, struct sq_amqp_peer_cfg *out);
void sq_amqp_peer_cfg_fini(struct sq_amqp_peer_cfg *);

#endif
