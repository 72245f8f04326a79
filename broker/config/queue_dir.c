#include "broker/config/queue_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/mem.h"

enum { FILES_MAX = 256 };

static const char *const suffixes[] = {".yaml", ".yml"};

/* A file of the folder. */
struct dir_file {
	char *name;
	struct sq_file_stamp stamp;
	bool good;                    /* it was, once */
	struct sq_file_queues queues; /* of when it was last good */
};

struct dir_files {
	struct dir_file *v;
	size_t n;
};

struct sq_queue_dir {
	char *path;
	struct dir_files taken;  /* as they were read */
	struct dir_files looked; /* names and stamps of the last look */
	bool taken_once, failed;
	const struct sq_file_queue **queues;
	size_t n_queues;
};

static void
dir_files_fini(struct dir_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].name);
		sq_file_queues_fini(&f->v[i].queues);
	}
	free(f->v);
	*f = (struct dir_files){0};
}

struct sq_queue_dir *
sq_queue_dir_new(const char *path)
{
	struct sq_queue_dir *d = sq_xcalloc(1, sizeof *d);

	d->path = path != NULL && path[0] != '\0' ? sq_xstrdup(path) : NULL;
	return d;
}

void
sq_queue_dir_free(struct sq_queue_dir **dp)
{
	struct sq_queue_dir *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	dir_files_fini(&d->taken);
	dir_files_fini(&d->looked);
	free(d->queues);
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
dir_path(const struct sq_queue_dir *d, const char *name)
{
	struct sq_buf b = {0};

	sq_buf_printf(&b, "%s/%s", d->path, name);
	return sq_buf_take_text(&b);
}

/* Names and stamps of what is there; SQ_EIO, SQ_ETOOBIG: it can't be said. */
static int
dir_list(const struct sq_queue_dir *d, struct dir_files *out)
{
	DIR *dir = opendir(d->path);
	struct dirent *e;

	*out = (struct dir_files){0};
	if (dir == NULL)
		return SQ_EIO;
	out->v = sq_xcalloc(FILES_MAX, sizeof *out->v);
	while ((e = readdir(dir)) != NULL) {
		char *path;

		if (!dir_is_file(e->d_name))
			continue;
		if (out->n == FILES_MAX) {
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
dir_before(struct sq_queue_dir *d, const char *name)
{
	for (size_t i = 0; i < d->taken.n; i++) {
		if (strcmp(d->taken.v[i].name, name) == 0)
			return &d->taken.v[i];
	}
	return NULL;
}

/* Appends a line. */
static void
dir_line(struct sq_buf *err, const struct sq_buf *line)
{
	if (sq_buf_len(err) > 0)
		sq_buf_u8(err, '\n');
	sq_buf_append(err, sq_buf_data(line), sq_buf_len(line));
}

/* Reads a file; one that is not good keeps what it declared before. */
static void
dir_read(struct sq_queue_dir *d, struct dir_file *f, struct sq_buf *err)
{
	char *path = dir_path(d, f->name);
	struct dir_file *before = dir_before(d, f->name);
	struct sq_buf text = {0}, why = {0};
	int rc = sq_file_read(path, SQ_QUEUE_FILE_MAX, &text);

	if (rc != SQ_OK)
		sq_buf_printf(&why, "%s: %s", path, sq_file_reason(rc));
	else
		rc = sq_queue_file_read(path, sq_buf_bytes(&text), &f->queues, &why);
	f->good = rc == SQ_OK;
	if (rc != SQ_OK) {
		dir_line(err, &why);
		sq_file_queues_fini(&f->queues);
	}
	if (rc != SQ_OK && before != NULL) {
		f->queues = before->queues;
		f->good = before->good;
		before->queues = (struct sq_file_queues){0};
	}
	sq_buf_fini(&text);
	sq_buf_fini(&why);
	free(path);
}

static int
dir_queue_compare(const void *a, const void *b)
{
	const struct sq_file_queue *x = *(const struct sq_file_queue *const *)a;
	const struct sq_file_queue *y = *(const struct sq_file_queue *const *)b;
	int c = strcmp(x->space, y->space);

	if (c == 0)
		c = strcmp(x->name, y->name);
	return c != 0 ? c : strcmp(x->where, y->where);
}

/* Lists the queues of all files, each once: the first file counts. */
static void
dir_gather(struct sq_queue_dir *d, struct sq_buf *err)
{
	struct sq_buf why = {0};
	size_t n = 0, k = 0;

	for (size_t i = 0; i < d->taken.n; i++)
		n += d->taken.v[i].queues.n;
	free(d->queues);
	d->queues = sq_xcalloc(n + 1, sizeof(*d->queues));
	n = 0;
	for (size_t i = 0; i < d->taken.n; i++) {
		for (size_t j = 0; j < d->taken.v[i].queues.n; j++)
			d->queues[n++] = &d->taken.v[i].queues.v[j];
	}
	qsort(d->queues, n, sizeof(*d->queues), dir_queue_compare);
	for (size_t i = 0; i < n; i++) {
		const struct sq_file_queue *q = d->queues[i],
					   *last = k > 0 ? d->queues[k - 1] : NULL;

		if (last == NULL || strcmp(q->space, last->space) != 0 ||
		    strcmp(q->name, last->name) != 0) {
			d->queues[k++] = q;
			continue;
		}
		sq_buf_printf(&why, "%s: %s.%s: is declared at %s, too, which counts", q->where,
		    q->space, q->name, last->where);
		dir_line(err, &why);
		sq_buf_drain(&why, sq_buf_len(&why));
	}
	d->n_queues = k;
	sq_buf_fini(&why);
}

/* The folder can't be listed: said once. */
static bool
dir_failed(struct sq_queue_dir *d, int rc, bool asked, struct sq_buf *err)
{
	bool tell = asked || !d->failed;
	struct sq_buf why = {0};

	sq_buf_printf(&why, "subscribers.dir: %s: %s", d->path,
	    rc == SQ_ETOOBIG ? "has more than 256 files" : strerror(errno));
	if (tell)
		dir_line(err, &why);
	sq_buf_fini(&why);
	d->failed = true;
	return tell;
}

bool
sq_queue_dir_look(struct sq_queue_dir *d, bool asked, struct sq_buf *err)
{
	struct dir_files now;
	bool still;
	int rc;

	if (d->path == NULL)
		return false;
	rc = dir_list(d, &now);
	if (rc != SQ_OK) {
		bool tell = dir_failed(d, rc, asked, err);

		dir_files_fini(&now);
		return tell;
	}
	d->failed = false;
	still = dir_same(&now, &d->looked);
	if (!asked && (!still || (d->taken_once && dir_same(&now, &d->taken)))) {
		dir_files_fini(&d->looked);
		d->looked = now;
		return false;
	}
	for (size_t i = 0; i < now.n; i++)
		dir_read(d, &now.v[i], err);
	dir_files_fini(&d->taken);
	d->taken = now;
	d->taken_once = true;
	dir_gather(d, err);
	return true;
}

size_t
sq_queue_dir_queues(
    const struct sq_queue_dir *d, const struct sq_file_queue *const **v, bool *whole)
{
	*whole = d->path != NULL && d->taken_once && !d->failed;
	for (size_t i = 0; i < d->taken.n; i++)
		*whole = *whole && d->taken.v[i].good;
	*v = d->queues;
	return d->n_queues;
}

void
sq_queue_dir_check(const char *path,
    int (*judge)(const void *arg, const struct sq_file_queue *, struct sq_buf *why),
    const void *arg, struct sq_buf *err)
{
	struct sq_queue_dir *d = sq_queue_dir_new(path);

	(void)sq_queue_dir_look(d, true, err);
	for (size_t i = 0; i < d->n_queues; i++) {
		const struct sq_file_queue *q = d->queues[i];
		struct sq_buf why = {0}, line = {0};

		if (judge(arg, q, &why) != SQ_OK) {
			sq_buf_printf(&line, "%s: %s.%s.%.*s", q->where, q->space, q->name,
			    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
			dir_line(err, &line);
		}
		sq_buf_fini(&why);
		sq_buf_fini(&line);
	}
	sq_queue_dir_free(&d);
}
