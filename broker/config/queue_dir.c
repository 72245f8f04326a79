#include "broker/config/queue_dir.h"

#include <stdlib.h>
#include <string.h>

#include "broker/config/file_dir.h"
#include "core/mem.h"

struct sq_queue_dir {
	struct sq_file_dir *files;
	const struct sq_file_queue **queues;
	size_t n_queues;
};

static void
dir_free_value(void *value)
{
	sq_file_queues_fini(value);
	free(value);
}

static void *
dir_read_value(const char *source, struct sq_bytes text, struct sq_buf *err)
{
	struct sq_file_queues *queues = sq_xcalloc(1, sizeof *queues);

	if (sq_queue_file_read(source, text, queues, err) == SQ_OK)
		return queues;
	dir_free_value(queues);
	return NULL;
}

struct sq_queue_dir *
sq_queue_dir_new(const char *path)
{
	static const struct sq_file_dir_kind kind = {
	    "subscribers.dir", SQ_QUEUE_FILE_MAX, dir_read_value, dir_free_value};
	struct sq_queue_dir *d = sq_xcalloc(1, sizeof *d);

	d->files = sq_file_dir_new(path, &kind);
	return d;
}

void
sq_queue_dir_free(struct sq_queue_dir **dp)
{
	struct sq_queue_dir *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	sq_file_dir_free(&d->files);
	free(d->queues);
	free(d);
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

	for (size_t i = 0; i < sq_file_dir_files(d->files); i++) {
		const struct sq_file_queues *of = sq_file_dir_value(d->files, i);

		n += of != NULL ? of->n : 0;
	}
	free(d->queues);
	d->queues = sq_xcalloc(n + 1, sizeof(*d->queues));
	n = 0;
	for (size_t i = 0; i < sq_file_dir_files(d->files); i++) {
		const struct sq_file_queues *of = sq_file_dir_value(d->files, i);

		for (size_t j = 0; of != NULL && j < of->n; j++)
			d->queues[n++] = &of->v[j];
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
		sq_file_dir_line(err, &why);
		sq_buf_drain(&why, sq_buf_len(&why));
	}
	d->n_queues = k;
	sq_buf_fini(&why);
}

bool
sq_queue_dir_look(struct sq_queue_dir *d, bool asked, struct sq_buf *err)
{
	bool tell = sq_file_dir_look(d->files, asked, err);

	if (tell)
		dir_gather(d, err);
	return tell;
}

size_t
sq_queue_dir_queues(
    const struct sq_queue_dir *d, const struct sq_file_queue *const **v, bool *whole)
{
	*whole = sq_file_dir_whole(d->files);
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
			sq_file_dir_line(err, &line);
		}
		sq_buf_fini(&why);
		sq_buf_fini(&line);
	}
	sq_queue_dir_free(&d);
}
