/* The contract of an outlet: a front's destination of messages and answers for one peer.
 *
 * A sidecar's link is an outlet; so is a connection of another transport.  The broker proper knows
 * the functions below, and no frames or sockets; a front implements struct sq_outlet_ops. struct
 * sq_outlet is the first member of the front's own struct.
 *
 * Rules:
 *   - An outlet opens once, with sq_outlet_init(), and closes once, with sq_outlet_close(); it
 *     accepts nothing after that.  It exists until its last reference is given back: calls that
 *     came by it are still carried out, under its identity.
 *   - The peer reads everything in the order of the puts of one thread.
 *   - The front calls sq_broker_outlet_opens() before the first call that names it,
 *     sq_broker_outlet_closed() after its close, and sq_broker_outlet_writable() on each worker
 *     when it has room again. */
#ifndef SQ_BROKER_PORT_OUTLET_H
#define SQ_BROKER_PORT_OUTLET_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "proto/link/frame.h"

struct sq_account;
struct sq_identity;
struct sq_outlet;

/* Capabilities of an outlet, beyond deliveries and ends: a set. */
enum {
	SQ_OUTLET_MARKS = 1, /* 'subscribed': Subscriptions of the peer may have marks */
	SQ_OUTLET_KEPT = 2,  /* 'kept' */
};

/* The functions of a front.  The broker calls each but 'free' through the functions below, on any
 * worker and from several at once.  None blocks, and each drops its arguments once the outlet is
 * closed.  All arguments are copied. */
struct sq_outlet_ops {
	/* Sends a message to one target.  The front joins it to the delivery before, if that had
	 * the same message, origin and expiry, and nothing was put in between.  'origin' is NULL at
	 * QoS 0; 'subs' has the target's subscription identifiers. */
	void (*deliver)(struct sq_outlet *, const struct sq_msg *, const struct sq_origin *origin,
	    uint32_t expiry_s, const struct sq_target *, const uint32_t *subs);
	/* Sends the answer to the Subscriptions of 'mark', with 'n' reason codes.  The peer reads
	 * it after everything that was put before.  Requires SQ_OUTLET_MARKS. */
	void (*subscribed)(struct sq_outlet *, uint64_t epoch, uint32_t mark, const uint8_t *codes,
	    uint16_t n, const struct sq_notes *);
	/* Sends the session's subscriptions from before this attachment: 'n' entries of
	 * sq_kept_put(); 'last': no more follow.  Requires SQ_OUTLET_KEPT. */
	void (*kept)(
	    struct sq_outlet *, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries);
	/* Tells that the attachment of 'epoch' has ended, with a reason code of MQTT, and with
	 * 'text' for people (NULL: none).  Nothing of that epoch follows. */
	void (*detached)(struct sq_outlet *, uint64_t epoch, uint8_t reason, const char *text);
	/* Frees the front's struct after the last reference was given back; the base is undone
	 * already.  On the thread that gave it back. */
	void (*free)(struct sq_outlet *);
};

/* The base of a front's own struct.  The front writes it only by the functions below. */
struct sq_outlet {
	const struct sq_outlet_ops *ops;
	const struct sq_identity *identity; /* a reference */
	unsigned can;                       /* SQ_OUTLET_... */
	uint64_t number;                    /* unique in the process, for people; from 1 */
	atomic_uint refs;
	atomic_bool open, full;
	atomic_uint sessions; /* that are attached over it, or wait to be; the broker's */
	/* The account that counts the connection: one of the two, or neither. */
	_Atomic(struct sq_account *) account, first;
};

/* Makes the base of an outlet: one reference, open, writable.  'can' is a set of SQ_OUTLET_....
 * Takes a reference to the identity of its own.  Thread: the front's. */
void sq_outlet_init(
    struct sq_outlet *, const struct sq_outlet_ops *, const struct sq_identity *, unsigned can);
/* Closes the outlet: it accepts nothing from now on, and its connection is no longer counted.
 * Thread: the front's. */
void sq_outlet_close(struct sq_outlet *);
/* Tells the broker whether the output is above the front's bound.  Thread: any. */
void sq_outlet_set_full(struct sq_outlet *, bool full);

/* Thread: any. */
struct sq_outlet *sq_outlet_ref(struct sq_outlet *);
/* Drops the reference in '*op' and sets it to NULL; NULL in it is allowed.  Thread: any. */
void sq_outlet_unref(struct sq_outlet **op);

/* Counts the outlet's connection in the account, once: it stays in the first account until the
 * outlet is closed.  False: the account's share of connections is used up.  Thread: any. */
bool sq_outlet_count(struct sq_outlet *, struct sq_account *) SQ_MUST_CHECK;
/* Counts the connection of an opening outlet whose tenant is not known yet, until sq_outlet_count()
 * or the close.  Thread: any. */
bool sq_outlet_count_first(struct sq_outlet *, struct sq_account *) SQ_MUST_CHECK;

/* The identity whose credential opened the outlet; exists as long as the outlet.  Thread: any. */
static inline const struct sq_identity *
sq_outlet_identity(const struct sq_outlet *o)
{
	return o->identity;
}

/* Its number, by which people tell outlets apart.  Thread: any. */
static inline uint64_t
sq_outlet_number(const struct sq_outlet *o)
{
	return o->number;
}

/* Counts a session of the outlet, or one less.  Thread: any worker. */
static inline void
sq_outlet_count_session(struct sq_outlet *o, int by)
{
	atomic_fetch_add_explicit(&o->sessions, (unsigned)by, memory_order_relaxed);
}

/* Whether the outlet has 'what', one of SQ_OUTLET_....  Thread: any. */
static inline bool
sq_outlet_can(const struct sq_outlet *o, unsigned what)
{
	return (o->can & what) != 0;
}

/* Whether it is open.  Thread: any. */
static inline bool
sq_outlet_open(const struct sq_outlet *o)
{
	return atomic_load_explicit(&o->open, memory_order_acquire);
}

/* Whether the output is below the front's bound.  Thread: any. */
static inline bool
sq_outlet_writable(const struct sq_outlet *o)
{
	return !atomic_load_explicit(&o->full, memory_order_acquire);
}

/* Call the ops of the same names.  Thread: any worker. */

static inline void
sq_outlet_deliver(struct sq_outlet *o, const struct sq_msg *m, const struct sq_origin *origin,
    uint32_t expiry_s, const struct sq_target *t, const uint32_t *subs)
{
	o->ops->deliver(o, m, origin, expiry_s, t, subs);
}

static inline void
sq_outlet_subscribed(struct sq_outlet *o, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes)
{
	assert(sq_outlet_can(o, SQ_OUTLET_MARKS) && mark != 0);
	o->ops->subscribed(o, epoch, mark, codes, n, notes);
}

static inline void
sq_outlet_kept(struct sq_outlet *o, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries)
{
	assert(sq_outlet_can(o, SQ_OUTLET_KEPT));
	o->ops->kept(o, epoch, last, n, entries);
}

static inline void
sq_outlet_detached(struct sq_outlet *o, uint64_t epoch, uint8_t reason, const char *text)
{
	o->ops->detached(o, epoch, reason, text);
}

#endif
