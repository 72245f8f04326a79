#include "store/shared/used.h"

#include <assert.h>
#include <string.h>

void
sq_used_init(struct sq_used *u, uint64_t max)
{
	*u = (struct sq_used){.grain = max / SQ_USED_RANGES + 1};
}

/* Makes one range of each two. */
static void
used_halve(struct sq_used *u)
{
	unsigned n = 0;

	for (unsigned i = 0; i < u->n; i += 2) {
		struct sq_used_range r = u->ranges[i];

		if (i + 1 < u->n) {
			r.bytes += u->ranges[i + 1].bytes;
			r.last = u->ranges[i + 1].last;
		}
		u->ranges[n++] = r;
	}
	u->n = n;
}

void
sq_used_add(struct sq_used *u, uint64_t lsn, uint64_t bytes)
{
	struct sq_used_range *r = u->n > 0 ? &u->ranges[u->n - 1] : NULL;

	assert(r == NULL || lsn > r->last);
	u->bytes += bytes;
	if (r != NULL && r->bytes + bytes <= u->grain) {
		r->last = lsn;
		r->bytes += bytes;
		return;
	}
	if (u->n == SQ_USED_RANGES)
		used_halve(u);
	u->ranges[u->n++] = (struct sq_used_range){lsn, bytes};
}

void
sq_used_release(struct sq_used *u, uint64_t lsn)
{
	unsigned n = 0;

	while (n < u->n && u->ranges[n].last <= lsn)
		u->bytes -= u->ranges[n++].bytes;
	u->n -= n;
	memmove(u->ranges, u->ranges + n, u->n * sizeof u->ranges[0]);
}
