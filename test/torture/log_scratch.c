/* A program that does nothing but share a log of several brokers (store/shared/log_shared.h) with others
 * of its kind, for test_log.py: when it owns the log it appends numbered entries, "NAME LIFE NUMBER".
 * Each answer that it gets goes to ACKS, a line `LSN NAME LIFE NUMBER` by one write().  It ends with 75
 * when it has lost the log, and by SIGTERM it leaves the log to the others.
 *
 *   log_scratch MODULE HOSTS DATABASE USER NAME LIFE ACKS */
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "store/postgres/cfg.h"
#include "store/shared/log_shared.h"

enum {
	IN_FLIGHT = 20,
	ENTRY_MAX = 600,
	TURN_NS = 1000000,
	DEADLINE_MS = 500,
	ISOLATED_MS = 10000,
	FENCED = 75,
	PAGE = 1,
};

struct scratch_entry {
	struct sq_log_entry e;
	uint64_t n;
	char text[ENTRY_MAX];
};

static const char *scratch_name, *scratch_life;
static int scratch_acks;
static _Atomic int scratch_role = SQ_LOG_FOLLOWS;
static _Atomic unsigned scratch_flying;
static volatile sig_atomic_t scratch_ends;

static int
scratch_applied(void *owner, uint64_t lsn, struct sq_bytes data, struct sq_list *entries)
{
	(void)owner, (void)data;
	if (entries == NULL)
		return SQ_OK;
	SQ_LIST_FOR_EACH_SAFE(e, entries, struct scratch_entry, e.node) {
		char line[128];
		int n = snprintf(line, sizeof line, "%" PRIu64 " %s %s %" PRIu64 "\n", lsn,
		    scratch_name, scratch_life, e->n);

		if (write(scratch_acks, line, (size_t)n) != n)
			_exit(1);
		sq_list_remove(&e->e.node);
		free(e);
		atomic_fetch_sub(&scratch_flying, 1);
	}
	return SQ_OK;
}

static void
scratch_on_role(void *owner, enum sq_log_role role, uint64_t epoch, struct sq_list *back)
{
	(void)owner;
	fprintf(stderr, "role %d, epoch %" PRIu64 "\n", (int)role, epoch);
	if (back != NULL)
		SQ_LIST_FOR_EACH_SAFE(e, back, struct scratch_entry, e.node) {
			sq_list_remove(&e->e.node);
			free(e);
		}
	atomic_store(&scratch_role, (int)role);
}

static void
scratch_stalled(void *owner, const char *why)
{
	(void)owner;
	fprintf(stderr, "%s\n", why != NULL ? why : "goes on");
}

static void
scratch_append(struct sq_log *log, uint64_t n)
{
	struct scratch_entry *e = calloc(1, sizeof *e);
	size_t len = (size_t)snprintf(
	    e->text, sizeof e->text, "%s %s %" PRIu64 "\n", scratch_name, scratch_life, n);

	e->n = n;
	e->e.data = (struct sq_bytes){
	    (const unsigned char *)e->text, len + n % (sizeof e->text - len)};
	atomic_fetch_add(&scratch_flying, 1);
	sq_log_append(log, &e->e);
}

static const struct sq_shared_ops *
scratch_module(const char *path)
{
	void *module = dlopen(path, RTLD_NOW);
	const struct sq_shared_module *m = module != NULL ? dlsym(module, SQ_SHARED_MODULE_SYMBOL)
							  : NULL;

	if (m == NULL || m->version != SQ_SHARED_MODULE_VERSION) {
		fprintf(stderr, "%s is no driver\n", path);
		exit(2);
	}
	return m->ops;
}

static bool
scratch_no_record(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	(void)arg, (void)lsn, (void)epoch, (void)sure, (void)data;
	return false;
}

/* The log's identity, as soon as it answers. */
static uint64_t
scratch_store(const struct sq_shared_ops *ops, const struct sq_log_postgres_cfg *cfg)
{
	const struct timespec turn = {0, 100 * TURN_NS};

	for (;;) {
		struct sq_shared *s = NULL;
		struct sq_shared_head head = {0};
		struct sq_buf err = {0};
		bool good = ops->dial(&s, cfg, DEADLINE_MS, &err) == 0 &&
		    ops->read(s, 0, PAGE, &head, scratch_no_record, NULL) == SQ_SHARED_DONE;

		if (!good)
			fprintf(stderr, "%.*s\n", (int)sq_buf_len(&err),
			    (const char *)sq_buf_data(&err));
		ops->hang_up(&s);
		sq_buf_fini(&err);
		if (good)
			return head.store;
		nanosleep(&turn, NULL);
	}
}

static void
scratch_end(int number)
{
	(void)number;
	scratch_ends = 1;
}

static void
scratch_run(struct sq_log *log)
{
	const struct timespec turn = {0, TURN_NS};

	for (uint64_t n = 1; !scratch_ends && atomic_load(&scratch_role) != SQ_LOG_FENCED;) {
		if (atomic_load(&scratch_role) == SQ_LOG_OWNS &&
		    atomic_load(&scratch_flying) < IN_FLIGHT)
			scratch_append(log, n++);
		nanosleep(&turn, NULL);
	}
}

int
main(int argc, char **argv)
{
	struct sq_log_shared_cfg shared = {.deadline_ms = DEADLINE_MS,
	    .isolated_ms = ISOLATED_MS,
	    .me = {.link = "l", .admin = "a"}};
	struct sq_log_postgres_cfg postgres = {.make = true};
	struct sq_log_cfg cfg = {.shared = &shared,
	    .format = 1,
	    .applied = scratch_applied,
	    .role = scratch_on_role,
	    .stalled = scratch_stalled};
	struct sq_buf err = {0};
	struct sq_log *log;

	if (argc != 8)
		return 2;
	signal(SIGTERM, scratch_end);
	postgres.hosts = argv[2], postgres.database = argv[3], postgres.user = argv[4];
	postgres.id = scratch_name = argv[5], scratch_life = argv[6];
	scratch_acks = open(argv[7], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	shared.driver = scratch_module(argv[1]);
	shared.driver_cfg = &postgres;
	snprintf(shared.me.id, sizeof shared.me.id, "%s", scratch_name);
	shared.me.format_min = shared.me.format_max = cfg.format;
	cfg.store = scratch_store(shared.driver, &postgres);
	if (sq_log_open(&log, &sq_log_shared, &cfg, &err) != SQ_OK)
		return 2;
	sq_log_claim(log);
	scratch_run(log);
	sq_log_close(&log);
	return atomic_load(&scratch_role) == SQ_LOG_FENCED ? FENCED : 0;
}
