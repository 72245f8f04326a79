/* From files into the log. */
#include <inttypes.h>
#include <time.h>

#include "broker/broker.h"
#include "broker/config/fit.h"
#include "broker/engine/embedded/move.h"
#include "broker/engine/embedded/seed.h"
#include "broker/engine/embedded/snapshot.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/engines/engines.h"
#include "broker/metrics/metrics.h"
#include "broker/program/moves_priv.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "store/dir.h"
#include "store/journal/log_file.h"

enum {
	CALL_MS = 30000,
	BEATS_MS = 3500, /* an owner beats each second */
	LOOK_MS = 200,
	TRIES = 5, /* of a call without an answer */
};

/* --- the log --- */

void
sq_way_hang_up(struct sq_main_way *w)
{
	w->log->driver->hang_up(&w->conn);
}

int
sq_way_dial(struct sq_main_way *w, struct sq_buf *err)
{
	sq_way_hang_up(w);
	return w->log->driver->dial(&w->conn, w->log->driver_cfg, CALL_MS, err) == SQ_OK
	    ? SQ_OK
	    : SQ_EAGAIN;
}

int
sq_way_result(const struct sq_main_way *w, enum sq_shared_result result, struct sq_buf *err)
{
	if (result == SQ_SHARED_DONE)
		return SQ_OK;
	sq_buf_printf(err, "log: %s", w->log->driver->error(w->conn));
	return result == SQ_SHARED_REFUSED ? SQ_EINVAL : SQ_EAGAIN;
}

int
sq_way_try(struct sq_main_way *w, sq_way_call *call, const void *arg, struct sq_buf *err)
{
	enum sq_shared_result result = SQ_SHARED_UNKNOWN;
	int rc = SQ_OK;

	for (int i = 0; i < TRIES && rc == SQ_OK && result == SQ_SHARED_UNKNOWN; i++) {
		if (i > 0)
			rc = sq_way_dial(w, err);
		if (rc == SQ_OK)
			result = call(w, arg);
	}
	return rc == SQ_OK ? sq_way_result(w, result, err) : rc;
}

int
sq_way_head(struct sq_main_way *w, struct sq_shared_head *head, struct sq_buf *err)
{
	enum sq_shared_result result;
	int rc = w->conn != NULL ? SQ_OK : sq_way_dial(w, err);

	if (rc != SQ_OK)
		return rc;
	result = sq_shared_read_head(w->log->driver, w->conn, head);
	rc = sq_way_result(w, result, err);
	if (rc != SQ_OK)
		sq_way_hang_up(w);
	return rc;
}

static void
way_rest(void)
{
	const struct timespec rest = {0, LOOK_MS * 1000000L};

	nanosleep(&rest, NULL);
}

int
sq_way_vacant(struct sq_main_way *w, struct sq_shared_head *head, struct sq_buf *err)
{
	uint64_t until_ms = sq_clock_ms() + BEATS_MS;
	struct sq_shared_head now;
	int rc = sq_way_head(w, head, err);

	while (rc == SQ_OK && head->holder[0] != '\0' && !head->moved && sq_clock_ms() < until_ms) {
		way_rest();
		rc = sq_way_head(w, &now, err);
		if (rc == SQ_OK && (now.beats != head->beats || now.nonce != head->nonce)) {
			*head = now;
			sq_buf_printf(err, "log: %s owns it: all brokers have to be stopped first",
			    now.holder);
			return SQ_EEXIST;
		}
	}
	return rc;
}

struct sq_engine *
sq_way_engine(const struct sq_main_way *w, const struct sq_engine_cfg *with, struct sq_buf *err)
{
	struct sq_broker_cfg cfg = sq_broker_config_cfg(w->config);
	struct sq_engine *engine;
	struct sq_buf why = {0};

	sq_broker_config_fit(&cfg);
	cfg.engine = sq_engines[w->config->engine];
	cfg.log = with->role != NULL ? &sq_log_shared : &sq_log_file;
	cfg.shared = with->role != NULL ? w->log : NULL;
	engine = sq_broker_open_engine(&cfg, with, &why);
	if (engine == NULL)
		sq_buf_printf(
		    err, "store.dir: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return engine;
}

int
sq_main_lock_store(const struct sq_broker_config *c, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int lock = sq_store_lock(c->store_dir, &why);

	if (lock < 0)
		sq_buf_printf(
		    err, "store.dir: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return lock;
}

/* --- import --- */

/* Whether the log may become that of the store of files in 'dir'. */
static int
import_judge(const struct sq_seed_look *look, const char *dir, const struct sq_shared_head *head,
    struct sq_buf *err)
{
	if (look->kind == SQ_SEED_NONE)
		sq_buf_printf(err, "store.dir: %s has no store", dir);
	else if (look->kind == SQ_SEED_SHARED)
		sq_buf_printf(err, "store.dir: %s has no store of files: it is a log's", dir);
	else if (head->nonce == 0 || (head->moved && head->store == look->store))
		return SQ_OK;
	else if (head->store == look->store)
		sq_buf_printf(err,
		    "log: it has the store of %s already, and brokers have gone on with it, up to "
		    "record %" PRIu64 "; --forget has %s follow it",
		    dir, head->last, dir);
	else
		sq_buf_printf(err,
		    "log: it is not new, as it would have to be for the store of %s: it has "
		    "records up "
		    "to %" PRIu64 " of store %016" PRIx64,
		    dir, head->last, head->store);
	return SQ_EINVAL;
}

static int
import_may(struct sq_main_way *w, struct sq_buf *err)
{
	const char *dir = w->config->store_dir;
	struct sq_shared_head head;
	struct sq_seed_look look;
	int lock = sq_main_lock_store(w->config, err), rc;

	if (lock < 0)
		return lock;
	rc = sq_seed_look(dir, &look, err);
	sq_store_unlock(&lock);
	if (rc == SQ_OK)
		rc = sq_way_head(w, &head, err);
	return rc == SQ_OK ? import_judge(&look, dir, &head, err) : rc;
}

static int
import_settle(const struct sq_main_way *w, struct sq_buf *err)
{
	const struct sq_engine_cfg with = {.metrics = &sq_broker_metrics, .n_workers = 1};
	struct sq_engine *engine = sq_way_engine(w, &with, err);
	int rc;

	if (engine == NULL)
		return SQ_EIO;
	rc = sq_move_settle(engine, err);
	engine->ops->close(engine);
	return rc;
}

static int
import_put(
    struct sq_main_way *w, struct sq_rows *rows, struct sq_shared_snapshot *s, struct sq_buf *err)
{
	struct sq_rows_sum sum;
	struct sq_buf row = {0};
	uint32_t i = 0;
	int rc;

	rc = sq_way_result(w, w->log->driver->snap_begin(w->conn, s), err);
	while (rc == SQ_OK) {
		rc = sq_snapshot_source.next(rows, &row, err);
		if (rc != SQ_OK || sq_buf_len(&row) == 0)
			break;
		rc = sq_way_result(w,
		    w->log->driver->snap_put(
			w->conn, s->n, i++, (struct sq_bytes){sq_buf_data(&row), sq_buf_len(&row)}),
		    err);
		SQ_FAULT("import-row");
		sq_buf_drain(&row, sq_buf_len(&row));
	}
	sq_buf_fini(&row);
	if (rc != SQ_OK)
		return rc;
	sq_snapshot_source.sum(rows, &sum);
	s->bytes = sum.bytes;
	s->format = sum.format;
	_Static_assert(sizeof s->sha256 == sizeof sum.sha256, "of the same");
	memcpy(s->sha256, sum.sha256, sizeof s->sha256);
	return SQ_OK;
}

/* The tables' rows go into the log, and make none of it yet. */
static int
import_rows(
    struct sq_main_way *w, struct sq_table *t, struct sq_shared_snapshot *s, struct sq_buf *err)
{
	const struct sq_log_mark mark = {.lsn = sq_table_meta(t).lsn};
	struct sq_rows *rows;
	int rc = sq_snapshot_open_as(t, sq_table_meta(t).store, &mark, &rows, &s->lsn, err);

	if (rc != SQ_OK)
		return rc;
	rc = sq_way_dial(w, err);
	if (rc == SQ_OK)
		rc = import_put(w, rows, s, err);
	sq_snapshot_source.close(&rows);
	return rc;
}

struct import {
	const struct sq_table_meta *meta;
	const struct sq_shared_snapshot *snapshot;
};

static enum sq_shared_result
import_call(struct sq_main_way *w, const void *arg)
{
	const struct import *i = arg;

	return w->log->driver->import(w->conn, i->meta->store, i->meta->boots, i->snapshot);
}

/* Other brokers may have tables of a log that had moved away: its first record becomes one that is behind
 * each of theirs. */
static int
import_number(struct sq_main_way *w, struct sq_table *t, struct sq_buf *err)
{
	struct sq_shared_head head;
	int rc = sq_way_head(w, &head, err);

	if (rc != SQ_OK || !head.moved)
		return rc;
	rc = sq_table_begin(t);
	if (rc == SQ_OK)
		rc = sq_table_commit(t, sq_table_meta(t).lsn + 1);
	if (rc != SQ_OK)
		sq_buf_printf(err, "store.dir: %s", sq_table_error(t));
	return rc;
}

static int
import_tables(struct sq_main_way *w, struct sq_table *t, struct sq_buf *err)
{
	struct sq_shared_snapshot s = {.n = 0};
	struct sq_table_meta meta;
	int rc = import_number(w, t, err);

	if (rc != SQ_OK)
		return rc;
	meta = sq_table_meta(t);
	rc = import_rows(w, t, &s, err);
	if (rc == SQ_OK) {
		SQ_FAULT("import-before-log");
		rc = sq_way_try(w, import_call, &(struct import){&meta, &s}, err);
	}
	if (rc != SQ_OK)
		return rc;
	SQ_FAULT("import-after-log");
	rc = sq_table_share(t);
	if (rc != SQ_OK)
		sq_buf_printf(err, "store.dir: %s", sq_table_error(t));
	else
		SQ_INFO("log",
		    "the store of %s, %016" PRIx64 ", is in the log now: record %" PRIu64
		    ", %" PRIu64 " bytes",
		    w->config->store_dir, meta.store, s.lsn, s.bytes);
	return rc;
}

static int
import_run(struct sq_main_way *w, struct sq_buf *err)
{
	const char *dir = w->config->store_dir;
	struct sq_table *t = NULL;
	int lock = sq_main_lock_store(w->config, err), rc;

	if (lock < 0)
		return lock;
	rc = sq_table_open(&t, dir, w->config->store_max_size, false, err);
	if (rc == SQ_OK)
		rc = import_tables(w, t, err);
	sq_table_close(&t);
	if (rc == SQ_OK) {
		SQ_FAULT("import-before-journal");
		rc = sq_seed_drop_journal(dir, err);
	}
	sq_store_unlock(&lock);
	return rc;
}

int
sq_main_import(
    const struct sq_broker_config *c, const struct sq_log_shared_cfg *log, struct sq_buf *err)
{
	struct sq_main_way w = {.config = c, .log = log};
	int rc = import_may(&w, err);

	sq_way_hang_up(&w); /* what follows may take a while */
	if (rc == SQ_OK)
		rc = import_settle(&w, err);
	if (rc == SQ_OK) {
		SQ_FAULT("import-settled");
		rc = import_run(&w, err);
	}
	sq_way_hang_up(&w);
	return rc;
}
