/* Receiving, as an app does: the verb sub. */
#ifndef SQ_CLI_MQTT_SUB_H
#define SQ_CLI_MQTT_SUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct sq_sub_ask {
	const char *url, *client_id; /* NULL: see cli/mqtt/client.h */
	const char *filter;
	unsigned qos;     /* 0 to 2 */
	size_t count;     /* messages, after which it ends; 0: none */
	uint64_t wait_ms; /* after which it ends; 0: never */
	bool json;
};

/* Whether it can be asked for at all; else appends to 'why' what is wrong. */
bool sq_sub_good(const struct sq_sub_ask *, struct sq_buf *why);
/* Writes messages to standard output, each before it is acknowledged, until there are 'count', the
 * time is over, or a signal comes.  0; SQ_EAGAIN: the time was over before 'count'; else 'err' says
 * what is wrong. */
int sq_sub(const struct sq_sub_ask *, struct sq_buf *err);

#endif
