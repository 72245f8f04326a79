/* What of a message goes along over a bridge, and the names that a bridge itself writes.  Pure.
 *
 * User properties go along as they are, in both directions, but for names that begin with "sqmqos-":
 * these are options that were carried out here (a delay, a receipt), or words of this broker.  Of them
 * the order key goes along.  Names are compared without regard to case, as peers may change it. */
#ifndef SQ_BROKER_BRIDGE_CARRY_H
#define SQ_BROKER_BRIDGE_CARRY_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/msg.h"
#include "proto/props/names.h"

#define SQ_CARRY_ORIGIN "sqmqos-origin"
#define SQ_CARRY_HOPS SQ_PROP_HOPS
#define SQ_CARRY_TOPIC "sqmqos-topic"   /* the topic, where the peer has another way to say it */
#define SQ_CARRY_RETAIN "sqmqos-retain" /* "1" */
#define SQ_CARRY_RESPONSE "sqmqos-response" /* the response topic, likewise */
#define SQ_CARRY_CORRELATION "sqmqos-correlation"
#define SQ_CARRY_PAYLOAD_FORMAT "sqmqos-payload-format" /* "1": the payload is UTF-8 */

enum { SQ_CARRY_HOPS_MAX = 2048 }; /* bytes; a longer one has too many hops */

/* Whether a user property of that name goes along. */
bool sq_carry_property(struct sq_bytes name);

/* Hops: "INSTALL/BRIDGE,INSTALL/BRIDGE", the newest last, from whoever wrote them.  An INSTALL is a name,
 * a '-' and 16 digits; these alone are compared. */

/* Whether one of the hops is of that installation. */
bool sq_hops_have(struct sq_bytes hops, const char *install);
/* Whether one of them is that bridge of that installation. */
bool sq_hops_have_bridge(struct sq_bytes hops, const char *install, const char *bridge);
/* Above SQ_CARRY_HOPS_MAX bytes: UINT_MAX. */
unsigned sq_hops_count(struct sq_bytes hops);
/* Appends 'hops', of which a character that no hop has becomes '_', and this bridge behind them. */
void sq_hops_add(struct sq_bytes hops, const char *install, const char *bridge, struct sq_buf *out);

#endif
