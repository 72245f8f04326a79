/* The taker: the client of the pod that takes the declared messages.
 *
 * A state machine without clock and socket: its owner reports events of clients and the time, and
 * asks for the taker.  It knows a client by the flags below alone.
 *
 * With names (sqmqos.io/client-id), the taker is the first client that matches a name, at once;
 * when it leaves, the next one.  Without names, the taker is chosen among the settled clients,
 * those that have been connected for the settle time: one that has sent a SUBSCRIBE, else one that
 * has not published, else the oldest.  While a client settles, later ones are waited for, because
 * an app opens its connections one after the other.
 *
 * A client that published before it had received anything probably only publishes.  It is the taker
 * only after it has been alone for the settle time, and until another client may be the taker,
 * unless it has received a message by then.  Any other taker stays until it leaves. */
#ifndef SQ_SIDECAR_DECLARED_TAKER_H
#define SQ_SIDECAR_DECLARED_TAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"

struct sq_taker;

/* Events of a client. */
enum sq_taker_flag {
	SQ_TAKER_SUBSCRIBED = 1, /* sent a SUBSCRIBE */
	SQ_TAKER_PUBLISHED = 2,
	SQ_TAKER_RECEIVED = 4, /* a message was sent to it */
	SQ_TAKER_EARLY = 8,    /* set by the machine: published before it had received anything */
	SQ_TAKER_TOOK = 16,    /* set by the machine: is or was the taker */
};

/* A client; the owner embeds it, and zeroes it before sq_taker_opened(). */
struct sq_taker_client {
	struct sq_list all, place; /* the machine's */
	void *owner;
	const char *id;
	uint64_t since_ms; /* when it connected */
	uint64_t taken;    /* the owner's count of declared messages */
	uint8_t flags, rank;
	bool in;
};

struct sq_taker *sq_taker_new(uint64_t settle_ms);
/* Forgets its clients, which the owner keeps. */
void sq_taker_free(struct sq_taker **);

/* --- what happens; sq_taker_turn() says what follows --- */

/* Whether anything is declared; at first nothing is. */
void sq_taker_wanted(struct sq_taker *, bool);
/* Sets the names, globs that must stay until the next call; 'n' 0: none. */
void sq_taker_name(struct sq_taker *, char *const *globs, size_t n);
/* The client has connected; 'id' and 'owner' must stay until it leaves. */
void sq_taker_opened(
    struct sq_taker *, struct sq_taker_client *, const char *id, void *owner, uint64_t now_ms);
void sq_taker_left(struct sq_taker *, struct sq_taker_client *, uint64_t now_ms);
/* Sets a flag of the client; nothing if it has the flag, or has left. */
void sq_taker_did(struct sq_taker *, struct sq_taker_client *, enum sq_taker_flag);

/* --- what follows --- */

/* The taker at this time; NULL: none, and declared messages wait. */
struct sq_taker_client *sq_taker_turn(struct sq_taker *, uint64_t now_ms);
/* Time of the next sq_taker_turn(), if no event comes earlier; 0: only after an event. */
uint64_t sq_taker_due_ms(const struct sq_taker *);
/* The number of clients, if names are set and no client matches one; else 0. */
size_t sq_taker_unmatched(const struct sq_taker *);
/* The number of settled clients besides the taker, if it was chosen without names; else 0.  Puts
 * the oldest of them, at most 'max', into 'out'. */
size_t sq_taker_others(const struct sq_taker *, const struct sq_taker_client **out, size_t max);
bool sq_taker_named(const struct sq_taker *);

#endif
