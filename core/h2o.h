/* What libh2o 2.2.5 leaves to its users: ending a thread without leaks. */
#ifndef SQ_CORE_H2O_H
#define SQ_CORE_H2O_H

#include <h2o.h>

/* Frees what h2o keeps for reuse in this thread.  Call it on the thread of
 * 'ctx' when its connections are gone, before h2o_context_dispose(); the loop
 * turns a few times inside.
 *
 * Two more things that h2o's own disposal leaves to the caller: ctx->queue,
 * read before h2o_context_dispose() and freed after it, and the loop, by
 * h2o_evloop_destroy() at last. */
void sq_h2o_thread_fini(h2o_context_t *ctx);

#endif
