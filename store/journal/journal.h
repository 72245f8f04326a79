/* The journal: what was appended is on disk when committed() says so.
 *
 * One writer thread.  What callers append while a commit runs is the next one
 * ("group commit"): one record, one write, one sync.  Records are numbered from
 * 1 without a gap (the record's lsn) and live in segment files of fixed size that
 * are written through once before their first use, then recycled; docs/store.md
 * has the bytes.
 *
 * An append never fails.  When the disk is full, a write or a sync fails, or all
 * segments hold what is still needed, the journal stalls: it keeps what it was
 * given, says so, and goes on when it can.  A sync that failed is final for its
 * segment: the record is written again to another one, whose header says where
 * the broken one ends. */
#ifndef SQ_STORE_JOURNAL_JOURNAL_H
#define SQ_STORE_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/list.h"
#include "core/msg.h"
#include "store/log.h"

struct sq_journal;

enum { SQ_JOURNAL_RECORD_MAX = 4 << 20 }; /* bytes: a record takes no more entries above it */

struct sq_journal_cfg {
	const char *dir;        /* is there; the caller has its lock (store/dir.h) */
	uint64_t id;            /* of the store, in every segment: a foreign one is refused */
	uint64_t segment_bytes; /* of a segment; one longer record gets a larger one */
	unsigned max_segments;  /* 2 at least */
	enum sq_durability durability;
	uint64_t interval_ms;
	/* On the journal's thread: record 'lsn' holds these entries, in the order of
	 * their append().  The list is the callee's.  The numbers rise, not always by
	 * one: the journal has records of its own ("seals"), which nobody is told of. */
	void (*committed)(void *owner, uint64_t lsn, struct sq_list *entries);
	/* On the journal's thread: it stalls, and why; NULL: it goes on. */
	void (*stalled)(void *owner, const char *why);
	void *owner;
};

/* 'data' is the record: its entries, one behind the other.  Not 0 ends the replay. */
typedef int sq_journal_replay_fn(void *owner, uint64_t lsn, struct sq_bytes data);

/* Opens the journal of a directory, or makes one.  Proves every record and calls
 * 'replay' for those above 'from', in order; those up to 'from' count as released.
 * 'from' 0: the caller keeps no position, and gets what was not yet released, or
 * was but is still there.  Otherwise a journal that begins later is an error, and
 * one that ends earlier (not with durability always) goes on at from + 1.
 *
 * A record that was not synced when the machine stopped is cut off; anything else
 * that does not verify is SQ_EINVAL with a line in 'err' that names file and
 * offset, and nothing is changed.  SQ_EIO: the operating system said no.  Else
 * what 'replay' returned. */
int sq_journal_open(struct sq_journal **, const struct sq_journal_cfg *, uint64_t from,
    sq_journal_replay_fn *replay, struct sq_buf *err) SQ_MUST_CHECK;
/* What was appended is committed first, unless the journal is stalled: then the
 * entries that committed() did not get are the caller's again.  Not from a
 * callback; nulled at the end, so callbacks may still use it. */
void sq_journal_close(struct sq_journal **);

/* Any thread, never blocks. */
void sq_journal_append(struct sq_journal *, struct sq_log_entry *);
/* Records up to 'lsn' are needed no longer, and will not be after a crash: where
 * the caller has 'from' it is at least 'lsn' then.  Any thread. */
void sq_journal_release(struct sq_journal *, uint64_t lsn);
/* The last record that committed() or 'replay' was told of, else 'from'.  Any thread. */
uint64_t sq_journal_last(const struct sq_journal *);
/* Bytes of segments that hold what is needed, of at most so many.  Any thread. */
uint64_t sq_journal_used(const struct sq_journal *, uint64_t *max);

/* Reads committed records again, from 'lsn' on; for one thread at a time. */
struct sq_journal_cursor {
	uint64_t lsn; /* of the record to read next */
	int fd;       /* -1 before the first read */
	uint64_t segment, offset;
};
/* Reads one record into 'out' (emptied first) and moves on: it was lsn - 1 then.
 * SQ_EAGAIN: not committed yet.  SQ_ENOTFOUND: released.  SQ_EINVAL: it does not
 * verify.  SQ_EIO: see errno. */
int
sq_journal_read(struct sq_journal *, struct sq_journal_cursor *, struct sq_buf *out) SQ_MUST_CHECK;
void sq_journal_cursor_fini(struct sq_journal_cursor *);

/* Verifies a directory's segments without changing or replaying anything; 'line'
 * gets a text for each segment and each fault.  'id' is the store's, 0: not known.
 * Returns the number of faults. */
unsigned sq_journal_check(const char *dir, uint64_t id, uint64_t from,
    void (*line)(void *arg, const char *text), void *arg);

#endif
