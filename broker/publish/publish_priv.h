/* What publish.c and batch.c share. */
#ifndef SQ_BROKER_PUBLISH_PUBLISH_PRIV_H
#define SQ_BROKER_PUBLISH_PUBLISH_PRIV_H

#include "broker/shard/system_txn.h"
#include "broker/session/permit.h"
#include "broker/publish/publish.h"
#include "broker/publish/refused.h"
#include "broker/session/session.h"
#include "broker/session/txn.h"

/* The publishing of one message after the other. */
struct sq_publish {
	struct sq_broker *broker;
	struct sq_shard *home;         /* the worker's */
	const struct sq_session *from; /* NULL: the broker's own */
	struct sq_acl_subject *permit; /* what it may publish; NULL: anything */
	struct sq_tenant *tenant;      /* whose publish it is */
	struct sq_txn *txn;
	const struct sq_msg *msg;
	const struct sq_origin *origin;
	uint64_t not_from, expires_ms;
	uint8_t qos;
	bool retain, copy_out;
	bool own;         /* the broker's: what it asks for was done, nobody can be refused */
	bool assured;     /* QoS 3 */
	bool held;        /* a due one that the store has no room for yet */
	bool keys_locked; /* until the commit: see broker/publish/idempotency.h */
	/* Where 'txn' has no room: the batch, or the transaction that is begun instead. */
	struct sq_call_txn *op;
	struct sq_system_txn **due, *apart;
	struct sq_space *locked; /* for reading; NULL: none is */
	size_t work;             /* matches, and what takes as long */
	size_t paused;           /* of these, at the last pause */
	uint64_t number;         /* as a retained message, while others read it; else 0 */
	size_t n;                /* sinks reached */
	struct sq_refused refused;

	/* For pacing; no call: none. */
	struct sq_shard *shard;
	struct sq_call *call;
	struct sq_sink *last_sink;
	unsigned puts;
};

/* Routes 'msg', or does what it asks for, into 'txn', or what has taken its place.  Returns its
 * outcome.  A space that it has locked may stay so, for the next message and for what
 * sq_refused_tell() says of a queue, until sq_publish_pause() or sq_publish_unlock(). */
uint8_t sq_publish_message(struct sq_publish *);
/* Between two messages, behind the outcome of the first: lets go of the locks, of the space and of
 * keys, if so much was done that others may wait. */
void sq_publish_pause(struct sq_publish *);
/* Between two messages of a batch, without a lock of a space: commits it so far, as a part, and
 * lets go of keys. */
void sq_publish_part(struct sq_publish *);
/* Behind the last message. */
void sq_publish_unlock(struct sq_publish *);
/* After the commit of its last transaction. */
void sq_publish_committed(struct sq_publish *);

#endif
