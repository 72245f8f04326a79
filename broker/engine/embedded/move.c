#include "broker/engine/embedded/move.h"

#include "broker/engine/embedded/embedded_priv.h"

int
sq_move_settle(struct sq_engine *engine, struct sq_buf *err)
{
	struct embedded *e = sq_embedded_of(engine);
	int rc;

	sq_checkpoint_stop(e->checkpoint);
	rc = sq_checkpoint_all(e->checkpoint);
	if (rc == SQ_OK && sq_table_meta(e->table).lsn < sq_log_last(e->log)) {
		sq_buf_printf(err, "%s: a record has come meanwhile", e->files.dir);
		return SQ_EINVAL;
	}
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s: %s", e->files.dir, sq_table_error(e->table));
	return rc;
}
