/* The figures of the client side of links, in the metrics of its program.
 *
 * The program maps each figure to one of its rows (struct sq_net_counts); the owner of a pool
 * passes that table at creation. */
#ifndef SQ_NET_H2_COUNTS_H
#define SQ_NET_H2_COUNTS_H

#include "core/metrics.h"

enum sq_net_count {
	SQ_NET_LINKS,              /* gauge: open links */
	SQ_NET_LINKS_LOST,         /* links that ended */
	SQ_NET_REFUSED_CREDENTIAL, /* links that brokers refused: 401 or 403, ... */
	SQ_NET_REFUSED_BUSY,       /* ... 503, ... */
	SQ_NET_REFUSED_OTHER,      /* ... another status */
	SQ_NET_REDIRECTS,          /* answers that said which broker owns, and were followed, ... */
	SQ_NET_REDIRECTS_IGNORED,  /* ... or not */
	SQ_NET_DIALS,              /* connections dialled */
	SQ_NET_REQUESTS,           /* requests sent */
	SQ_NET_FRAMES_SKIPPED,     /* frames of an unknown type */
	SQ_NET_TRUST_CHANGES,      /* bundles of authorities taken into use */
	SQ_NET_TRUST_ENDS_FIRST,   /* gauge: seconds until the first trusted authority ends, ... */
	SQ_NET_TRUST_ENDS_LAST,    /* ... the last one, ... */
	SQ_NET_PAIR_ENDS,          /* ... the own certificate; 0: none */
	SQ_NET_COUNTS,
};

/* Lives at least as long as the pool. */
struct sq_net_counts {
	const struct sq_metrics *metrics;
	size_t rows[SQ_NET_COUNTS]; /* of 'metrics' */
};

static inline void
sq_net_count(const struct sq_net_counts *c, enum sq_net_count what, int64_t by)
{
	sq_metric_add(c->metrics, c->rows[what], by);
}

static inline void
sq_net_gauge(const struct sq_net_counts *c, enum sq_net_count what, int64_t value)
{
	sq_metric_set(c->metrics, c->rows[what], value);
}

#endif
