/* Who takes the declared messages: one of the pod's clients, the taker.
 *
 * A state machine without clock and socket: its owner says what clients do and
 * what time it is, and asks who the taker is.  It knows of a client only what
 * the flags below say.
 *
 * With names (sqmqos.io/client-id) the taker is the first client that one of them
 * matches, at once; when it leaves, the next one.  Without, it is chosen among the
 * clients that have settled, which is to have been here for so long: one that has
 * sent a SUBSCRIBE, else one that has not published, else the oldest.  Those that
 * come while it settles are waited for, as an app opens its connections one after
 * the other.  A client that published before it had received anything is likely to
 * be there for publishing alone: it is the taker only where it has been alone for
 * so long, and until another one may be, unless it has received something by then.
 * Any other taker stays until it leaves. */
#ifndef SQ_SIDECAR_DECLARED_TAKER_H
#define SQ_SIDECAR_DECLARED_TAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"

struct sq_taker;

/* What a client has done. */
enum sq_taker_flag {
	SQ_TAKER_SUBSCRIBED = 1, /* sent a SUBSCRIBE */
	SQ_TAKER_PUBLISHED = 2,
	SQ_TAKER_RECEIVED = 4, /* was sent a message */
	SQ_TAKER_EARLY = 8,    /* set here: it published before it had received anything */
	SQ_TAKER_TOOK = 16,    /* set here: it is the taker, or was */
};

/* A client, embedded in its owner's; zeroed before sq_taker_opened(). */
struct sq_taker_client {
	struct sq_list all, place; /* the machine's */
	void *owner;
	const char *id;
	uint64_t since_ms; /* when it came */
	uint64_t taken;    /* the owner's count of declared messages */
	uint8_t flags, rank;
	bool in;
};

struct sq_taker *sq_taker_new(uint64_t settle_ms);
/* Lets go of the clients that are in. */
void sq_taker_free(struct sq_taker **);

/* --- what happens; sq_taker_turn() says what follows --- */

/* Whether there is anything to take; at first there is not. */
void sq_taker_wanted(struct sq_taker *, bool);
/* The names; 'n' 0: none.  They must stay until the next call. */
void sq_taker_name(struct sq_taker *, char *const *globs, size_t n);
/* 'id' and 'owner' must stay until it leaves. */
void sq_taker_opened(
    struct sq_taker *, struct sq_taker_client *, const char *id, void *owner, uint64_t now_ms);
void sq_taker_left(struct sq_taker *, struct sq_taker_client *, uint64_t now_ms);
/* Does nothing where the client has the flag, or isn't in. */
void sq_taker_did(struct sq_taker *, struct sq_taker_client *, enum sq_taker_flag);

/* --- what follows --- */

/* The taker at this time; NULL: none, what is declared waits. */
struct sq_taker_client *sq_taker_turn(struct sq_taker *, uint64_t now_ms);
/* When to take the next turn, if nothing happens before; 0: then only. */
uint64_t sq_taker_due_ms(const struct sq_taker *);
/* How many clients there are, where none of them has one of the names. */
size_t sq_taker_unmatched(const struct sq_taker *);
/* Whether it chooses among several clients that have settled, by no names.  Returns
 * how many there are besides the taker, and the oldest of them, at most 'max', in
 * 'out'; else 0. */
size_t sq_taker_others(const struct sq_taker *, const struct sq_taker_client **out, size_t max);
bool sq_taker_named(const struct sq_taker *);

#endif
