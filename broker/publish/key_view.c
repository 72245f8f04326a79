/* The view's table of idempotency keys: see view.h.  The table of keys has hashes alone, so a key is
 * shown to who knows it. */
#include "broker/engine/now.h"
#include "broker/publish/idempotency.h"
#include "broker/publish/view.h"
#include "broker/shard/shard.h"
#include "broker/shard/view.h"
#include "core/wallclock.h"

/* X(symbol, name, type, unit, help) */
#define KEY_COLUMNS(X) \
	X(KEY, "key", TEXT, "", "as it was asked for") \
	X(SPACE, "space", TEXT, "", "") \
	X(SINCE, "since", TIME, "ms", \
	    "when a message with it was stored; what came with it since then was acknowledged " \
	    "and " \
	    "not stored again") \
	X(EXPIRES, "expires", TIME, "ms", \
	    "when it is forgotten: `idempotency.window` after it was stored")

#define KEY_COLUMN(symbol, name, type, unit, help) KEY_##symbol,
enum key_column { KEY_COLUMNS(KEY_COLUMN) KEY_COLUMN_COUNT };
#undef KEY_COLUMN

static const struct sq_view_column key_columns[] = {KEY_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_key_view = {
    .name = "keys",
    .help = "Idempotency keys of QoS 3: the broker keeps their hashes alone, so without `name=KEY` "
	    "there is no row, and with it one of each space that knows the key.",
    .named = "key",
    .columns = key_columns,
    .n_columns = KEY_COLUMN_COUNT,
};

static void
key_row(struct sq_view_slice *v, const struct sq_broker *b, const struct sq_tenant *t)
{
	const char *key = sq_view_name(v), *space = sq_tenant_name(t);
	uint64_t now_ms = sq_engine_now_ms(), expires_ms, window_ms;
	struct sq_key_hash hash;

	if (key == NULL || !sq_view_wants(v, space, key))
		return;
	hash = sq_keys_hash(space, sq_bytes_of(key));
	expires_ms = sq_keys_expires_ms(b->keys, &hash, now_ms);
	if (expires_ms == 0)
		return;
	window_ms = sq_keys_window_ms(b->keys);
	expires_ms = sq_wallclock_from_mono(expires_ms, now_ms);
	sq_view_row(v);
	sq_view_text(v, KEY_KEY, key);
	sq_view_text(v, KEY_SPACE, space);
	sq_view_number(v, KEY_SINCE, expires_ms > window_ms ? expires_ms - window_ms : 0);
	sq_view_number(v, KEY_EXPIRES, expires_ms);
}

bool
sq_keys_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	(void)worker;
	return sq_view_walk_tenants(v, owner, key_row);
}
