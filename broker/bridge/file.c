#include "broker/bridge/file.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/mem.h"

struct sq_bridge_file {
	atomic_uint refs;
	struct sq_bridge_cfgs cfgs;
};

struct sq_bridge_file *
sq_bridge_file_new(struct sq_bridge_cfgs *cfgs)
{
	struct sq_bridge_file *f = sq_xcalloc(1, sizeof *f);

	atomic_init(&f->refs, 1);
	f->cfgs = *cfgs;
	*cfgs = (struct sq_bridge_cfgs){0};
	return f;
}

const struct sq_bridge_cfgs *
sq_bridge_file_cfgs(const struct sq_bridge_file *f)
{
	return &f->cfgs;
}

struct sq_bridge_file *
sq_bridge_file_ref(struct sq_bridge_file *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void
sq_bridge_file_unref(struct sq_bridge_file **fp)
{
	struct sq_bridge_file *f = *fp;

	*fp = NULL;
	if (f == NULL || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
		return;
	sq_bridge_cfgs_fini(&f->cfgs);
	free(f);
}
