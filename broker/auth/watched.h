/* A small file that is read again when it changes: replaced as a whole, or written in place.
 *
 * It is read only when it has looked the same for a while, and once more later if it changed
 * while it was read: of one that is being written no part is ever believed.
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

/* Zeroed but for the name: nothing was read yet. */
struct sq_watched {
	const char *file; /* the owner's */
	struct sq_file_stamp done, seen;
	uint64_t seen_ms;
	bool looked, failing, refused;
};

/* Reads it now, at a start.  As sq_file_read(); SQ_EAGAIN: it is being written.  In any case
 * 'out' may have a part of it. */
int sq_watched_open(struct sq_watched *, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* Reads it if it is another one, and settled: SQ_EAGAIN if not.  'now_ms' is monotonic.
 * Each error comes once; what is the system's may pass, and is tried again. */
int
sq_watched_look(struct sq_watched *, uint64_t now_ms, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* What was read is not taken: till it changes it is bad. */
void sq_watched_refuse(struct sq_watched *);
/* Whether the file as it is can't be taken. */
static inline bool
sq_watched_bad(const struct sq_watched *w)
{
	return w->failing || w->refused;
}

#endif
