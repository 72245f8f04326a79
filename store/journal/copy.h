/* A copy of a journal's files while its writer may go on: the records up to one moment.
 *
 * The files are opened first, all at once; the writer must not use their contents again until they
 * are copied, though it may remove them (store/held.h).  The newest is copied first, and its copy
 * ends behind the last whole record: each older file is then complete.  sq_recover() opens the copy
 * as the journal of a writer that was killed at that moment. */
#ifndef SQ_STORE_JOURNAL_COPY_H
#define SQ_STORE_JOURNAL_COPY_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_journal_copy;

/* Opens the used segments in 'dir'.  NULL with a line in 'err': one can't be read, or its header
 * does not verify. */
struct sq_journal_copy *sq_journal_copy_open(const char *dir, struct sq_buf *err);
void sq_journal_copy_free(struct sq_journal_copy **);
/* Bytes of the files. */
uint64_t sq_journal_copy_bytes(const struct sq_journal_copy *);
/* Writes all files into the folder 'dirfd', and syncs each.  SQ_EIO, or SQ_EINVAL for a segment that
 * is damaged; with a line in 'err'. */
int sq_journal_copy_run(struct sq_journal_copy *, int dirfd, struct sq_buf *err) SQ_MUST_CHECK;

#endif
