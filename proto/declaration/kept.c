#include "proto/declaration/kept.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/mem.h"

struct kept_declaration {
	atomic_uint refs;
	struct sq_declaration d;
};

static struct kept_declaration *
kept_of(const struct sq_declaration *d)
{
	return (struct kept_declaration *)((uintptr_t)d - offsetof(struct kept_declaration, d));
}

const struct sq_declaration *
sq_declaration_keep(struct sq_declaration *d)
{
	struct kept_declaration *k = sq_xcalloc(1, sizeof *k);

	atomic_init(&k->refs, 1);
	k->d = *d;
	*d = (struct sq_declaration){0};
	return &k->d;
}

const struct sq_declaration *
sq_declaration_ref(const struct sq_declaration *d)
{
	unsigned before = atomic_fetch_add_explicit(&kept_of(d)->refs, 1, memory_order_relaxed);

	assert(before > 0);
	(void)before;
	return d;
}

void
sq_declaration_unref(const struct sq_declaration **dp)
{
	struct kept_declaration *k;

	if (*dp == NULL)
		return;
	k = kept_of(*dp);
	*dp = NULL;
	if (atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) > 1)
		return;
	sq_declaration_fini(&k->d);
	free(k);
}
