/* Inbound QoS 2 packet ids that await their release (MQTT 5.0 §4.3.3). */
#include <stdlib.h>
#include <string.h>

#include "broker/session/session.h"
#include "core/mem.h"

/* Where the id stands, or would stand. */
static uint32_t
qos2_in_at(const struct sq_session *s, uint16_t id)
{
	uint32_t lo = 0, hi = s->in.qos2.n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (s->in.qos2.ids[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct sq_qos2_id *
sq_qos2_in_find(struct sq_session *s, uint16_t id)
{
	uint32_t at = qos2_in_at(s, id);

	return at < s->in.qos2.n && s->in.qos2.ids[at].id == id ? &s->in.qos2.ids[at] : NULL;
}

bool
sq_qos2_in_add(struct sq_session *s, uint16_t id)
{
	uint32_t at = qos2_in_at(s, id);

	if (at < s->in.qos2.n && s->in.qos2.ids[at].id == id)
		return false;
	if (s->in.qos2.n == s->in.qos2.cap) {
		s->in.qos2.cap = s->in.qos2.cap > 0 ? s->in.qos2.cap * 2 : 8;
		s->in.qos2.ids = sq_xrealloc(
		    s->in.qos2.ids, s->in.qos2.cap * sizeof(*s->in.qos2.ids));
	}
	memmove(s->in.qos2.ids + at + 1, s->in.qos2.ids + at,
	    (s->in.qos2.n - at) * sizeof(*s->in.qos2.ids));
	s->in.qos2.ids[at] = (struct sq_qos2_id){.id = id};
	s->in.qos2.n++;
	return true;
}

bool
sq_qos2_in_remove(struct sq_session *s, uint16_t id)
{
	uint32_t at = qos2_in_at(s, id);

	if (at == s->in.qos2.n || s->in.qos2.ids[at].id != id)
		return false;
	s->in.qos2.n--;
	memmove(s->in.qos2.ids + at, s->in.qos2.ids + at + 1,
	    (s->in.qos2.n - at) * sizeof(*s->in.qos2.ids));
	return true;
}

uint16_t *
sq_qos2_in_ids(const struct sq_session *s)
{
	uint16_t *ids = sq_xcalloc(s->in.qos2.n + 1u, sizeof *ids);

	for (uint32_t i = 0; i < s->in.qos2.n; i++)
		ids[i] = s->in.qos2.ids[i].id;
	return ids;
}
