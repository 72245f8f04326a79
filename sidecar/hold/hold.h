/* The hold of one MQTT connection on its session at the brokers.
 *
 * A hold attaches over a link, sends lanes, subscriptions and the detach, receives deliveries, and
 * moves to another link when its link goes.  It outlives its user until everything from the user
 * has arrived and the detach is answered; the next connection of the same client id waits for that.
 * Results of a call come to the user by sidecar/hold/user.h.  All on the loop's thread.
 *
 * Files, each above those before it:
 *   table                  state that all holds share
 *   state                  steps that any file may take with a hold
 *   request, subreq        requests to a broker
 *   lanes, settle, made    messages to and from the broker; the client's subscriptions
 *   order, remake          subscriptions in their place, and made again
 *   attach, subs           the attachment; SUBSCRIBE, UNSUBSCRIBE and declared subscriptions
 *   hold, holds            a hold from its opening to its end; all holds, and the pool's events */
#ifndef SQ_SIDECAR_HOLD_HOLD_H
#define SQ_SIDECAR_HOLD_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/block.h"
#include "proto/link/frame.h"
#include "proto/link/lane_out.h"
#include "proto/mqtt/mqtt.h"

struct sq_hold_gate;
struct sq_hold_user;
struct sq_holds;
struct sq_hold;

struct sq_hold_params {
	const char *client_id; /* at most SQ_KEY_CLIENT_MAX bytes */
	uint8_t version;       /* enum sq_mqtt_version */
	bool clean_start;
	bool keeper;  /* the broker is told that no client stands behind it */
	bool durable; /* the session may outlive the connection: its key has no pod */
	uint32_t expiry_s;
	uint16_t receive_max;
	struct sq_block *will; /* an image; the hold takes the reference.  NULL: none */
	uint32_t will_delay_s;
	uint64_t incarnation;      /* of a session that the user knows from before; 0: none */
	struct sq_hold_gate *gate; /* closed when the hold ends; NULL: none */
};

/* Opens a hold for 'user', called by the given table (NULL: the hold has no user).  An older
 * connection of the same client id is told that its session was taken over. */
struct sq_hold *sq_hold_open(
    struct sq_holds *, const struct sq_hold_params *, const struct sq_hold_user *, void *user);
/* How a user leaves. */
enum {
	SQ_LEAVE_WILL = 1,  /* the will is to be published, now or after its delay */
	SQ_LEAVE_QUIET = 2, /* the connection did not break: see SQ_DETACH_QUIET */
};
/* The user leaves and forgets the hold; 'expiry_s' is the session's.  The hold frees itself once
 * everything has been sent and answered. */
void sq_hold_leave(struct sq_hold *, unsigned how, uint32_t expiry_s);

/* --- what a client sends; SQ_EAGAIN: not now, the user's writable() follows --- */

int sq_hold_publish(struct sq_hold *, const struct sq_lane_publish *) SQ_MUST_CHECK;
/* A publish of QoS 1 or 2 that the sidecar refuses.  The client gets its acknowledgement in the
 * place of the publish, with 'reason' and 'text'; with reason success it reads as accepted. */
int sq_hold_refuse(struct sq_hold *, const struct sq_lane_publish *, uint8_t reason,
    uint8_t refusal, struct sq_bytes text) SQ_MUST_CHECK;
/* PUBREL. */
int sq_hold_release(struct sq_hold *, uint16_t packet_id) SQ_MUST_CHECK;
/* 'entries' and 'count' as in the packet; 'sub_id' 0: none.  The user's subscribed() follows. */
int sq_hold_subscribe(struct sq_hold *, uint16_t packet_id, uint32_t count, struct sq_bytes entries,
    uint32_t sub_id) SQ_MUST_CHECK;
/* SQ_ETOOBIG: the packet is refused, and the client's version has no word for it. */
int sq_hold_unsubscribe(
    struct sq_hold *, uint16_t packet_id, uint32_t count, struct sq_bytes filters) SQ_MUST_CHECK;
/* PUBACK, PUBREC or PUBCOMP.  SQ_EINVAL: the delivery of this packet identifier does not wait for
 * it. */
int
sq_hold_ack(struct sq_hold *, enum sq_mqtt_type, uint16_t packet_id, uint8_t reason) SQ_MUST_CHECK;
/* Deliveries of QoS 0 were written to the client, or dropped with its output: returns their
 * credit. */
void sq_hold_written(struct sq_hold *, uint64_t msgs, uint64_t bytes);

/* --- other --- */

/* Requests to make or to end a declared binding; the user's declared() follows, with 'token'.  The
 * user requests it again where attached() says that the broker lost it. */
void sq_hold_declare(struct sq_hold *, const struct sq_sub *, uint32_t token);
/* Whether there is a hold of that client id. */
bool sq_hold_is_known(const struct sq_holds *, struct sq_bytes client_id);
/* The client waits for room in memory or on a disk: writable() follows. */
void sq_hold_pause(struct sq_hold *);
/* Gives the client the outcome of a publish that did not go by the hold's lanes; nothing for a
 * client that has left. */
void sq_hold_acked(struct sq_hold *, const struct sq_lane_outcome *);
/* The user, if it is a client and has not left; else NULL. */
void *sq_hold_client(const struct sq_hold *);
const char *sq_hold_client_id(const struct sq_hold *);
bool sq_hold_attached(const struct sq_hold *);
/* Frees memory that an idle hold does not need. */
void sq_hold_trim(struct sq_hold *);

#endif
