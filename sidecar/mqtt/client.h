/* One MQTT connection of a local app: the socket, the packets, and the rules of the standard that
 * need no broker.  Reads and writes at most once in a turn of the loop. */
#ifndef SQ_SIDECAR_MQTT_CLIENT_H
#define SQ_SIDECAR_MQTT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/block.h"
#include "core/err.h"
#include "proto/link/frame.h"
#include "proto/link/lane_out.h"
#include "net/pool.h"
#include "proto/mqtt/reason.h"

struct sq_client;
struct sq_mqtt_publish_out;
struct sq_clients;

/* X(symbol, MQTT 5 reason, an error or unexpected, quiet, text).  Quiet: the client's connection
 * did not break, and its unsettled deliveries count no attempt. */
#define SQ_CLIENT_ENDS(X) \
	X(NONE, SQ_MQTT_RC_SUCCESS, 0, 0, "open") \
	X(DISCONNECTED, SQ_MQTT_RC_SUCCESS, 0, 1, "disconnected by the client") \
	X(LEFT_WILL, SQ_MQTT_RC_SUCCESS, 0, 1, "disconnected by the client, with its will") \
	X(GONE, SQ_MQTT_RC_SUCCESS, 0, 0, "connection closed by the client") \
	X(PROTOCOL, SQ_MQTT_RC_PROTOCOL_ERROR, 1, 0, "protocol error") \
	X(MALFORMED, SQ_MQTT_RC_MALFORMED, 1, 0, "malformed packet") \
	X(TOO_LARGE, SQ_MQTT_RC_PACKET_TOO_LARGE, 1, 0, "packet above limits.max-packet") \
	X(FOREIGN, SQ_MQTT_RC_SUCCESS, 0, 0, "not MQTT") \
	X(NO_CONNECT, SQ_MQTT_RC_SUCCESS, 1, 0, "no CONNECT in time") \
	X(REFUSED, SQ_MQTT_RC_SUCCESS, 1, 1, "CONNECT refused") \
	X(KEEP_ALIVE, SQ_MQTT_RC_KEEP_ALIVE_TIMEOUT, 1, 0, "keep alive timeout") \
	X(TAKEN_OVER, SQ_MQTT_RC_TAKEN_OVER, 0, 1, "session taken over") \
	X(ADMIN, SQ_MQTT_RC_ADMIN_ACTION, 1, 1, "ended by the broker") \
	X(QUOTA, SQ_MQTT_RC_QUOTA_EXCEEDED, 1, 1, "quota exceeded") \
	X(FULL, SQ_MQTT_RC_QUOTA_EXCEEDED, 1, 1, "no room for its session") \
	X(RECEIVE_MAX, SQ_MQTT_RC_RECEIVE_MAX_EXCEEDED, 1, 0, \
	    "more unfinished publishes than allowed") \
	X(ALIAS, SQ_MQTT_RC_TOPIC_ALIAS_INVALID, 1, 0, "topic alias invalid") \
	X(TOPIC, SQ_MQTT_RC_TOPIC_INVALID, 1, 0, "topic name invalid") \
	X(RETAIN, SQ_MQTT_RC_RETAIN_UNSUPPORTED, 1, 0, "retain not supported") \
	X(QOS, SQ_MQTT_RC_QOS_UNSUPPORTED, 1, 0, "QoS not supported") \
	X(SHARED, SQ_MQTT_RC_SHARED_UNSUPPORTED, 1, 0, "shared subscriptions not supported") \
	X(SUB_IDS, SQ_MQTT_RC_SUB_ID_UNSUPPORTED, 1, 0, "subscription identifiers not supported") \
	X(WILDCARD, SQ_MQTT_RC_WILDCARD_UNSUPPORTED, 1, 0, "wildcard subscriptions not supported") \
	X(CLIENT_ID, SQ_MQTT_RC_QUOTA_EXCEEDED, 1, 1, \
	    "client id above the broker's limits.client-id") \
	X(NOT_AUTHORIZED, SQ_MQTT_RC_NOT_AUTHORIZED, 1, 1, "refused by the broker") \
	X(MESSAGE_REFUSED, SQ_MQTT_RC_IMPLEMENTATION, 1, 1, \
	    "message refused, and MQTT 3.1.1 can't say so") \
	X(MEMORY, SQ_MQTT_RC_QUOTA_EXCEEDED, 1, 1, \
	    "it holds most of the memory that is used up (limits.memory)") \
	X(STUCK, SQ_MQTT_RC_QUOTA_EXCEEDED, 0, 1, \
	    "publish refused for session.refused-max, and nothing else went on") \
	X(MESSAGE_DENIED, SQ_MQTT_RC_NOT_AUTHORIZED, 1, 1, \
	    "message not allowed, and MQTT 3.1.1 can't say so") \
	X(SHUTDOWN, SQ_MQTT_RC_SHUTTING_DOWN, 0, 1, "sidecar is shutting down") \
	X(IO, SQ_MQTT_RC_SUCCESS, 1, 0, "socket error")

#define SQ_CLIENT_END_ENUM(sym, reason, bad, quiet, text) SQ_END_##sym,
enum sq_client_end { SQ_CLIENT_ENDS(SQ_CLIENT_END_ENUM) SQ_END_COUNT };

/* Takes over a connected, non-blocking socket; 'from' names the peer in logs, and is copied. */
void sq_client_new(struct sq_clients *, int fd, const char *from);
/* Ends the connection, with a DISCONNECT for an MQTT 5 client.  The client is freed later. */
void sq_client_end(struct sq_client *, enum sq_client_end why);
/* Ends the connection; the client is told 'text' in place of the end's own text, unless 'text' is
 * empty.  The log has both. */
void sq_client_end_because(struct sq_client *, enum sq_client_end why, struct sq_bytes text);
/* Puts a PUBLISH of QoS 0 of the sidecar's own into the output, with 'text' as its payload; nothing
 * if the client has no CONNACK yet or its output has no room. */
void sq_client_say(struct sq_client *, struct sq_mqtt_publish_out *, const char *text);
/* Frees a client that has ended, or at the end of the program. */
void sq_client_free(struct sq_client *);

/* Checks keep alive and time-outs; called once a second. */
void sq_client_sweep(struct sq_client *, uint64_t now_ms);

/* Bytes in memory for the client: incomplete input, and output. */
size_t sq_client_holds(const struct sq_client *);
/* Bytes of output that the client has not read. */
size_t sq_client_output(const struct sq_client *);
/* Ends the client and drops its input and output, for want of memory. */
void sq_client_evict(struct sq_client *);

#endif
