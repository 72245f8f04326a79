/* Tenants: the owners of sessions, queues, groups, client ids, dead letters and idempotency keys.
 * The first part of a session key names one; on Kubernetes it is the namespace.
 *
 * A tenant has a topic space of its own, unless the configuration has it share one: topics,
 * retained messages and routing belong to the space.  This file alone knows the space of a tenant
 * and its configured limits.
 *
 * Each tenant has an account of its part of the broker's totals (broker/share/share.h). */
#ifndef SQ_BROKER_SHARD_TENANT_H
#define SQ_BROKER_SHARD_TENANT_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/share/share.h"

/* The first byte of the names of spaces for $SYS, in no name of a tenant's space: see
 * sys_counts.h. */
enum { SQ_TENANT_SYS_MARK = 0xfe };

struct sq_router;
struct sq_space;
struct sq_tenant;
struct sq_tenants;

/* A row of the configuration: 'tenant' uses the shared space of that name (NULL: its own).
 * 'limits' (NULL: none) are those of each tenant of the space, and of its retained messages. */
struct sq_tenant_share {
	const char *tenant, *space;
	const struct sq_share_limits *limits;
};

/* A grant of the configuration: clients in the space of tenant 'reader' also get messages that
 * 'filter' selects in the space of 'from'. */
struct sq_tenant_grant {
	const char *reader, *from, *filter;
};

struct sq_tenants_cfg {
	struct sq_router *router;
	struct sq_shares *shares;
	const struct sq_tenant_share *rows; /* each tenant once at most */
	size_t n_rows;
	/* The tenant has no references, and is freed next.  May be NULL. */
	void (*gone)(void *arg, const struct sq_tenant *);
	void *arg;
};

/* Makes the table of tenants; everything that 'cfg' points to outlives it. */
struct sq_tenants *sq_tenants_new(const struct sq_tenants_cfg *);
/* Frees the table.  A tenant with references is freed with the last one; accounts stay: see
 * sq_shares_free(). */
void sq_tenants_free(struct sq_tenants **);

/* The tenant of that name, made if it is missing, with a reference.  Thread: any.  Locks: its
 * own. */
struct sq_tenant *sq_tenant_get(struct sq_tenants *, const char *name);
/* Thread: any. */
struct sq_tenant *sq_tenant_ref(struct sq_tenant *);
/* Gives a reference back, if there is one, and nulls the pointer.  A tenant without references is
 * freed by the next sq_tenants_sweep(), unless its account still counts something.  Thread: any.
 * Locks: none. */
void sq_tenant_unref(struct sq_tenant **tp);
/* The number of references, at this moment.  Thread: any. */
uint64_t sq_tenant_refs(const struct sq_tenant *);
/* Frees tenants without references whose account is empty.  On the first worker, or before workers
 * turn.  Locks: its own. */
void sq_tenants_sweep(struct sq_tenants *);

/* For a walk over all tenants: moves '*place' to the first one there or behind; a reference.  NULL:
 * there is none.  Thread: any.  Locks: its own. */
struct sq_tenant *sq_tenants_seek(struct sq_tenants *, uint64_t *place);

/* Thread: any. */
const char *sq_tenant_name(const struct sq_tenant *);
struct sq_space *sq_tenant_space(const struct sq_tenant *);
struct sq_account *sq_tenant_account(const struct sq_tenant *);

/* Appends the name of a router's space for people, with a NUL: of a shared one "NAME (shared)", which
 * is no tenant's name.  False: it is one of $SYS.  Thread: any. */
bool sq_tenants_space_shown(const char *space, struct sq_buf *out);
/* Makes the account of the router's space of that name; the caller owns it.  Thread: any.  Locks:
 * the list's of the shares. */
struct sq_account *sq_tenants_space_account(struct sq_tenants *, const char *space);

#endif
