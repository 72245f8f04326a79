/* Which tenants share a topic space: from the records of "spaces" to one row for each
 * tenant. */
#include <stdlib.h>
#include <string.h>

#include "broker/config.h"
#include "core/mem.h"
#include "proto/link/key.h"

/* The space that the tenant is in already; NULL: none. */
static const char *
spaces_find(const struct sq_broker_config *c, const char *tenant)
{
	for (size_t i = 0; i < c->n_shares; i++) {
		if (strcmp(c->shares[i].tenant, tenant) == 0)
			return c->shares[i].space;
	}
	return NULL;
}

/* Begins the error line. */
static int
spaces_error(const struct sq_config_record *r, struct sq_buf *err)
{
	sq_buf_printf(err, "%s: spaces.%s.tenants: ", r->where, r->name);
	return SQ_EINVAL;
}

static int
spaces_add(struct sq_broker_config *c, const struct sq_config_record *r, const char *tenant,
    struct sq_buf *err)
{
	const char *in = spaces_find(c, tenant);

	if (strlen(tenant) > SQ_KEY_PART_MAX) {
		spaces_error(r, err);
		sq_buf_printf(err, "a tenant's name has at most %d bytes", SQ_KEY_PART_MAX);
		return SQ_EINVAL;
	}
	if (in != NULL) {
		spaces_error(r, err);
		sq_buf_printf(
		    err, "%s is in spaces.%s already; a tenant is in one space", tenant, in);
		return SQ_EINVAL;
	}
	c->shares = sq_xrealloc(c->shares, (c->n_shares + 1) * sizeof *c->shares);
	c->shares[c->n_shares++] = (struct sq_tenant_share){tenant, r->name};
	return SQ_OK;
}

int
sq_broker_config_spaces(struct sq_broker_config *c, struct sq_buf *err)
{
	const struct sq_broker_space *spaces = c->spaces.v;

	for (size_t i = 0; i < c->spaces.n; i++) {
		const struct sq_strings *tenants = &spaces[i].tenants;
		const struct sq_config_record *r = &spaces[i].record;

		if (tenants->n == 0 && spaces[i].reads.n > 0)
			continue;
		if (tenants->n == 0) {
			spaces_error(r, err);
			sq_buf_printf(err, "it names no tenant, and nothing is said of its own");
			return SQ_EINVAL;
		}
		if (strlen(r->name) > SQ_KEY_PART_MAX) {
			spaces_error(r, err);
			sq_buf_printf(err, "a space's name has at most %d bytes", SQ_KEY_PART_MAX);
			return SQ_EINVAL;
		}
		for (size_t k = 0; k < tenants->n; k++) {
			if (spaces_add(c, r, tenants->v[k], err) != SQ_OK)
				return SQ_EINVAL;
		}
	}
	return SQ_OK;
}
