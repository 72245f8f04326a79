/* Tenants that share a topic space, and their limits: from the records of "spaces" to one row for
 * each tenant. */
#include <stdlib.h>
#include <string.h>

#include "broker/config/config.h"
#include "core/mem.h"
#include "proto/link/key.h"

/* The space that the tenant is in already; NULL: none. */
static const char *
spaces_find(const struct sq_broker_config *c, const char *tenant)
{
	for (size_t i = 0; i < c->n_shares; i++) {
		const struct sq_tenant_share *row = &c->shares[i];

		if (strcmp(row->tenant, tenant) == 0)
			return row->space != NULL ? row->space : row->tenant;
	}
	return NULL;
}

/* Has the space have no limit for each key that is not set; false: no key is. */
static bool
spaces_limits(struct sq_broker_space *s)
{
	bool any = false;

	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		any = any || s->limits.of[kind] != 0;
		if (s->limits.of[kind] == 0)
			s->limits.of[kind] = SQ_SHARE_UNBOUNDED;
	}
	return any;
}

void
sq_broker_config_set_limits(struct sq_broker_config *c, const struct sq_broker_config *now)
{
	struct sq_broker_space *spaces = c->spaces.v;
	const struct sq_broker_space *others = now->spaces.v;

	for (size_t i = 0; i < c->spaces.n; i++)
		for (size_t k = 0; k < now->spaces.n; k++)
			for (int kind = 0; kind < SQ_SHARE_KINDS &&
			     strcmp(spaces[i].record.name, others[k].record.name) == 0;
			     kind++)
				spaces[i].limits.of[kind] = others[k].limits.of[kind];
}

/* Begins the error line. */
static int
spaces_error(const struct sq_config_record *r, struct sq_buf *err)
{
	sq_buf_printf(err, "%s: spaces.%s.tenants: ", r->where, r->name);
	return SQ_EINVAL;
}

/* 'space': the shared one; NULL: the tenant's own. */
static int
spaces_add(struct sq_broker_config *c, const struct sq_config_record *r, const char *tenant,
    const char *space, const struct sq_share_limits *limits, struct sq_buf *err)
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
	c->shares[c->n_shares++] = (struct sq_tenant_share){tenant, space, limits};
	return SQ_OK;
}

int
sq_broker_config_spaces(struct sq_broker_config *c, struct sq_buf *err)
{
	struct sq_broker_space *spaces = c->spaces.v;

	for (size_t i = 0; i < c->spaces.n; i++) {
		const struct sq_strings *tenants = &spaces[i].tenants;
		const struct sq_config_record *r = &spaces[i].record;
		const struct sq_share_limits *limits = &spaces[i].limits;
		bool limited = spaces_limits(&spaces[i]);

		if (strlen(r->name) > SQ_KEY_PART_MAX) {
			spaces_error(r, err);
			sq_buf_printf(err, "a space's name has at most %d bytes", SQ_KEY_PART_MAX);
			return SQ_EINVAL;
		}
		if (tenants->n == 0 && !limited && spaces[i].reads.n == 0) {
			spaces_error(r, err);
			sq_buf_printf(err, "it names no tenant, and nothing is said of its own");
			return SQ_EINVAL;
		}
		if (tenants->n == 0 && spaces_add(c, r, r->name, NULL, limits, err) != SQ_OK)
			return SQ_EINVAL;
		for (size_t k = 0; k < tenants->n; k++) {
			if (spaces_add(c, r, tenants->v[k], r->name, limits, err) != SQ_OK)
				return SQ_EINVAL;
		}
	}
	return SQ_OK;
}
