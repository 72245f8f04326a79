/* Declarations: how a named queue is made and changed.  On the worker that owns it, or would. */
#ifndef SQ_BROKER_SUBSCRIBER_DECLARE_H
#define SQ_BROKER_SUBSCRIBER_DECLARE_H

#include <stdbool.h>

#include "broker/port/queue.h"
#include "broker/subscriber/table.h"

struct sq_call;
struct sq_txn;

/* What is declared, and by whom. */
struct sq_declare {
	struct sq_tenant *tenant;
	const char *name;
	const struct sq_declaration *decl;
	bool in_file;
	bool owned;         /* by the queue's owner: owned.h */
	bool releases;      /* the same, who is about to be gone */
	const char *who;    /* with whose rights its push replies; NULL: "subscriber:SPACE/NAME" */
	struct sq_txn *txn; /* empty: gets the records */
};

/* Makes the queue, or changes it.  CREATED, DONE; DONE with an unchanged revision: it is so already;
 * or why not, with a text in 'why', and nothing has happened.  Locks: the write lock of the tenant's
 * space is held, until the commit. */
enum sq_queue_how sq_declare(
    struct sq_shard *, const struct sq_declare *, struct sq_subscriber **, struct sq_buf *why);

/* Appends where a queue of a file is declared, for people. */
void sq_declared_where(const struct sq_subscriber *, struct sq_buf *out);

/* No file declares the queue any more: it is the API's.  Locks: as above. */
void sq_declare_release(struct sq_subscriber *, struct sq_txn *txn);

/* DECLARE, PATCH, BIND and UNBIND, which rules allow; take the call over. */
void sq_declare_call(struct sq_shard *, struct sq_call *);
void sq_patch_call(struct sq_shard *, struct sq_call *);
void sq_bind_call(struct sq_shard *, struct sq_call *);

/* The configuration of the group of a queue that is declared so. */
struct sq_group_cfg
sq_declared_group(const struct sq_declaration *, const char *group, struct sq_tenant *);
/* The filter of a binding. */
struct sq_topic_filter sq_declared_filter(const struct sq_declared_binding *);

#endif
