/* A client of MQTT 5 over TCP: one connection, blocking, as an app beside its sidecar is.
 *
 * It knows packets and their timing, but not what they mean.  What the other side may cost is
 * bounded: the bytes of a packet, and the time of a connection, of a write and of a silence. */
#ifndef SQ_CLI_MQTT_CLIENT_H
#define SQ_CLI_MQTT_CLIENT_H

#include "proto/mqtt/encode.h"

#define SQ_MQTT_CLIENT_URL "mqtt://localhost:1883"

enum { SQ_MQTT_CLIENT_PACKET_MAX = 16 << 20 }; /* bytes, of what is received */

struct sq_mqtt_client;

/* What the other side's CONNACK says of it. */
struct sq_mqtt_client_limits {
	uint32_t max_packet;
	uint8_t max_qos;
	bool retain;
};

/* Why that is no address to connect to, a static sentence; NULL: it is one. */
const char *sq_mqtt_client_url_wrong(const char *url);
/* Connects with a clean start and no session expiry.  'url': "mqtt://[USER[:PASSWORD]@]HOST[:PORT]",
 * or without the scheme; NULL: of the environment, SQMQOS_URL, or SQ_MQTT_CLIENT_URL.  'client_id'
 * NULL: the other side chooses one.  NULL: 'err' has a line. */
struct sq_mqtt_client *
sq_mqtt_client_open(const char *url, const char *client_id, struct sq_buf *err);
/* Says DISCONNECT where the connection is there, and nulls the pointer. */
void sq_mqtt_client_close(struct sq_mqtt_client **);
const struct sq_mqtt_client_limits *sq_mqtt_client_limits(const struct sq_mqtt_client *);

/* Writes what the buffer has, and empties it.  SQ_EIO, SQ_ECLOSED: 'err' has a line. */
int sq_mqtt_client_send(struct sq_mqtt_client *, struct sq_buf *, struct sq_buf *err) SQ_MUST_CHECK;
/* Waits for a packet until 'until_ms' of sq_clock_ms(); its views hold until the next call.  Keeps
 * the connection alive meanwhile.  SQ_EAGAIN: none came in time, or a signal did
 * (cli/term/interrupt.h).  SQ_ECLOSED: the connection was lost, or the other side has ended it;
 * SQ_EINVAL: what came is not MQTT 5; 'err' has a line. */
int sq_mqtt_client_next(struct sq_mqtt_client *, uint64_t until_ms, struct sq_mqtt_packet *,
    struct sq_buf *err) SQ_MUST_CHECK;

/* Appends a reason code in words, and the reason string of the packet's properties: "0x97 Quota
 * exceeded: queue-full ...". */
void sq_mqtt_client_reason(struct sq_buf *, uint8_t reason, const struct sq_mqtt_props *);

#endif
