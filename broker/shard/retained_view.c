/* The view's table of retained messages: see view.h.  A message's place is that of its space and, in
 * it, of its topic. */
#include "broker/engine/now.h"
#include "broker/route/retained.h"
#include "broker/shard/shard.h"
#include "broker/shard/view.h"
#include "core/wallclock.h"

/* X(symbol, name, type, unit, help) */
#define RETAINED_COLUMNS(X) \
	X(TOPIC, "topic", TEXT, "", "") \
	X(SPACE, "space", TEXT, "", \
	    "of its topic; `NAME (shared)`: of several, and shown to who may name any space") \
	X(QOS, "qos", NUMBER, "", "") \
	X(BYTES, "bytes", NUMBER, "bytes", "that it takes, properties and topic included") \
	X(PAYLOAD, "payload", NUMBER, "bytes", "of them, its payload") \
	X(SINCE, "since", TIME, "ms", "when it was published; null: before the broker's start") \
	X(EXPIRES, "expires", TIME, "ms", "null: never")

#define RETAINED_COLUMN(symbol, name, type, unit, help) RETAINED_##symbol,
enum retained_column { RETAINED_COLUMNS(RETAINED_COLUMN) RETAINED_COLUMN_COUNT };
#undef RETAINED_COLUMN

static const struct sq_view_column retained_columns[] = {RETAINED_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_retained_view = {
    .name = "retained",
    .help = "Retained messages, without their payloads; those of `$SYS` are not shown.",
    .named = "topic",
    .columns = retained_columns,
    .n_columns = RETAINED_COLUMN_COUNT,
};

static void
retained_row(struct sq_view_slice *v, const char *space, const struct sq_retained_seen *seen)
{
	const unsigned char *image = seen->msg.image;
	struct sq_bytes topic = sq_image_topic(image);
	uint64_t now_ms = sq_engine_now_ms();
	struct sq_buf name = {0};

	sq_buf_append(&name, topic.p, topic.len);
	sq_buf_u8(&name, '\0');
	if (sq_view_wants(v, space, (const char *)sq_buf_data(&name))) {
		sq_view_row(v);
		sq_view_bytes(v, RETAINED_TOPIC, topic);
		sq_view_text(v, RETAINED_SPACE, space);
		sq_view_number(v, RETAINED_QOS, sq_image_qos(image));
		sq_view_number(v, RETAINED_BYTES, sq_image_size(image));
		sq_view_number(v, RETAINED_PAYLOAD, sq_image_payload(image).len);
		if (seen->since_ms != 0)
			sq_view_number(
			    v, RETAINED_SINCE, sq_wallclock_from_mono(seen->since_ms, now_ms));
		if (seen->expires_ms != 0)
			sq_view_number(
			    v, RETAINED_EXPIRES, sq_wallclock_from_mono(seen->expires_ms, now_ms));
	}
	sq_buf_fini(&name);
}

/* Those of one space from 'at' on, and a visit of the space itself behind them. */
static bool
retained_of(struct sq_view_slice *v, struct sq_space *s, struct sq_view_place at)
{
	struct sq_buf space = {0};
	struct sq_retained_seen seen;
	bool shown = sq_tenants_space_shown(sq_space_name(s), &space), room = true;

	while (shown && room && sq_space_retained_seek(s, &at.inner, &seen)) {
		room = sq_view_visit(v, at);
		if (room)
			retained_row(v, (const char *)sq_buf_data(&space), &seen);
		sq_msg_unref(&seen.msg);
		if (room && ++at.inner == 0)
			break;
	}
	sq_buf_fini(&space);
	if (!room)
		return false;
	at.inner = UINT64_MAX;
	return sq_view_visit(v, at);
}

bool
sq_retained_walk(void *owner, unsigned worker, struct sq_view_slice *v)
{
	struct sq_broker *b = owner;
	struct sq_view_place at = sq_view_from(v);
	uint64_t place = at.of;
	struct sq_space *s;

	(void)worker;
	while ((s = sq_router_seek(b->router, &place)) != NULL) {
		bool room;

		if (place != at.of)
			at = (struct sq_view_place){place, 0};
		room = retained_of(v, s, at);
		sq_space_unref(&s);
		if (!room)
			return false;
		at = (struct sq_view_place){++place, 0};
		if (place == 0)
			break;
	}
	return true;
}
