#include "broker/front/link/body.h"

#include "broker/port/outlet.h"

static int
body_subs(struct sq_call *c, unsigned version)
{
	struct sq_subs *subs = &c->in.subs;
	int n = sq_subs_decode(c->body->bytes, c->body->size, version, &subs->head, &subs->entries);

	subs->n = n >= 0 ? (uint16_t)n : 0;
	return n >= 0 ? SQ_OK : n;
}

static int
body_in(struct sq_call *c)
{
	unsigned version = sq_outlet_version(c->outlet);
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
	}
	return SQ_EINVAL;
}

void
sq_body_decode(struct sq_call *c)
{
	c->malformed = body_in(c) != SQ_OK;
}
