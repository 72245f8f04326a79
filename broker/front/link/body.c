#include "broker/front/link/body.h"

#include <assert.h>

static struct sq_sub
body_sub_v1(struct sq_bytes *entries)
{
	return sq_sub_next(entries, 1);
}

static struct sq_sub
body_sub_v2(struct sq_bytes *entries)
{
	return sq_sub_next(entries, 2);
}

static_assert(SQ_LINK_VERSION_MIN == 1 && SQ_LINK_VERSION == 3, "an entry has two layouts");

static int
body_subs(struct sq_call *c, unsigned version)
{
	struct sq_subs *subs = &c->in.subs;
	int n = sq_subs_decode(c->body->bytes, c->body->size, version, &subs->head, &subs->entries);

	subs->n = n >= 0 ? (uint16_t)n : 0;
	subs->next = version >= 2 ? body_sub_v2 : body_sub_v1;
	return n >= 0 ? SQ_OK : n;
}

static int
body_in(struct sq_call *c, unsigned version)
{
	const unsigned char *p = c->body->bytes;
	size_t len = c->body->size;

	switch (c->kind) {
	case SQ_CALL_ATTACH:
		return sq_attach_decode(p, len, &c->in.attach);
	case SQ_CALL_MESSAGES:
		return sq_batch_decode(p, len, version, &c->in.batch);
	case SQ_CALL_SETTLEMENTS:
		return sq_settlements_decode(p, len, &c->in.settle);
	case SQ_CALL_SUBSCRIPTIONS:
		return body_subs(c, version);
	case SQ_CALL_DETACH:
		return sq_detach_decode(p, len, version, &c->in.detach);
	case SQ_CALL_PUBLISH:
	case SQ_CALL_QUEUE:
	case SQ_CALL_BRIDGE:
		break; /* none of the link's */
	}
	return SQ_EINVAL;
}

void
sq_body_decode(struct sq_call *c, unsigned version)
{
	c->malformed = body_in(c, version) != SQ_OK;
}

bool
sq_body_answers(const struct sq_call *c)
{
	if (c->verdict != SQ_VERDICT_OK)
		return false;
	return c->kind == SQ_CALL_ATTACH || c->kind == SQ_CALL_MESSAGES ||
	    (c->kind == SQ_CALL_SUBSCRIPTIONS && c->in.subs.head.mark == 0);
}

void
sq_body_encode(struct sq_buf *b, const struct sq_call *c, unsigned version)
{
	assert(sq_body_answers(c));
	if (c->kind == SQ_CALL_ATTACH)
		sq_attached_encode(b, &c->out.attached, version);
	else if (c->kind == SQ_CALL_MESSAGES)
		sq_outcomes_encode(b, &c->out.outcomes, version);
	else
		sq_codes_encode(b, &c->out.codes, version);
}
