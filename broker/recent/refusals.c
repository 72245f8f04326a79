#include "broker/recent/refusals.h"

/* X(symbol, name, type, unit, help) */
#define REFUSAL_COLUMNS(X) \
	X(SPACE, "space", TEXT, "", "") \
	X(WHO, "who", TEXT, "", \
	    "the session, as in `sessions`; of a publish by HTTP its space; of a refused link or " \
	    "request its peer's address") \
	X(KIND, "kind", TEXT, "", \
	    "`publish`, `subscription`, `attach` (a session), `link`, `http` (a request), " \
	    "or what else was refused, as `will`") \
	X(TOPIC, "topic", TEXT, "", "topic or filter") \
	X(QUEUE, "queue", TEXT, "", "the queue that had no room, as in `queues`") \
	X(REASON, "reason", TEXT, "", \
	    "a word, as in `sqmqos_refused_total` and `sqmqos_auth_refused_total`; `unmatched`: " \
	    "nothing takes it") \
	X(IDENTITY, "identity", TEXT, "", "null: not known, or nobody was asked") \
	X(TEXT, "text", TEXT, "", "the same for people, of one of the last") \
	X(CODE, "code", NUMBER, "", \
	    "MQTT's reason code, as 151 (0x97); of an attach, a link or a request the HTTP " \
	    "status") \
	X(COUNT, "count", NUMBER, "", \
	    "how often; publishes that nothing takes are counted once for each batch") \
	X(FIRST, "first", TIME, "ms", "") \
	X(LAST, "last", TIME, "ms", "")

#define REFUSAL_COLUMN(symbol, name, type, unit, help) REFUSAL_##symbol,
enum refusal_column { REFUSAL_COLUMNS(REFUSAL_COLUMN) REFUSAL_COLUMN_COUNT };
#undef REFUSAL_COLUMN

/* The first columns are the texts of an entry, of which these many tell one refusal from another. */
enum { REFUSAL_TEXTS = REFUSAL_CODE, REFUSAL_SAME = REFUSAL_IDENTITY };

static const struct sq_view_column refusal_columns[] = {REFUSAL_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_refusal_view = {
    .name = "refusals",
    .help = "What the broker has refused of late, equal refusals in one row: at most 256 of each "
	    "worker, and 64 of one session, since the broker's start. The oldest leave.",
    .named = "who",
    .columns = refusal_columns,
    .n_columns = REFUSAL_COLUMN_COUNT,
};

void
sq_refusals_note(struct sq_recent *r, const struct sq_refusal_seen *seen)
{
	struct sq_bytes texts[SQ_RECENT_TEXTS] = {
	    [REFUSAL_SPACE] = seen->space,
	    [REFUSAL_WHO] = seen->who,
	    [REFUSAL_KIND] = sq_bytes_of(seen->kind),
	    [REFUSAL_TOPIC] = seen->topic,
	    [REFUSAL_QUEUE] = sq_bytes_of(seen->queue),
	    [REFUSAL_REASON] = sq_bytes_of(seen->reason),
	    [REFUSAL_IDENTITY] = sq_bytes_of(seen->identity),
	    [REFUSAL_TEXT] = seen->text,
	};

	sq_recent_note(r, texts, REFUSAL_SAME, seen->code);
}

static void
refusal_row(struct sq_view_slice *v, const struct sq_recent_entry *e)
{
	if (!sq_view_wants_bytes(v, e->texts[REFUSAL_SPACE], e->texts[REFUSAL_WHO]))
		return;
	sq_view_row(v);
	for (unsigned i = 0; i < REFUSAL_TEXTS; i++) {
		if (e->texts[i].p != NULL)
			sq_view_bytes(v, i, e->texts[i]);
	}
	sq_view_number(v, REFUSAL_CODE, e->number);
	sq_view_number(v, REFUSAL_COUNT, e->n);
	sq_view_number(v, REFUSAL_FIRST, e->first_ms);
	sq_view_number(v, REFUSAL_LAST, e->last_ms);
}

bool
sq_refusals_walk(const struct sq_recent *r, struct sq_view_slice *v)
{
	return sq_recent_walk(r, v, refusal_row);
}
