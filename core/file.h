/* Small files that are replaced while a program runs: certificates, tokens, bundles, marks.
 * Read whole, up to a bound, and told from what was read before by a stamp; written
 * as a whole. */
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

/* Appends the whole file to 'out'.  SQ_EIO with errno set; SQ_EINVAL: not a regular file but a
 * folder, pipe, device or socket, none of which holds the caller up; SQ_ETOOBIG: more than 'max'
 * bytes.  After an error 'out' may have a part of it. */
int sq_file_read(const char *path, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* The same of 'path' from the open folder 'dirfd', as openat(). */
int sq_file_read_at(int dirfd, const char *path, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* Puts a file of these bytes into the folder 'dir', which is made where it is missing (0700), in
 * the place of any other of that name: as a whole or not at all, by way of "<name>.new".
 * 'sync': it also outlives the machine's power.  SQ_EIO with errno set. */
int sq_file_replace(
    const char *dir, const char *name, const void *p, size_t n, bool sync) SQ_MUST_CHECK;
/* Why sq_file_read() failed, for people. */
const char *sq_file_reason(int err);

#endif
