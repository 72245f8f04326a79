/* Tenants: the owners of sessions, queues, groups, client ids, dead letters and idempotency
 * keys.  A session key's first part names one; on Kubernetes it is the namespace.
 *
 * A tenant has a topic space of its own, unless the configuration lets it share one with
 * others: topics, retained messages and routing are the space's.  Only this file knows the space
 * of a tenant, and the limits that the configuration sets to one.
 *
 * Each has an account of its part of the broker's totals (broker/share/share.h). */
#ifndef SQ_BROKER_SHARD_TENANT_H
#define SQ_BROKER_SHARD_TENANT_H

#include <stddef.h>

#include "broker/share/share.h"

/* The first byte of names of spaces for $SYS, which no tenant's space has: see sys_counts.h. */
enum { SQ_TENANT_SYS_MARK = 0xfe };

struct sq_router;
struct sq_space;
struct sq_tenant;
struct sq_tenants;

/* 'tenant' is in the shared space of that name, NULL: its own; 'limits', NULL for none, are
 * those of each tenant of that space, and of its retained messages. */
struct sq_tenant_share {
	const char *tenant, *space;
	const struct sq_share_limits *limits;
};

/* Clients in the space of tenant 'reader' get messages of the space of 'from', too: those that
 * 'filter' selects. */
struct sq_tenant_grant {
	const char *reader, *from, *filter;
};

struct sq_tenants_cfg {
	struct sq_router *router;
	struct sq_shares *shares;
	const struct sq_tenant_share *rows; /* each tenant once at most */
	size_t n_rows;
	/* The tenant is about to be freed: nobody has a reference.  May be NULL. */
	void (*gone)(void *arg, const struct sq_tenant *);
	void *arg;
};

/* What 'cfg' points to outlives it. */
struct sq_tenants *sq_tenants_new(const struct sq_tenants_cfg *);
/* Tenants with references stay until the last one is given back, and accounts for good: see
 * sq_shares_free(). */
void sq_tenants_free(struct sq_tenants **);

/* The tenant of that name, made when missing, with a reference.
 * Thread: any.  Locks: its own. */
struct sq_tenant *sq_tenant_get(struct sq_tenants *, const char *name);
/* Thread: any. */
struct sq_tenant *sq_tenant_ref(struct sq_tenant *);
/* Gives '*tp' back, if any, and nulls it.  A tenant without references goes with the next
 * sq_tenants_sweep(), unless its account counts something: as long as something is counted there,
 * the tenant stays without a reference.  Thread: any. */
void sq_tenant_unref(struct sq_tenant **tp);
/* The number of references, at this moment.  Thread: any. */
uint64_t sq_tenant_refs(const struct sq_tenant *);
/* Frees those that nobody has and that have nothing; on the first worker, or before any
 * turns.  Locks: its own. */
void sq_tenants_sweep(struct sq_tenants *);

/* Thread: any. */
const char *sq_tenant_name(const struct sq_tenant *);
struct sq_space *sq_tenant_space(const struct sq_tenant *);
struct sq_account *sq_tenant_account(const struct sq_tenant *);

/* The account of the space that the router has under that name; the caller's.
 * Thread: any. */
struct sq_account *sq_tenants_space_account(struct sq_tenants *, const char *space);

#endif
