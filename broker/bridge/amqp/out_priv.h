/* The inner interface of the forwarder: forwarder.c is what the worker sees, out_line.c what each line
 * does with its messages, out_confirm.c what the peer says of them, out_lane.c how they end. */
#ifndef SQ_BROKER_BRIDGE_AMQP_OUT_PRIV_H
#define SQ_BROKER_BRIDGE_AMQP_OUT_PRIV_H

#include "broker/bridge/amqp/half.h"
#include "broker/bridge/amqp/map_out.h"
#include "core/list.h"

enum { SQ_AMQP_BUCKETS = 256 }; /* of lanes */

/* Of a message that the peer may or may not have. */
#define SQ_AMQP_UNCERTAIN "the connection or its channel ended before the peer had confirmed it"

enum sq_amqp_out_state { SQ_AMQP_WAITS, SQ_AMQP_OUT, SQ_AMQP_ENDED };

/* A message that is offered. */
struct sq_amqp_item {
	struct sq_list node;    /* inbox, then waiting, then done */
	struct sq_list in_lane; /* of its bucket */
	struct sq_offered *offered;
	uint64_t lane;
	uint64_t seen; /* batches of ends that the user had when it offered this */
	enum sq_amqp_out_state state;
	struct sq_offer_end end;
	char *why;        /* what 'end' points to; or NULL */
	char *unroutable; /* what basic.return said; NULL: none came */
};

/* A lane of which a message has failed: what was offered before the user knew goes back. */
struct sq_amqp_halt {
	uint64_t lane;
	uint64_t
	    batch;  /* of ends that the message is in, as long as it is in none, SQ_AMQP_NO_BATCH */
	bool ended; /* the message is among those for the next batch */
};

#define SQ_AMQP_NO_BATCH UINT64_MAX

/* basic.return, whose content follows. */
struct sq_amqp_return {
	enum { SQ_AMQP_NO_RETURN, SQ_AMQP_RETURN_HEADER, SQ_AMQP_RETURN_BODY } state;
	uint64_t left; /* bytes of the body */
	struct sq_buf words;
};

/* With the oldest message that is out.  RabbitMQ forgets some of those that reach a quorum queue while it
 * elects a leader; waiting gets longer each time, as a queue without a majority confirms nothing. */
struct sq_amqp_patience {
	uint64_t tag, since_ms; /* the oldest, since when it is that; 0: none */
	uint64_t ms;
};

struct sq_amqp_out_line {
	struct sq_amqp_forwarder *f;
	unsigned index;
	/* The thread's. */
	struct sq_amqp_out *map;
	struct sq_list waiting;
	struct sq_list buckets[SQ_AMQP_BUCKETS]; /* those that have not ended, in their order */
	struct sq_list done;
	struct sq_amqp_item **ring; /* those that are out, by their tags */
	uint64_t mask, low, next;   /* tags: the lowest that is out, the next one */
	unsigned out;
	/* So many messages go one at a time: one of them had the channel closed. */
	unsigned careful;
	struct sq_amqp_patience patience;
	uint64_t refused_ms;        /* since when there are only basic.nacks; 0: there are not */
	bool proved;                /* a message was confirmed since work() */
	size_t written;             /* bytes since the socket was last seen to take some */
	uint64_t halt_all;          /* as of a halt, of all lanes */
	struct sq_amqp_halt *halts; /* at most about as many as messages may be out */
	size_t n_halts, halts_room;
	struct sq_amqp_return returning;
	/* Under the half's lock. */
	struct sq_list inbox;
	bool blocked;
};

struct sq_amqp_forwarder {
	struct sq_forwarder forwarder;
	struct sq_amqp_half half;
	struct sq_amqp_out_line *lines;
	unsigned window;
	/* The worker's. */
	unsigned n_out; /* messages that are offered and have not ended */
	uint64_t seen;  /* batches that were brought */
	bool usable;    /* a line is up, and not blocked */
	bool starved;   /* room() was 0 */
	/* Under the half's lock. */
	struct sq_list done;
	uint64_t batch; /* of ends, the last one */
};

/* What the line's thread calls. */
extern const struct sq_amqp_line_user sq_amqp_out_line_user;

void sq_amqp_out_line_init(struct sq_amqp_out_line *, struct sq_amqp_forwarder *, unsigned index);
void sq_amqp_out_line_fini(struct sq_amqp_out_line *);

/* Thread: the line's. */

/* Ends a message, with 'why' copied unless it is NULL; it goes to the user after those before it of its
 * lane.  What was offered behind one that is to come again goes back, too. */
void sq_amqp_out_end(struct sq_amqp_out_line *, struct sq_amqp_item *, enum sq_offer,
    enum sq_offer_never, const char *why);
/* Ends it with LATER; 'uncertain': the peer may have it. */
void sq_amqp_out_later(struct sq_amqp_out_line *, struct sq_amqp_item *, bool uncertain);
/* All that waits, or that of a lane, goes back. */
void sq_amqp_out_return(struct sq_amqp_out_line *, bool all, uint64_t lane);
/* Ends all that the line has with LATER: those that are out as uncertain. */
void sq_amqp_out_give_back(struct sq_amqp_out_line *);
/* Whether the user did not know yet, when it offered this, that a message before it has to come again. */
bool sq_amqp_out_is_halted(struct sq_amqp_out_line *, const struct sq_amqp_item *);
/* Gives the worker what has ended. */
void sq_amqp_out_flush(struct sq_amqp_out_line *);
/* Confirms are asked for, exchanges are looked at. */
int sq_amqp_out_prepare(
    struct sq_amqp_out_line *, struct sq_amqp_peer *, struct sq_buf *why) SQ_MUST_CHECK;
/* A frame of the peer. */
int sq_amqp_out_frame(void *arg, struct sq_amqp_peer *, const amqp_frame_t *, struct sq_buf *why);

#endif
