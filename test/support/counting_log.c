#include "counting_log.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/mem.h"
#include "store/journal/log_file.h"

struct counting {
	struct sq_log log;
	struct sq_log *files;
};

struct counting_log_counts counting_log_counts;

static struct counting *
counting_of(const struct sq_log *l)
{
	return SQ_CONTAINER_OF((struct sq_log *)(uintptr_t)l, struct counting, log);
}

static int
counting_open(struct sq_log **out, const struct sq_log_cfg *cfg, struct sq_buf *err)
{
	struct counting *c = sq_xcalloc(1, sizeof *c);
	int rc = sq_log_open(&c->files, &sq_log_file, cfg, err);

	c->log.ops = &counting_log;
	if (rc == SQ_OK)
		*out = &c->log;
	else
		free(c);
	counting_log_counts.opened += rc == SQ_OK;
	return rc;
}

static void
counting_close(struct sq_log **lp)
{
	struct counting *c = counting_of(*lp);

	counting_log_counts.closed++;
	sq_log_close(&c->files); /* callbacks may use '*lp' until then */
	*lp = NULL;
	free(c);
}

static void
counting_claim(struct sq_log *l)
{
	counting_log_counts.claimed++;
	sq_log_claim(counting_of(l)->files);
}

static void
counting_append(struct sq_log *l, struct sq_log_entry *e)
{
	counting_log_counts.appended++;
	sq_log_append(counting_of(l)->files, e);
}

static void
counting_release(struct sq_log *l, uint64_t lsn)
{
	counting_log_counts.released++;
	sq_log_release(counting_of(l)->files, lsn);
}

static uint64_t
counting_last(const struct sq_log *l)
{
	return sq_log_last(counting_of(l)->files);
}

static uint64_t
counting_busy_ms(const struct sq_log *l)
{
	return sq_log_busy_ms(counting_of(l)->files);
}

static uint64_t
counting_used(const struct sq_log *l, uint64_t *max)
{
	return sq_log_used(counting_of(l)->files, max);
}

static struct sq_log_mark
counting_mark(const struct sq_log *l)
{
	return sq_log_mark(counting_of(l)->files);
}

static bool
counting_leased(const struct sq_log *l)
{
	return sq_log_leased(counting_of(l)->files);
}

const struct sq_log_ops counting_log = {
    .name = "counting",
    .open = counting_open,
    .close = counting_close,
    .claim = counting_claim,
    .append = counting_append,
    .release = counting_release,
    .last = counting_last,
    .busy_ms = counting_busy_ms,
    .used = counting_used,
    .mark = counting_mark,
    .leased = counting_leased,
};
