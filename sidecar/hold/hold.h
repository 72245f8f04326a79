/* The hold of one MQTT connection on its session at the brokers.
 *
 * A hold attaches over a link, carries lanes up, deliveries down, subscriptions and the detach, and
 * moves to another link when its own goes.  It outlives its user until all that the user said has
 * arrived and the detach is answered; the next connection of the same client id waits behind it.
 * What follows from a call comes to the user by sidecar/hold/user.h.
 *
 * Files, each above those before it:
 *   table                  what all holds share
 *   state                  what any file may do to a hold
 *   request, subreq        what is asked of a broker
 *   lanes, settle, made    up, down, what is subscribed to
 *   order, remake          subscriptions in their place, and made again
 *   attach, subs           the attachment; SUBSCRIBE, UNSUBSCRIBE and what is declared
 *   hold, holds            one from its opening to its end; all of them, and the pool's events */
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
	bool durable; /* may go on, or be there already: its key has no pod */
	uint32_t expiry_s;
	uint16_t receive_max;
	struct sq_block *will; /* an image; the hold takes the reference.  NULL: none */
	uint32_t will_delay_s;
	uint64_t incarnation;      /* of a session that is known from before; 0: none */
	struct sq_hold_gate *gate; /* closed when the hold ends; NULL: none */
};

/* Opens a hold for 'user', which hears of it by the given table (NULL: nobody hears of it).  An
 * older connection of the same client id is told that it was taken over. */
struct sq_hold *sq_hold_open(
    struct sq_holds *, const struct sq_hold_params *, const struct sq_hold_user *, void *user);
/* How a user leaves. */
enum {
	SQ_LEAVE_WILL = 1,  /* its will is to be published, now or after its delay */
	SQ_LEAVE_QUIET = 2, /* its connection did not break: see SQ_DETACH_QUIET */
};
/* The user leaves, with this session expiry.  The hold frees itself once all is said; the caller
 * forgets it. */
void sq_hold_leave(struct sq_hold *, unsigned how, uint32_t expiry_s);

/* --- what a client sends; SQ_EAGAIN: not now, the user's writable() follows --- */

int sq_hold_publish(struct sq_hold *, const struct sq_lane_publish *) SQ_MUST_CHECK;
/* A publish of QoS 1 or 2 that is refused here: the client is told in its place among the others,
 * with 'text'; with 'reason' success the client hears that it was taken. */
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
/* QoS 0 deliveries were written, or dropped with the client's output. */
void sq_hold_written(struct sq_hold *, uint64_t msgs, uint64_t bytes);

/* --- other --- */

/* A declared binding to make or to end; the user's declared() follows, with 'token'.  It is
 * the user that asks for it again where attached() says so. */
void sq_hold_declare(struct sq_hold *, const struct sq_sub *, uint32_t token);
/* Whether there is a hold of that client id. */
bool sq_hold_is_known(const struct sq_holds *, struct sq_bytes client_id);
/* The client waits for room, be it of memory or of a disk: writable() follows. */
void sq_hold_pause(struct sq_hold *);
/* The outcome of what the client has published by other ways; nothing for one that has left. */
void sq_hold_acked(struct sq_hold *, const struct sq_lane_outcome *);
/* The user, where that is a client and has not left; else NULL. */
void *sq_hold_client(const struct sq_hold *);
const char *sq_hold_client_id(const struct sq_hold *);
bool sq_hold_attached(const struct sq_hold *);
/* Gives back memory that an idle hold need not keep. */
void sq_hold_trim(struct sq_hold *);

#endif
