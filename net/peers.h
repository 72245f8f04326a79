/* The brokers that a pool knows: the addresses behind the configured names, and
 * how each has behaved.
 *
 * Every address of a name is a broker of its own.  Knows no connections: the pool
 * says what became of a dial, and asks where to dial next. */
#ifndef SQ_NET_PEERS_H
#define SQ_NET_PEERS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/config.h"
#include "core/list.h"
#include "net/resolve.h"

struct sq_brokers;

/* Readable by the pool, written here only. */
struct sq_broker {
	struct sq_list node;
	struct sq_addr addr;
	char text[SQ_ADDR_TEXT];
	const char *host;      /* name or address as configured; lives as long as the list */
	const char *authority; /* the same with its port */
	unsigned failures;     /* in a row: dials, and links that were lost */
	unsigned drains;       /* it asked to move so often in a row */
	uint64_t drained_ms;   /* when it last did; 0: never */
	unsigned links;        /* up now */
	bool claimed;          /* some seat of the pool has it */
	bool gone;             /* its name no longer leads here */
	unsigned refs;         /* links that are dialled or open */
	char why[160];         /* the last failure; empty: none since the last link */
};

/* Whether 'list' has one address at least and all can be one; else SQ_EINVAL with
 * a line in 'err'. */
int sq_brokers_check(const struct sq_strings *list, struct sq_buf *err) SQ_MUST_CHECK;
/* 'changed' is called from the loop when lookups have ended, whatever came.
 * NULL with a line in 'err' as sq_brokers_check(). */
struct sq_brokers *sq_brokers_new(struct ev_loop *, const struct sq_strings *list,
    void (*changed)(void *owner), void *owner, struct sq_buf *err);
void sq_brokers_free(struct sq_brokers **);

/* Looks the names up again that were not within the last few seconds. */
void sq_brokers_refresh(struct sq_brokers *);
/* Whether lookups are under way. */
bool sq_brokers_busy(const struct sq_brokers *);

/* Gives 'from' (or NULL) back and claims the most promising broker that nobody
 * has claimed, 'from' included: the one with the fewest failures in a row, a wish
 * to drain counting as some, and by lot among equals.  NULL: none. */
struct sq_broker *sq_brokers_claim(struct sq_brokers *, struct sq_broker *from);
/* Whether claiming anew could find a better one than 'b'. */
bool sq_brokers_better(const struct sq_brokers *, const struct sq_broker *b);

void sq_broker_ref(struct sq_broker *);
void sq_broker_unref(struct sq_broker *);
/* What became of it.  failed() returns true when 'why' is news. */
bool sq_broker_failed(struct sq_broker *, const char *why);
void sq_broker_up(struct sq_broker *);
/* A link that was up is gone; 'lost': not by our wish. */
void sq_broker_down(struct sq_broker *, const char *why, bool lost);
/* It asked to move, after its link was up for 'age_ms'. */
void sq_broker_drains(struct sq_broker *, uint64_t age_ms);

/* Appends a line for each name without address, and each broker whose last dial failed or
 * whose last link was lost. */
void sq_brokers_report(const struct sq_brokers *, struct sq_buf *out);

#endif
