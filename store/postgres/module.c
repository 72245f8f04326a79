#include "store/postgres/pg_priv.h"

static const char *
pg_error(const struct sq_shared *c)
{
	return c->error;
}

static bool
pg_doubtful(const struct sq_shared *c)
{
	return c->doubt;
}

static const struct sq_shared_ops ops = {
    .name = "postgres",
    .dial = sq_pg_dial,
    .hang_up = sq_pg_hang_up,
    .error = pg_error,
    .doubtful = pg_doubtful,
    .append = sq_pg_append,
    .claim = sq_pg_claim,
    .beat = sq_pg_beat,
    .read = sq_pg_read,
    .announce = sq_pg_announce,
    .drop = sq_pg_drop,
    .snap_begin = sq_pg_snap_begin,
    .snap_put = sq_pg_snap_put,
    .snap_done = sq_pg_snap_done,
    .snap_newest = sq_pg_snap_newest,
    .snap_get = sq_pg_snap_get,
    .import = sq_pg_import,
    .move = sq_pg_move,
    .skip = sq_pg_skip,
};

/* The one name that the module shows: SQ_SHARED_MODULE_SYMBOL. */
extern const struct sq_shared_module sq_shared_module;
__attribute__((visibility("default"))) const struct sq_shared_module sq_shared_module = {
    .version = SQ_SHARED_MODULE_VERSION,
    .layout = SQ_SHARED_MODULE_LAYOUT,
    .ops = &ops,
    .schema = sq_log_postgres_schema,
};
