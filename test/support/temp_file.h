/* A file that somebody else renews, as a mounted Secret: whole, under the same name. */
#ifndef SQ_TEST_SUPPORT_TEMP_FILE_H
#define SQ_TEST_SUPPORT_TEMP_FILE_H

#include <stddef.h>

/* Another inode has 'path' from now on, so that the change is seen even within a clock
 * tick. */
void temp_file_put(const char *path, const void *p, size_t len);

#endif
