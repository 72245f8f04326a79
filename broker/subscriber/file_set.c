#include "broker/subscriber/file_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/subscriber/subscriber.h"
#include "broker/subscriber/table.h"
#include "core/mem.h"

static int
file_compare(const void *a, const void *b)
{
	const struct sq_declared_file *x = a, *y = b;
	int c = strcmp(x->space, y->space);

	return c != 0 ? c : strcmp(x->name, y->name);
}

const struct sq_declared_file *
sq_declared_files_find(const struct sq_declared_files *f, const char *space, const char *name)
{
	struct sq_declared_file key = {
	    .space = (char *)(uintptr_t)space, .name = (char *)(uintptr_t)name};

	return f != NULL ? bsearch(&key, f->v, f->n, sizeof f->v[0], file_compare) : NULL;
}

struct sq_declared_files *
sq_declared_files_ref(struct sq_declared_files *f)
{
	atomic_fetch_add(&f->refs, 1);
	return f;
}

void
sq_declared_files_unref(struct sq_declared_files **fp)
{
	struct sq_declared_files *f = *fp;

	*fp = NULL;
	if (f == NULL || atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].space);
		free(f->v[i].name);
		free(f->v[i].where);
		sq_declaration_fini(&f->v[i].decl);
	}
	free(f);
}

void
sq_declared_files_where(
    struct sq_subscribers *all, const char *space, const char *name, struct sq_buf *out)
{
	const struct sq_declared_file *f;

	pthread_mutex_lock(&all->lock);
	f = sq_declared_files_find(all->files, space, name);
	sq_buf_printf(out, "%s", f != NULL ? f->where : "a file of subscribers.dir");
	pthread_mutex_unlock(&all->lock);
}

struct sq_declared_files *
sq_declared_files_new(const struct sq_subscriber_file *v, size_t n, bool whole)
{
	struct sq_declared_files *f = sq_xcalloc(1, sizeof *f + n * sizeof f->v[0]);

	atomic_init(&f->refs, 1);
	f->whole = whole;
	f->n = n;
	for (size_t i = 0; i < n; i++) {
		f->v[i].space = sq_xstrdup(v[i].space);
		f->v[i].name = sq_xstrdup(v[i].name);
		f->v[i].where = sq_xstrdup(v[i].where);
		sq_declaration_copy(&f->v[i].decl, v[i].decl);
	}
	qsort(f->v, n, sizeof f->v[0], file_compare);
	return f;
}
