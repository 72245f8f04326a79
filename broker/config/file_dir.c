#include "broker/config/file_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"

static const char *const suffixes[] = {".yaml", ".yml"};

/* A file of the folder. */
struct dir_file {
	char *name;
	struct sq_file_stamp stamp;
	void *value; /* of when it was last good; NULL: it never was */
};

struct dir_files {
	struct dir_file *v;
	size_t n;
};

struct sq_file_dir {
	const struct sq_file_dir_kind *kind;
	char *path;
	struct dir_files taken;  /* as they were read */
	struct dir_files looked; /* names and stamps of the last look */
	bool taken_once, failed;
};

static void
dir_files_fini(const struct sq_file_dir *d, struct dir_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].name);
		if (f->v[i].value != NULL)
			d->kind->free(f->v[i].value);
	}
	free(f->v);
	*f = (struct dir_files){0};
}

struct sq_file_dir *
sq_file_dir_new(const char *path, const struct sq_file_dir_kind *kind)
{
	struct sq_file_dir *d = sq_xcalloc(1, sizeof *d);

	d->kind = kind;
	d->path = path != NULL && path[0] != '\0' ? sq_xstrdup(path) : NULL;
	return d;
}

void
sq_file_dir_free(struct sq_file_dir **dp)
{
	struct sq_file_dir *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	dir_files_fini(d, &d->taken);
	dir_files_fini(d, &d->looked);
	free(d->path);
	free(d);
}

static int
dir_by_name(const void *a, const void *b)
{
	return strcmp(((const struct dir_file *)a)->name, ((const struct dir_file *)b)->name);
}

static bool
dir_is_file(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; name[0] != '.' && i < SQ_ARRAY_LEN(suffixes); i++) {
		size_t end = strlen(suffixes[i]);

		if (len > end && strcmp(name + len - end, suffixes[i]) == 0)
			return true;
	}
	return false;
}

/* "DIR/NAME", for the caller to free. */
static char *
dir_path(const struct sq_file_dir *d, const char *name)
{
	struct sq_buf b = {0};

	sq_buf_printf(&b, "%s/%s", d->path, name);
	return sq_buf_take_text(&b);
}

/* Names and stamps of what is there; SQ_EIO, SQ_ETOOBIG: it can't be said. */
static int
dir_list(const struct sq_file_dir *d, struct dir_files *out)
{
	DIR *dir = opendir(d->path);
	struct dirent *e;

	*out = (struct dir_files){0};
	if (dir == NULL)
		return SQ_EIO;
	out->v = sq_xcalloc(SQ_FILE_DIR_FILES_MAX, sizeof *out->v);
	while ((e = readdir(dir)) != NULL) {
		char *path;

		if (!dir_is_file(e->d_name))
			continue;
		if (out->n == SQ_FILE_DIR_FILES_MAX) {
			closedir(dir);
			return SQ_ETOOBIG;
		}
		path = dir_path(d, e->d_name);
		out->v[out->n].name = sq_xstrdup(e->d_name);
		sq_file_stamp(path, &out->v[out->n++].stamp);
		free(path);
	}
	closedir(dir);
	qsort(out->v, out->n, sizeof *out->v, dir_by_name);
	return SQ_OK;
}

static bool
dir_same(const struct dir_files *a, const struct dir_files *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->v[i].name, b->v[i].name) != 0 ||
		    !sq_file_stamp_equal(&a->v[i].stamp, &b->v[i].stamp))
			return false;
	}
	return true;
}

/* The file of that name as it was taken before; NULL: there was none. */
static struct dir_file *
dir_before(struct sq_file_dir *d, const char *name)
{
	for (size_t i = 0; i < d->taken.n; i++) {
		if (strcmp(d->taken.v[i].name, name) == 0)
			return &d->taken.v[i];
	}
	return NULL;
}

void
sq_file_dir_line(struct sq_buf *lines, const struct sq_buf *line)
{
	if (sq_buf_len(lines) > 0)
		sq_buf_u8(lines, '\n');
	sq_buf_append(lines, sq_buf_data(line), sq_buf_len(line));
}

void
sq_file_dir_say(struct sq_buf *lines)
{
	char *line, *save = NULL;

	sq_buf_u8(lines, '\0');
	for (line = strtok_r((char *)sq_buf_data(lines), "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		SQ_ERROR("broker", "%s", line);
}

/* Reads a file; one that is not good keeps what it declared before. */
static void
dir_read(struct sq_file_dir *d, struct dir_file *f, struct sq_buf *err)
{
	char *path = dir_path(d, f->name);
	struct dir_file *before = dir_before(d, f->name);
	struct sq_buf text = {0}, why = {0};
	int rc = sq_file_read(path, d->kind->max, &text);

	if (rc != SQ_OK)
		sq_buf_printf(&why, "%s: %s", path, sq_file_reason(rc));
	else
		f->value = d->kind->read(path, sq_buf_bytes(&text), &why);
	if (f->value == NULL)
		sq_file_dir_line(err, &why);
	if (f->value == NULL && before != NULL) {
		f->value = before->value;
		before->value = NULL;
	}
	sq_buf_fini(&text);
	sq_buf_fini(&why);
	free(path);
}

/* The folder can't be listed: said once. */
static bool
dir_failed(struct sq_file_dir *d, int rc, bool asked, struct sq_buf *err)
{
	bool tell = asked || !d->failed;
	struct sq_buf why = {0};

	sq_buf_printf(&why, "%s: %s: %s", d->kind->key, d->path,
	    rc == SQ_ETOOBIG ? "has more than 256 files" : strerror(errno));
	if (tell)
		sq_file_dir_line(err, &why);
	sq_buf_fini(&why);
	d->failed = true;
	return tell;
}

bool
sq_file_dir_look(struct sq_file_dir *d, bool asked, struct sq_buf *err)
{
	struct dir_files now;
	bool still;
	int rc;

	if (d->path == NULL)
		return false;
	rc = dir_list(d, &now);
	if (rc != SQ_OK) {
		bool tell = dir_failed(d, rc, asked, err);

		dir_files_fini(d, &now);
		return tell;
	}
	d->failed = false;
	still = dir_same(&now, &d->looked);
	if (!asked && (!still || (d->taken_once && dir_same(&now, &d->taken)))) {
		dir_files_fini(d, &d->looked);
		d->looked = now;
		return false;
	}
	for (size_t i = 0; i < now.n; i++)
		dir_read(d, &now.v[i], err);
	dir_files_fini(d, &d->taken);
	d->taken = now;
	d->taken_once = true;
	return true;
}

size_t
sq_file_dir_files(const struct sq_file_dir *d)
{
	return d->taken.n;
}

void *
sq_file_dir_value(const struct sq_file_dir *d, size_t i)
{
	return d->taken.v[i].value;
}

bool
sq_file_dir_whole(const struct sq_file_dir *d)
{
	bool whole = d->path != NULL && d->taken_once && !d->failed;

	for (size_t i = 0; i < d->taken.n; i++)
		whole = whole && d->taken.v[i].value != NULL;
	return whole;
}
