/* Layout of a client, for client*.c. */
#ifndef SQ_SIDECAR_MQTT_CLIENT_PRIV_H
#define SQ_SIDECAR_MQTT_CLIENT_PRIV_H

#include <ev.h>

#include "core/buf.h"
#include "core/list.h"
#include "proto/mqtt/mqtt.h"
#include "sidecar/mqtt/client.h"
#include "sidecar/mqtt/clients.h"
#include "sidecar/mqtt/output.h"
#include "sidecar/declared/receiver.h"
#include "sidecar/hold/user.h"

enum {
	SQ_ALIAS_OUT_MAX = 16,
	SQ_ALIAS_OUT_BYTES_MAX = 4096,
	SQ_ALIAS_IN_BYTES_MAX = 1 << 20, /* of all topics for which a client has an alias */
	SQ_LIMITS_WAIT_MS = 1000,        /* a first CONNACK waits as long for the broker's limits */
};

enum sq_client_state {
	SQ_CLIENT_NEW,      /* awaits CONNECT */
	SQ_CLIENT_CHECKING, /* its password is checked */
	SQ_CLIENT_WAITING,  /* awaits the attach, then CONNACK */
	SQ_CLIENT_OPEN,
	SQ_CLIENT_CLOSING, /* writes the rest of the output, then reads until the end */
	SQ_CLIENT_DEAD,
};

/* Topics by alias (MQTT 5.0 §3.3.2.3.4); 'used' orders the outbound ones. */
struct sq_alias {
	char *topic;
	uint16_t len;
	uint32_t used;
};

/* Input from the client. */
struct sq_client_in {
	ev_io io;
	struct sq_mqtt_decoder decoder;
	struct sq_buf rest;       /* input that is not decoded yet */
	struct sq_alias *aliases; /* n_aliases */
	uint64_t heard_ms;        /* when the last input came */
	uint64_t received;        /* bytes */
	uint32_t alias_bytes;     /* of the topics in 'aliases' */
	int32_t unfinished;       /* QoS 1 and 2 publishes without their end */
	uint16_t n_aliases;
	bool blocked; /* the hold accepts no more at the moment */
};

/* Output to the client. */
struct sq_client_out {
	ev_io io;
	struct sq_output queue;
	struct sq_alias *aliases; /* SQ_ALIAS_OUT_MAX, or NULL */
	uint32_t alias_clock;
	uint32_t max_packet; /* the client's; 0: none */
	uint16_t alias_max;
	bool wants_words; /* Request Problem Information (MQTT 5.0 §3.1.2.11.7) */
};

/* The content of its CONNECT and of the answer. */
struct sq_client_con {
	struct sq_buf packet; /* while the password is checked */
	struct sq_password_ask *ask;
	uint32_t broker_max_packet;
	uint32_t expiry_s, granted_expiry_s; /* wanted by the client; granted by the broker */
	uint16_t keep_alive_s, receive_max;
	bool assigned, clean_start, transient, server_keep_alive;
};

struct sq_client {
	struct sq_clients *of;
	struct sq_hold *hold;
	struct sq_outbox_writer *disk; /* writes to the disk outbox; NULL: there is none */
	struct sq_list all;
	struct sq_turn reader, writer; /* input that had to wait; output */
	struct sq_taker_client taker;
	char *from;
	uint64_t since_ms; /* of the state */
	struct sq_client_in in;
	struct sq_client_out out;
	struct sq_client_con con;
	uint8_t state, end;
};

/* Functions that the files of a client call; each file calls files above it. */

/* --- client_put.c: packets into the output --- */

/* Has the output written in this turn. */
void sq_client_touch(struct sq_client *);
/* Whether the client's maximum packet size allows 'size' bytes (MQTT-3.1.2-24). */
bool sq_client_takes(const struct sq_client *, size_t size);
/* Properties with 'text' for the client, if it wants texts. */
struct sq_mqtt_props sq_client_words(const struct sq_client *, struct sq_bytes text);
/* Appends a packet to the output.  False: it exceeds the client's maximum packet size, or the
 * client is closing. */
bool sq_client_put(struct sq_client *, const struct sq_buf *packet);
void sq_client_put_ack(struct sq_client *, enum sq_mqtt_type, uint16_t packet_id, uint8_t reason);
void sq_client_put_disconnect(struct sq_client *, uint8_t reason, struct sq_bytes text);

/* --- client_end.c --- */

/* The one writer of the client's state. */
void sq_client_enter(struct sq_client *, enum sq_client_state);
/* The client is among all from now on, until it is freed. */
void sq_client_begin(struct sq_client *);

/* A name for log lines: the client id, else the peer's name. */
const char *sq_client_name(const struct sq_client *);
/* Has input that had to wait decoded in this turn. */
void sq_client_resume(struct sq_client *);
/* Frees a client that is dead, at the end of the turn. */
void sq_client_bury(struct sq_client *);

/* --- client_out.c: packets of the hold for the client --- */

/* Sends PUBACK, PUBREC or PUBCOMP for a publish of the client's. */
void sq_client_acked(struct sq_client *, const struct sq_lane_outcome *);
void sq_client_suback(struct sq_client *, const struct sq_sub_answer *);
void sq_client_pubrel(struct sq_client *, uint16_t packet_id, uint8_t reason);
/* Puts a PUBLISH into the output.  SQ_ETOOBIG: above the client's maximum packet size, dropped. */
int sq_client_deliver(
    struct sq_client *, const struct sq_delivery *, const struct sq_target *) SQ_MUST_CHECK;
/* Writes as much as the socket takes. */
void sq_client_write(struct sq_client *);

/* --- client_limits.c --- */

/* The reason code that refuses this CONNECT, with a static text in '*why'; 0: it is allowed. */
uint8_t sq_client_limits_connect(
    const struct sq_client *, const struct sq_mqtt_connect *, const char **why);
/* False: the connection has been ended. */
bool sq_client_limits_publish(struct sq_client *, const struct sq_mqtt_publish *);
bool sq_client_limits_subscribe(struct sq_client *, const struct sq_mqtt_packet *);
/* Counts and logs the refusal of a 'what' (publish, SUBSCRIBE) to 'topic', which is reserved for
 * 'why'. */
void sq_client_reserved(
    const struct sq_client *, const char *what, struct sq_bytes topic, const char *why);

/* --- client_connect.c --- */

/* Whether a CONNECT is allowed, before its sender is known; false: it was refused. */
bool sq_client_may_connect(struct sq_client *, const struct sq_mqtt_packet *);
void sq_client_connect(struct sq_client *, const struct sq_mqtt_packet *);
void sq_client_connack(struct sq_client *, bool present);
/* Sends CONNACK with 'reason' and ends the client; only ends a client that has its CONNACK. */
void sq_client_refuse(struct sq_client *, uint8_t reason, const char *text);
/* The attach that the CONNACK waits for takes long: a transient client gets its CONNACK, like one
 * without a broker. */
void sq_client_go_ahead(struct sq_client *);

/* --- client_password.c --- */

/* Handles the first packet, CONNECT, of 'len' bytes, and blanks the bytes, which may have a
 * password. */
void sq_client_first(
    struct sq_client *, const struct sq_mqtt_packet *, unsigned char *bytes, size_t len);

/* --- client_in.c --- */

/* Handles a decoded packet.  SQ_EAGAIN: the caller offers it again later. */
int sq_client_packet(struct sq_client *, const struct sq_mqtt_packet *, size_t size) SQ_MUST_CHECK;

/* --- client.c --- */

/* Reads input that has arrived, for its acknowledgements and a DISCONNECT still count.  May end the
 * client. */
void sq_client_catch_up(struct sq_client *);

/* Reports the client's first event of a kind to the receiver. */
static inline void
sq_client_did(struct sq_client *c, enum sq_taker_flag what)
{
	if ((c->taker.flags & what) == 0)
		sq_receiver_did(sq_declared_receiver(c->of->declared), &c->taker, what);
}

#endif
