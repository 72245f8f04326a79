#include "broker/tenant.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/router.h"
#include "core/buf.h"
#include "core/htab.h"
#include "core/mem.h"

/* What names of shared spaces begin with at the router and in the store.  It is in no UTF-8,
 * so that no namespace, but for those that the configuration lists, has the space that is
 * named like it. */
enum { SHARED = 0xff };

struct sq_tenant {
	struct sq_hnode node;
	struct sq_space *space;
	char name[];
};

struct sq_tenants {
	struct sq_router *router;
	pthread_mutex_t lock;
	struct sq_htab table;
};

/* The space 'name', 'marked' or as it is. */
static struct sq_space *
tenant_find_space(struct sq_router *r, bool marked, const char *name)
{
	struct sq_space *space;
	struct sq_buf text = {0};

	if (marked)
		sq_buf_u8(&text, SHARED);
	sq_buf_append(&text, name, strlen(name) + 1);
	space = sq_router_space(r, (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	return space;
}

static struct sq_tenant *
tenant_new(struct sq_tenants *ts, const char *name, struct sq_space *space)
{
	size_t size = strlen(name) + 1;
	struct sq_tenant *t = sq_xcalloc(1, sizeof *t + size);

	memcpy(t->name, name, size);
	t->space = space;
	sq_htab_insert(&ts->table, &t->node, sq_hash(name, size - 1));
	return t;
}

struct sq_tenants *
sq_tenants_new(struct sq_router *r, const struct sq_tenant_share *shares, size_t n_shares)
{
	struct sq_tenants *ts = sq_xcalloc(1, sizeof *ts);

	ts->router = r;
	pthread_mutex_init(&ts->lock, NULL);
	for (size_t i = 0; i < n_shares; i++)
		(void)tenant_new(ts, shares[i].tenant, tenant_find_space(r, true, shares[i].space));
	return ts;
}

void
sq_tenants_free(struct sq_tenants **tp)
{
	struct sq_tenants *ts = *tp;
	struct sq_hnode *at;

	*tp = NULL;
	if (ts == NULL)
		return;
	while ((at = sq_htab_walk(&ts->table, NULL)) != NULL) {
		sq_htab_remove(&ts->table, at);
		free(SQ_CONTAINER_OF(at, struct sq_tenant, node));
	}
	sq_htab_fini(&ts->table);
	pthread_mutex_destroy(&ts->lock);
	free(ts);
}

struct sq_tenant *
sq_tenant_get(struct sq_tenants *ts, const char *name)
{
	struct sq_tenant *t = NULL;
	struct sq_hnode *n;

	pthread_mutex_lock(&ts->lock);
	for (n = sq_htab_find(&ts->table, sq_hash(name, strlen(name))); n != NULL;
	     n = sq_htab_next_same(n)) {
		t = SQ_CONTAINER_OF(n, struct sq_tenant, node);
		if (strcmp(t->name, name) == 0)
			break;
		t = NULL;
	}
	if (t == NULL) /* its own space; one that looks like another kind's is marked once more */
		t = tenant_new(ts, name,
		    tenant_find_space(
			ts->router, (unsigned char)name[0] >= SQ_TENANT_SYS_MARK, name));
	pthread_mutex_unlock(&ts->lock);
	return t;
}

const char *
sq_tenant_name(const struct sq_tenant *t)
{
	return t->name;
}

struct sq_space *
sq_tenant_space(const struct sq_tenant *t)
{
	return t->space;
}
