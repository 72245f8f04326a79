/* Small files that somebody else replaces while a program runs: certificates, tokens,
 * bundles.  Read whole, up to a bound, and told from what was read before by a stamp. */
#ifndef SQ_CORE_FILE_H
#define SQ_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "core/buf.h"
#include "core/err.h"

/* What stat() says of a file, as far as a replacement changes it.  Zeroed: no file. */
struct sq_file_stamp {
	struct timespec mtime;
	ino_t inode;
	off_t size;
};

/* Takes the stamp of what 'path' leads to; zeroed when that can't be had. */
void sq_file_stamp(const char *path, struct sq_file_stamp *out);
bool sq_file_stamp_equal(const struct sq_file_stamp *, const struct sq_file_stamp *);

/* Appends the whole file to 'out'.  SQ_EIO with errno set; SQ_EINVAL: not a regular file;
 * SQ_ETOOBIG: more than 'max' bytes.  After an error 'out' may have a part of it. */
int sq_file_read(const char *path, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* The same of 'path' from the open folder 'dirfd', as openat(). */
int sq_file_read_at(int dirfd, const char *path, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* Why sq_file_read() failed, for people. */
const char *sq_file_reason(int err);

#endif
