/* Small files that are replaced while a program runs: certificates, tokens, bundles, marks.
 * A file is read whole, up to a bound, and written whole; its stamp tells whether it has changed
 * since it was read. */
#ifndef SQ_CORE_FILE_H
#define SQ_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "core/buf.h"
#include "core/err.h"

/* The part of stat() that a replacement changes.  Zeroed: no file. */
struct sq_file_stamp {
	struct timespec mtime;
	ino_t inode;
	off_t size;
};

/* Takes the stamp of the file to which 'path' leads; zeroed when stat() fails. */
void sq_file_stamp(const char *path, struct sq_file_stamp *out);
bool sq_file_stamp_equal(const struct sq_file_stamp *, const struct sq_file_stamp *);

/* Appends the whole file to 'out'.  SQ_EIO with errno set; SQ_EINVAL: no regular file (a folder,
 * pipe, device or socket, and none of them blocks the caller); SQ_ETOOBIG: more than 'max' bytes.
 * After an error 'out' may have a part of the file. */
int sq_file_read(const char *path, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* sq_file_read() of 'path' relative to the open folder 'dirfd', as openat(). */
int sq_file_read_at(int dirfd, const char *path, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* sq_file_read() of a secret.  SQ_EDENIED: others than its owner and its group may read or write it, and
 * nothing was read. */
int sq_file_read_secret(const char *path, size_t max, struct sq_buf *out) SQ_MUST_CHECK;
/* Writes 'n' bytes to the file 'name' in the folder 'dir', by way of "<name>.new", so that readers
 * see the old file or the whole new one.  A missing folder is made (0700).  'sync': the file also
 * survives a power cut.  SQ_EIO with errno set. */
int sq_file_replace(
    const char *dir, const char *name, const void *p, size_t n, bool sync) SQ_MUST_CHECK;
/* The reason of a failed sq_file_read(), for people; reads errno. */
const char *sq_file_reason(int err);

#endif
