/* Requests without a packet of the client: subscriptions that the broker has lost are made again,
 * and those that are no longer allowed end. */
#include "sidecar/hold/hold.h"

#include "core/log.h"
#include "core/mem.h"
#include "proto/annotations/annotations.h"
#include "proto/mqtt/options.h"
#include "proto/mqtt/reason.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/subs.h"

/* Such requests under construction, as many as needed. */
struct asking {
	struct sq_hold *hold;
	struct sq_subreq *r; /* NULL: none */
	uint8_t op;
	bool first; /* in front of queued requests */
};

/* Queues the entries that were added. */
static void
asking_flush(struct asking *a)
{
	if (a->r == NULL)
		return;
	a->r->n = a->r->n_ask;
	sq_hold_ask(a->hold, a->r, a->first);
	a->r = NULL;
}

static void
asking_entry(struct sq_hold *hold, const struct sq_subreq *r, const struct sq_sub *e, uint8_t code)
{
	(void)e;
	if (hold->bye.leaving && hold->bye.expiry_s == 0)
		return;
	if (r->op == SQ_SUB_UNSUBSCRIBE)
		SQ_DEBUG("session", "client %s: a subscription was ended", hold->client_id);
	else if (sq_mqtt_reason_failed(code))
		SQ_WARN("session", "client %s: a subscription could not be made again, 0x%02x",
		    hold->client_id, code);
}

static void
asking_answered(struct sq_hold *hold, struct sq_subreq *r, const struct sq_sub_codes *codes)
{
	sq_subreq_take(hold, r, codes, asking_entry);
}

static void
asking_add(struct asking *a, const struct sq_sub *e)
{
	if (a->r == NULL) {
		a->r = sq_subreq_new(a->op, 0, SQ_SUBS_ENTRIES_MAX, asking_answered);
		a->r->again = true;
	}
	sq_subreq_ask(a->r, a->r->n_ask, e);
	if (a->r->n_ask == SQ_SUBS_ENTRIES_MAX || sq_buf_len(&a->r->entries) > SQ_SUBS_POST_MAX)
		asking_flush(a);
}

void
sq_hold_resubscribe(struct sq_hold *hold)
{
	struct asking again = {.hold = hold, .op = SQ_SUB_SUBSCRIBE, .first = true};
	struct sq_hnode *n;

	if (hold->bye.leaving)
		return;
	sq_hold_ask_not_again(hold);
	for (n = sq_htab_walk(&hold->subs.made, NULL); n != NULL;
	     n = sq_htab_walk(&hold->subs.made, n)) {
		const struct sq_made *sub = SQ_CONTAINER_OF(n, struct sq_made, node);
		/* No retained messages again: the client would notice. */
		struct sq_sub e = {.op = SQ_SUB_SUBSCRIBE,
		    .sub_id = sub->sub_id,
		    .options = (uint8_t)((sub->options & ~SQ_OPTION_RETAIN) |
			SQ_RETAIN_NEVER << SQ_OPTION_RETAIN_SHIFT),
		    .filter = {(const unsigned char *)sub->filter, sub->len}};

		asking_add(&again, &e);
	}
	asking_flush(&again);
}

/* Ends 'sub' at the broker, and here. */
static void
made_end(struct sq_hold *hold, struct sq_made *sub, struct asking *end)
{
	struct sq_sub e = {
	    .op = SQ_SUB_UNSUBSCRIBE, .filter = {(const unsigned char *)sub->filter, sub->len}};

	SQ_WARN("session",
	    "client %s: '%.*s' is ended, " SQ_ANNOTATION_SUBSCRIBE
	    " is strict, and neither declares nor allows it any more",
	    hold->client_id, (int)sub->len, sub->filter);
	sq_holds_count(hold->holds, SQ_M_SUBSCRIBE_ENDED, 1);
	asking_add(end, &e);
	sq_hold_unmade(hold, e.filter);
}

void
sq_hold_enforce(struct sq_hold *hold)
{
	struct asking end = {.hold = hold, .op = SQ_SUB_UNSUBSCRIBE};
	struct sq_hnode *n, *next;

	if (!hold->holds->strict || hold->bye.leaving || hold->state == SQ_HOLD_ENDED)
		return;
	for (n = sq_htab_walk(&hold->subs.made, NULL); n != NULL; n = next) {
		struct sq_made *sub = SQ_CONTAINER_OF(n, struct sq_made, node);
		struct sq_topic_filter f;

		next = sq_htab_walk(&hold->subs.made, n);
		if (sq_topic_filter_parse(
			(struct sq_bytes){(const unsigned char *)sub->filter, sub->len}, &f,
			NULL) != 0 ||
		    !sq_hold_allows(hold, &f))
			made_end(hold, sub, &end);
	}
	asking_flush(&end);
}

void
sq_holds_enforce(struct sq_holds *h, bool strict)
{
	h->strict = strict;
	SQ_LIST_FOR_EACH(hold, &h->all, struct sq_hold, all)
		sq_hold_enforce(hold);
}

void
sq_hold_kept(struct sq_hold *hold, bool last, uint16_t n, struct sq_bytes entries)
{
	if (last)
		sq_hold_knows_made(hold);
	if (hold->bye.leaving || hold->state == SQ_HOLD_ENDED)
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct sq_kept k = sq_kept_next(&entries);
		struct sq_sub e = {.op = SQ_SUB_SUBSCRIBE,
		    .options = (uint8_t)(k.options |
			SQ_RETAIN_NEVER
			    << SQ_OPTION_RETAIN_SHIFT), /* it had its retained messages */
		    .sub_id = k.sub_id,
		    .filter = k.filter};

		if (!sq_hold_is_sure_of(hold, k.filter))
			sq_hold_made(hold, &e);
	}
	if (last) /* what is left was ended over another sidecar */
		sq_hold_disinherit(hold);
	sq_hold_enforce(hold);
}
