/* From the log into files; and what people say of a log that has lost something. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "broker/engine/embedded/move.h"
#include "broker/engine/embedded/seed.h"
#include "broker/engine/embedded/table.h"
#include "broker/metrics/metrics.h"
#include "broker/program/moves_priv.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "store/dir.h"
#include "store/journal/journal.h"
#include "store/shared/record.h"

enum {
	OWN_MS = 60000, /* to have read the log, and to own it */
	POLL_MS = 20,
	EPOCHS_SKIP = 1024, /* as a restored back-up of files has boots: embedded/backup.c */
	EPOCHS_DRAWN = 16384,
};

/* --- export --- */

/* What the engine says. */
struct export_role {
	atomic_bool owns, lost;
};

static void
export_role(void *owner, enum sq_engine_role role, const char *why)
{
	struct export_role *r = owner;

	(void)why;
	if (role == SQ_ENGINE_OWNS)
		atomic_store(&r->owns, true);
	else if (role == SQ_ENGINE_LOST)
		atomic_store(&r->lost, true);
}

/* Until the engine has all that is in the log, and nobody else writes to it. */
static int
export_wait(const struct sq_engine *e, struct export_role *role, bool moved, struct sq_buf *err)
{
	const struct timespec poll = {0, POLL_MS * 1000000L};
	uint64_t until_ms = sq_clock_ms() + OWN_MS;
	struct sq_log_shared_look look = {0};

	while (!atomic_load(&role->owns) && !atomic_load(&role->lost) && sq_clock_ms() < until_ms) {
		nanosleep(&poll, NULL);
		sq_log_shared_look(e->ops->log(e), &look);
		if (moved && look.up && look.last == look.applied)
			return SQ_OK;
	}
	if (atomic_load(&role->owns))
		return SQ_OK;
	sq_buf_printf(err, "log: it can't be owned: %s%s",
	    look.why[0] != '\0' || look.owner[0] == '\0' ? look.why : look.owner,
	    look.why[0] != '\0' || look.owner[0] == '\0' ? "" : " owns it");
	return SQ_EINVAL;
}

/* store.dir gets all of the log. */
static int
export_settle(const struct sq_main_way *w, bool moved, struct sq_buf *err)
{
	struct export_role role = {0};
	const struct sq_engine_cfg with = {
	    .metrics = &sq_broker_metrics, .n_workers = 1, .role = export_role, .owner = &role};
	struct sq_engine *engine = sq_way_engine(w, &with, err);
	int rc;

	if (engine == NULL)
		return SQ_EIO;
	rc = export_wait(engine, &role, moved, err);
	if (rc == SQ_OK)
		rc = sq_move_settle(engine, err);
	engine->ops->close(engine);
	return rc;
}

static enum sq_shared_result
export_call(struct sq_main_way *w, const void *arg)
{
	const struct sq_shared_head *head = arg;

	return w->log->driver->move(w->conn, head->nonce, w->log->me.id);
}

/* The tables, which are locked, have all of the log. */
static int
export_tables(struct sq_main_way *w, struct sq_table *t, const struct sq_shared_head *head,
    struct sq_buf *err)
{
	const char *dir = w->config->store_dir;
	struct sq_table_meta meta = sq_table_meta(t);
	int rc;

	if (!meta.shared || meta.store != head->store || meta.lsn != head->last) {
		sq_buf_printf(err,
		    "store.dir: %s has records up to %" PRIu64 ", and the log up to %" PRIu64, dir,
		    meta.lsn, head->last);
		return SQ_EINVAL;
	}
	rc = sq_seed_drop_journal(dir, err);
	if (rc == SQ_OK)
		rc = sq_journal_begin(dir, meta.store, meta.lsn + 1, err);
	if (rc != SQ_OK)
		return rc;
	SQ_FAULT("export-before-tables");
	rc = sq_table_unshare(t, head->epoch);
	if (rc != SQ_OK)
		sq_buf_printf(err, "store.dir: %s", sq_table_error(t));
	else
		SQ_INFO("log", "the log is in %s now, a store of files: record %" PRIu64, dir,
		    meta.lsn);
	return rc;
}

static int
export_files(struct sq_main_way *w, const struct sq_shared_head *head, struct sq_buf *err)
{
	struct sq_table *t = NULL;
	int lock = sq_main_lock_store(w->config, err), rc;

	if (lock < 0)
		return lock;
	rc = sq_table_open(&t, w->config->store_dir, w->config->store_max_size, false, err);
	if (rc == SQ_OK)
		rc = export_tables(w, t, head, err);
	sq_table_close(&t);
	sq_store_unlock(&lock);
	return rc;
}

/* Whether this broker may have it. */
static int
export_may(struct sq_main_way *w, bool again, struct sq_shared_head *head, struct sq_buf *err)
{
	int rc = sq_way_vacant(w, head, err);

	if (rc != SQ_OK)
		return rc == SQ_EEXIST ? SQ_EINVAL : rc;
	if (!head->moved || again || strcmp(head->holder, w->log->me.id) == 0)
		return SQ_OK;
	sq_buf_printf(err,
	    "log: it has moved to the files of %s, which may have gone on; if these are lost, "
	    "--accept-loss, too",
	    head->holder);
	return SQ_EINVAL;
}

static int
export_run(struct sq_main_way *w, bool again, struct sq_buf *err)
{
	struct sq_shared_head head;
	int rc = export_may(w, again, &head, err);

	sq_way_hang_up(w); /* what follows may take a while */
	if (rc == SQ_OK)
		rc = export_settle(w, head.moved, err);
	if (rc == SQ_OK)
		rc = sq_way_head(w, &head, err);
	if (rc == SQ_OK && !head.moved) {
		SQ_FAULT("export-before-move");
		rc = sq_way_try(w, export_call, &head, err);
	}
	if (rc == SQ_OK) {
		SQ_FAULT("export-after-move");
		rc = export_files(w, &head, err);
	}
	return rc;
}

int
sq_main_may_export(const struct sq_broker_config *c, const struct sq_log_shared_cfg *log,
    bool again, struct sq_buf *err)
{
	struct sq_main_way w = {.config = c, .log = log};
	struct sq_shared_head head;
	int rc = export_may(&w, again, &head, err);

	sq_way_hang_up(&w);
	return rc;
}

int
sq_main_export(const struct sq_broker_config *c, const struct sq_log_shared_cfg *log, bool again,
    struct sq_buf *err)
{
	struct sq_main_way w = {.config = c, .log = log};
	int rc = export_run(&w, again, err);

	sq_way_hang_up(&w);
	return rc;
}

/* --- a log that has lost something --- */

struct accept_record {
	uint64_t lsn, chain; /* of the record that is asked for; chain 0: it is not there */
};

static bool
accept_record(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	struct sq_shared_record record;
	struct accept_record *r = arg;
	struct sq_buf why = {0};

	(void)epoch, (void)sure;
	if (lsn == r->lsn && sq_shared_record_read(data, &record, &why) == SQ_OK)
		r->chain = record.chain;
	sq_buf_fini(&why);
	return false;
}

/* Whether the tables have what the log has not. */
static int
accept_differs(struct sq_main_way *w, const struct sq_seed_look *look,
    const struct sq_shared_head *head, bool *differs, struct sq_buf *err)
{
	uint64_t lsn = look->mark.lsn > look->lsn ? look->mark.lsn : look->lsn;
	struct accept_record r = {.lsn = look->mark.lsn};
	struct sq_shared_head now;
	int rc;

	*differs = lsn > head->last;
	if (*differs || r.lsn < head->first || look->mark.chain == 0)
		return SQ_OK;
	rc = sq_way_result(
	    w, w->log->driver->read(w->conn, r.lsn - 1, 1, &now, accept_record, &r), err);
	*differs = rc == SQ_OK && r.chain != look->mark.chain;
	return rc;
}

static int
accept_directory(struct sq_main_way *w, const struct sq_shared_head *head, struct sq_buf *said,
    struct sq_buf *err)
{
	const char *dir = w->config->store_dir;
	struct sq_seed_look look;
	bool differs = false;
	int rc = sq_seed_look(dir, &look, err);

	if (rc != SQ_OK)
		return rc;
	if (look.kind == SQ_SEED_FILES ||
	    (look.kind == SQ_SEED_SHARED && look.store != head->store)) {
		sq_buf_printf(err, "store.dir: %s is none of this log's", dir);
		return SQ_EINVAL;
	}
	if (look.kind == SQ_SEED_SHARED)
		rc = accept_differs(w, &look, head, &differs, err);
	if (rc != SQ_OK || !differs) {
		if (rc == SQ_OK)
			sq_buf_printf(said, "%s has nothing that the log has not: it stays\n", dir);
		return rc;
	}
	rc = sq_seed_clear(dir, err);
	if (rc == SQ_OK)
		sq_buf_printf(said,
		    "%s had records up to %" PRIu64 ", of which the log, which ends at %" PRIu64
		    ", has not all: it is cleared, and what is only there is given up\n",
		    dir, look.mark.lsn > look.lsn ? look.mark.lsn : look.lsn, head->last);
	return rc;
}

/* Sidecars follow no epoch below one that they have seen, and numbers of owners are not given again. */
static int
accept_epoch(struct sq_main_way *w, struct sq_buf *said, struct sq_buf *err)
{
	struct sq_shared_head head;
	struct sq_buf why = {0};
	uint64_t epoch;
	int rc = sq_way_vacant(w, &head, &why);

	if (rc == SQ_EEXIST) {
		sq_buf_printf(said, "%s owns the log: its epochs stay\n", head.holder);
		rc = SQ_OK;
	} else if (rc == SQ_OK) {
		epoch = head.epoch + EPOCHS_SKIP + sq_random_u64() % EPOCHS_DRAWN;
		rc = sq_way_result(w, w->log->driver->skip(w->conn, &head, epoch), &why);
		if (rc == SQ_OK)
			sq_buf_printf(
			    said, "the log's next owner has an epoch above %" PRIu64 "\n", epoch);
	}
	if (rc != SQ_OK)
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	sq_buf_fini(&why);
	return rc;
}

int
sq_main_accept_loss(const struct sq_broker_config *c, const struct sq_log_shared_cfg *log,
    struct sq_buf *said, struct sq_buf *err)
{
	struct sq_main_way w = {.config = c, .log = log};
	struct sq_shared_head head;
	int lock = sq_main_lock_store(w.config, err), rc;

	if (lock < 0)
		return lock;
	rc = sq_way_head(&w, &head, err);
	if (rc == SQ_OK)
		rc = accept_directory(&w, &head, said, err);
	if (rc == SQ_OK)
		rc = accept_epoch(&w, said, err);
	sq_way_hang_up(&w);
	sq_store_unlock(&lock);
	return rc;
}
