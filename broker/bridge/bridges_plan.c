#include <stdlib.h>
#include <string.h>

#include "broker/bridge/bridges_priv.h"
#include "core/mem.h"

struct sq_bridges_plan *
sq_bridges_plan_new(struct sq_bridge_file *const *files, size_t n, bool whole)
{
	struct sq_bridges_plan *p = sq_xcalloc(1, sizeof *p + n * sizeof(p->files[0]));

	atomic_init(&p->refs, 1);
	p->whole = whole;
	p->n = n;
	for (size_t i = 0; i < n; i++)
		p->files[i] = sq_bridge_file_ref(files[i]);
	return p;
}

struct sq_bridges_plan *
sq_bridges_plan_ref(struct sq_bridges_plan *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void
sq_bridges_plan_unref(struct sq_bridges_plan **pp)
{
	struct sq_bridges_plan *p = *pp;

	*pp = NULL;
	if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < p->n; i++)
		sq_bridge_file_unref(&p->files[i]);
	free(p);
}

const struct sq_bridge_cfg *
sq_bridges_plan_cfg(const struct sq_bridges_plan *p, size_t file, size_t i)
{
	const struct sq_bridge_cfgs *cfgs = sq_bridge_file_cfgs(p->files[file]);

	return i < cfgs->bridges.n ? &((const struct sq_bridge_cfg *)cfgs->bridges.v)[i] : NULL;
}

struct sq_bridge_said
sq_bridges_plan_find(const struct sq_bridges_plan *p, const char *name)
{
	const struct sq_bridge_cfg *c;

	for (size_t f = 0; f < p->n; f++) {
		for (size_t i = 0; (c = sq_bridges_plan_cfg(p, f, i)) != NULL; i++) {
			if (strcmp(c->record.name, name) == 0)
				return (struct sq_bridge_said){p->files[f], c};
		}
	}
	return (struct sq_bridge_said){0};
}
