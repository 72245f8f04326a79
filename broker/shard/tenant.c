#include "broker/shard/tenant.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/route/router.h"
#include "core/buf.h"
#include "core/htab.h"
#include "core/mem.h"

/* The first byte of names of shared spaces at the router and in the store.  It occurs in no UTF-8,
 * so that a namespace with the name of a shared space does not get that space, unless the
 * configuration lists it. */
enum { SHARED = 0xff };

struct sq_tenant {
	struct sq_hnode node;
	struct sq_space *space;
	struct sq_account *account;
	atomic_uint_fast64_t refs; /* one is the table's */
	char name[];
};

struct sq_tenants {
	struct sq_tenants_cfg cfg;
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

/* The tenant's row of the configuration; NULL: none. */
static const struct sq_tenant_share *
tenants_row(const struct sq_tenants *ts, const char *tenant)
{
	for (size_t i = 0; i < ts->cfg.n_rows; i++) {
		if (strcmp(ts->cfg.rows[i].tenant, tenant) == 0)
			return &ts->cfg.rows[i];
	}
	return NULL;
}

/* Under the lock. */
static struct sq_tenant *
tenant_new(struct sq_tenants *ts, const char *name)
{
	const struct sq_tenant_share *row = tenants_row(ts, name);
	size_t size = strlen(name) + 1;
	struct sq_tenant *t = sq_xcalloc(1, sizeof *t + size);

	memcpy(t->name, name, size);
	if (row != NULL && row->space != NULL)
		t->space = tenant_find_space(ts->cfg.router, true, row->space);
	else /* its own; one that looks like another kind's is marked once more */
		t->space = tenant_find_space(
		    ts->cfg.router, (unsigned char)name[0] >= SQ_TENANT_SYS_MARK, name);
	atomic_init(&t->refs, 1);
	t->account = sq_account_new(
	    ts->cfg.shares, SQ_SHARE_OF_TENANT, name, row != NULL ? row->limits : NULL);
	sq_htab_insert(&ts->table, &t->node, sq_hash(name, size - 1));
	return t;
}

struct sq_tenants *
sq_tenants_new(const struct sq_tenants_cfg *cfg)
{
	struct sq_tenants *ts = sq_xcalloc(1, sizeof *ts);

	ts->cfg = *cfg;
	pthread_mutex_init(&ts->lock, NULL);
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
		struct sq_tenant *t = SQ_CONTAINER_OF(at, struct sq_tenant, node);

		sq_htab_remove(&ts->table, at);
		sq_tenant_unref(&t);
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
	if (t == NULL)
		t = tenant_new(ts, name);
	(void)sq_tenant_ref(t);
	pthread_mutex_unlock(&ts->lock);
	return t;
}

struct sq_tenant *
sq_tenant_ref(struct sq_tenant *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void
sq_tenant_unref(struct sq_tenant **tp)
{
	struct sq_tenant *t = *tp;

	*tp = NULL;
	if (t != NULL && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
		free(t); /* the table has none any more: its account stays with the others */
}

uint64_t
sq_tenant_refs(const struct sq_tenant *t)
{
	return atomic_load_explicit(&t->refs, memory_order_acquire) - 1;
}

/* Under the lock, under which alone somebody gets one that only the table has. */
static bool
tenant_is_gone(const struct sq_tenant *t)
{
	return sq_tenant_refs(t) == 0 && sq_account_empty(t->account);
}

void
sq_tenants_sweep(struct sq_tenants *ts)
{
	struct sq_hnode *at, *next;

	pthread_mutex_lock(&ts->lock);
	for (at = sq_htab_walk(&ts->table, NULL); at != NULL; at = next) {
		struct sq_tenant *t = SQ_CONTAINER_OF(at, struct sq_tenant, node);

		next = sq_htab_walk(&ts->table, at);
		if (!tenant_is_gone(t))
			continue;
		if (ts->cfg.gone != NULL)
			ts->cfg.gone(ts->cfg.arg, t);
		sq_htab_remove(&ts->table, at);
		sq_account_free(&t->account);
		sq_space_unref(&t->space); /* at the end it is the router's */
		sq_tenant_unref(&t);
	}
	pthread_mutex_unlock(&ts->lock);
}

struct sq_tenant *
sq_tenants_seek(struct sq_tenants *ts, uint64_t *place)
{
	struct sq_tenant *t = NULL;
	struct sq_hnode *at;

	pthread_mutex_lock(&ts->lock);
	at = sq_htab_seek(&ts->table, *place);
	if (at != NULL) {
		*place = sq_hnode_place(at);
		t = sq_tenant_ref(SQ_CONTAINER_OF(at, struct sq_tenant, node));
	}
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

struct sq_account *
sq_tenant_account(const struct sq_tenant *t)
{
	return t->account;
}

/* Limits of the shared space, or of the one tenant's of that name. */
static const struct sq_share_limits *
tenants_space_limits(const struct sq_tenants *ts, bool shared, const char *name)
{
	for (size_t i = 0; i < ts->cfg.n_rows; i++) {
		const struct sq_tenant_share *row = &ts->cfg.rows[i];

		if (shared ? row->space != NULL && strcmp(row->space, name) == 0
			   : row->space == NULL && strcmp(row->tenant, name) == 0)
			return row->limits;
	}
	return NULL;
}

bool
sq_tenants_space_shown(const char *space, struct sq_buf *out)
{
	bool shared = (unsigned char)space[0] == SHARED;

	if ((unsigned char)space[0] == SQ_TENANT_SYS_MARK)
		return false;
	/* Another tenant may be named like a space that is shared. */
	sq_buf_printf(out, "%s%s", shared ? space + 1 : space, shared ? " (shared)" : "");
	sq_buf_u8(out, '\0');
	return true;
}

struct sq_account *
sq_tenants_space_account(struct sq_tenants *ts, const char *space)
{
	bool shared = (unsigned char)space[0] == SHARED;
	struct sq_account *a;
	struct sq_buf label = {0};

	(void)sq_tenants_space_shown(space, &label);
	a = sq_account_new(ts->cfg.shares, SQ_SHARE_OF_SPACE, (const char *)sq_buf_data(&label),
	    tenants_space_limits(ts, shared, shared ? space + 1 : space));
	sq_buf_fini(&label);
	return a;
}
