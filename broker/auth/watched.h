/* A small file that is read again when it changes: replaced as a whole, or written in place.
 *
 * The file is read when its stamp has not changed for a while, and once more if the stamp changed
 * during the read, so that a file in the middle of a write is never used.
 *
 * Thread: its owner's, or under its owner's lock. */
#ifndef SQ_BROKER_AUTH_WATCHED_H
#define SQ_BROKER_AUTH_WATCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/file.h"

enum { SQ_WATCHED_SETTLE_MS = 500 }; /* for which it must look the same */

/* Zeroed but for the name and 'guarded': nothing was read yet. */
struct sq_watched {
	const char *file; /* the owner's */
	struct sq_file_stamp done, seen;
	uint64_t seen_ms;
	bool looked, failing, refused;
	bool guarded; /* the owner's: a secret, read as by sq_file_read_secret() */
};

/* Reads the file now, at a start, as sq_file_read(); SQ_EAGAIN: it is being written.  In any case
 * 'out' may have a part of it. */
int sq_watched_open(struct sq_watched *, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* Reads the file if it has changed and settled; else SQ_EAGAIN.  'now_ms' is monotonic.  Each error
 * is returned once; a read that failed by the system's fault is tried again. */
int
sq_watched_look(struct sq_watched *, uint64_t now_ms, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* Marks the file that was read as bad until it changes. */
void sq_watched_refuse(struct sq_watched *);
/* Whether the present file is bad. */
static inline bool
sq_watched_bad(const struct sq_watched *w)
{
	return w->failing || w->refused;
}

#endif
