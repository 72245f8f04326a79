#include "store/journal/log_file.h"

#include <stdlib.h>

#include "core/mem.h"
#include "store/journal/journal.h"

struct log_file {
	struct sq_log log;
	struct sq_log_cfg cfg;
	struct sq_journal *journal;
};

static struct log_file *
file_of(const struct sq_log *l)
{
	return SQ_CONTAINER_OF((struct sq_log *)(uintptr_t)l, struct log_file, log);
}

static void
file_committed(void *owner, uint64_t lsn, struct sq_list *entries)
{
	struct log_file *f = owner;

	(void)f->cfg.applied(f->cfg.owner, lsn, (struct sq_bytes){0}, entries);
}

static int
file_replay(void *owner, uint64_t lsn, struct sq_bytes data)
{
	struct log_file *f = owner;

	return f->cfg.applied(f->cfg.owner, lsn, data, NULL);
}

static void
file_stalled(void *owner, const char *why)
{
	struct log_file *f = owner;

	f->cfg.stalled(f->cfg.owner, why);
}

static int
file_open(struct sq_log **out, const struct sq_log_cfg *cfg, struct sq_buf *err)
{
	struct log_file *f = sq_xcalloc(1, sizeof *f);
	const struct sq_journal_cfg jc = {
	    .dir = cfg->dir,
	    .id = cfg->store,
	    .segment_bytes = cfg->file.segment_bytes,
	    .max_segments = cfg->file.max_segments,
	    .durability = cfg->file.durability,
	    .interval_ms = cfg->file.interval_ms,
	    .commits = cfg->file.commits,
	    .committed = file_committed,
	    .stalled = file_stalled,
	    .owner = f,
	};
	int rc;

	f->log.ops = &sq_log_file;
	f->cfg = *cfg;
	rc = sq_journal_open(&f->journal, &jc, cfg->from, file_replay, err);
	if (rc == SQ_OK)
		*out = &f->log;
	else
		free(f);
	return rc;
}

static void
file_close(struct sq_log **lp)
{
	struct log_file *f = file_of(*lp);
	struct sq_journal *journal = f->journal;

	sq_journal_close(&journal); /* until then callbacks use 'f->journal' */
	free(f);
	*lp = NULL;
}

static void
file_claim(struct sq_log *l)
{
	struct log_file *f = file_of(l);

	f->cfg.role(f->cfg.owner, SQ_LOG_OWNS, f->cfg.file.boots, NULL);
}

static void
file_append(struct sq_log *l, struct sq_log_entry *e)
{
	sq_journal_append(file_of(l)->journal, e);
}

static void
file_release(struct sq_log *l, uint64_t lsn)
{
	sq_journal_release(file_of(l)->journal, lsn);
}

static uint64_t
file_last(const struct sq_log *l)
{
	return sq_journal_last(file_of(l)->journal);
}

static uint64_t
file_busy_ms(const struct sq_log *l)
{
	return sq_journal_busy_ms(file_of(l)->journal);
}

static uint64_t
file_used(const struct sq_log *l, uint64_t *max)
{
	return sq_journal_used(file_of(l)->journal, max);
}

/* The journal verifies itself. */
static struct sq_log_mark
file_mark(const struct sq_log *l)
{
	(void)l;
	return (struct sq_log_mark){0};
}

static bool
file_leased(const struct sq_log *l)
{
	(void)l;
	return true;
}

const struct sq_log_ops sq_log_file = {
    .name = "file",
    .open = file_open,
    .close = file_close,
    .claim = file_claim,
    .append = file_append,
    .release = file_release,
    .last = file_last,
    .busy_ms = file_busy_ms,
    .used = file_used,
    .mark = file_mark,
    .leased = file_leased,
};
