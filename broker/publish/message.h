/* The publishing of a publisher's messages, one after the other, into transactions.
 *
 * Structure: put.c puts a message into queues, route_message.c finds them, publish.c carries out a
 * message's options, own.c publishes the broker's own messages.  A session, or the intake for a
 * publisher without one, passes values and two functions: publish/ knows neither. */
#ifndef SQ_BROKER_PUBLISH_MESSAGE_H
#define SQ_BROKER_PUBLISH_MESSAGE_H

#include "broker/publish/look.h"
#include "broker/publish/refused.h"
#include "broker/shard/shard.h"

struct sq_acl_subject;

/* The publisher. */
struct sq_publisher {
	struct sq_refused_of of;
	struct sq_acl_subject *permit; /* its permissions; NULL: everything */
	uint64_t not_from;             /* as in struct sq_binding */
	bool stores_ids;               /* its QoS 2 packet ids are stored */
	bool told;                     /* refusals are reported to it */
	bool own;   /* the broker itself: options are not carried out, and it is refused nothing */
	bool again; /* the broker, for a dead letter: queues may refuse it, though it is 'own' */
	bool compares; /* a known key is compared: see sq_keys_print() */
	bool match;    /* a message that nothing matches is refused: see struct sq_publish_want */
};

/* What became of a message beside its outcome. */
enum sq_publish_how {
	SQ_PUBLISH_ROUTED, /* or refused */
	SQ_PUBLISH_HELD,   /* a due message: there is no room yet */
	SQ_PUBLISH_DELAYED,
	SQ_PUBLISH_KNOWN,     /* its key is known, and it is not stored again */
	SQ_PUBLISH_OTHER,     /* its key is known with another topic or payload: refused */
	SQ_PUBLISH_UNMATCHED, /* refused, because nothing matches */
};

struct sq_publish_end {
	uint8_t how; /* enum sq_publish_how */
	bool keyed;  /* it has a key: */
	struct sq_key_hash key;
	bool reads;        /* other spaces are left that may read it: sq_route_readers() */
	uint64_t retained; /* its place among all retained messages; 0: it was not retained */
};

/* The continuation of a transaction without room. */
struct sq_publish_more {
	/* Returns another transaction for the message with that number; the messages of the batch
	 * before it are committed.  NULL: the present one is empty. */
	struct sq_txn *(*split)(void *arg, uint64_t number);
	/* Returns another transaction between two messages, after any content of the present one.
	 * NULL: the caller commits. */
	struct sq_txn *(*part)(void *arg, uint64_t number);
	void *arg;
};

/* How the message's copies reach their queues. */
struct sq_publish_copies {
	bool own;  /* each has a block of its own */
	bool pass; /* sinks of this worker may be passed it at once */
};

/* For pacing: see broker/shard/pace.h. */
struct sq_publish_pace {
	struct sq_call *call; /* the batch that may wait; NULL: none */
	struct sq_sink *last;
	unsigned puts;
};

struct sq_publish {
	struct sq_broker *broker;
	struct sq_shard *home; /* the shard of this worker */
	struct sq_publisher from;
	struct sq_tenant *tenant; /* the publisher's */
	struct sq_txn *txn;
	struct sq_publish_more more;
	const struct sq_msg *msg;
	const struct sq_origin *origin;
	uint64_t expires_ms;
	uint8_t qos;
	bool retain;
	bool assured; /* QoS 3 */
	struct sq_publish_copies copies;
	struct sq_look *look;    /* of a list that is published together: look.h; NULL: of none */
	bool due;                /* a due message, held if the store has no room for its copies */
	bool keys_locked;        /* the lock of keys is held until the commit: see idempotency.h */
	struct sq_space *locked; /* the space locked for reading; NULL: none */
	size_t work;             /* matches, and steps of similar cost */
	size_t paused;           /* 'work' at the last pause */
	uint64_t number;         /* of a retained message that is being routed; else 0 */
	struct sq_publish_end end;
	size_t n;     /* sinks reached */
	size_t taken; /* of them, those that have it, or a dead letter of it */
	struct sq_publish_pace pace;
	struct sq_refused refused;
};

#endif
