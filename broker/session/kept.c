/* Kept subscriptions, from the session's list into frames of the deliveries response. */
#include <assert.h>
#include <string.h>

#include "broker/group/group.h"
#include "broker/session/session.h"
#include "broker/session/wanted.h"

enum {
	FRAME_MAX = 32768, /* bytes of entries in one frame, but for a single one */
	NOT_UTF8 = 0xff,   /* in names of what is no SUBSCRIBE's: see wanted.c */
};

static uint32_t
kept_sub_id(const struct sq_block *subs)
{
	uint32_t id = 0;

	if (subs != NULL)
		memcpy(&id, subs->bytes, sizeof id);
	return id;
}

static struct sq_kept
kept_of(const struct sq_subscription *sub)
{
	const struct sq_member *m = sub->member;
	const struct sq_binding *b = &sub->binding;
	struct sq_kept k = {.filter = sq_bytes_of(sub->name)};

	if (m != NULL) {
		k.options = (uint8_t)(m->max_qos | (m->as_published ? SQ_OPTION_AS_PUBLISHED : 0));
		k.sub_id = kept_sub_id(m->subs);
	} else {
		k.options = (uint8_t)(b->max_qos | (b->not_from != 0 ? SQ_OPTION_NO_LOCAL : 0) |
		    (b->as_published ? SQ_OPTION_AS_PUBLISHED : 0));
		k.sub_id = kept_sub_id(b->subs);
	}
	return k;
}

void
sq_kept_begin(struct sq_session *s, bool wanted)
{
	s->kept = wanted && sq_outlet_can(s->at.outlet, SQ_OUTLET_KEPT) ? SQ_KEPT_WANTED
									: SQ_KEPT_KNOWN;
}

void
sq_kept_used(struct sq_session *s)
{
	assert(s->kept == SQ_KEPT_WANTED);
	s->kept = SQ_KEPT_DUE;
	sq_kept_tell(s);
}

void
sq_kept_tell(struct sq_session *s)
{
	struct sq_buf entries = {0};
	uint16_t n = 0;

	assert(s->kept == SQ_KEPT_DUE && s->state == SQ_SESSION_ATTACHED);
	if (!sq_outlet_writable(s->at.outlet)) {
		sq_linked_block(s); /* it goes on from there */
		return;
	}
	s->kept = SQ_KEPT_KNOWN;
	SQ_LIST_FOR_EACH(sub, &s->subs.list, struct sq_subscription, node) {
		struct sq_kept k;

		if (strchr(sub->name, NOT_UTF8) != NULL)
			continue;
		k = kept_of(sub);
		sq_kept_put(&entries, &k);
		n++;
		if (sq_buf_len(&entries) < FRAME_MAX)
			continue;
		sq_outlet_kept(s->at.outlet, s->at.epoch, false, n, sq_buf_bytes(&entries));
		sq_buf_drain(&entries, sq_buf_len(&entries));
		n = 0;
	}
	sq_outlet_kept(s->at.outlet, s->at.epoch, true, n, sq_buf_bytes(&entries));
	sq_buf_fini(&entries);
}
