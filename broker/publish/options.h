/* What a message asks the broker for by user properties whose names start with "sqmqos-"
 * (docs/user-guide.md).
 *
 * Names that the broker writes itself, on dead letters and receipts, ask for nothing: an
 * app may carry them on.  Any other name is unknown, which is most likely a slip that
 * would cost the app what it asked for. */
#ifndef SQ_BROKER_PUBLISH_OPTIONS_H
#define SQ_BROKER_PUBLISH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"

enum { SQ_PUBLISH_KEY_MAX = 256 }; /* bytes of an idempotency key */

/* Why what is asked for can't be had.  X(symbol, text) */
#define SQ_PUBLISH_WRONGS(X) \
	X(QOS, "sqmqos-qos can be 3 only") \
	X(QOS_BASE, "sqmqos-qos: 3 needs a publish of QoS 2") \
	X(KEY, "sqmqos-key must have 1 to 256 bytes") \
	X(KEY_BASE, "sqmqos-key is for QoS 3 and needs a publish of QoS 2") \
	X(DELAY, "sqmqos-delay must be a number of seconds, at most 999999999") \
	X(RECEIPT, \
	    "sqmqos-receipt must be a topic, without wildcards and not below $dead, $SYS, " \
	    "$share, $tag " \
	    "and $queue")

#define SQ_PUBLISH_WRONG_ENUM(sym, text) SQ_PUBLISH_WRONG_##sym,
enum sq_publish_wrong { SQ_PUBLISH_GOOD, SQ_PUBLISH_WRONGS(SQ_PUBLISH_WRONG_ENUM) };

struct sq_publish_options {
	bool assured;            /* QoS 3: sqmqos-qos: 3, or a key */
	uint8_t wrong;           /* enum sq_publish_wrong */
	uint32_t delay_s;        /* sqmqos-delay; 0: none */
	struct sq_bytes key;     /* sqmqos-key; empty: none */
	struct sq_bytes receipt; /* sqmqos-receipt, a topic, for QoS 3; empty: none */
	struct sq_bytes unknown; /* the first name that is; empty: none */
};

/* Reads the properties of an image; of one that is there twice the last counts.
 * Returns whether all of it can be had: false with 'wrong' set.  Unknown names are
 * the caller's to judge. */
bool sq_publish_options_parse(const unsigned char *image, struct sq_publish_options *out);

/* Appends what is wrong, or else unknown: one line for people, of printable ASCII. */
void sq_publish_options_explain(const struct sq_publish_options *, struct sq_buf *out);

#endif
