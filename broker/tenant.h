/* Tenants: whose sessions, queues, groups, client ids, dead letters and idempotency keys
 * they are.  A session key's first part names one; on Kubernetes it is the namespace.
 *
 * A tenant has a topic space of its own, unless the configuration lets it share one with
 * others: topics, retained messages and routing are the space's.  This is the one place that
 * knows which space a tenant is in. */
#ifndef SQ_BROKER_TENANT_H
#define SQ_BROKER_TENANT_H

#include <stddef.h>

/* What no tenant's space is named with: see broker/sys.c. */
enum { SQ_TENANT_SYS_MARK = 0xfe };

struct sq_router;
struct sq_space;
struct sq_tenant;
struct sq_tenants;

/* 'tenant' is in the shared space of that name. */
struct sq_tenant_share {
	const char *tenant, *space;
};

/* Whoever is in the space of tenant 'reader' gets what 'filter' selects of that of 'from', too. */
struct sq_tenant_grant {
	const char *reader, *from, *filter;
};

/* 'shares' names each tenant once at most; copied.  The router outlives it. */
struct sq_tenants *
sq_tenants_new(struct sq_router *, const struct sq_tenant_share *shares, size_t n_shares);
void sq_tenants_free(struct sq_tenants **);

/* The tenant of that name, made when missing; lives as long as all.
 * Thread: any.  Locks: its own. */
struct sq_tenant *sq_tenant_get(struct sq_tenants *, const char *name);
/* Thread: any. */
const char *sq_tenant_name(const struct sq_tenant *);
struct sq_space *sq_tenant_space(const struct sq_tenant *);

#endif
