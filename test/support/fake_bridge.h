/* A kind of peer without a network: struct sq_bridge_kind that does as the test says.  Peers are known by the
 * name of their bridge.  What a test sets counts when the bridge's worker has run; thread: any, but for
 * what says otherwise. */
#ifndef SQ_TEST_SUPPORT_FAKE_BRIDGE_H
#define SQ_TEST_SUPPORT_FAKE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/bridge/bridge.h"
#include "bridge_peer.h"

struct fake_peer;

/* Its name is that of a kind that the configuration knows. */
extern const struct sq_bridge_kind fake_bridge_kind;

/* What a peer has got, in order; the texts are cut at 63 bytes. */
struct fake_got {
	char topic[64], payload[64], origin[64], hops[64];
	uint64_t lane, expires_ms;
	uint32_t attempt;
	unsigned rule;
	bool again;
	uint8_t qos;
};

/* The peer of that bridge; made if it isn't there: up, with room for 'FAKE_ROOM', accepting at once. */
struct fake_peer *fake_peer(const char *bridge);
/* Forgets all peers; nothing is open. */
void fake_peers_reset(void);

enum { FAKE_ROOM = 1000, FAKE_MAX = 8192 };

/* Openings of a half, and closings. */
unsigned fake_peer_opened(struct fake_peer *, enum sq_bridge_half);
unsigned fake_peer_closed(struct fake_peer *, enum sq_bridge_half);
/* The next 'n' openings fail, with the line "no such file". */
void fake_peer_fail_open(struct fake_peer *, unsigned n);
/* How many it takes at a time. */
void fake_peer_set_room(struct fake_peer *, unsigned);
/* Away: what is out ends with LATER, uncertain if 'uncertain'; room 0; nothing comes. */
void fake_peer_away(struct fake_peer *, bool away, bool uncertain);
/* Why it is away, "cut" at first; it says so again when that is set.  'why' is kept by the caller. */
void fake_peer_set_why(struct fake_peer *, const char *why);
/* From now on each offer that would be accepted ends so instead, at once; NULL: it is accepted again.
 * 'end' is kept by the caller. */
void fake_peer_refuse(struct fake_peer *, const struct sq_offer_end *end);
/* What it accepts is handed to 'fn', on the bridge's worker, instead of being kept. */
void
fake_peer_watch(struct fake_peer *, void (*fn)(void *arg, const struct sq_offered *), void *arg);
/* Whether offers wait for fake_peer_answer(); else each ends at once with ACCEPTED. */
void fake_peer_hold(struct fake_peer *, bool);
/* Those held, the oldest first; and the most that ever were, those that end at once among them. */
size_t fake_peer_held(struct fake_peer *);
size_t fake_peer_held_most(struct fake_peer *);
/* Copies of the payload of the i-th that is held. */
void fake_peer_held_payload(struct fake_peer *, size_t i, char out[64]);
/* Ends the i-th that is held.  On the bridge's worker. */
void fake_peer_answer(struct fake_peer *, size_t i, const struct sq_offer_end *);
/* The next offer with that payload ends so, at once ('why' is kept by the caller); once. */
void fake_peer_script(struct fake_peer *, const char *payload, const struct sq_offer_end *);
/* What it has accepted: how many, and the i-th. */
size_t fake_peer_got(struct fake_peer *);
struct fake_got fake_peer_got_at(struct fake_peer *, size_t i);
/* All offers that it was ever given, also those that it did not accept. */
size_t fake_peer_offers(struct fake_peer *);
/* Does not say closed() until fake_peer_let_close(). */
void fake_peer_hold_close(struct fake_peer *, bool);

/* A message that the peer has for the bridge; 'key' and 'hops' "" or NULL: none.  It comes when it is asked
 * for, and again until it is taken.  A topic of "" can't be mapped. */
void fake_peer_put(
    struct fake_peer *, const char *topic, const char *payload, const char *key, const char *hops);
/* Those that were not taken. */
size_t fake_peer_left(struct fake_peer *);
/* Settled with LATER, in all; they come again after fake_peer_bring_again() alone. */
size_t fake_peer_handed_back(struct fake_peer *);
void fake_peer_bring_again(struct fake_peer *);
/* What the inlet may have out. */
unsigned fake_peer_demand(struct fake_peer *);

/* The fake as one of the suite's. */
extern const struct bridge_peer fake_bridge_peer;

#endif
