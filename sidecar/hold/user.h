/* CONTRACT: the user of a hold.  Users are an MQTT client, the keeper of declared subscriptions and
 * the sender of a disk outbox.  Its suite is test/contract/test_hold_user.c.
 *
 * A user opens its hold with sq_hold_open(), inside which nothing is called for it, and ends it with
 * sq_hold_leave().  In between the hold calls the functions below, on the loop's thread; none may
 * block.  A member that may be NULL has a comment that says so.  Members marked "client" are called
 * for a user alone that does not set 'comes_again', and are NULL for others.  A function may call
 * the hold, and may leave it, except where its comment says otherwise.  After sq_hold_leave() only a
 * user with a 'source' hears of its hold, until gone(). */
#ifndef SQ_SIDECAR_HOLD_USER_H
#define SQ_SIDECAR_HOLD_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/block.h"
#include "net/pool.h"
#include "proto/link/frame.h"
#include "proto/link/lane_out.h"
#include "proto/mqtt/mqtt.h"
#include "proto/topic/topic.h"

struct sq_hold;

/* A message for one client or more, valid during the call. */
struct sq_delivery {
	const struct sq_deliver *message;
	struct sq_block *block; /* with the image; NULL: none */
	uint64_t frame; /* number of the message, which no other has: by it what was made of the
			 * message for one target is known again at the next */
};

/* Why a hold has ended, or was not to be had. */
enum sq_hold_end {
	SQ_HOLD_END_TAKEN_OVER, /* another connection has the session */
	SQ_HOLD_END_QUOTA,
	SQ_HOLD_END_REVOKED, /* the broker's rules do not allow it any more */
	SQ_HOLD_END_ADMIN,   /* another reason of the broker's */
	SQ_HOLD_END_UNTOLD,  /* a publish was refused, and MQTT 3.1.1 can't say so */
	SQ_HOLD_END_STUCK,   /* a publish is refused for long, and nothing else goes on */
	/* Of sq_hold_user.not_taken(): */
	SQ_HOLD_END_FULL,      /* no broker has room for it */
	SQ_HOLD_END_CLIENT_ID, /* its client id is too long for the broker */
	SQ_HOLD_END_WILL,      /* its will is too large for the broker */
	SQ_HOLD_END_DENIED,    /* it may not have the session, or its will */
	SQ_HOLD_ENDS,
};

struct sq_hold_attached {
	const struct sq_attached *answer; /* valid during the call */
	bool first;                       /* the hold was not attached before */
	bool present; /* there was a session to go on with, as CONNACK says it */
	bool bound;   /* the broker has the subscriptions; else the user declares its own again */
};

/* The answer to one packet. */
struct sq_sub_answer {
	enum sq_mqtt_type type; /* SUBACK or UNSUBACK */
	uint16_t packet_id;
	const uint8_t *codes;
	size_t n;
	struct sq_bytes text; /* texts of refusals, or empty */
};

/* Batches other than of the hold's own lanes: the disk outbox's. */
struct sq_hold_source {
	/* Posts the requests that may be sent, by sq_hold_post_new() and sq_hold_post_send(); in
	 * each turn of an attached hold, in place of its lanes and subscriptions. */
	void (*post)(void *user, uint64_t now_ms);
	/* The hold has ended, and must not be used any more; the last call, once.  May not call
	 * the hold. */
	void (*gone)(void *user);
};

struct sq_hold_user {
	/* The user waits for no attach: where a broker refuses or ends one, the hold attaches
	 * again, until the user leaves. */
	bool comes_again;
	/* The hold is attached, for the first time or again; once for each attachment.  Before the
	 * first one no outcome of the hold's lanes comes, and no declared(), released() or
	 * deliver(). */
	void (*attached)(void *user, const struct sq_hold_attached *);
	/* The hold is attached no longer, or was not; between two attached() at least once.  May
	 * not call the hold.  May be NULL. */
	void (*unlinked)(void *user);
	/* Client: an attach failed and is tried again; for each of them, also where denied()
	 * follows. */
	void (*waits)(void *user);
	/* The broker denies the session to this pod, for 'text' (static); the hold tries again,
	 * unless a client leaves.  True: the user has ended the hold by sq_hold_end() instead. */
	bool (*denied)(void *user, const struct sq_answer *, const char *text);
	/* Client: the broker refuses this session for good; 'reason' is the code for CONNACK, if
	 * that was not sent.  The user must leave before it returns. */
	void (*not_taken)(void *user, enum sq_hold_end, uint8_t reason, const char *text);
	/* A client: the hold has ended; the user must leave before it returns.  A user that comes
	 * again: gets SQ_HOLD_END_REVOKED alone, and must not leave; may be NULL for it. */
	void (*ended)(void *user, enum sq_hold_end, struct sq_bytes text);
	/* Client: a newer connection is about to take over; input that came before still counts.
	 * Unless the user has left then, ended() with SQ_HOLD_END_TAKEN_OVER follows. */
	void (*catch_up)(void *user);
	/* Client: a call that got SQ_EAGAIN may be tried again; may come without such a call. */
	void (*writable)(void *user);
	/* Client: the outcome of a publish of QoS 1 or 2, or of a PUBREL.  One for each, in the
	 * order of the calls: of those to the hold, and of those to the disk outbox. */
	void (*acked)(void *user, const struct sq_lane_outcome *);
	/* Client: the answer to a SUBSCRIBE or an UNSUBSCRIBE, one for each; may come inside the
	 * call.  May not leave. */
	void (*subscribed)(void *user, const struct sq_sub_answer *);
	/* The answer to sq_hold_declare(), for a user that calls it, else it may be NULL; at most
	 * one for each, since a new attachment may make the request void.  'note' is the broker's
	 * text for people, and may be empty. */
	void (*declared)(void *user, uint32_t token, uint8_t code, struct sq_bytes note);
	/* Client: whether the client may subscribe to the filter; called while sq_holds.strict. */
	bool (*allows)(void *user, const struct sq_topic_filter *);
	/* Client: PUBREL for a message that it has received. */
	void (*released)(void *user, uint16_t packet_id, uint8_t reason);
	/* Client: a message for the client.  0: the user has it, and returns its credit by
	 * sq_hold_written() (QoS 0) or sq_hold_ack().  An error (SQ_ETOOBIG: it exceeds the maximum
	 * packet size; another: the client accepts no more): it is dropped, its credit is returned,
	 * and one of QoS 1 or 2 is settled as too large.  May not leave. */
	int (*deliver)(void *user, const struct sq_delivery *, const struct sq_target *);
	/* NULL: the hold's own lanes are its only source. */
	const struct sq_hold_source *source;
};

/* A gate, which keeps a client's requests to subscribe in their place among publishes that do not
 * go by the hold: those to the disk outbox.  The user makes it before it opens the hold. */
struct sq_hold_gate {
	const struct sq_hold_gate_ops *ops;
};

struct sq_hold_place;

/* No function may call the hold, but sq_hold_wake(). */
struct sq_hold_gate_ops {
	/* Gives a request its place behind the client's publishes so far; NULL: it needs none. */
	struct sq_hold_place *(*take)(struct sq_hold_gate *);
	/* Whether the request may be posted; if not, sq_hold_wake() comes when it may. */
	bool (*open)(const struct sq_hold_place *);
	/* Whether the client has published behind the place. */
	bool (*passed)(const struct sq_hold_place *);
	/* Frees the place of a request that has been answered or dropped. */
	void (*leave)(struct sq_hold_gate *, struct sq_hold_place *);
	/* The hold is attached.  'gone': it is the first attach, and the brokers have no durable
	 * session of the client, which may have left before the answer. */
	void (*attached)(struct sq_hold_gate *, bool gone);
	/* The hold is not attached any more, or was not attached. */
	void (*unlinked)(struct sq_hold_gate *);
	/* Nothing waits for the places that are left. */
	void (*clear)(struct sq_hold_gate *);
	/* Frees the gate of a hold that has ended; no place is left. */
	void (*close)(struct sq_hold_gate *);
};

/* A watch of the clients' subscriptions; one for all holds.  '*mine' is the watch's own state of a
 * hold, NULL at first. */
struct sq_hold_watch {
	/* The hold has the subscription; 'fresh': it had none of this filter. */
	void (*made)(
	    void *watcher, struct sq_hold *, void **mine, const struct sq_sub *, bool fresh);
	void (*unmade)(void *watcher, void **mine, struct sq_bytes filter);
	/* The hold ends. */
	void (*forget)(void *watcher, void **mine);
	/* 'to', with the state '*mine', takes over the subscriptions of another hold, with the
	 * state '*theirs'. */
	void (*inherit)(void *watcher, struct sq_hold *to, void **mine, void **theirs);
};

#endif
