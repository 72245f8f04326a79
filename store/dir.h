/* The directory of a store, for one process at a time. */
#ifndef SQ_STORE_DIR_H
#define SQ_STORE_DIR_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* Makes the directory if it is missing (0700) and locks it until the process ends or
 * sq_store_unlock().  Returns the lock, or an error with a line in 'err': SQ_EEXIST if another
 * process has the directory, or has just removed it. */
int sq_store_lock(const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
/* Whether sq_store_lock() would succeed, apart from another process that has the directory.  Makes
 * nothing.  SQ_EIO with a line in 'err'. */
int sq_store_dir_check(const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
void sq_store_unlock(int *lock);
/* Whether another process has the directory at this moment. */
bool sq_store_locked(const char *dir);
/* Removes the locked directory with all files in it, and unlocks it.  A process that waited for the
 * lock finds it gone; one that locks it in that moment has it, empty.  SQ_EIO with a line in 'err';
 * the directory is unlocked then too. */
int sq_store_remove(const char *dir, int *lock, struct sq_buf *err) SQ_MUST_CHECK;

#endif
