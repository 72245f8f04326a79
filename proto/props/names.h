/* Names of user properties that brokers and sidecars read and write (docs/user-guide.md). */
#ifndef SQ_PROTO_PROPS_NAMES_H
#define SQ_PROTO_PROPS_NAMES_H

/* A label of a message, on which $tag filters select (proto/topic/tags.h). */
#define SQ_PROP_TAG "tag"

/* Each name below starts so; an app's own properties do not. */
#define SQ_PROP_PREFIX "sqmqos-"

/* An app, or a publish rule for it, asks for: */
#define SQ_PROP_QOS "sqmqos-qos"
#define SQ_PROP_KEY "sqmqos-key"
#define SQ_PROP_DELAY "sqmqos-delay"
#define SQ_PROP_RECEIPT "sqmqos-receipt"
/* What has one value is handed out in order by a queue of "order: key" (docs/http.md). */
#define SQ_PROP_ORDER_KEY "sqmqos-order-key"
#define SQ_PROPS_ASKED SQ_PROP_QOS, SQ_PROP_KEY, SQ_PROP_DELAY, SQ_PROP_RECEIPT, SQ_PROP_ORDER_KEY

/* The broker writes on dead letters and receipts: */
#define SQ_PROP_DEAD_REASON "sqmqos-dead-reason"
#define SQ_PROP_DEAD_TIME "sqmqos-dead-time"
#define SQ_PROP_DEAD_QUEUE "sqmqos-dead-queue"
#define SQ_PROP_DEAD_DETAIL "sqmqos-dead-detail"
#define SQ_PROP_TARGET "sqmqos-target"
#define SQ_PROP_OUTCOME "sqmqos-outcome"
#define SQ_PROP_TIME "sqmqos-time"
/* Of how many pushes, one after another, the message is the reply. */
#define SQ_PROP_REPLIES "sqmqos-replies"
/* Of what came over a bridge: those that it has passed, and how often its peer has tried before. */
#define SQ_PROP_HOPS "sqmqos-hops"
#define SQ_PROP_PEER_ATTEMPTS "sqmqos-peer-attempts"
#define SQ_PROPS_WRITTEN \
	SQ_PROP_DEAD_REASON, SQ_PROP_DEAD_TIME, SQ_PROP_DEAD_QUEUE, SQ_PROP_DEAD_DETAIL, \
	    SQ_PROP_TARGET, SQ_PROP_OUTCOME, SQ_PROP_TIME, SQ_PROP_REPLIES, SQ_PROP_HOPS, \
	    SQ_PROP_PEER_ATTEMPTS

#endif
