/* The view's table of deliveries: see view.h.  A delivery's place is that of its session and, in it,
 * its packet id. */
#include <stdio.h>

#include "broker/group/message_view.h"
#include "broker/session/session.h"
#include "broker/session/view.h"
#include "broker/shard/source.h"

/* X(symbol, name, type, unit, help) */
#define DELIVERY_COLUMNS(X) \
	X(SESSION, "session", TEXT, "", "as in `sessions`") \
	X(SPACE, "space", TEXT, "", "") \
	X(PACKET, "packet", NUMBER, "", "its packet id at the client") \
	X(QUEUE, "queue", TEXT, "", \
	    "from which it came, as in `queues`; null: a queue that has ended") \
	X(STATE, "state", TEXT, "", \
	    "`sending`: not written yet; `sent`: not acknowledged; `received`: PUBREC has come, " \
	    "PUBCOMP has not; `ending`: only the client has it") \
	X(TOPIC, "topic", TEXT, "", "null: the message has been received") \
	X(KEY, "key", TEXT, "", \
	    "`sqmqos-key`; null: it has none, or the message has been received") \
	X(ORIGIN, "origin", TEXT, "", "as in `messages`") \
	X(QOS, "qos", NUMBER, "", "") \
	X(ATTEMPTS, "attempts", NUMBER, "", "how often it was tried in vain before")

#define DELIVERY_COLUMN(symbol, name, type, unit, help) DELIVERY_##symbol,
enum delivery_column { DELIVERY_COLUMNS(DELIVERY_COLUMN) DELIVERY_COLUMN_COUNT };
#undef DELIVERY_COLUMN

static const struct sq_view_column delivery_columns[] = {DELIVERY_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_delivery_view = {
    .name = "deliveries",
    .help = "Deliveries of QoS 1 and 2 that clients have not finished. `name` finds a key, or an "
	    "origin; `queue` one queue.",
    .named = "key",
    .queues = true,
    .columns = delivery_columns,
    .n_columns = DELIVERY_COLUMN_COUNT,
};

enum { FREE_MAX = 512 }; /* free slots that count as one thing looked at */

static const char *
delivery_state(const struct sq_slot *slot)
{
	if (slot->state == SQ_OPEN_RECEIVED)
		return "received";
	if (slot->state == SQ_OPEN_ORPHAN)
		return "ending";
	return slot->sent ? "sent" : "sending";
}

/* The queue of the slot; NULL: it is not known. */
static const struct sq_source *
delivery_source(const struct sq_session *s, const struct sq_slot *slot)
{
	if (slot->state == SQ_OPEN_ORPHAN)
		return NULL;
	return sq_queue_ref_own(&slot->from) ? s->sink.source : slot->from.sink->source;
}

static void
delivery_row(struct sq_view_slice *v, const struct sq_session *s, const struct sq_slot *slot)
{
	const char *space = sq_tenant_name(s->id.tenant);
	const struct sq_source *source = delivery_source(s, slot);
	const unsigned char *image = slot->item.msg.image;
	struct sq_bytes key = image != NULL ? sq_message_key(image) : (struct sq_bytes){0};
	char origin[SQ_ORIGIN_TEXT_MAX];

	sq_message_origin(&slot->item.origin, origin);
	if (!sq_view_wants_queue(v, space, source != NULL ? sq_source_name(source) : "") ||
	    (!sq_view_wants_bytes(v, sq_bytes_of(space), key) && !sq_view_wants(v, space, origin)))
		return;
	sq_view_row(v);
	sq_view_text(v, DELIVERY_SESSION, s->id.key);
	sq_view_text(v, DELIVERY_SPACE, space);
	sq_view_number(v, DELIVERY_PACKET, sq_slot_packet_id(&s->window, slot));
	if (source != NULL)
		sq_view_text(v, DELIVERY_QUEUE, sq_source_name(source));
	sq_view_text(v, DELIVERY_STATE, delivery_state(slot));
	if (image != NULL)
		sq_view_bytes(v, DELIVERY_TOPIC, sq_image_topic(image));
	if (key.p != NULL)
		sq_view_bytes(v, DELIVERY_KEY, key);
	sq_view_text(v, DELIVERY_ORIGIN, origin);
	sq_view_number(v, DELIVERY_QOS, slot->qos);
	sq_view_number(v, DELIVERY_ATTEMPTS, slot->item.attempts);
}

/* Those of one session from 'at' on, and a visit of the session itself behind them. */
static bool
deliveries_of(struct sq_view_slice *v, struct sq_hnode *node, struct sq_view_place at)
{
	const struct sq_session *s = SQ_CONTAINER_OF(node, struct sq_session, id.by_key);

	for (; at.inner < s->window.n_slots; at.inner++) {
		const struct sq_slot *slot = &s->window.slots[at.inner];

		if (slot->state == 0 && at.inner % FREE_MAX != 0)
			continue;
		if (!sq_view_visit(v, at))
			return false;
		if (slot->state != 0)
			delivery_row(v, s, slot);
	}
	at.inner = UINT64_MAX;
	return sq_view_visit(v, at);
}

bool
sq_deliveries_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	const struct sq_broker *b = owner;

	return sq_view_walk_htab_rows(v, &b->shards[worker].sessions->by_key, deliveries_of);
}
