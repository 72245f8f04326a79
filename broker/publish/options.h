/* Options of a publish: user properties whose names start with "sqmqos-" (docs/user-guide.md).
 *
 * Names that the broker itself writes, on dead letters and receipts, are no options: an app may
 * forward them.  Any other name is unknown, and probably a misspelled option that the app would
 * miss.  Pure. */
#ifndef SQ_BROKER_PUBLISH_OPTIONS_H
#define SQ_BROKER_PUBLISH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"

enum {
	SQ_PUBLISH_KEY_MAX = 256,       /* bytes of an idempotency key */
	SQ_PUBLISH_ORDER_KEY_MAX = 256, /* bytes of an order key */
};

/* Reasons for which an option is refused.  X(symbol, text) */
#define SQ_PUBLISH_WRONGS(X) \
	X(QOS, "sqmqos-qos can be 3 only") \
	X(QOS_BASE, "sqmqos-qos: 3 needs a publish of QoS 2") \
	X(KEY, "sqmqos-key must have 1 to 256 bytes") \
	X(KEY_BASE, "sqmqos-key is for QoS 3 and needs a publish of QoS 2") \
	X(DELAY, "sqmqos-delay must be a number of seconds, at most 999999999") \
	X(RECEIPT, \
	    "sqmqos-receipt must be a topic, without wildcards and not below $dead, $SYS, " \
	    "$share, $tag " \
	    "and $queue") \
	X(ORDER_KEY, "sqmqos-order-key must have 1 to 256 bytes")

#define SQ_PUBLISH_WRONG_ENUM(sym, text) SQ_PUBLISH_WRONG_##sym,
enum sq_publish_wrong { SQ_PUBLISH_GOOD, SQ_PUBLISH_WRONGS(SQ_PUBLISH_WRONG_ENUM) };

struct sq_publish_options {
	bool assured;            /* QoS 3: sqmqos-qos: 3, or a key */
	uint8_t wrong;           /* enum sq_publish_wrong */
	uint32_t delay_s;        /* sqmqos-delay; 0: none */
	struct sq_bytes key;     /* sqmqos-key; empty: none */
	struct sq_bytes receipt; /* sqmqos-receipt, a topic, for QoS 3; empty: none */
	struct sq_bytes unknown; /* the first unknown name; empty: none */
};

/* Reads the options of an image; the last of equal names counts.  False: an option is wrong, see
 * 'wrong'.  The caller judges unknown names.  Views point into the image. */
bool sq_publish_options_parse(const unsigned char *image, struct sq_publish_options *out);

/* Appends the wrong or unknown option in one line for people, of printable ASCII. */
void sq_publish_options_explain(const struct sq_publish_options *, struct sq_buf *out);

#endif
