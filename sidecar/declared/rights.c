#include "sidecar/declared/rights.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct declared {
	char *filter, *tag; /* 'tag' NULL: any message */
};

struct sq_rights {
	struct sq_subscribe_rights from;
	struct declared *declared;
	size_t n;
};

static bool
bytes_equal(struct sq_bytes a, struct sq_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

struct sq_rights *
sq_rights_new(struct sq_subscribe_rights *from, const struct sq_declarations *ds)
{
	struct sq_rights *r;

	if (!from->strict) {
		sq_subscribe_rights_free(from);
		return NULL;
	}
	r = sq_xcalloc(1, sizeof *r);
	r->from = *from;
	*from = (struct sq_subscribe_rights){0};
	r->declared = sq_xcalloc(ds->n + 1, sizeof(*r->declared));
	for (r->n = 0; r->n < ds->n; r->n++) {
		const struct sq_declaration *d = &ds->v[r->n];

		r->declared[r->n].filter = sq_xstrdup(d->filter);
		r->declared[r->n].tag = d->tag != NULL ? sq_xstrdup(d->tag) : NULL;
	}
	return r;
}

void
sq_rights_free(struct sq_rights **rp)
{
	struct sq_rights *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++) {
		free(r->declared[i].filter);
		free(r->declared[i].tag);
	}
	free(r->declared);
	sq_subscribe_rights_free(&r->from);
	free(r);
}

bool
sq_rights_allow(const struct sq_rights *r, const struct sq_topic_filter *f)
{
	if (r == NULL)
		return true;
	for (size_t i = 0; i < r->n; i++) {
		if (bytes_equal(sq_bytes_of(r->declared[i].filter), f->filter) &&
		    (r->declared[i].tag == NULL ||
			bytes_equal(sq_bytes_of(r->declared[i].tag), f->tag)))
			return true;
	}
	for (size_t i = 0; i < r->from.n; i++) {
		if (sq_topic_covers(sq_bytes_of(r->from.allow[i]), f->filter))
			return true;
	}
	return false;
}
