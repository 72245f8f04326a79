#include "broker/session/qos2_in.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* Where the id stands, or would stand. */
static uint32_t
qos2_in_at(const struct sq_qos2_in *in, uint16_t id)
{
	uint32_t lo = 0, hi = in->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (in->ids[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct sq_qos2_id *
sq_qos2_in_find(struct sq_qos2_in *in, uint16_t id)
{
	uint32_t at = qos2_in_at(in, id);

	return at < in->n && in->ids[at].id == id ? &in->ids[at] : NULL;
}

bool
sq_qos2_in_add(struct sq_qos2_in *in, uint16_t id)
{
	uint32_t at = qos2_in_at(in, id);

	if (at < in->n && in->ids[at].id == id)
		return false;
	if (in->n == in->cap) {
		in->cap = in->cap > 0 ? in->cap * 2 : 8;
		in->ids = sq_xrealloc(in->ids, in->cap * sizeof(*in->ids));
	}
	memmove(in->ids + at + 1, in->ids + at, (in->n - at) * sizeof(*in->ids));
	in->ids[at] = (struct sq_qos2_id){.id = id};
	in->n++;
	return true;
}

bool
sq_qos2_in_remove(struct sq_qos2_in *in, uint16_t id)
{
	uint32_t at = qos2_in_at(in, id);

	if (at == in->n || in->ids[at].id != id)
		return false;
	in->n--;
	memmove(in->ids + at, in->ids + at + 1, (in->n - at) * sizeof(*in->ids));
	return true;
}

uint16_t *
sq_qos2_in_ids(const struct sq_qos2_in *in)
{
	uint16_t *ids = sq_xcalloc(in->n + 1u, sizeof *ids);

	for (uint32_t i = 0; i < in->n; i++)
		ids[i] = in->ids[i].id;
	return ids;
}
