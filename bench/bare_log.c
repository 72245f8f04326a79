/* The floor of ./dev bench --shared: records appended to a log by its driver, one in flight, without a
 * broker.  It claims the log first, and prints a line for each size.
 *
 *   bench_bare_log MODULE HOSTS DATABASE USER SCHEMA SECONDS SIZE...
 *   bench_bare_log MODULE HOSTS DATABASE USER SCHEMA drop LSN      segments up to that record */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/hist.h"
#include "core/buf.h"
#include "store/postgres/cfg.h"
#include "store/shared/driver.h"
#include "store/shared/record.h"

enum { DEADLINE_MS = 2000, CLAIMS = 5, NONCE = 4711, ARGS = 7 };

struct bare {
	const struct sq_shared_ops *ops;
	struct sq_shared *log;
	struct sq_shared_head head;
	struct sq_buf err;
};

static uint64_t
bare_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static _Noreturn void
bare_fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_bare_log: %s: %s\n", what, why);
	exit(1);
}

static const struct sq_shared_ops *
bare_open(const char *path)
{
	void *module = dlopen(path, RTLD_NOW);
	const struct sq_shared_module *m;

	if (module == NULL)
		bare_fail(path, dlerror());
	m = dlsym(module, SQ_SHARED_MODULE_SYMBOL);
	if (m == NULL || m->version != SQ_SHARED_MODULE_VERSION)
		bare_fail(path, "it is no driver of this version");
	return m->ops;
}

static void
bare_claim(struct bare *b)
{
	struct sq_shared_claim claim = {.nonce = NONCE, .holder = "bench", .link = "", .admin = ""};

	for (int i = 0; i < CLAIMS; i++) {
		if (b->ops->claim(b->log, &claim, &b->head) == SQ_SHARED_DONE)
			return;
		claim.expected = b->head.nonce;
	}
	bare_fail("claim", b->ops->error(b->log));
}

/* Appends records of 'size' bytes for 'seconds'. */
static void
bare_run(struct bare *b, size_t size, double seconds)
{
	struct sq_hist *h = sq_hist_new();
	unsigned char *data = calloc(1, size);
	uint64_t began = bare_now_ns(), now = began, n = 0;

	while ((double)(now - began) < seconds * 1e9) {
		uint64_t sent = bare_now_ns();

		if (b->ops->append(b->log, NONCE, b->head.epoch, b->head.last + 1, b->head.last,
			(struct sq_bytes){data, size}) != SQ_SHARED_DONE)
			bare_fail("append", b->ops->error(b->log));
		b->head.last++;
		n++;
		now = bare_now_ns();
		sq_hist_add(h, now - sent);
	}
	printf("{\"size\": %zu, \"per_s\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n",
	    size, (double)n * 1e9 / (double)(now - began), (double)sq_hist_quantile(h, 0.5) / 1e3,
	    (double)sq_hist_quantile(h, 0.99) / 1e3, (double)sq_hist_max(h) / 1e3);
	free(data);
	sq_hist_free(&h);
}

static void
bare_drop(struct bare *b, uint64_t lsn)
{
	uint64_t began = bare_now_ns();

	if (b->ops->drop(b->log, lsn) != SQ_SHARED_DONE)
		bare_fail("drop", b->ops->error(b->log));
	printf("{\"seconds\": %.6f}\n", (double)(bare_now_ns() - began) / 1e9);
}

int
main(int argc, char **argv)
{
	struct bare b = {0};
	struct sq_log_postgres_cfg cfg;
	bool drops;

	if (argc <= ARGS) {
		fprintf(stderr,
		    "usage: bench_bare_log MODULE HOSTS DATABASE USER SCHEMA SECONDS|drop "
		    "SIZE|LSN...\n");
		return 2;
	}
	b.ops = bare_open(argv[1]);
	drops = strcmp(argv[6], "drop") == 0;
	cfg = (struct sq_log_postgres_cfg){.hosts = argv[2],
	    .database = argv[3],
	    .user = argv[4],
	    .schema = argv[5],
	    .id = "bench",
	    .make = !drops};
	if (b.ops->dial(&b.log, &cfg, DEADLINE_MS, &b.err) != 0)
		bare_fail("dial", sq_buf_take_text(&b.err));
	if (!drops)
		bare_claim(&b);
	for (int i = ARGS; i < argc; i++)
		if (drops)
			bare_drop(&b, strtoull(argv[i], NULL, 10));
		else
			bare_run(&b, (size_t)atol(argv[i]) + SQ_SHARED_HEADER, atof(argv[6]));
	b.ops->hang_up(&b.log);
	sq_buf_fini(&b.err);
	return 0;
}
