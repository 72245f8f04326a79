/* What libh2o 2.2.5 leaves to its users: ending a thread without leaks. */
#ifndef SQ_CORE_H2O_H
#define SQ_CORE_H2O_H

#include <h2o.h>

/* Ends 'ctx', on its own thread and when its last connection and listener are
 * closed: disposes of it, destroys its loop, and frees what h2o keeps for reuse
 * in this thread.  Receivers must be unregistered; h2o_config_dispose() is the
 * caller's and comes afterwards. */
void sq_h2o_context_fini(h2o_context_t *ctx);

#endif
