/* The directory of a store: one process at a time. */
#ifndef SQ_STORE_DIR_H
#define SQ_STORE_DIR_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* Makes the directory where it is missing (0700) and locks it until the process
 * ends or sq_store_unlock().  Returns the lock, or an error with a line in 'err':
 * SQ_EEXIST when another process has it, or has just removed it. */
int sq_store_lock(const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
/* Whether sq_store_lock() could take or make the directory, but for another process
 * that has it; makes nothing.  SQ_EIO with a line in 'err'. */
int sq_store_dir_check(const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
void sq_store_unlock(int *lock);
/* Whether another process has the directory just now. */
bool sq_store_locked(const char *dir);
/* Removes the directory that 'lock' is of, with all files in it, and unlocks.  Who waited for
 * its lock finds that it is gone; who takes it in that moment has it, empty.  SQ_EIO with a line
 * in 'err'; then it is unlocked, too. */
int sq_store_remove(const char *dir, int *lock, struct sq_buf *err) SQ_MUST_CHECK;

#endif
