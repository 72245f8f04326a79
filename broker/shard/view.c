#include "broker/shard/view.h"

#include <string.h>

#include "broker/engine/files.h"
#include "broker/route/retained.h"
#include "broker/shard/shard.h"

/* Spaces.  X(symbol, name, kind of the share, unit, help) */
#define SPACE_SHARES(X) \
	X(SESSIONS, "sessions", SESSIONS, "", "") \
	X(CONNECTIONS, "connections", CONNECTIONS, "", "links of sidecars") \
	X(GROUPS, "groups", GROUPS, "", "shared and declared queues") \
	X(SUBSCRIPTIONS, "subscriptions", SUBSCRIPTIONS, "", "bindings of filters") \
	X(DELAYED, "delayed", DELAYED, "", "messages that wait for their time") \
	X(DELAYED_BYTES, "delayed_bytes", DELAYED_BYTES, "bytes", "") \
	X(DEAD_LETTERS, "dead_letters", DEAD_LETTERS, "", "") \
	X(DEAD_LETTERS_BYTES, "dead_letters_bytes", DEAD_LETTERS_BYTES, "bytes", "") \
	X(KEYS, "keys", KEYS, "", "idempotency keys") \
	X(STORED_BYTES, "stored_bytes", STORED_BYTES, "bytes", "messages in its durable queues") \
	X(MEMORY, "memory", MEMORY, "bytes", "messages in memory")

enum space_column {
	SPACE_SPACE,
#define SPACE_COLUMN(symbol, name, kind, unit, help) SPACE_##symbol,
	SPACE_SHARES(SPACE_COLUMN)
#undef SPACE_COLUMN
	    SPACE_RETAINED,
	SPACE_RETAINED_BYTES,
	SPACE_FULL,
	SPACE_COLUMN_COUNT
};

static const struct sq_view_column space_columns[] = {
    [SPACE_SPACE] = {"space", SQ_VIEW_TEXT, "", "on Kubernetes the namespace"},
#define SPACE_COLUMN(symbol, name, kind, unit, help) \
	[SPACE_##symbol] = {name, SQ_VIEW_NUMBER, unit, help},
    SPACE_SHARES(SPACE_COLUMN)
#undef SPACE_COLUMN
	[SPACE_RETAINED] = {"retained", SQ_VIEW_NUMBER, "",
	    "retained messages of its topics, which several spaces may share"},
    [SPACE_RETAINED_BYTES] = {"retained_bytes", SQ_VIEW_NUMBER, "bytes", "of these"},
    [SPACE_FULL] = {"full", SQ_VIEW_TEXTS, "",
	"of which of the columns before it may have no more: its share, or the broker's total, is "
	"used up"},
};

const struct sq_view_table sq_space_view = {
    .name = "spaces",
    .help = "Spaces, and what each has of the broker's totals.",
    .named = "space",
    .columns = space_columns,
    .n_columns = SPACE_COLUMN_COUNT,
};

static void
space_row(struct sq_view_slice *v, const struct sq_broker *b, const struct sq_tenant *t)
{
	static const struct {
		enum space_column column;
		enum sq_share_kind kind;
	} shares[] = {
#define SPACE_SHARE(symbol, name, kind, unit, help) {SPACE_##symbol, SQ_SHARE_##kind},
	    SPACE_SHARES(SPACE_SHARE)
#undef SPACE_SHARE
	};
	const struct sq_account *a = sq_tenant_account(t);
	uint64_t n, bytes;

	(void)b;
	if (!sq_view_wants(v, sq_tenant_name(t), sq_tenant_name(t)))
		return;
	sq_view_row(v);
	sq_view_text(v, SPACE_SPACE, sq_tenant_name(t));
	for (size_t i = 0; i < SQ_ARRAY_LEN(shares); i++)
		sq_view_number(v, shares[i].column, sq_share_used(a, shares[i].kind));
	sq_space_retained(sq_tenant_space(t), &n, &bytes);
	sq_view_number(v, SPACE_RETAINED, n);
	sq_view_number(v, SPACE_RETAINED_BYTES, bytes);
	sq_view_no_texts(v, SPACE_FULL);
	for (size_t i = 0; i < SQ_ARRAY_LEN(shares); i++) {
		if (sq_share_room(a, shares[i].kind) == 0)
			sq_view_add_text(
			    v, SPACE_FULL, sq_bytes_of(space_columns[shares[i].column].name));
	}
}

bool
sq_view_walk_tenants(struct sq_view_slice *v, struct sq_broker *b,
    void (*row)(struct sq_view_slice *, const struct sq_broker *, const struct sq_tenant *))
{
	struct sq_view_place at = {sq_view_from(v).of, 0};
	struct sq_tenant *t;

	while ((t = sq_tenants_seek(b->tenants, &at.of)) != NULL) {
		bool room = sq_view_visit(v, at);

		if (room)
			row(v, b, t);
		sq_tenant_unref(&t);
		if (!room)
			return false;
		if (++at.of == 0)
			break;
	}
	return true;
}

bool
sq_spaces_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	(void)worker;
	return sq_view_walk_tenants(v, owner, space_row);
}

/* The store.  X(symbol, name, type, unit, help) */
#define STORE_COLUMNS(X) \
	X(ENGINE, "engine", TEXT, "", "") \
	X(DURABLE, "durable", TRUTH, "", "keeps what is committed over a restart") \
	X(HEALTHY, "healthy", TRUTH, "", "") \
	X(WHY, "why", TEXT, "", "what is wrong, a line for each cause; null: nothing") \
	X(STALLED, "stalled", TRUTH, "", "commits have been waiting for long") \
	X(FULL, "full", TRUTH, "", "takes nothing new: see `store.max-size`") \
	X(JOURNAL_BYTES, "journal_bytes", NUMBER, "bytes", \
	    "of the journal that are needed: what a checkpoint has not written to the tables") \
	X(JOURNAL_MAX, "journal_max", NUMBER, "bytes", "`store.journal-size`") \
	X(TABLE_BYTES, "table_bytes", NUMBER, "bytes", "of the tables in use") \
	X(TABLE_MAX, "table_max", NUMBER, "bytes", "`store.max-size`") \
	X(FREE, "free", NUMBER, "bytes", \
	    "of `table_max` that are left before the store is full; null: not durable") \
	X(COMMITS, "commits", NUMBER, "", "since the start") \
	X(CHECKPOINTS, "checkpoints", NUMBER, "", \
	    "chunks of the journal written to the tables since the start") \
	X(READ_FAILURES, "read_failures", NUMBER, "", "reads that failed and are tried again") \
	X(DAMAGED, "damaged", NUMBER, "", "messages that did not verify, and were not served")

#define STORE_COLUMN(symbol, name, type, unit, help) STORE_##symbol,
enum store_column { STORE_COLUMNS(STORE_COLUMN) STORE_COLUMN_COUNT };
#undef STORE_COLUMN

static const struct sq_view_column store_columns[] = {STORE_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_store_view = {
    .name = "store",
    .help = "The store: one row.",
    .named = "engine",
    .whole = true,
    .columns = store_columns,
    .n_columns = STORE_COLUMN_COUNT,
};

static void
store_free(struct sq_view_slice *v, const struct sq_broker *b)
{
	uint64_t used = (uint64_t)sq_metric_get(&b->metrics, SQ_M_STORE_TABLE_BYTES);
	uint64_t most = b->cfg.store_max_size / 100 * SQ_STORE_FULL_PERCENT;

	sq_view_number(v, STORE_FREE, most > used ? most - used : 0);
}

static void
store_files(struct sq_view_slice *v, const struct sq_broker *b)
{
	static const struct {
		enum store_column column;
		enum sq_broker_metric metric;
	} rows[] = {
	    {STORE_JOURNAL_BYTES, SQ_M_STORE_JOURNAL_BYTES},
	    {STORE_TABLE_BYTES, SQ_M_STORE_TABLE_BYTES},
	    {STORE_COMMITS, SQ_M_STORE_COMMITS},
	    {STORE_CHECKPOINTS, SQ_M_STORE_CHECKPOINTS},
	    {STORE_READ_FAILURES, SQ_M_STORE_READ_FAILURES},
	    {STORE_DAMAGED, SQ_M_STORE_DAMAGED},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++)
		sq_view_number(
		    v, rows[i].column, (uint64_t)sq_metric_get(&b->metrics, rows[i].metric));
	sq_view_number(v, STORE_JOURNAL_MAX, b->cfg.journal_size);
	sq_view_number(v, STORE_TABLE_MAX, b->cfg.store_max_size);
	store_free(v, b);
}

bool
sq_store_walk(void *owner, unsigned worker, struct sq_view_slice *v)
{
	const struct sq_broker *b = owner;
	struct sq_engine *e = b->engine;
	struct sq_buf why = {0};
	size_t len;

	(void)worker;
	if (sq_view_from(v).of > 0)
		return true;
	if (!sq_view_visit(v, (struct sq_view_place){0, 0}))
		return false;
	if (!sq_view_wants(v, "", e->ops->name))
		return true;
	sq_view_row(v);
	sq_view_text(v, STORE_ENGINE, e->ops->name);
	sq_view_truth(v, STORE_DURABLE, e->ops->durable);
	sq_view_truth(v, STORE_HEALTHY, e->ops->healthy(e, &why));
	len = sq_buf_len(&why);
	if (len > 0)
		sq_view_bytes(v, STORE_WHY, (struct sq_bytes){sq_buf_data(&why), len});
	sq_buf_fini(&why);
	sq_view_truth(v, STORE_STALLED, e->ops->stalled(e));
	sq_view_truth(v, STORE_FULL, sq_engine_full(e));
	if (e->ops->durable)
		store_files(v, b);
	return true;
}
