/* The caBundle of both webhook configurations; see k8s/injector/keeper.h. */
#include "core/log.h"
#include "core/mem.h"
#include "k8s/injector/keeper_priv.h"
#include "k8s/injector/object.h"

/* Gives the object, which has another bundle, ours. */
static void
webhooks_heal(struct sq_keeper *k, const struct sq_keeper_object *o, enum sq_state_item item,
    const struct sq_buf *patch)
{
	struct sq_buf why = {0};

	switch (sq_keeper_patch(k, o, SQ_OBJECT_STRATEGIC, patch, &why)) {
	case SQ_OK:
		sq_metric_add(&sq_injector_metrics, SQ_IM_WROTE_WEBHOOK, 1);
		SQ_INFO("keeper", "the authorities are written into the webhook configuration %s",
		    o->name);
		sq_state_good(k->cfg.state, item);
		break;
	case SQ_ESTALE:
		k->again = true;
		break;
	default:
		sq_state_wrong(
		    k->cfg.state, item, "%.*s", (int)sq_buf_len(&why), sq_buf_data(&why));
	}
	sq_buf_fini(&why);
}

static void
webhooks_look(struct sq_keeper *k, enum sq_keeper_kind kind, enum sq_state_item item)
{
	struct sq_keeper_object o = {.kind = kind, .name = k->cfg.names->webhooks};
	struct sq_buf why = {0}, patch = {0};

	sq_keeper_get(k, &o, &why);
	if (o.missing)
		sq_state_wrong(
		    k->cfg.state, item, "%.*s", (int)sq_buf_len(&why), sq_buf_data(&why));
	else if (o.json == NULL)
		sq_state_troubled(
		    k->cfg.state, item, "%.*s", (int)sq_buf_len(&why), sq_buf_data(&why));
	else
		switch (sq_object_bundle(
		    o.json, k->cfg.names->space, k->cfg.names->service, &k->trusted, &patch)) {
		case SQ_BUNDLE_RIGHT:
			sq_state_good(k->cfg.state, item);
			break;
		case SQ_BUNDLE_WRONG:
			webhooks_heal(k, &o, item, &patch);
			break;
		case SQ_BUNDLE_NONE:
			sq_state_wrong(k->cfg.state, item, "%s: no entry calls the Service %s/%s",
			    o.name, k->cfg.names->space, k->cfg.names->service);
			break;
		}
	sq_keeper_object_fini(&o);
	sq_buf_fini(&why);
	sq_buf_fini(&patch);
}

void
sq_keeper_webhooks(struct sq_keeper *k)
{
	if (sq_buf_len(&k->trusted) == 0)
		return; /* nothing to write yet */
	webhooks_look(k, SQ_KEEPER_MUTATING, SQ_STATE_MUTATING);
	webhooks_look(k, SQ_KEEPER_VALIDATING, SQ_STATE_VALIDATING);
}
