#include "broker/group/message_view.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/engine/now.h"
#include "broker/group/group.h"
#include "broker/shard/source.h"
#include "core/wallclock.h"
#include "proto/props/names.h"

static const struct sq_view_column message_columns[] = {SQ_MESSAGE_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_message_view = {
    .name = "messages",
    .help =
	"Messages that wait in memory, in their queues' order, without their payloads. Those "
	"that only the store has, behind the first ones of a long queue, are not shown; `depth` "
	"in `queues` counts them all. Dead letters have a table of their own. `name` finds a key, "
	"or an "
	"origin; `queue` one queue.",
    .named = "key",
    .queues = true,
    .columns = message_columns,
    .n_columns = SQ_MESSAGE_COLUMN_COUNT,
};

struct sq_bytes
sq_message_key(const unsigned char *image)
{
	struct sq_bytes props = sq_image_props(image), found = {0}, name, value;

	while (sq_props_user_next(&props, &name, &value)) {
		if (sq_bytes_are(name, SQ_PROP_KEY) && value.len > 0)
			found = value; /* of several the last one counts */
	}
	return found;
}

const char *
sq_message_origin(const struct sq_origin *o, char out[SQ_ORIGIN_TEXT_MAX])
{
	(void)snprintf(out, SQ_ORIGIN_TEXT_MAX, "%016" PRIx64 ".%" PRIx64 ".%" PRIu64,
	    o->incarnation, o->run, o->number);
	return out;
}

static void
message_row(struct sq_view_slice *v, const struct sq_sink *sink, const struct sq_item *item)
{
	const char *space = sq_tenant_name(sq_source_tenant(sink->source));
	const unsigned char *image = item->msg.image;
	struct sq_bytes key = sq_message_key(image);
	uint64_t now_ms = sq_engine_now_ms();
	char origin[SQ_ORIGIN_TEXT_MAX];

	sq_message_origin(&item->origin, origin);
	if (!sq_view_wants_bytes(v, sq_bytes_of(space), key) && !sq_view_wants(v, space, origin))
		return;
	sq_view_row(v);
	sq_view_text(v, SQ_MESSAGE_QUEUE, sq_source_name(sink->source));
	sq_view_text(v, SQ_MESSAGE_SPACE, space);
	sq_view_number(v, SQ_MESSAGE_NUMBER, item->seq);
	sq_view_bytes(v, SQ_MESSAGE_TOPIC, sq_image_topic(image));
	if (key.p != NULL)
		sq_view_bytes(v, SQ_MESSAGE_KEY, key);
	sq_view_text(v, SQ_MESSAGE_ORIGIN, origin);
	sq_view_number(v, SQ_MESSAGE_QOS, item->qos);
	sq_view_truth(v, SQ_MESSAGE_ASSURED, item->assured);
	sq_view_number(v, SQ_MESSAGE_BYTES, sq_image_size(image));
	if (item->put_ms != 0)
		sq_view_number(v, SQ_MESSAGE_AGE, sq_item_age_ms(item, now_ms));
	if (item->expires_ms != 0)
		sq_view_number(
		    v, SQ_MESSAGE_EXPIRES, sq_wallclock_from_mono(item->expires_ms, now_ms));
	sq_view_number(v, SQ_MESSAGE_ATTEMPTS, item->attempts);
}

bool
sq_messages_of(struct sq_view_slice *v, const struct sq_sink *sink, struct sq_view_place at)
{
	const struct sq_queue_ops *ops = &sink->engine->ops->queue;
	const char *space = sq_tenant_name(sq_source_tenant(sink->source));
	struct sq_item item;

	while (sq_view_wants_queue(v, space, sq_source_name(sink->source)) &&
	    ops->peek(sink->queue, at.inner, &item)) {
		bool room;

		at.inner = item.seq;
		room = sq_view_visit(v, at);
		if (room)
			message_row(v, sink, &item);
		sq_msg_unref(&item.msg);
		if (!room)
			return false;
		at.inner++;
	}
	at.inner = UINT64_MAX;
	return sq_view_visit(v, at);
}

/* Its queue stays while its space is locked. */
static bool
messages_of_group(struct sq_view_slice *v, struct sq_group *g, struct sq_view_place at)
{
	struct sq_space *space = sq_tenant_space(g->tenant);
	bool room;

	sq_space_rdlock(space);
	room = g->listed && g->sink.queue != NULL ? sq_messages_of(v, &g->sink, at)
						  : sq_view_visit(v, at);
	sq_space_unlock(space);
	return room;
}

bool
sq_group_messages_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	struct sq_broker *b = owner;
	struct sq_view_place at = sq_view_from(v);
	uint64_t place = at.of;
	struct sq_group *g;

	(void)worker;
	while (sq_groups_seek(b, &place, &g)) {
		bool room;

		if (place != at.of)
			at = (struct sq_view_place){place, 0};
		room = g != NULL ? messages_of_group(v, g, at) : sq_view_visit(v, at);
		sq_group_unref(&g);
		if (!room)
			return false;
		at = (struct sq_view_place){++place, 0};
		if (place == 0)
			break;
	}
	return true;
}
