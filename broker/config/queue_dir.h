/* The folder of subscribers.dir (file_dir.h): named queues that files declare. */
#ifndef SQ_BROKER_CONFIG_QUEUE_DIR_H
#define SQ_BROKER_CONFIG_QUEUE_DIR_H

#include <stdbool.h>

#include "broker/config/queue_file.h"

struct sq_queue_dir;

/* 'path' NULL or "": there is none, and nothing is ever read.  Copied. */
struct sq_queue_dir *sq_queue_dir_new(const char *path);
/* Frees it and nulls the pointer. */
void sq_queue_dir_free(struct sq_queue_dir **);
/* As sq_file_dir_look(); what is declared now is in sq_queue_dir_queues(). */
bool sq_queue_dir_look(struct sq_queue_dir *, bool asked, struct sq_buf *err);
/* The queues of all files, each once; valid until the next look.  '*whole': all that files declare is
 * among them; else a file was never good, and nobody knows what it means to declare. */
size_t sq_queue_dir_queues(
    const struct sq_queue_dir *, const struct sq_file_queue *const **v, bool *whole);
/* Reads the folder once: 'err' has a line for each fault, those that 'judge' says of a queue, too. */
void sq_queue_dir_check(const char *path,
    int (*judge)(const void *arg, const struct sq_file_queue *, struct sq_buf *why),
    const void *arg, struct sq_buf *err);

#endif
