/* Which keys have other values in another configuration; see core/config.h. */
#include <stdlib.h>
#include <string.h>

#include "core/config_priv.h"

static bool
text_same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
list_same(const struct sq_strings *a, const struct sq_strings *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = text_same(a->v[i], b->v[i]);
	return same;
}

static bool row_same(const struct sq_config_load *, const void *b, const struct sq_config_key *);

/* Whether records are equal; where they were written does not count. */
static bool
records_same(const struct sq_config_load *l, const struct sq_config_records *a,
    const struct sq_config_records *b, const struct sq_config_key *k)
{
	bool same = a->n == b->n;

	for (size_t at = 0; same && at < a->n; at++) {
		const struct sq_config_load inner = {
		    .cfg = (char *)a->v + at * k->min, .keys = l->keys, .n = l->n};
		const struct sq_config_record *x = inner.cfg,
					      *y = (void *)((char *)b->v + at * k->min);

		same = text_same(x->name, y->name);
		for (size_t i = 0; same && i < l->n; i++)
			same = !sq_config_is_inner_of(&l->keys[i], k) || l->keys[i].live ||
			    row_same(&inner, y, &l->keys[i]);
	}
	return same;
}

/* Whether the value of 'k' in l->cfg is that in 'b'. */
static bool
row_same(const struct sq_config_load *l, const void *b, const struct sq_config_key *k)
{
	const void *x = (const char *)l->cfg + k->offset, *y = (const char *)b + k->offset;

	switch (k->type) {
	case SQ_CFG_STRING:
		return text_same(*(char *const *)x, *(char *const *)y);
	case SQ_CFG_LIST:
		return list_same(x, y);
	case SQ_CFG_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case SQ_CFG_ENUM:
		return *(const unsigned *)x == *(const unsigned *)y;
	case SQ_CFG_UINT:
	case SQ_CFG_SIZE:
	case SQ_CFG_DURATION:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	case SQ_CFG_RECORDS:
	case SQ_CFG_NAMED:
		return records_same(l, x, y, k);
	}
	return true;
}

bool
sq_config_is_default(const void *cfg, const struct sq_config_key *k)
{
	union {
		char *text;
		struct sq_strings list;
		bool yes;
		uint64_t number;
		unsigned choice;
	} def = {.list = {0}};
	struct sq_config_key alone = *k;
	const struct sq_config_load l = {.cfg = &def, .keys = &alone, .n = 1};
	struct sq_buf why = {0};
	bool same;

	alone.offset = 0;
	if (k->def != NULL && sq_config_set(&def, &alone, k->def, &why) != 0)
		abort(); /* the table contradicts itself */
	same = row_same(&l, (const char *)cfg + k->offset, &alone);
	sq_config_free(&def, &alone, 1);
	return same;
}

size_t
sq_config_differ(const void *a, const void *b, const struct sq_config_key *keys, size_t n,
    size_t most, struct sq_buf *out)
{
	const struct sq_config_load l = {.cfg = (void *)(uintptr_t)a, .keys = keys, .n = n};
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		if (sq_config_is_inner(&keys[i]) || keys[i].live || row_same(&l, b, &keys[i]))
			continue;
		if (found++ < most)
			sq_buf_printf(out, "%s%s", found > 1 ? ", " : "", keys[i].name);
	}
	if (found > most)
		sq_buf_printf(out, " and %zu more", found - most);
	return found;
}
