#include "broker/recent/gone.h"

/* X(symbol, name, type, unit, help) */
#define GONE_COLUMNS(X) \
	X(SPACE, "space", TEXT, "", "") \
	X(QUEUE, "queue", TEXT, "", "that it left, as in `queues`") \
	X(TOPIC, "topic", TEXT, "", "") \
	X(WHY, "why", TEXT, "", \
	    "as `left` in `queues`; or the reason for which the queue ended; `purged`: by an " \
	    "operator") \
	X(KEY, "key", TEXT, "", "`sqmqos-key`; null: it had none") \
	X(ORIGIN, "origin", TEXT, "", "who published it, as in `messages`") \
	X(ATTEMPTS, "attempts", NUMBER, "", "how often its delivery was tried in vain") \
	X(AT, "at", TIME, "ms", "")

#define GONE_COLUMN(symbol, name, type, unit, help) GONE_##symbol,
enum gone_column { GONE_COLUMNS(GONE_COLUMN) GONE_COLUMN_COUNT };
#undef GONE_COLUMN

enum { GONE_TEXTS = GONE_ATTEMPTS }; /* the first columns are the texts of an entry */

static const struct sq_view_column gone_columns[] = {GONE_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_gone_view = {
    .name = "gone",
    .help = "Messages of QoS 1 and 2 that left their queue undelivered of late: at most 256 of "
	    "each worker, and 64 of one queue, since the broker's start. The oldest leave. "
	    "Some are dead letters now.",
    .named = "key",
    .columns = gone_columns,
    .n_columns = GONE_COLUMN_COUNT,
};

void
sq_gone_note(struct sq_recent *r, const struct sq_gone_seen *seen)
{
	struct sq_bytes texts[SQ_RECENT_TEXTS] = {
	    [GONE_SPACE] = sq_bytes_of(seen->space),
	    [GONE_QUEUE] = sq_bytes_of(seen->queue),
	    [GONE_TOPIC] = seen->topic,
	    [GONE_WHY] = sq_bytes_of(seen->why),
	    [GONE_KEY] = seen->key,
	    [GONE_ORIGIN] = sq_bytes_of(seen->origin),
	};

	sq_recent_note(r, texts, 0, seen->attempts);
}

static void
gone_row(struct sq_view_slice *v, const struct sq_recent_entry *e)
{
	if (!sq_view_wants_bytes(v, e->texts[GONE_SPACE], e->texts[GONE_KEY]) &&
	    !sq_view_wants_bytes(v, e->texts[GONE_SPACE], e->texts[GONE_ORIGIN]))
		return;
	sq_view_row(v);
	for (unsigned i = 0; i < GONE_TEXTS; i++) {
		if (e->texts[i].p != NULL)
			sq_view_bytes(v, i, e->texts[i]);
	}
	sq_view_number(v, GONE_ATTEMPTS, e->number);
	sq_view_number(v, GONE_AT, e->last_ms);
}

bool
sq_gone_walk(const struct sq_recent *r, struct sq_view_slice *v)
{
	return sq_recent_walk(r, v, gone_row);
}
