/* Headers of AMQP messages that this broker writes and reads, beside those of broker/bridge/carry.h, and
 * user properties that stand for properties of AMQP. */
#ifndef SQ_BROKER_BRIDGE_AMQP_NAMES_H
#define SQ_BROKER_BRIDGE_AMQP_NAMES_H

/* Headers. */
#define SQ_AMQP_TAGS "tags" /* an array */
/* What is longer than the property of AMQP for it, or no text; so have SQ_CARRY_RESPONSE, and
 * SQ_CARRY_CORRELATION in base64. */
#define SQ_AMQP_CONTENT_TYPE "sqmqos-content-type"
/* RabbitMQ's own. */
#define SQ_AMQP_DELIVERY_COUNT "x-delivery-count" /* of quorum queues */

/* User properties, in both directions. */
#define SQ_AMQP_PROP_MESSAGE_ID "amqp-message-id"
#define SQ_AMQP_PROP_TYPE "amqp-type"
#define SQ_AMQP_PROP_APP_ID "amqp-app-id"
#define SQ_AMQP_PROP_CONTENT_ENCODING "amqp-content-encoding"
#define SQ_AMQP_PROP_PRIORITY "amqp-priority"
#define SQ_AMQP_PROP_REPLY_TO "amqp-reply-to" /* one that is no topic */
/* Of what comes in. */
#define SQ_AMQP_PROP_USER_ID "amqp-user-id"
#define SQ_AMQP_PROP_TIMESTAMP "amqp-timestamp" /* as RFC 3339 has it */

#endif
