/* The view's table of dead letters: see view.h.  A letter's place is that of its tenant and, in it,
 * its seq in one of the two queues. */
#include <string.h>

#include "broker/group/group.h"
#include "broker/publish/dead_queues.h"
#include "broker/publish/view.h"
#include "broker/shard/source.h"
#include "proto/props/names.h"

/* X(symbol, name, type, unit, help) */
#define LETTER_COLUMNS(X) \
	X(QUEUE, "queue", TEXT, "", \
	    "in which it is: `dead~SPACE` those of QoS 3, or `dead-others~SPACE`") \
	X(LETTER, "letter", NUMBER, "", "its number there, which rises") \
	X(SPACE, "space", TEXT, "", "") \
	X(TOPIC, "topic", TEXT, "", "to which it was published") \
	X(FROM, "from", TEXT, "", "the queue that it was in, `sqmqos-dead-queue`") \
	X(CAUSE, "cause", TEXT, "", "why it was not delivered, `sqmqos-dead-reason`") \
	X(DETAIL, "detail", TEXT, "", \
	    "what its last consumer said, `sqmqos-dead-detail`; null: nothing") \
	X(DIED, "died", TEXT, "", "when, `sqmqos-dead-time`") \
	X(KEY, "key", TEXT, "", "`sqmqos-key`; null: it had none") \
	X(QOS, "qos", NUMBER, "", "") \
	X(BYTES, "bytes", NUMBER, "bytes", "that it takes, properties and topic included") \
	X(PAYLOAD, "payload", NUMBER, "bytes", "of them, its payload")

#define LETTER_COLUMN(symbol, name, type, unit, help) LETTER_##symbol,
enum letter_column { LETTER_COLUMNS(LETTER_COLUMN) LETTER_COLUMN_COUNT };
#undef LETTER_COLUMN

static const struct sq_view_column letter_columns[] = {LETTER_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_dead_letter_view = {
    .name = "dead-letters",
    .help =
	"Dead letters, without their payloads. Those that only the store has are read to be "
	"shown, as far as their queue's part of `store.cache-size` has room; `depth` in `queues` "
	"counts them all.",
    .named = "queue",
    .columns = letter_columns,
    .n_columns = LETTER_COLUMN_COUNT,
};

/* Seqs of the second queue have this bit. */
#define LETTER_OTHERS (UINT64_C(1) << 63)

/* Of several properties of a name the last one is the broker's. */
static void
letter_props(struct sq_view_slice *v, struct sq_bytes props)
{
	static const struct {
		const char *name;
		enum letter_column column;
	} rows[] = {
	    {SQ_PROP_DEAD_QUEUE, LETTER_FROM},
	    {SQ_PROP_DEAD_REASON, LETTER_CAUSE},
	    {SQ_PROP_DEAD_DETAIL, LETTER_DETAIL},
	    {SQ_PROP_DEAD_TIME, LETTER_DIED},
	    {SQ_PROP_KEY, LETTER_KEY},
	};
	struct sq_bytes found[SQ_ARRAY_LEN(rows)] = {{0}}, name, value;

	while (sq_props_user_next(&props, &name, &value)) {
		for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
			if (sq_bytes_are(name, rows[i].name))
				found[i] = value;
		}
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		if (found[i].len > 0)
			sq_view_bytes(v, rows[i].column, found[i]);
	}
}

static void
letter_row(struct sq_view_slice *v, const struct sq_sink *sink, const struct sq_item *item)
{
	static const char dead[] = SQ_ACL_DEAD_QUEUE "/";
	const char *space = sq_tenant_name(sq_source_tenant(sink->source));
	const char *name = sq_source_name(sink->source);
	struct sq_bytes topic = sq_image_topic(item->msg.image);

	if (!sq_view_wants(v, space, name))
		return;
	if (topic.len >= sizeof dead - 1 && memcmp(topic.p, dead, sizeof dead - 1) == 0) {
		topic.p += sizeof dead - 1;
		topic.len -= sizeof dead - 1;
	}
	sq_view_row(v);
	sq_view_text(v, LETTER_QUEUE, name);
	sq_view_number(v, LETTER_LETTER, item->seq);
	sq_view_text(v, LETTER_SPACE, space);
	sq_view_bytes(v, LETTER_TOPIC, topic);
	letter_props(v, sq_image_props(item->msg.image));
	sq_view_number(v, LETTER_QOS, item->qos);
	sq_view_number(v, LETTER_BYTES, sq_image_size(item->msg.image));
	sq_view_number(v, LETTER_PAYLOAD, sq_image_payload(item->msg.image).len);
}

/* Those of one queue from 'at' on; 'bit' is in the places of its letters. */
static bool
letters_of(
    struct sq_view_slice *v, const struct sq_sink *sink, struct sq_view_place at, uint64_t bit)
{
	const struct sq_queue_ops *ops = &sink->engine->ops->queue;
	struct sq_item item;

	/* What only the store has comes to memory first, as far as it has room. */
	if (ops->recall(sink->queue)) {
		(void)sq_view_visit(v, at);
		return false;
	}
	while (ops->peek(sink->queue, at.inner & ~LETTER_OTHERS, &item)) {
		bool room;

		at.inner = item.seq | bit;
		room = sq_view_visit(v, at);
		if (room)
			letter_row(v, sink, &item);
		sq_msg_unref(&item.msg);
		if (!room)
			return false;
		at.inner++;
	}
	return true;
}

static bool
letters_of_tenant(
    struct sq_view_slice *v, struct sq_group *const groups[SQ_DEAD_KINDS], struct sq_view_place at)
{
	static const uint64_t bits[] = {[SQ_DEAD_ASSURED] = 0, [SQ_DEAD_OTHERS] = LETTER_OTHERS};

	for (size_t kind = 0; kind < SQ_DEAD_KINDS; kind++) {
		if (at.inner > (bits[kind] | (LETTER_OTHERS - 1)))
			continue;
		if (at.inner < bits[kind])
			at.inner = bits[kind];
		if (groups[kind] != NULL && !letters_of(v, &groups[kind]->sink, at, bits[kind]))
			return false;
	}
	at.inner = UINT64_MAX;
	return sq_view_visit(v, at);
}

bool
sq_dead_letters_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	struct sq_broker *b = owner;
	struct sq_view_place at = sq_view_from(v);
	struct sq_group *groups[SQ_DEAD_KINDS];
	uint64_t place = at.of;

	(void)worker;
	while (sq_dead_seek(b->dead, &place, groups)) {
		if (place != at.of)
			at = (struct sq_view_place){place, 0};
		if (!letters_of_tenant(v, groups, at))
			return false;
		at = (struct sq_view_place){++place, 0};
		if (place == 0)
			break;
	}
	return true;
}
