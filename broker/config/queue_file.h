/* A file of subscribers.dir: the named queues that it declares.
 *
 *   shop:                     # a space
 *     billing:                # a queue
 *       bindings: [{filter: "orders/#", qos: 2}, {tag: invoice}]
 *       order: key
 *       retry: {first: 1s}
 *       push: {url: "https://billing.example/events", retry: {for: 24h}, on: {retry: [404]}}
 *
 * Pure. */
#ifndef SQ_BROKER_CONFIG_QUEUE_FILE_H
#define SQ_BROKER_CONFIG_QUEUE_FILE_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "proto/declaration/declaration.h"

enum { SQ_QUEUE_FILE_MAX = 1 << 20, SQ_QUEUE_FILE_QUEUES_MAX = 10000 }; /* bytes; queues */

/* A queue that a file declares. */
struct sq_file_queue {
	char *space, *name, *where; /* "billing.yaml:3" */
	struct sq_declaration decl;
};

struct sq_file_queues {
	struct sq_file_queue *v;
	size_t n, room;
};

/* Appends the queues of a text, which 'source' names in errors.  SQ_EINVAL, with a line in 'err' as
 * "billing.yaml:3: shop.billing.lease: 1h is ..."; 'out' may have some of them. */
int sq_queue_file_read(const char *source, struct sq_bytes text, struct sq_file_queues *out,
    struct sq_buf *err) SQ_MUST_CHECK;
void sq_file_queues_fini(struct sq_file_queues *);

#endif
