/* See broker/front/http/counts.h. */
#include "broker/front/http/counts.h"

#include <assert.h>

#include "core/mem.h"
#include "core/metrics.h"

#define COUNTS_NAME "sqmqos_http_requests_total"

static const unsigned good[] = {200, 201, 202, 204, 207};

/* The place of a status: that of a problem behind the good ones; equal statuses share the first. */
static unsigned
counts_place(unsigned status)
{
	for (unsigned i = 0; i < SQ_ARRAY_LEN(good); i++)
		if (good[i] == status)
			return i;
	return (unsigned)SQ_ARRAY_LEN(good) + (unsigned)sq_http_problem_first(status);
}

static unsigned
counts_status(unsigned place)
{
	const unsigned n = (unsigned)SQ_ARRAY_LEN(good);

	return place < n ? good[place]
			 : sq_http_problem_row((enum sq_http_problem)(place - n))->status;
}

static_assert(SQ_ARRAY_LEN(good) + SQ_HTTP_PROBLEM_COUNT <= SQ_HTTP_STATUSES_MAX, "all have one");

void
sq_http_counts_add(struct sq_http_counts *c, enum sq_http_resource resource, unsigned status)
{
	atomic_fetch_add_explicit(&c->v[resource][counts_place(status)], 1, memory_order_relaxed);
}

void
sq_http_counts_write(const struct sq_http_counts *c, struct sq_buf *out)
{
	sq_metrics_head(out, COUNTS_NAME, SQ_COUNTER, "Requests of the HTTP API, by answer.");
	for (unsigned r = 0; r <= SQ_HTTP_RESOURCE_COUNT; r++) {
		const char *name = r < SQ_HTTP_RESOURCE_COUNT
		    ? sq_http_resource_row((enum sq_http_resource)r)->name
		    : "none";

		for (unsigned i = 0; i < SQ_HTTP_STATUSES_MAX; i++) {
			uint64_t n = atomic_load_explicit(&c->v[r][i], memory_order_relaxed);

			if (n > 0)
				sq_buf_printf(out,
				    COUNTS_NAME "{resource=\"%s\",status=\"%u\"} %llu\n", name,
				    counts_status(i), (unsigned long long)n);
		}
	}
}
