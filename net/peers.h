/* The brokers that a pool knows: the addresses of the configured names, and the record of each.
 *
 * Each address of a name is a broker of its own.  Knows no connections: the pool reports the
 * outcome of each dial, and asks for the next broker to dial.  On the loop's thread. */
#ifndef SQ_NET_PEERS_H
#define SQ_NET_PEERS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/config.h"
#include "core/list.h"
#include "net/conn/resolve.h"

struct sq_peers;

/* Read by the pool; written by peers.c only. */
struct sq_peer {
	struct sq_list node;
	struct sq_addr addr;
	char text[SQ_ADDR_TEXT];
	const char *host;      /* configured name or address; exists as long as the list */
	const char *authority; /* the same with its port */
	unsigned failures;     /* in a row: dials, and links that were lost */
	unsigned drains;       /* in a row: times that it asked to move */
	uint64_t drained_ms;   /* when it last asked; 0: never */
	unsigned links;        /* up now */
	bool claimed;          /* some seat of the pool has it */
	bool gone;             /* its name has this address no longer */
	unsigned refs;         /* links that are dialled or open */
	char why[160];         /* the last failure; empty: none since the last link */
};

/* Checks that 'list' has at least one address and that all are well-formed; else SQ_EINVAL with a
 * line in 'err'. */
int sq_peers_check(const struct sq_strings *list, struct sq_buf *err) SQ_MUST_CHECK;
/* Starts lookups; 'changed' is called from the loop when they have ended, with or without a result.
 * NULL with a line in 'err', like sq_peers_check(). */
struct sq_peers *sq_peers_new(struct ev_loop *, const struct sq_strings *list,
    void (*changed)(void *owner), void *owner, struct sq_buf *err);
void sq_peers_free(struct sq_peers **);

/* Looks up again the names that were not looked up within the last few seconds. */
void sq_peers_refresh(struct sq_peers *);
/* Whether lookups are in progress. */
bool sq_peers_busy(const struct sq_peers *);

/* Gives 'from' (NULL: none) back and claims the best unclaimed broker, 'from' included: with the
 * fewest failures in a row, where a wish to drain counts as some, and at random among equals.
 * NULL: there is none. */
struct sq_peer *sq_peers_claim(struct sq_peers *, struct sq_peer *from);
/* Whether a new claim could find a better broker than 'p'. */
bool sq_peers_better(const struct sq_peers *, const struct sq_peer *p);

void sq_peer_ref(struct sq_peer *);
void sq_peer_unref(struct sq_peer *);
/* A dial failed; true: 'why' differs from the last reason. */
bool sq_peer_failed(struct sq_peer *, const char *why);
/* A link is up. */
void sq_peer_up(struct sq_peer *);
/* A link that was up has ended; 'lost': unexpectedly. */
void sq_peer_down(struct sq_peer *, const char *why, bool lost);
/* The broker asked to move, after its link was up for 'age_ms'. */
void sq_peer_drains(struct sq_peer *, uint64_t age_ms);

/* Appends a line for each name without address, and each broker whose last dial failed or
 * whose last link was lost. */
void sq_peers_report(const struct sq_peers *, struct sq_buf *out);

#endif
