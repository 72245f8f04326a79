/* The options byte of a subscription (MQTT 5.0 §3.8.3.1), in a SUBSCRIBE and in a Subscriptions of the
 * link. */
#ifndef SQ_PROTO_MQTT_OPTIONS_H
#define SQ_PROTO_MQTT_OPTIONS_H

#include <stdint.h>

enum {
	SQ_OPTION_QOS = 0x03,
	SQ_OPTION_NO_LOCAL = 0x04,
	SQ_OPTION_AS_PUBLISHED = 0x08,
	SQ_OPTION_RETAIN = 0x30, /* see sq_option_retain() */
	SQ_OPTION_RESERVED = 0xc0,
	SQ_OPTION_RETAIN_SHIFT = 4,
};

/* Retain Handling: when retained messages are sent; 3 is malformed. */
enum { SQ_RETAIN_ALWAYS, SQ_RETAIN_IF_NEW, SQ_RETAIN_NEVER };

static inline unsigned
sq_option_retain(uint8_t options)
{
	return (options & SQ_OPTION_RETAIN) >> SQ_OPTION_RETAIN_SHIFT;
}

#endif
