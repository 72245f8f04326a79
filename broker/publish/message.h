/* The publishing of one message after the other, which are one publisher's, into transactions.
 *
 * Structure: put.c puts a message into queues, route_message.c finds them, publish.c does what a
 * message asks for, own.c publishes the broker's own.  A session gives its values and two
 * functions: publish/ knows of no session. */
#ifndef SQ_BROKER_PUBLISH_MESSAGE_H
#define SQ_BROKER_PUBLISH_MESSAGE_H

#include "broker/publish/refused.h"
#include "broker/shard/shard.h"

struct sq_acl_subject;

/* Who publishes. */
struct sq_publisher {
	struct sq_refused_of of;
	struct sq_acl_subject *permit; /* what it may publish; NULL: anything */
	uint64_t not_from;             /* as in struct sq_binding */
	bool stores_ids;               /* packet ids of its QoS 2 are stored */
	bool told;                     /* it hears of refusals */
	bool own; /* the broker: what it asks for was done, and nothing of it is refused */
};

/* How a transaction without room goes on. */
struct sq_publish_more {
	/* Another transaction for the message with that number: of a batch all before it are in
	 * the store then.  NULL: the one that there is holds nothing. */
	struct sq_txn *(*split)(void *arg, uint64_t number);
	/* The same between two messages, whatever it holds.  NULL: the caller commits. */
	struct sq_txn *(*part)(void *arg, uint64_t number);
	void *arg;
};

/* For pacing: see broker/shard/pace.h. */
struct sq_publish_pace {
	struct sq_call *call; /* that may wait; NULL: none */
	struct sq_sink *last;
	unsigned puts;
};

struct sq_publish {
	struct sq_broker *broker;
	struct sq_shard *home; /* the worker's */
	struct sq_publisher from;
	struct sq_tenant *tenant; /* whose publish it is */
	struct sq_txn *txn;
	struct sq_publish_more more;
	const struct sq_msg *msg;
	const struct sq_origin *origin;
	uint64_t expires_ms;
	uint8_t qos;
	bool retain, copy_out;
	bool assured;            /* QoS 3 */
	bool passes;             /* sinks of this worker may take it at once */
	bool due;                /* it waits where the store has no room for its copies: */
	bool held;               /* so it does */
	bool keys_locked;        /* until the commit: see idempotency.h */
	struct sq_space *locked; /* for reading; NULL: none is */
	size_t work;             /* matches, and what takes as long */
	size_t paused;           /* of these, at the last pause */
	uint64_t number;         /* as a retained message, while others read it; else 0 */
	size_t n;                /* sinks reached */
	struct sq_publish_pace pace;
	struct sq_refused refused;
};

#endif
