/* The inner interface of the inlet: inlet.c is what the worker sees, in_line.c what each line does,
 * in_content.c makes messages of frames, in_look.c looks at queues that are not there, and in_consumer.c
 * speaks for one queue. */
#ifndef SQ_BROKER_BRIDGE_AMQP_IN_PRIV_H
#define SQ_BROKER_BRIDGE_AMQP_IN_PRIV_H

#include "broker/bridge/amqp/half.h"
#include "broker/bridge/amqp/map_in.h"
#include "core/list.h"

enum sq_amqp_in_state {
	SQ_AMQP_HELD,  /* in its consumer's list */
	SQ_AMQP_GIVEN, /* on its way to the user, with it, or on its way back */
	SQ_AMQP_TAKEN, /* the user has it; the peer is to be told */
};

/* A message that has come. */
struct sq_amqp_arrival {
	struct sq_arrived arrived;
	struct sq_list node;     /* held, brought, with the user, settled, taken */
	struct sq_list in_order; /* of all that the peer was not told of, by tags */
	struct sq_amqp_in in;
	char *unmappable;
	struct sq_amqp_in_line *line;
	uint64_t tag;
	uint64_t epoch; /* the connection's that it came by */
	size_t bytes;
	enum sq_amqp_in_state state; /* the thread's */
	enum sq_arrival how;         /* once it is settled: the worker's, then the thread's */
};

/* Of one in[]. */
struct sq_amqp_consumer {
	struct sq_list held;        /* what the user has not been given, by tags */
	uint64_t resume_ms;         /* not before that */
	char *missing;              /* its queue is not there: the peer's words; NULL: it is */
	struct sq_reconnect *retry; /* when it is looked at again; NULL: it was always there */
};

/* The look at a queue that is under way on the second channel. */
struct sq_amqp_look {
	enum {
		SQ_AMQP_NO_LOOK,
		SQ_AMQP_LOOK_OPENS,
		SQ_AMQP_LOOK_DECLARES,
		SQ_AMQP_LOOK_BINDS,
		SQ_AMQP_LOOK_CLOSES
	} state;
	unsigned rule;
};

/* The content that is coming. */
struct sq_amqp_content {
	enum { SQ_AMQP_NO_CONTENT, SQ_AMQP_CONTENT_HEADER, SQ_AMQP_CONTENT_BODY } state;
	unsigned rule;
	uint64_t tag;
	bool again, too_large;
	struct sq_bytes key;                  /* the frame's, as are the properties */
	const amqp_basic_properties_t *props; /* NULL: too large, nothing of it is kept */
	uint64_t size, got, parts;
	struct sq_buf body; /* of more than one frame */
	struct sq_bytes whole;
};

struct sq_amqp_in_line {
	struct sq_amqp_inlet *in;
	unsigned index;
	/* The thread's. */
	struct sq_amqp_consumer *consumers; /* by in[] */
	struct sq_list unacked;
	struct sq_list taken;
	struct sq_amqp_content content;
	struct sq_amqp_look look;
	uint64_t epoch, next_tag;
	size_t bytes; /* of what came and is not freed */
	bool consuming;
	uint64_t unwanted_ms; /* since when nothing is wanted; 0: something is */
	uint64_t beat_ms;     /* when the peer last heard of us while nothing is read */
	/* Under the half's lock. */
	struct sq_list settled;
};

struct sq_amqp_inlet {
	struct sq_inlet inlet;
	struct sq_amqp_half half;
	struct sq_amqp_in_line *lines;
	/* The worker's. */
	struct sq_list with_user;
	/* Under the half's lock. */
	struct sq_list brought;
	unsigned demand, n_user; /* given, and not settled */
};

extern const struct sq_amqp_line_user sq_amqp_in_line_user;

void sq_amqp_in_line_init(struct sq_amqp_in_line *, struct sq_amqp_inlet *, unsigned index);
void sq_amqp_in_line_fini(struct sq_amqp_in_line *);
void sq_amqp_arrival_free(struct sq_amqp_arrival *);

/* Thread: the line's. */

/* A frame of the peer; what is complete goes to its consumer's list. */
int sq_amqp_in_frame(void *arg, struct sq_amqp_peer *, const amqp_frame_t *, struct sq_buf *why);
/* Hands a message back at the peer. */
int sq_amqp_in_requeue(struct sq_amqp_peer *, uint64_t tag, struct sq_buf *why);
/* The same with all that an in[] has and the user has not seen. */
int sq_amqp_in_hand_back(
    struct sq_amqp_in_line *, struct sq_amqp_peer *, unsigned rule, struct sq_buf *why);
/* Has the peer send what an in[] consumes. */
int sq_amqp_in_consume(
    struct sq_amqp_in_line *, struct sq_amqp_peer *, unsigned rule, struct sq_buf *why);
/* Has it send no more of that. */
int sq_amqp_in_cancel(struct sq_amqp_peer *, unsigned rule, struct sq_buf *why);
/* Frees what the peer is told of, or will bring again. */
void sq_amqp_in_forget(struct sq_amqp_in_line *, struct sq_amqp_arrival *);

/* The queue of an in[] is not there, with the words for that.  False: nothing is left to go on with. */
bool sq_amqp_in_miss(
    struct sq_amqp_in_line *, const struct sq_amqp_peer *, unsigned rule, const char *words);
/* Looks at those that are not there, in their time. */
int sq_amqp_in_look(
    struct sq_amqp_in_line *, struct sq_amqp_peer *, struct sq_amqp_wants *, struct sq_buf *why);
/* A frame of the second channel. */
int sq_amqp_in_look_frame(
    struct sq_amqp_in_line *, struct sq_amqp_peer *, const amqp_frame_t *, struct sq_buf *why);
/* The connection is over: nothing is missing. */
void sq_amqp_in_look_over(struct sq_amqp_in_line *);

#endif
