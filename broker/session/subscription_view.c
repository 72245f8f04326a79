/* The view's table of subscriptions: see view.h.  A subscription's place is that of its session and,
 * in it, of its name. */
#include <string.h>

#include "broker/group/group.h"
#include "broker/session/session.h"
#include "broker/session/view.h"
#include "broker/shard/source.h"

enum { SEPARATOR = 0xff }; /* between the parts of a name: see sq_wanted_text() */

/* X(symbol, name, type, unit, help) */
#define SUBSCRIPTION_COLUMNS(X) \
	X(SESSION, "session", TEXT, "", "as in `sessions`") \
	X(SPACE, "space", TEXT, "", "") \
	X(FILTER, "filter", TEXT, "", "as the client, or the annotation, has it") \
	X(TAG, "tag", TEXT, "", "of a declared one with a tag; else null") \
	X(KIND, "kind", TEXT, "", "`own`, `share`, `declared`, `queue`, `dead`") \
	X(QUEUE, "queue", TEXT, "", "into which its messages go, as in `queues`") \
	X(QOS, "qos", NUMBER, "", "the greatest") \
	X(NO_LOCAL, "no_local", TRUTH, "", "without the session's own messages") \
	X(AS_PUBLISHED, "retain_as_published", TRUTH, "", "the retain flag stays") \
	X(SCANNING, "scanning", TRUTH, "", "retained messages are still on their way")

#define SUBSCRIPTION_COLUMN(symbol, name, type, unit, help) SUBSCRIPTION_##symbol,
enum subscription_column { SUBSCRIPTION_COLUMNS(SUBSCRIPTION_COLUMN) SUBSCRIPTION_COLUMN_COUNT };
#undef SUBSCRIPTION_COLUMN

static const struct sq_view_column subscription_columns[] = {SUBSCRIPTION_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_subscription_view = {
    .name = "subscriptions",
    .help = "Subscriptions of sessions; those that an annotation declares are of the sidecar's "
	    "keeper, or of the client that it names.",
    .named = "session",
    .columns = subscription_columns,
    .n_columns = SUBSCRIPTION_COLUMN_COUNT,
};

/* The name of a declared one: separator, group, separator, tag, separator, filter. */
static void
subscription_parts(const char *name, struct sq_bytes *tag, struct sq_bytes *filter)
{
	const char *end = strrchr(name, SEPARATOR), *begin = end;

	*filter = sq_bytes_of(end + 1);
	while (begin > name && (unsigned char)begin[-1] != SEPARATOR)
		begin--;
	*tag = (struct sq_bytes){(const unsigned char *)begin, (size_t)(end - begin)};
}

static const char *
subscription_kind(const struct sq_subscription *sub, bool declared)
{
	if (declared)
		return "declared";
	if (sub->group == NULL)
		return "own";
	return sub->group->cfg.share ? "share" : sub->group->cfg.named ? "queue" : "dead";
}

/* What its binding has, its own or its group's. */
static void
subscription_binding(
    struct sq_view_slice *v, const struct sq_session *s, const struct sq_subscription *sub)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);

	if (sub->group_binding == NULL) {
		sq_view_number(v, SUBSCRIPTION_QOS, sub->binding.max_qos);
		sq_view_truth(v, SUBSCRIPTION_NO_LOCAL, sub->binding.not_from != 0);
		sq_view_truth(v, SUBSCRIPTION_AS_PUBLISHED, sub->binding.as_published);
		return;
	}
	sq_space_rdlock(space);
	sq_view_number(v, SUBSCRIPTION_QOS, sub->group_binding->binding.max_qos);
	sq_space_unlock(space);
}

static void
subscription_row(
    struct sq_view_slice *v, const struct sq_session *s, const struct sq_subscription *sub)
{
	const char *space = sq_tenant_name(s->id.tenant);
	bool declared = (unsigned char)sub->name[0] == SEPARATOR;
	struct sq_bytes filter = sq_bytes_of(sub->name), tag = {0};
	const struct sq_sink *sink = sub->group != NULL ? &sub->group->sink : &s->sink;

	if (!sq_view_wants(v, space, s->id.key))
		return;
	if (declared)
		subscription_parts(sub->name, &tag, &filter);
	else if (strchr(sub->name, SEPARATOR) != NULL)
		return; /* a twin: its other half has the client's filter */
	sq_view_row(v);
	sq_view_text(v, SUBSCRIPTION_SESSION, s->id.key);
	sq_view_text(v, SUBSCRIPTION_SPACE, space);
	sq_view_bytes(v, SUBSCRIPTION_FILTER, filter);
	if (tag.len > 0)
		sq_view_bytes(v, SUBSCRIPTION_TAG, tag);
	sq_view_text(v, SUBSCRIPTION_KIND, subscription_kind(sub, declared));
	sq_view_text(v, SUBSCRIPTION_QUEUE, sq_source_name(sink->source));
	subscription_binding(v, s, sub);
	sq_view_truth(v, SUBSCRIPTION_SCANNING, sub->scan != NULL);
}

/* Those of one session from 'at' on, and a visit of the session itself behind them. */
static bool
subscriptions_of(struct sq_view_slice *v, struct sq_hnode *of, struct sq_view_place at)
{
	const struct sq_session *s = SQ_CONTAINER_OF(of, struct sq_session, id.by_key);
	struct sq_hnode *node;

	while ((node = sq_htab_seek(&s->subs.by_name, at.inner)) != NULL) {
		at.inner = sq_hnode_place(node);
		if (!sq_view_visit(v, at))
			return false;
		subscription_row(v, s, SQ_CONTAINER_OF(node, struct sq_subscription, by_name));
		if (++at.inner == 0)
			break;
	}
	at.inner = UINT64_MAX;
	return sq_view_visit(v, at);
}

bool
sq_subscriptions_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	const struct sq_broker *b = owner;

	return sq_view_walk_htab_rows(v, &b->shards[worker].sessions->by_key, subscriptions_of);
}
