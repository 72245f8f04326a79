/* The contract of a log: an ordered, durable sequence of records with one writer at a time.
 *
 * Structure:
 *
 *   owner --sq_log_append(entry)--> log --applied(record)--> owner's state
 *   owner --sq_log_release(lsn)---> log                        (that state is durable elsewhere)
 *
 * The owner appends entries; the log puts entries that come together into one record ("group
 * commit"), makes the record durable and gives it to applied().  Records are numbered by ascending
 * lsn from 1.  An applied record stays: a log never takes a record back.
 *
 * An append never fails.  A log that can't write stalls: it keeps its entries, reports the reason,
 * and continues when it can.
 *
 * store/journal/log_file.h is the log of one machine, store/shared/log_shared.h that of several.
 * test/contract/test_store_log.c is the suite that runs on each log. */
#ifndef SQ_STORE_LOG_H
#define SQ_STORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/list.h"
#include "core/msg.h"

struct sq_histogram;
struct sq_log;
struct sq_log_shared_cfg;
struct sq_rows_source;

/* The moment at which a record of a log of files counts as durable. */
enum sq_durability {
	SQ_DURABILITY_ALWAYS,   /* after its sync */
	SQ_DURABILITY_INTERVAL, /* after its write; a sync follows every 'interval_ms' */
	SQ_DURABILITY_NONE,     /* after its write; the system syncs at its own time */
};

enum { SQ_LOG_ENTRY_MAX = 64 << 20 };

/* Bytes that become durable together, from 1 to SQ_LOG_ENTRY_MAX.  The owner of the log embeds it,
 * and keeps it unchanged until applied() or role() gives it back. */
struct sq_log_entry {
	struct sq_list node;  /* the log's */
	struct sq_bytes data; /* the owner's */
	bool patient;         /* may wait about a sync's time for others, to share one sync */
};

enum sq_log_role {
	SQ_LOG_FOLLOWS, /* another process writes; its records are applied here, too */
	SQ_LOG_OWNS,    /* this process writes, and all earlier records have been applied */
	SQ_LOG_FENCED,  /* another process has taken the log over; final */
};

/* A record, and a digest of the log up to it; lsn 0: none. */
struct sq_log_mark {
	uint64_t lsn, chain;
};

/* Of a log that is a directory of files. */
struct sq_log_file_cfg {
	uint64_t segment_bytes;
	unsigned max_segments;
	enum sq_durability durability;
	uint64_t interval_ms;
	uint64_t boots; /* times that the store has been opened: the epoch of its owner */
	struct sq_histogram *commits; /* gets the time of each commit in microseconds; NULL: none */
};

struct sq_log_cfg {
	const char *dir; /* is there; the owner has its lock (store/dir.h) */
	uint64_t store;  /* identity of the store; the log of another store is refused */
	uint64_t from;   /* last lsn that the owner's durable state contains */
	struct sq_log_file_cfg file;
	const struct sq_log_shared_cfg
	    *shared; /* store/shared/log_shared.h; NULL: it is of files */
	/* What mark() said when the owner's durable state was written, or a later one: the log that is
	 * opened must be the same up to there. */
	struct sq_log_mark mark;
	unsigned format; /* of the records' content; the log refuses what is newer */
	/* What the owner's durable state is as rows (store/rows.h), for a log that keeps snapshots; NULL: it
	 * gives none.  Thread: one of the log's, from open() to the end of close(). */
	const struct sq_rows_source *rows;
	void *rows_owner;

	/* Record 'lsn' is durable; 'lsn' is larger than that of each earlier call.  Two kinds:
	 *
	 *  - the owner's own entries, in the order of their appends: 'entries' is their list, which
	 *    belongs to the callee, and 'data' is empty.  The return value is not used.
	 *  - a record found in the log: 'entries' is NULL and 'data' is the record, its entries one
	 *    behind the other.  During open() not 0 refuses the record and ends open() with it; later,
	 *    at a follower, it stops there: the record is offered again, and nothing is claimed.
	 *
	 * Thread: the log's; during open() the caller's.  May take some time, which slows all
	 * commits; must not call close(). */
	int (*applied)(void *owner, uint64_t lsn, struct sq_bytes data, struct sq_list *entries);
	/* The role has changed.  'epoch' is the writing process's, and rises with each change of
	 * writer.  'back': entries that are not in the log and never will be, and belong to the
	 * owner again; empty or NULL for SQ_LOG_OWNS.  Thread: the log's, or the caller's of
	 * claim(), inside it.  Must not block or call close().  A log of files owns from its claim to its
	 * end.  One that is shared follows first, may own later, and once FENCED does nothing more. */
	void (*role)(void *owner, enum sq_log_role, uint64_t epoch, struct sq_list *back);
	/* Commits wait, and why; NULL: they continue.  Thread: the log's.  Must not block. */
	void (*stalled)(void *owner, const char *why);
	void *owner;
};

struct sq_log_ops {
	const char *name;

	/* Opens the log, or makes it, and applies all records above 'from'; one that is shared returns at
	 * once, and applies them as it reads them.  SQ_EINVAL: a record
	 * does not verify, or the log is another store's; SQ_EIO: the operating system said no;
	 * otherwise the result of applied().  'err' gets a line.  Blocks.  Only claim() and close()
	 * may follow before role() says SQ_LOG_OWNS. */
	int (*open)(struct sq_log **, const struct sq_log_cfg *, struct sq_buf *err);
	/* Commits the appended entries, unless the log is stalled; entries that applied() has not
	 * got then are the owner's again.  Blocks.  The pointer is nulled at the end: callbacks may
	 * still use the log before.  Thread: the opener's, never from a callback. */
	void (*close)(struct sq_log **);
	/* Asks to become the writer as soon as nobody else is; role() answers.  Never blocks.  Thread:
	 * the opener's. */
	void (*claim)(struct sq_log *);
	/* Appends an entry; applied() or role() gives it back.  Never blocks or fails.  The role is
	 * SQ_LOG_OWNS.  Thread: any. */
	void (*append)(struct sq_log *, struct sq_log_entry *);
	/* Records up to 'lsn' are in the owner's durable state: the next 'from' is at least 'lsn'.
	 * The log may drop them.  Never blocks on a file.  Thread: any. */
	void (*release)(struct sq_log *, uint64_t lsn);
	/* lsn of the last record that was applied; 'from' before the first one.  Thread: any. */
	uint64_t (*last)(const struct sq_log *);
	/* For how long one commit has been under way, applied() of its record included; 0: none is.
	 * A log whose files hang can't say so by stalled().  Never blocks on a file.  Thread: any. */
	uint64_t (*busy_ms)(const struct sq_log *);
	/* Bytes of records that are not released; 'max' gets the most there can be before the log
	 * stalls.  Thread: any. */
	uint64_t (*used)(const struct sq_log *, uint64_t *max);
	/* The last record that was applied, for sq_log_cfg.mark.  Thread: any. */
	struct sq_log_mark (*mark)(const struct sq_log *);
	/* Whether this process may be sure that no other writes: without it nothing is taken or handed
	 * out that must not be twice.  Thread: any. */
	bool (*leased)(const struct sq_log *);
};

/* The first member of each log's struct. */
struct sq_log {
	const struct sq_log_ops *ops;
};

static inline int SQ_MUST_CHECK
sq_log_open(struct sq_log **out, const struct sq_log_ops *ops, const struct sq_log_cfg *cfg,
    struct sq_buf *err)
{
	return ops->open(out, cfg, err);
}

/* NULL is allowed. */
static inline void
sq_log_close(struct sq_log **lp)
{
	if (*lp != NULL)
		(*lp)->ops->close(lp);
}

static inline void
sq_log_claim(struct sq_log *l)
{
	l->ops->claim(l);
}

static inline void
sq_log_append(struct sq_log *l, struct sq_log_entry *e)
{
	l->ops->append(l, e);
}

static inline void
sq_log_release(struct sq_log *l, uint64_t lsn)
{
	l->ops->release(l, lsn);
}

static inline uint64_t
sq_log_last(const struct sq_log *l)
{
	return l->ops->last(l);
}

static inline uint64_t
sq_log_busy_ms(const struct sq_log *l)
{
	return l->ops->busy_ms(l);
}

static inline uint64_t
sq_log_used(const struct sq_log *l, uint64_t *max)
{
	return l->ops->used(l, max);
}

static inline struct sq_log_mark
sq_log_mark(const struct sq_log *l)
{
	return l->ops->mark(l);
}

static inline bool
sq_log_leased(const struct sq_log *l)
{
	return l->ops->leased(l);
}

#endif
