/* Strangers: connections that have shown neither a good token nor a hold, and the bounds of all
 * together.  Pure accounting, without sockets and clock: the front (broker/front/door/conns.h)
 * reports the steps of its connections, and is told which of them must leave.
 *
 * A connection is a guest from its accept to its close, in one of four standings.  Guests without a
 * hold are at most three quarters of all: the last quarter is kept for holds.  When there is no
 * place, or all hold too much, one must leave: the oldest, or the one with the most bytes;
 * strangers before guests whose token is being verified, and these before known ones.  The oldest
 * stranger of an address with too many strangers must leave too.
 *
 * A guest belongs to one worker, whose thread alone changes its standing and frees it.  An arrival
 * at another worker may be the reason why it must leave; its own worker is then told.  Thread: any
 * of the door's.  Locks: one, inside; holds don't take it. */
#ifndef SQ_BROKER_FRONT_DOOR_STRANGER_H
#define SQ_BROKER_FRONT_DOOR_STRANGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/ends.h"
#include "core/list.h"

enum sq_standing {
	SQ_STANDING_STRANGER,
	SQ_STANDING_ASKED, /* its token is being verified */
	SQ_STANDING_KNOWN, /* it has shown a good token */
	SQ_STANDING_HELD,  /* by a service: its connection has a hold */
	SQ_STANDING_COUNT
};

enum { SQ_STRANGER_ADDRESS_SIZE = 16 }; /* IPv6, or IPv4 mapped into it */

struct sq_strangers;
struct sq_stranger_address;

struct sq_strangers_cfg {
	unsigned workers;
	unsigned max;         /* guests */
	unsigned per_address; /* strangers of one address; 0: any number */
	size_t total;         /* bytes of strangers and asked together */
	/* A guest of 'worker' must leave: the worker is to call sq_strangers_leaving().  Called
	 * under the lock, on any worker's thread, and not again before that function has returned
	 * NULL. */
	void (*wake)(void *owner, unsigned worker);
	void *owner;
};

/* A guest, embedded in the connection; written by this module alone. */
struct sq_guest {
	enum sq_standing standing; /* readable by its worker */
	struct sq_list by_age, by_size, by_address;
	struct sq_stranger_address *address; /* NULL once it is known */
	uint64_t began_ms;                   /* readable by its worker */
	size_t bytes;
	unsigned worker;
	enum sq_end leaving; /* the reason for which it must leave; under the lock */
};

struct sq_strangers_counts {
	size_t guests, strangers, bytes;
};

struct sq_strangers *sq_strangers_new(const struct sq_strangers_cfg *);
/* Frees it and nulls the pointer; every guest has left. */
void sq_strangers_free(struct sq_strangers **);

/* Adds a new connection, a stranger; others may have to leave for it.  Returns SQ_END_NONE, or the
 * reason of its refusal: then it is no guest. */
enum sq_end sq_strangers_enter(struct sq_strangers *, struct sq_guest *, unsigned worker,
    const unsigned char address[SQ_STRANGER_ADDRESS_SIZE], uint64_t now_ms);
void sq_strangers_leave(struct sq_strangers *, struct sq_guest *);
void sq_strangers_stand(struct sq_strangers *, struct sq_guest *, enum sq_standing);
/* Sets the bytes that the guest holds; for strangers and asked ones only.  False: it must leave
 * itself, for SQ_END_MEMORY, which its owner may see to at once. */
bool sq_strangers_hold(struct sq_strangers *, struct sq_guest *, size_t bytes);
/* The next guest of 'worker' that must leave, once for each, with the reason; NULL: no more. */
struct sq_guest *sq_strangers_leaving(struct sq_strangers *, unsigned worker, enum sq_end *why);
struct sq_strangers_counts sq_strangers_count(struct sq_strangers *);

const char *sq_end_name(enum sq_end);
const char *sq_end_text(enum sq_end);

#endif
