/* Publishing, as an app does: the verb pub. */
#ifndef SQ_CLI_MQTT_PUB_H
#define SQ_CLI_MQTT_PUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum { SQ_PUB_PROPERTIES_MAX = 64 };

struct sq_pub_ask {
	const char *url, *client_id; /* NULL: see cli/mqtt/client.h */
	const char *topic;
	const char *message; /* NULL: standard input has it */
	bool lines;          /* of standard input each line is a message */
	unsigned qos;        /* 0 to 3; 3: QoS 2 with the property sqmqos-qos */
	bool retain;
	const char *key, *receipt; /* NULL: none */
	struct {
		const char *name, *value;
	} properties[SQ_PUB_PROPERTIES_MAX]; /* tags, too */
	size_t n_properties;
	uint64_t wait_ms; /* for each acknowledgement */
};

/* Whether it can be asked for at all; else appends to 'why' what is wrong. */
bool sq_pub_good(const struct sq_pub_ask *, struct sq_buf *why);
/* Publishes one message after the other, each when the one before it is acknowledged.  0, with a
 * line in 'err' where nobody's subscription matched; else 'err' says which was refused, and why. */
int sq_pub(const struct sq_pub_ask *, struct sq_buf *err);

#endif
