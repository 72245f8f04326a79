#include "broker/config/bridge_dir.h"

#include <stdlib.h>
#include <string.h>

#include "broker/bridge/cfg.h"
#include "broker/bridge/file.h"
#include "broker/bridge/kinds/checks.h"
#include "broker/config/file_dir.h"
#include "core/mem.h"

struct sq_bridge_dir {
	struct sq_file_dir *dir;
	bool named; /* there is a folder */
	struct sq_bridge_file *v[SQ_FILE_DIR_FILES_MAX];
	size_t n;
};

static void
dir_free_value(void *value)
{
	struct sq_bridge_file *file = value;

	sq_bridge_file_unref(&file);
}

static void *
dir_read_value(const char *source, struct sq_bytes text, struct sq_buf *err)
{
	struct sq_bridge_cfgs cfgs;

	if (sq_bridge_cfgs_read(source, text, sq_bridge_kind_check, &cfgs, err) == SQ_OK)
		return sq_bridge_file_new(&cfgs);
	sq_bridge_cfgs_fini(&cfgs);
	return NULL;
}

struct sq_bridge_dir *
sq_bridge_dir_new(const char *path)
{
	static const struct sq_file_dir_kind kind = {
	    "bridges.dir", SQ_BRIDGE_FILE_MAX, dir_read_value, dir_free_value};
	struct sq_bridge_dir *d = sq_xcalloc(1, sizeof *d);

	d->dir = sq_file_dir_new(path, &kind);
	d->named = sq_config_is_set(path);
	return d;
}

void
sq_bridge_dir_free(struct sq_bridge_dir **dp)
{
	struct sq_bridge_dir *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	sq_file_dir_free(&d->dir);
	free(d);
}

/* The bridge of that name in the first 'n' files; NULL: there is none. */
static const struct sq_bridge_cfg *
dir_named(const struct sq_bridge_dir *d, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		const struct sq_bridge_cfgs *of = sq_bridge_file_cfgs(d->v[i]);

		for (size_t j = 0; j < of->bridges.n; j++) {
			const struct sq_bridge_cfg *c = &(
			    (const struct sq_bridge_cfg *)of->bridges.v)[j];

			if (strcmp(c->record.name, name) == 0)
				return c;
		}
	}
	return NULL;
}

/* Says of each bridge of a file whose name is taken. */
static void
dir_say_twice(const struct sq_bridge_dir *d, size_t file, struct sq_buf *err)
{
	const struct sq_bridge_cfgs *of = sq_bridge_file_cfgs(d->v[file]);

	for (size_t i = 0; i < of->bridges.n; i++) {
		const struct sq_bridge_cfg *c = &((const struct sq_bridge_cfg *)of->bridges.v)[i];
		const struct sq_bridge_cfg *first = dir_named(d, file, c->record.name);
		struct sq_buf line = {0};

		if (first == NULL)
			continue;
		sq_buf_printf(&line, "%s: bridges.%s: is declared at %s, too, which counts",
		    c->record.where, c->record.name, first->record.where);
		sq_file_dir_line(err, &line);
		sq_buf_fini(&line);
	}
}

bool
sq_bridge_dir_look(struct sq_bridge_dir *d, bool asked, struct sq_buf *err)
{
	if (!sq_file_dir_look(d->dir, asked, err))
		return false;
	d->n = 0;
	for (size_t i = 0; i < sq_file_dir_files(d->dir); i++) {
		struct sq_bridge_file *file = sq_file_dir_value(d->dir, i);

		if (file == NULL)
			continue;
		d->v[d->n++] = file;
		dir_say_twice(d, d->n - 1, err);
	}
	return true;
}

size_t
sq_bridge_dir_files(const struct sq_bridge_dir *d, struct sq_bridge_file *const **v, bool *whole)
{
	*whole = !d->named || sq_file_dir_whole(d->dir);
	*v = d->v;
	return d->n;
}
