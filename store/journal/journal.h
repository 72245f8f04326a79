/* The journal: entries are on disk when committed() is called with them.
 *
 * One writer thread.  Entries appended during a commit form the next one ("group commit"): one
 * record, one write, one sync.  Records are numbered from 1 without a gap (the record's lsn).  They
 * live in segment files of fixed size that are written through once before their first use, then
 * recycled; docs/store.md has the bytes.
 *
 * An append never fails.  The journal stalls when the disk is full, a write or a sync fails, or all
 * segments hold records that are still needed: it keeps its entries, reports the reason, and
 * continues when it can.  A failed sync is final for its segment: the record is written again to
 * another one, whose header tells the end of the broken one. */
#ifndef SQ_STORE_JOURNAL_JOURNAL_H
#define SQ_STORE_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/list.h"
#include "core/msg.h"
#include "store/log.h"

struct sq_histogram;
struct sq_journal;

enum { SQ_JOURNAL_RECORD_MAX = 4 << 20 }; /* bytes: a record takes no more entries above it */

struct sq_journal_cfg {
	const char *dir;        /* exists; the caller has its lock (store/dir.h) */
	uint64_t id;            /* of the store, in every segment; another store's segment is
	                         * refused */
	uint64_t segment_bytes; /* of a segment; a longer record gets a larger one */
	unsigned max_segments;  /* 2 at least */
	enum sq_durability durability;
	uint64_t interval_ms;
	/* Gets the time of each record of entries, in microseconds, with the stalls in it; NULL:
	 * none.  Outlives the journal. */
	struct sq_histogram *commits;
	/* Record 'lsn' holds these entries, in the order of their appends; the callee owns the
	 * list.  The lsn rises, not always by one: the journal has records of its own ("seals"),
	 * which are not reported.  Thread: the journal's. */
	void (*committed)(void *owner, uint64_t lsn, struct sq_list *entries);
	/* The journal stalls for 'why'; NULL: it continues.  Thread: the journal's. */
	void (*stalled)(void *owner, const char *why);
	void *owner;
};

/* 'data' is the record: its entries in a row.  A result other than 0 ends the replay. */
typedef int sq_journal_replay_fn(void *owner, uint64_t lsn, struct sq_bytes data);

/* Opens the journal of a directory, or makes one.  Verifies every record and calls 'replay' for the
 * records above 'from', in order; records up to 'from' count as released.  'from' 0: the caller
 * keeps no position, and gets every record that still exists.  With another 'from', a journal with
 * a later beginning is an error, and one with an earlier end (not with durability always) continues
 * at from + 1.
 *
 * A record that was not synced when the machine stopped is cut off.  Any other record with a fault
 * is SQ_EINVAL with a line in 'err' that names file and offset, and nothing is changed.  SQ_EIO:
 * the operating system reported an error.  Else the result of 'replay'. */
int sq_journal_open(struct sq_journal **, const struct sq_journal_cfg *, uint64_t from,
    sq_journal_replay_fn *replay, struct sq_buf *err) SQ_MUST_CHECK;
/* Makes a journal whose first record will be 'first', in a directory that has none: of a store that has had
 * its records elsewhere.  SQ_EIO with a line in 'err'. */
int
sq_journal_begin(const char *dir, uint64_t id, uint64_t first, struct sq_buf *err) SQ_MUST_CHECK;
/* Commits the appended entries and closes the journal.  If it is stalled, entries that committed()
 * did not get belong to the caller again.  Never called from a callback; the pointer is nulled at
 * the end, so callbacks may use it meanwhile. */
void sq_journal_close(struct sq_journal **);

/* Appends an entry, which committed() gives back.  Never blocks.  Thread: any. */
void sq_journal_append(struct sq_journal *, struct sq_log_entry *);
/* Releases records up to 'lsn', which are not needed even after a crash: the caller's next 'from'
 * is at least 'lsn'.  Thread: any. */
void sq_journal_release(struct sq_journal *, uint64_t lsn);
/* The lsn of the last record that committed() or 'replay' got, else 'from'.  Thread: any. */
uint64_t sq_journal_last(const struct sq_journal *);
/* For how long the writer has been at one commit, or a sync that was due: in calls of the operating
 * system, which may never return, in tries after failures, or in committed().  0: it is at none.
 * Thread: any. */
uint64_t sq_journal_busy_ms(const struct sq_journal *);
/* Bytes of segments with records that are needed; '*max' gets their maximum.  Thread: any. */
uint64_t sq_journal_used(const struct sq_journal *, uint64_t *max);

/* A position for reading committed records again, used by one thread at a time. */
struct sq_journal_cursor {
	uint64_t lsn; /* of the record to read next */
	int fd;       /* -1 before the first read */
	uint64_t segment, offset;
};
/* Reads one record into 'out' (emptied first) and advances: the record was lsn - 1 then.
 * SQ_EAGAIN: not committed yet.  SQ_ENOTFOUND: released.  SQ_EINVAL: it does not verify.  SQ_EIO:
 * see errno.  Thread: any. */
int
sq_journal_read(struct sq_journal *, struct sq_journal_cursor *, struct sq_buf *out) SQ_MUST_CHECK;
void sq_journal_cursor_fini(struct sq_journal_cursor *);

/* Verifies a directory's segments without changing or replaying anything; 'line' gets a text for
 * each segment and each fault.  'id' is the store's; 0: unknown.  Returns the number of faults. */
unsigned sq_journal_check(const char *dir, uint64_t id, uint64_t from,
    void (*line)(void *arg, const char *text), void *arg);

#endif
