/* Inbound QoS 2 packet ids that await their release (MQTT 5.0 §4.3.3). */
#include <stdlib.h>
#include <string.h>

#include "broker/session/session.h"
#include "core/mem.h"

/* Where the id stands, or would stand. */
static uint32_t
held_at(const struct sq_session *s, uint16_t id)
{
	uint32_t lo = 0, hi = s->n_held;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (s->held[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct sq_held *
sq_held_find(struct sq_session *s, uint16_t id)
{
	uint32_t at = held_at(s, id);

	return at < s->n_held && s->held[at].id == id ? &s->held[at] : NULL;
}

bool
sq_held_add(struct sq_session *s, uint16_t id)
{
	uint32_t at = held_at(s, id);

	if (at < s->n_held && s->held[at].id == id)
		return false;
	if (s->n_held == s->cap_held) {
		s->cap_held = s->cap_held > 0 ? s->cap_held * 2 : 8;
		s->held = sq_xrealloc(s->held, s->cap_held * sizeof(*s->held));
	}
	memmove(s->held + at + 1, s->held + at, (s->n_held - at) * sizeof(*s->held));
	s->held[at] = (struct sq_held){.id = id};
	s->n_held++;
	return true;
}

bool
sq_held_remove(struct sq_session *s, uint16_t id)
{
	uint32_t at = held_at(s, id);

	if (at == s->n_held || s->held[at].id != id)
		return false;
	s->n_held--;
	memmove(s->held + at, s->held + at + 1, (s->n_held - at) * sizeof(*s->held));
	return true;
}

uint16_t *
sq_held_ids(const struct sq_session *s)
{
	uint16_t *ids = sq_xcalloc(s->n_held + 1u, sizeof *ids);

	for (uint32_t i = 0; i < s->n_held; i++)
		ids[i] = s->held[i].id;
	return ids;
}
