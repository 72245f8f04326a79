/* Depth, age and members of declared queues as metrics by name: of a bounded number of them, those of
 * the others together.  A pass over all queues makes one such list. */
#ifndef SQ_BROKER_GROUP_DECLARED_DEPTH_H
#define SQ_BROKER_GROUP_DECLARED_DEPTH_H

#include <stddef.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "core/buf.h"

struct sq_declared_row {
	char *name; /* NULL: of the others */
	uint64_t depth, age_ms, members;
};

struct sq_declared_depths {
	struct sq_declared_row *rows; /* 'n', in the order in which they were added */
	size_t n, room;
	size_t n_others;
	struct sq_declared_row others; /* depth and members are sums, the age that of the oldest */
};

/* Adds a queue, among the others when there are 'max' already. */
void sq_declared_depths_add(struct sq_declared_depths *, size_t max, const char *name,
    const struct sq_queue_state *, uint64_t age_ms);
/* Empties the list and frees what it holds. */
void sq_declared_depths_clear(struct sq_declared_depths *);
/* Appends the families, the others as queue="other" where there are some. */
void sq_declared_depths_write(const struct sq_declared_depths *, struct sq_buf *out);

#endif
