/* What a pool knows of the broker that owns the state, where several share it (docs/link.md, "Several
 * brokers"): judges each thing that a broker says of it.
 *
 * Pure: no socket, no clock. */
#ifndef SQ_NET_WHEREABOUTS_H
#define SQ_NET_WHEREABOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "net/h2/answer.h"

enum { SQ_WHEREABOUTS_HOPS = 3 }; /* 421s in a row that are followed */

enum sq_whereabouts_verdict {
	SQ_WHEREABOUTS_FOLLOW,   /* 'owner' is to be dialled at once */
	SQ_WHEREABOUTS_WAIT,     /* it says nothing new: the owner is known to be away */
	SQ_WHEREABOUTS_OLD,      /* its owner's epoch is lower than one that was seen */
	SQ_WHEREABOUTS_DENIED,   /* the address is not allowed, or nonsense */
	SQ_WHEREABOUTS_HOPS_ALL, /* too many in a row */
};

/* Starts zeroed but for the lists, which outlive it. */
struct sq_whereabouts {
	const struct sq_strings *allowed, *brokers; /* see net/allowed.h */
	bool known;                                 /* store and epoch are */
	uint64_t store, epoch;
	unsigned hops;                  /* since a link was up */
	char owner[SQ_WHERE_ADDRESS];   /* HOST:PORT; "": not known */
	char standby[SQ_WHERE_ADDRESS]; /* "": none */
	char away[SQ_WHERE_ADDRESS]; /* the owner of 'epoch': it has said that it ends, or fails */
};

/* A broker says that it is not the owner (421). */
enum sq_whereabouts_verdict sq_whereabouts_told(struct sq_whereabouts *, const struct sq_where *);
/* A link has opened, and its broker says that.  False: it is not the owner any more. */
bool sq_whereabouts_opened(struct sq_whereabouts *, const struct sq_where *);
/* One that stands by says in passing who owns: nothing is counted.  True: an owner of later. */
bool sq_whereabouts_heard(struct sq_whereabouts *, const struct sq_where *);
/* Whether that broker is the owner no more by what is known. */
bool sq_whereabouts_old(const struct sq_whereabouts *, const struct sq_where *);
/* The owner says who would be next; "": nobody.  One that is not allowed is none. */
void sq_whereabouts_standby(struct sq_whereabouts *, const char *address);
/* The owner is about to end, and names the next one ("": nobody).  True: that is now 'owner'. */
bool sq_whereabouts_moves(struct sq_whereabouts *, const char *address);
/* The owner epoch that is known; 0: none. */
static inline uint64_t
sq_whereabouts_epoch(const struct sq_whereabouts *w)
{
	return w->known ? w->epoch : 0;
}

/* What is known of epochs is no more: they may have begun anew. */
void sq_whereabouts_forget(struct sq_whereabouts *);
/* A link to that broker, or a dial, has ended: if it is the owner, no 421 leads there any more until a
 * link opens there, or it is an owner of later. */
void sq_whereabouts_failed(struct sq_whereabouts *, const char *address);
/* The word of a verdict, for logs. */
const char *sq_whereabouts_word(enum sq_whereabouts_verdict);

#endif
