#include "broker/front/door/ages.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static int
ages_order(const void *a, const void *b)
{
	const struct sq_age *x = a, *y = b;

	return x->stream < y->stream ? -1 : x->stream > y->stream;
}

void
sq_ages_look(struct sq_ages *a, struct sq_age *now, unsigned n, uint64_t now_ms)
{
	const struct sq_age *was = a->v, *end = was + a->n;

	if (n == 0) {
		sq_ages_fini(a);
		return;
	}
	qsort(now, n, sizeof *now, ages_order);
	for (unsigned i = 0; i < n; i++) {
		while (was < end && was->stream < now[i].stream)
			was++;
		now[i].since_ms = was < end && was->stream == now[i].stream &&
			was->going == now[i].going
		    ? was->since_ms
		    : now_ms;
	}
	a->v = sq_xrealloc(a->v, n * sizeof *a->v);
	a->n = n;
	memcpy(a->v, now, n * sizeof *now);
}

struct sq_age
sq_ages_oldest(const struct sq_ages *a, bool going)
{
	struct sq_age oldest = {0};

	for (unsigned i = 0; i < a->n; i++)
		if (a->v[i].going == going &&
		    (oldest.stream == 0 || a->v[i].since_ms < oldest.since_ms))
			oldest = a->v[i];
	return oldest;
}

void
sq_ages_fini(struct sq_ages *a)
{
	free(a->v);
	*a = (struct sq_ages){0};
}
