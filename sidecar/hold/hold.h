/* One MQTT connection's hold on its session at the broker tier.
 *
 * Attaches over a link, carries lanes, deliveries, subscriptions and the
 * detach, and moves to another link when its own goes.  It outlives its client
 * until everything the client said has arrived and the detach is answered; the
 * next connection of the same client id waits behind it.  A call may put packets
 * into the client's output; it ends the client only from the loop. */
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
	bool clean_start, keeper;
	bool durable; /* may go on, or be there already: its key has no pod */
	uint32_t expiry_s;
	uint16_t receive_max;
	struct sq_block *will; /* an image; the session takes the reference.  NULL: none */
	uint32_t will_delay_s;
	uint64_t incarnation;      /* of a session that is known from before; 0: none */
	struct sq_hold_gate *gate; /* closed when the hold ends; NULL: none */
};

/* Opens a hold for 'user' (NULL: nobody hears of it).  An older connection of the same client id is
 * told that it was taken over. */
struct sq_hold *sq_hold_open(
    struct sq_holds *, const struct sq_hold_params *, const struct sq_hold_user *, void *user);
/* How a client goes. */
enum {
	SQ_LEAVE_WILL = 1,  /* its will is to be published, now or after its delay */
	SQ_LEAVE_QUIET = 2, /* its connection did not break: see SQ_DETACH_QUIET */
};
/* The client is gone.  The session frees itself; the caller forgets it. */
void sq_hold_leave(struct sq_hold *, unsigned how, uint32_t expiry_s);

/* SQ_EAGAIN: not now; the client gets sq_client_resume(). */
int sq_hold_publish(struct sq_hold *, const struct sq_lane_publish *) SQ_MUST_CHECK;
/* A publish of QoS 1 or 2 that is refused here: the client is told in its place
 * among the others, with 'text'; with 'reason' success it hears that it was taken.  SQ_EAGAIN
 * as above. */
int sq_hold_refuse(struct sq_hold *, const struct sq_lane_publish *, uint8_t reason,
    uint8_t refusal, struct sq_bytes text) SQ_MUST_CHECK;
int sq_hold_release(struct sq_hold *, uint16_t packet_id) SQ_MUST_CHECK;
/* 'entries' and 'count' as in the packet; 'sub_id' 0: none. */
int sq_hold_subscribe(struct sq_hold *, uint16_t packet_id, uint32_t count, struct sq_bytes entries,
    uint32_t sub_id) SQ_MUST_CHECK;
/* SQ_ETOOBIG: it is refused, and the client's version can't be told. */
int sq_hold_unsubscribe(
    struct sq_hold *, uint16_t packet_id, uint32_t count, struct sq_bytes filters) SQ_MUST_CHECK;
/* The client's PUBACK, PUBREC or PUBCOMP.  SQ_EINVAL: not one that the delivery of this
 * packet identifier can be answered with. */
int
sq_hold_ack(struct sq_hold *, enum sq_mqtt_type, uint16_t packet_id, uint8_t reason) SQ_MUST_CHECK;
/* QoS 0 deliveries were written, or dropped with the client's output. */
void sq_hold_written(struct sq_hold *, uint64_t msgs, uint64_t bytes);

/* A declared binding to make or to end; answered by the user's declared() with 'token'.  It is
 * the user that asks for it again where attached() says so. */
void sq_hold_declare(struct sq_hold *, const struct sq_sub *, uint32_t token);

/* The broker says what its client had subscribed to before: 'n' entries for sq_kept_next(),
 * 'last' when no more follow. */
void sq_hold_kept(struct sq_hold *, bool last, uint16_t n, struct sq_bytes entries);
/* What holds->rights no longer allow of what its client has subscribed to is ended. */
void sq_hold_enforce(struct sq_hold *);
void sq_hold_enforce_all(struct sq_holds *);

/* Whether there is a session of that client id here. */
bool sq_hold_is_known(const struct sq_holds *, struct sq_bytes client_id);
/* Its client waits for memory: sq_client_resume() follows. */
void sq_hold_pause(struct sq_hold *);
/* The outcome of what its client has published by other ways; nothing for a client that has left. */
void sq_hold_acked(struct sq_hold *, const struct sq_lane_outcome *);
/* Its user where that is a client, which has not left; else NULL. */
void *sq_hold_client(const struct sq_hold *);
const char *sq_hold_client_id(const struct sq_hold *);
/* Whether it has something for a broker that would be lost with this process: publishes,
 * acknowledgements, a will.  That it goes is no such thing: a broker sees its link end. */
bool sq_hold_owes(const struct sq_hold *);
bool sq_hold_attached(const struct sq_hold *);
/* Gives back memory that an idle session need not keep. */
void sq_hold_trim(struct sq_hold *);

/* --- from the hub --- */

/* At the end of the program: ends it where it is. */
void sq_hold_drop(struct sq_hold *);
/* At the end of the program, without a pool: every request has failed. */
void sq_hold_fail_posts(struct sq_holds *);

void sq_hold_link_draining(struct sq_hold *);
void sq_hold_link_down(struct sq_hold *);
void sq_hold_deliver(
    struct sq_hold *, const struct sq_deliver *, const struct sq_target *, struct sq_block *block);
/* Requests to subscribe were carried out: a frame 'subscribed'. */
void sq_hold_subscribed(struct sq_hold *, const struct sq_frame *);
/* The broker has ended the attachment; 'text' says why, for people, or is empty. */
void sq_hold_detached(struct sq_hold *, uint8_t reason, struct sq_bytes text);
/* The same, known by a 409 that came before the frame. */
void sq_hold_superseded(struct sq_hold *);

#endif
