/* The ways of a store between files and a log of several brokers, and what people say of a log that has
 * lost something. */
#ifndef SQ_BROKER_PROGRAM_MOVES_H
#define SQ_BROKER_PROGRAM_MOVES_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_broker_config;
struct sq_log_shared_cfg;

/* With a line in 'err': SQ_EAGAIN, the log can't be reached at the moment, or writes nothing; other errors
 * do not pass.  What was done up to an error, or a kill, leaves the store as it was, or is gone on with by
 * the next call.  Thread: main. */

/* The lock of store.dir (store/dir.h); below 0: an error, with a line in 'err'. */
int sq_main_lock_store(const struct sq_broker_config *, struct sq_buf *err) SQ_MUST_CHECK;

/* The store of files in store.dir becomes the log's, if nobody has owned that, or if the store has moved
 * away from it; then store.dir is its cache. */
int sq_main_import(const struct sq_broker_config *, const struct sq_log_shared_cfg *,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Whether the log may move into store.dir.  'again': also where it has moved to another broker's files. */
int sq_main_may_export(const struct sq_broker_config *, const struct sq_log_shared_cfg *,
    bool again, struct sq_buf *err) SQ_MUST_CHECK;
/* It does; store.dir is its cache: nobody owns the log any more. */
int sq_main_export(const struct sq_broker_config *, const struct sq_log_shared_cfg *, bool again,
    struct sq_buf *err) SQ_MUST_CHECK;
/* The log is what it is: store.dir is cleared if it has what the log has not, and epochs of owners to come
 * are above those that were.  'said' gets lines of what was done. */
int sq_main_accept_loss(const struct sq_broker_config *, const struct sq_log_shared_cfg *,
    struct sq_buf *said, struct sq_buf *err) SQ_MUST_CHECK;

#endif
