#include "broker/program/shared.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config/config.h"
#include "broker/engine/embedded/oplog.h"
#include "broker/engine/embedded/reseed.h"
#include "broker/engine/embedded/seed.h"
#include "broker/port/place.h"
#include "broker/program/module.h"
#include "broker/program/moves.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "core/program.h"
#include "core/stop.h"
#include "store/dir.h"
#include "store/postgres/cfg.h"
#include "store/shared/log_shared.h"

#define PACKAGE "sqmqos-broker"

enum {
	FIND_MS = 2000, /* of each call */
	SAY_MS = 60000, /* between two lines of the same */
	SNAPSHOT_SAY_MS = 5000,
	SNAPSHOT_WORK_MS = 500,
	WHY = 256,
};

struct sq_main_shared {
	struct sq_place_source place; /* the first */
	struct sq_main_shared_cfg cfg;
	const struct sq_shared_module *module;
	struct sq_buf hosts;
	struct sq_log_postgres_cfg postgres;
	struct sq_log_shared_cfg log;
	_Atomic(const struct sq_engine *) engine;
	atomic_bool owns;
	pthread_mutex_t lock;
	char why[WHY]; /* the log is not reached; under 'lock' */
	uint64_t said_ms;
	struct {
		_Atomic uint64_t done, total; /* bytes; 0: none is read */
		uint64_t said_ms, worked_ms;
	} snapshot;
	bool waits; /* for another to be the log's first owner; under 'lock' */
};

/* False: the engine is not open, and nothing is known of the log. */
static bool
shared_look(const struct sq_main_shared *s, struct sq_log_shared_look *out)
{
	const struct sq_engine *e = atomic_load(&s->engine);

	if (e == NULL)
		return false;
	sq_log_shared_look(e->ops->log(e), out);
	return true;
}

static void
shared_place(const struct sq_place_source *source, struct sq_place *out)
{
	const struct sq_main_shared *s = SQ_CONTAINER_OF(source, struct sq_main_shared, place);
	struct sq_log_shared_look look;

	*out = (struct sq_place){.shared = true};
	if (!shared_look(s, &look))
		return;
	out->here = look.role == SQ_LOG_OWNS;
	out->store = look.store;
	out->epoch = look.epoch;
	_Static_assert(sizeof out->owner == sizeof look.owner_link, "addresses are as long");
	memcpy(out->owner, look.owner_link, sizeof out->owner);
	memcpy(out->standby, look.standby_link, sizeof out->standby);
	memcpy(out->owner_admin, look.owner_admin, sizeof out->owner_admin);
}

static void
shared_postgres(struct sq_main_shared *s, const struct sq_broker_log *c)
{
	for (size_t i = 0; i < c->hosts.n; i++)
		sq_buf_printf(&s->hosts, "%s%s", i > 0 ? "," : "", c->hosts.v[i]);
	sq_buf_u8(&s->hosts, '\0');
	s->postgres = (struct sq_log_postgres_cfg){
	    .hosts = (const char *)sq_buf_data(&s->hosts),
	    .database = c->database,
	    .user = c->user,
	    .password_file = sq_config_text(c->password_file),
	    .schema = c->schema,
	    .ca_file = sq_config_text(c->ca_file),
	    .cert_file = sq_config_text(c->cert_file),
	    .key_file = sq_config_text(c->key_file),
	    .id = sq_config_text(c->id),
	    .unsafe = c->unsafe,
	    .managed = c->copies == 1,
	    .make = c->create,
	};
}

static void
shared_text(char *out, size_t room, const char *text)
{
	(void)snprintf(out, room, "%s", text != NULL ? text : "");
}

static void
shared_log(struct sq_main_shared *s, const struct sq_broker_log *c)
{
	struct sq_shared_peer *me = &s->log.me;

	s->log = (struct sq_log_shared_cfg){
	    .driver = s->module->ops,
	    .driver_cfg = &s->postgres,
	    .isolated_ms = c->isolated_ms,
	    .segment_bytes = c->segment_size,
	    .segment_ms = c->segment_age_ms,
	    .snapshot_bytes = c->snapshot_size,
	    .max_used = s->cfg.config->journal_size,
	    .changed = s->cfg.wake,
	    .owner = s->cfg.owner,
	};
	shared_text(me->id, sizeof me->id, c->id);
	shared_text(me->link, sizeof me->link, c->advertise);
	shared_text(me->admin, sizeof me->admin, c->admin_advertise);
	shared_text(me->version, sizeof me->version, SQ_VERSION);
	me->format_min = me->format_max = SQ_OPLOG_FORMAT;
}

struct sq_main_shared *
sq_main_shared_new(const struct sq_main_shared_cfg *cfg, struct sq_buf *err)
{
	const struct sq_shared_module *module = sq_main_module(
	    SQ_LOG_POSTGRES_MODULE, PACKAGE, err);
	struct sq_main_shared *s;

	if (module == NULL)
		return NULL;
	s = sq_xcalloc(1, sizeof *s);
	s->place.get = shared_place;
	s->cfg = *cfg;
	s->module = module;
	pthread_mutex_init(&s->lock, NULL);
	shared_postgres(s, &cfg->config->log);
	shared_log(s, &cfg->config->log);
	return s;
}

void
sq_main_shared_free(struct sq_main_shared **sp)
{
	struct sq_main_shared *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	sq_buf_fini(&s->hosts);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* The log is not there: at first, when the reason is another one, and each minute a line says so. */
static int
shared_away(struct sq_main_shared *s, const char *why)
{
	uint64_t now_ms = sq_clock_ms();
	bool news;

	pthread_mutex_lock(&s->lock);
	news = strncmp(s->why, why, sizeof s->why - 1) != 0;
	shared_text(s->why, sizeof s->why, why);
	pthread_mutex_unlock(&s->lock);
	if (!news && now_ms - s->said_ms < SAY_MS)
		return SQ_EAGAIN;
	s->said_ms = now_ms;
	SQ_WARN("log", "%s: it is tried again until it is there", why);
	return SQ_EAGAIN;
}

/* Whether the broker's id ends with the number of a place behind the first, as that of a StatefulSet's
 * pod. */
static bool
shared_is_later(const struct sq_main_shared *s)
{
	const char *dash = strrchr(s->log.me.id, '-');
	char *end;

	return dash != NULL && dash[1] != '\0' && strtoul(dash + 1, &end, 10) > 0 && *end == '\0';
}

/* A new log waits for the files of the broker of number 0, if it has any. */
static bool
shared_waits(struct sq_main_shared *s, const struct sq_shared_head *head)
{
	bool waits = s->cfg.config->log.import && head->nonce == 0 && shared_is_later(s), before;

	pthread_mutex_lock(&s->lock);
	before = s->waits;
	s->waits = waits;
	pthread_mutex_unlock(&s->lock);
	if (waits && !before)
		SQ_INFO("log",
		    "the log is new, and log.import is set: the broker of number 0 is to be "
		    "its first owner");
	return waits;
}

/* SQ_EAGAIN: a store of files is in the log now, or could not be brought there yet. */
static int
shared_import(struct sq_main_shared *s, struct sq_buf *err)
{
	const struct sq_broker_config *c = s->cfg.config;
	struct sq_seed_look look = {0};
	struct sq_buf why = {0};
	int rc;

	if (!c->log.import || s->cfg.forget || sq_seed_look(c->store_dir, &look, &why) != SQ_OK ||
	    look.kind != SQ_SEED_FILES) {
		sq_buf_fini(&why); /* it will be said */
		return SQ_OK;
	}
	rc = sq_main_import(c, &s->log, &why);
	sq_buf_u8(&why, '\0');
	if (rc == SQ_EAGAIN)
		(void)shared_away(s, (const char *)sq_buf_data(&why));
	else if (rc != SQ_OK)
		sq_buf_printf(err, "%s", (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc == SQ_OK ? SQ_EAGAIN : rc;
}

/* Before each row of a snapshot. */
static bool
shared_reads(void *owner, uint64_t done, uint64_t total)
{
	struct sq_main_shared *s = owner;
	uint64_t now_ms = sq_clock_ms();

	atomic_store(&s->snapshot.done, done);
	atomic_store(&s->snapshot.total, total);
	if (now_ms - s->snapshot.said_ms >= SNAPSHOT_SAY_MS) {
		s->snapshot.said_ms = now_ms;
		SQ_INFO("log", "reads the snapshot: %" PRIu64 " of %" PRIu64 " MiB", done >> 20,
		    total >> 20);
	}
	if (now_ms - s->snapshot.worked_ms >= SNAPSHOT_WORK_MS) {
		s->snapshot.worked_ms = now_ms;
		s->cfg.working(s->cfg.owner);
	}
	return !s->cfg.ending(s->cfg.owner);
}

/* Fills an empty directory: with the newest snapshot; without one, with nothing, if the log has all records
 * from the first on. */
static int
shared_fill(struct sq_main_shared *s, struct sq_shared *conn, const struct sq_shared_head *head,
    struct sq_buf *err)
{
	const struct sq_broker_config *c = s->cfg.config;
	const struct sq_reseed_cfg cfg = {
	    .driver = s->log.driver,
	    .conn = conn,
	    .dir = c->store_dir,
	    .max_bytes = c->store_max_size,
	    .store = head->store,
	    .me = &s->log.me,
	    .progress = shared_reads,
	    .owner = s,
	};
	struct sq_reseed_took took;
	struct sq_buf why = {0};
	int rc;

	s->snapshot.said_ms = s->snapshot.worked_ms = sq_clock_ms();
	rc = sq_reseed(&cfg, &took, &why);
	atomic_store(&s->snapshot.total, 0);
	sq_buf_u8(&why, '\0');
	if (rc == SQ_OK)
		SQ_INFO("log",
		    "snapshot %" PRIu64 " of record %" PRIu64 ", %" PRIu64
		    " bytes, is in %s: reading took %" PRIu64 " ms, writing %" PRIu64 " ms",
		    took.n, took.lsn, took.bytes, c->store_dir, took.read_us / 1000,
		    took.write_us / 1000);
	else if ((rc == SQ_ENOTFOUND || rc == SQ_EINVAL) && head->first == 1)
		rc = sq_seed_make(c->store_dir, c->store_max_size, head->store, err);
	else if (rc == SQ_ENOMEM || rc == SQ_EIO)
		sq_buf_printf(err, "store.dir: %s", (const char *)sq_buf_data(&why));
	else /* brokers that have a directory write another one */
		rc = shared_away(s, (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

/* Whether the directory is to be made anew; false with a line in 'err': it is not ours to clear. */
static int
shared_judge(const struct sq_seed_look *look, const char *dir, const struct sq_shared_head *head,
    bool *anew, struct sq_buf *err)
{
	*anew = look->kind == SQ_SEED_NONE;
	if (look->kind == SQ_SEED_FILES) {
		sq_buf_printf(err,
		    "store.dir: %s has a store of its own, with a journal; --log-import brings it "
		    "into "
		    "a log that is new, --forget clears it",
		    dir);
		return SQ_EINVAL;
	}
	if (look->kind == SQ_SEED_SHARED && look->store != head->store) {
		sq_buf_printf(err,
		    "store.dir: %s is of another log, %016" PRIx64 ", and this one is %016" PRIx64
		    "; --forget clears it",
		    dir, look->store, head->store);
		return SQ_EINVAL;
	}
	if (look->kind == SQ_SEED_SHARED && look->lsn + 1 < head->first) {
		SQ_INFO("log",
		    "%s ends at record %" PRIu64 ", and the log begins at %" PRIu64
		    ": it is made anew",
		    dir, look->lsn, head->first);
		*anew = true;
	}
	return SQ_OK;
}

/* The directory, which is locked. */
static int
shared_seed(struct sq_main_shared *s, struct sq_shared *conn, const struct sq_shared_head *head,
    bool *filled, struct sq_buf *err)
{
	const struct sq_broker_config *c = s->cfg.config;
	struct sq_seed_look look = {0};
	struct sq_buf why = {0};
	bool anew = s->cfg.forget;
	int rc = SQ_OK;

	if (!anew) {
		rc = sq_seed_look(c->store_dir, &look, &why);
		if (rc != SQ_OK)
			sq_buf_printf(err, "store.dir: %.*s; --forget clears it",
			    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	}
	if (rc == SQ_OK && !anew)
		rc = shared_judge(&look, c->store_dir, head, &anew, err);
	if (rc == SQ_OK && anew)
		rc = sq_seed_clear(c->store_dir, err);
	if (rc == SQ_OK)
		s->cfg.forget = false; /* it has been */
	if (rc == SQ_OK && anew)
		rc = shared_fill(s, conn, head, err);
	*filled = rc == SQ_OK && anew;
	sq_buf_fini(&why);
	return rc;
}

static int
shared_directory(struct sq_main_shared *s, struct sq_shared *conn,
    const struct sq_shared_head *head, bool *filled, struct sq_buf *err)
{
	int lock = sq_main_lock_store(s->cfg.config, err), rc;

	if (lock < 0)
		return lock;
	rc = shared_seed(s, conn, head, filled, err);
	sq_store_unlock(&lock);
	return rc;
}

/* 'filled': the directory has got tables, and the log may have dropped what is behind these meanwhile. */
static int
shared_find(struct sq_main_shared *s, bool *filled, struct sq_buf *err)
{
	const struct sq_shared_ops *driver = s->log.driver;
	struct sq_shared *conn = NULL;
	struct sq_shared_head head;
	struct sq_buf why = {0};
	int rc;

	if (driver->dial(&conn, s->log.driver_cfg, FIND_MS, &why) != SQ_OK) {
		sq_buf_u8(&why, '\0');
		rc = shared_away(s, (const char *)sq_buf_data(&why));
		sq_buf_fini(&why);
		return rc;
	}
	if (sq_shared_read_head(driver, conn, &head) != SQ_SHARED_DONE)
		rc = shared_away(s, driver->error(conn));
	else if (shared_waits(s, &head))
		rc = SQ_EAGAIN;
	else
		rc = shared_import(s, err);
	if (rc == SQ_OK)
		rc = shared_directory(s, conn, &head, filled, err);
	driver->hang_up(&conn);
	sq_buf_fini(&why);
	return rc;
}

int
sq_main_shared_find(struct sq_main_shared *s, struct sq_buf *err)
{
	bool filled;
	int rc;

	do {
		filled = false;
		rc = shared_find(s, &filled, err);
	} while (rc == SQ_OK && filled);
	return rc;
}

const struct sq_log_shared_cfg *
sq_main_shared_log(const struct sq_main_shared *s)
{
	return &s->log;
}

void
sq_main_shared_role(void *shared, enum sq_engine_role role, const char *why)
{
	struct sq_main_shared *s = shared;
	struct sq_log_shared_look look;

	if (role == SQ_ENGINE_OWNS) {
		atomic_store(&s->owns, true);
		s->cfg.wake(s->cfg.owner);
	} else if (role == SQ_ENGINE_LOST && !s->cfg.ending(s->cfg.owner)) {
		if (shared_look(s, &look) && look.why[0] != '\0')
			why = look.why; /* which record, and whose claim */
		sq_stop_now("log", SQ_EXIT_LOST, why);
	}
}

void
sq_main_shared_engine(struct sq_main_shared *s, const struct sq_engine *e)
{
	assert(e == NULL || e->ops->log != NULL);
	atomic_store(&s->engine, e);
}

bool
sq_main_shared_owns(const struct sq_main_shared *s)
{
	return atomic_load(&s->owns);
}

bool
sq_main_shared_yielded(const struct sq_main_shared *s)
{
	struct sq_log_shared_look look;

	return shared_look(s, &look) && look.yielded;
}

/* Before the engine is open.  One that waits is ready: a rolling update goes on to number 0 only then. */
static bool
shared_say_away(struct sq_main_shared *s, struct sq_buf *why)
{
	uint64_t total = atomic_load(&s->snapshot.total);
	bool waits;

	if (total != 0) {
		sq_buf_printf(why, "log: reading the snapshot: %" PRIu64 " of %" PRIu64 " MiB\n",
		    atomic_load(&s->snapshot.done) >> 20, total >> 20);
		return false;
	}
	pthread_mutex_lock(&s->lock);
	waits = s->waits;
	if (waits)
		sq_buf_printf(why, "log: new; waits for the broker of number 0 to own it first\n");
	else
		sq_buf_printf(why, "log: %s\n", s->why[0] != '\0' ? s->why : "not reached yet");
	pthread_mutex_unlock(&s->lock);
	return waits;
}

bool
sq_main_shared_waits(struct sq_main_shared *s)
{
	bool waits;

	pthread_mutex_lock(&s->lock);
	waits = s->waits;
	pthread_mutex_unlock(&s->lock);
	return waits;
}

bool
sq_main_shared_ready(struct sq_main_shared *s, struct sq_buf *why)
{
	struct sq_log_shared_look look;

	if (!shared_look(s, &look))
		return shared_say_away(s, why);
	if (look.why[0] != '\0')
		sq_buf_printf(why, "log: %s\n", look.why);
	if (look.role == SQ_LOG_OWNS) {
		sq_buf_printf(why, "owns the log, epoch %" PRIu64 "\n", look.epoch);
		return true;
	}
	if (look.owner[0] != '\0')
		sq_buf_printf(why, "follows %s (%s), epoch %" PRIu64 "\n", look.owner,
		    look.owner_link, look.epoch);
	else
		sq_buf_printf(why, "follows: the log has no owner\n");
	if (!look.caught_up)
		sq_buf_printf(why, "%" PRIu64 " records behind\n",
		    look.last > look.applied ? look.last - look.applied : 0);
	return look.caught_up;
}

const struct sq_place_source *
sq_main_shared_place(const struct sq_main_shared *s)
{
	return &s->place;
}

void
sq_main_shared_schema(const struct sq_main_shared *s, struct sq_buf *out)
{
	if (s->module->schema != NULL)
		s->module->schema(out, s->postgres.schema, true);
}

static void
shared_metric(struct sq_buf *out, const char *name, enum sq_metric_type type, const char *help,
    uint64_t value)
{
	sq_metrics_head(out, name, type, help);
	sq_buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void
shared_look_metrics(const struct sq_log_shared_look *l, struct sq_buf *out)
{
	shared_metric(out, "sqmqos_log_role", SQ_GAUGE,
	    "1 while this broker owns the log, 0 while it follows.", l->role == SQ_LOG_OWNS);
	shared_metric(out, "sqmqos_log_epoch", SQ_GAUGE,
	    "Number of the owner; it rises with each change of it.", l->epoch);
	shared_metric(out, "sqmqos_log_lsn", SQ_GAUGE,
	    "Last record of the log that this broker has applied.", l->applied);
	shared_metric(out, "sqmqos_log_up", SQ_GAUGE, "1 while the log answers.", l->up);
	shared_metric(out, "sqmqos_log_diverged", SQ_GAUGE,
	    "1: the log has lost records that this broker has, and it does not serve.",
	    l->diverged);
	shared_metric(out, "sqmqos_log_peers", SQ_GAUGE,
	    "Brokers that the log hears of, this one included.", l->peers);
	shared_metric(out, "sqmqos_log_copies", SQ_GAUGE,
	    "Servers that confirm a commit, as far as the role may see them; 0: not known.",
	    l->copies);
	shared_metric(out, "sqmqos_log_segments", SQ_GAUGE,
	    "Segments that the log has, as this broker has seen them.", l->segments);
	shared_metric(out, "sqmqos_log_snapshot_age_seconds", SQ_GAUGE,
	    "Time since the log's newest snapshot was done, as far as this broker has seen it "
	    "come; else "
	    "since its start.",
	    l->snapshot_ms / 1000);
	shared_metric(out, "sqmqos_log_follower_lag_records", SQ_GAUGE,
	    "Records of the log that this broker has not applied.",
	    l->last > l->applied ? l->last - l->applied : 0);
	sq_metrics_head(
	    out, "sqmqos_log_follower_lag_seconds", SQ_GAUGE, "Age of the oldest of these.");
	sq_buf_printf(out, "sqmqos_log_follower_lag_seconds %" PRIu64 ".%03u\n", l->lag_ms / 1000,
	    (unsigned)(l->lag_ms % 1000));
}

static void
shared_count_metrics(const struct sq_log_shared_counts *n, struct sq_buf *out)
{
	shared_metric(out, "sqmqos_log_records_total", SQ_COUNTER,
	    "Records that this broker has written to the log.", n->records);
	shared_metric(out, "sqmqos_log_record_bytes_total", SQ_COUNTER,
	    "Bytes of these: what is committed together grows where commits are slow.", n->bytes);
	sq_metrics_head(out, "sqmqos_log_unknown_total", SQ_COUNTER,
	    "Records whose commit was not answered, by whether they were found in the log.");
	sq_buf_printf(
	    out, "sqmqos_log_unknown_total{outcome=\"found\"} %" PRIu64 "\n", n->unknown_found);
	sq_buf_printf(
	    out, "sqmqos_log_unknown_total{outcome=\"not\"} %" PRIu64 "\n", n->unknown_not);
	shared_metric(out, "sqmqos_log_warnings_total", SQ_COUNTER,
	    "Answers of the log that were not to be relied on.", n->warnings);
	sq_metrics_head(out, "sqmqos_log_claims_total", SQ_COUNTER,
	    "Claims of the log by this broker; again: of one that owned it already.");
	sq_buf_printf(out, "sqmqos_log_claims_total{outcome=\"won\"} %" PRIu64 "\n", n->claims_won);
	sq_buf_printf(
	    out, "sqmqos_log_claims_total{outcome=\"lost\"} %" PRIu64 "\n", n->claims_lost);
	sq_buf_printf(
	    out, "sqmqos_log_claims_total{outcome=\"again\"} %" PRIu64 "\n", n->claims_again);
	shared_metric(out, "sqmqos_log_fenced_total", SQ_COUNTER,
	    "Times that another broker has taken the log from this one.", n->fenced);
}

void
sq_main_shared_metrics(const struct sq_main_shared *s, struct sq_buf *out)
{
	const struct sq_engine *e = atomic_load(&s->engine);
	struct sq_log_shared_look look = {0};
	struct sq_log_shared_counts counts = {0};

	if (e != NULL) {
		sq_log_shared_look(e->ops->log(e), &look);
		sq_log_shared_counts(e->ops->log(e), &counts);
	}
	shared_look_metrics(&look, out);
	shared_count_metrics(&counts, out);
}
