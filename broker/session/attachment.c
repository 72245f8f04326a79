#include "broker/session/attachment.h"

#include <assert.h>
#include <string.h>

#include "broker/port/call.h"
#include "broker/port/outlet.h"

struct sq_superseded *
sq_attachment_superseded(struct sq_attachment *at, uint64_t instance)
{
	for (size_t i = 0; i < SQ_SUPERSEDED_MAX; i++) {
		if (at->superseded[i].instance == instance)
			return &at->superseded[i];
	}
	return NULL;
}

void
sq_attachment_supersede(struct sq_attachment *at)
{
	struct sq_superseded *old = sq_attachment_superseded(at, at->instance);

	assert(at->instance != 0);
	if (old == NULL) { /* the oldest goes */
		memmove(at->superseded + 1, at->superseded,
		    (SQ_SUPERSEDED_MAX - 1) * sizeof(at->superseded[0]));
		old = &at->superseded[0];
	}
	*old = (struct sq_superseded){at->instance, at->ordinal, at->epoch};
}

void
sq_attachment_hold(
    struct sq_attachment *at, const struct sq_attach *a, uint64_t owner, bool takes_over)
{
	assert(at->epoch == 0 && at->attaching == NULL);
	at->owner = owner;
	at->instance = a->instance;
	at->ordinal = a->ordinal;
	at->attempt = a->attempt;
	at->left = false;
	at->admitted = false;
	at->takes_over |= takes_over;
}

void
sq_attachment_renew(struct sq_attachment *at, struct sq_attachment *old)
{
	at->owner = old->owner;
	at->instance = old->instance;
	at->ordinal = old->ordinal;
	at->attempt = old->attempt;
	memcpy(at->superseded, old->superseded, sizeof at->superseded);
	sq_attachment_wait(at, sq_attachment_unwait(old));
}

void
sq_attachment_wait(struct sq_attachment *at, struct sq_call *c)
{
	assert(at->attaching == NULL);
	at->attaching = c;
}

struct sq_call *
sq_attachment_unwait(struct sq_attachment *at)
{
	struct sq_call *c = at->attaching;

	at->attaching = NULL;
	return c;
}

void
sq_attachment_admit(struct sq_attachment *at, const struct sq_attach *a)
{
	assert(at->attaching != NULL && !at->admitted);
	if (a->flags & SQ_ATTACH_CLEAN_START) {
		at->cleaned_instance = a->instance;
		at->cleaned_ordinal = a->ordinal;
	}
	at->takes_over = false;
	at->admitted = true;
	at->answered = true; /* or will be: it is stored with the PUT's content */
}

void
sq_attachment_failed(struct sq_attachment *at)
{
	if (at->admitted)
		at->lost = true;
}

bool
sq_attachment_committed(struct sq_attachment *at)
{
	bool lost = at->lost;

	assert(at->admitted);
	at->admitted = at->lost = false;
	return !lost;
}

void
sq_attachment_begin(struct sq_attachment *at, uint64_t epoch, struct sq_outlet *outlet)
{
	assert(at->epoch == 0 && at->outlet == NULL && epoch != 0);
	at->epoch = epoch;
	at->outlet = outlet;
	at->broke = false;
}

void
sq_attachment_end(struct sq_attachment *at)
{
	at->epoch = 0;
	sq_outlet_unref(&at->outlet);
}

void
sq_attachment_used(struct sq_attachment *at)
{
	at->present = true;
	at->restored = false;
}

void
sq_attachment_left(struct sq_attachment *at, bool broke)
{
	at->left = true;
	at->broke = broke;
}
