/* Lanes and groups, and how messages of them end; see broker/bridge/sqs/out_priv.h. */
#include <assert.h>
#include <stdlib.h>

#include "broker/bridge/sqs/out_priv.h"
#include "core/mem.h"

/* --- lanes and groups --- */

struct sq_sqs_out_key *
sq_sqs_out_key_get(struct sq_htab *all, uint64_t hash)
{
	struct sq_hnode *h = sq_htab_find(all, hash);
	struct sq_sqs_out_key *k;

	if (h != NULL) {
		k = SQ_CONTAINER_OF(h, struct sq_sqs_out_key, node);
	} else {
		k = sq_xcalloc(1, sizeof *k);
		sq_list_init(&k->items);
		sq_htab_insert(all, &k->node, hash);
	}
	k->n++;
	return k;
}

void
sq_sqs_out_key_put(struct sq_htab *all, struct sq_sqs_out_key *k)
{
	if (k == NULL || --k->n > 0)
		return;
	sq_htab_remove(all, &k->node);
	free(k);
}

/* --- ends --- */

static void
ends_free(struct sq_sqs_forwarder *f, struct sq_sqs_out_item *i)
{
	sq_list_remove(&i->in_line);
	sq_list_remove(&i->in_lane);
	sq_sqs_out_key_put(&f->lanes, i->lane);
	sq_sqs_out_key_put(&f->groups, i->group);
	sq_sqs_entry_fini(&i->entry);
	free(i->why);
	free(i);
	f->n_items--;
}

void
sq_sqs_out_report(struct sq_sqs_forwarder *f, struct sq_sqs_out_key *lane)
{
	struct sq_sqs_out_item *i;

	lane->n++; /* of this function */
	while ((i = SQ_LIST_FIRST(&lane->items, struct sq_sqs_out_item, in_lane)) != NULL &&
	    i->place == SQ_SQS_OUT_ENDED) {
		struct sq_offered *of = i->of;
		struct sq_offer_end end = i->end;
		char *why = i->why;

		i->why = NULL;
		end.why = why;
		ends_free(f, i);
		f->env->offered(f->env->owner, of, &end);
		free(why);
	}
	sq_sqs_out_key_put(&f->lanes, lane);
}

void
sq_sqs_out_end(struct sq_sqs_out_item *i, const struct sq_offer_end *end, const char *why)
{
	assert(i->place != SQ_SQS_OUT_ENDED);
	sq_list_remove(&i->in_line);
	i->place = SQ_SQS_OUT_ENDED;
	i->end = *end;
	i->why = why != NULL ? sq_xstrdup(why) : NULL;
}

void
sq_sqs_out_hold_lane(struct sq_sqs_out_item *i)
{
	const struct sq_offer_end later = {.how = SQ_OFFER_LATER, .after_ms = i->end.after_ms};

	SQ_LIST_FOR_EACH(o, &i->lane->items, struct sq_sqs_out_item, in_lane)
		if (o->place == SQ_SQS_OUT_WAITS)
			sq_sqs_out_end(o, &later, NULL);
}

void
sq_sqs_out_later(struct sq_sqs_out_item *i, uint32_t after_ms, bool uncertain, const char *why)
{
	sq_sqs_out_end(i,
	    &(const struct sq_offer_end){
		.how = SQ_OFFER_LATER, .after_ms = after_ms, .uncertain = uncertain},
	    why);
	sq_sqs_out_hold_lane(i);
}

void
sq_sqs_out_never(struct sq_sqs_out_item *i, enum sq_offer_never never, const char *why)
{
	sq_sqs_out_end(i, &(const struct sq_offer_end){.how = SQ_OFFER_NEVER, .never = never}, why);
}
