#include "sidecar/declared/annotations_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

#define DATA "..data" /* the kubelet's symlink to the present set */

enum { SWAPS_MAX = 16 }; /* that one reading bears */

static bool
is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

struct sq_annotations_place
sq_annotations_place(const struct sq_sidecar_cfg *cfg)
{
	if (is_set(cfg->annotations_dir))
		return (struct sq_annotations_place){"annotations.dir", cfg->annotations_dir, true};
	return (struct sq_annotations_place){.key = "annotations.file",
	    .path = is_set(cfg->annotations_file) ? cfg->annotations_file : NULL};
}

void
sq_annotations_content_free(struct sq_annotations_content *c)
{
	sq_annotation_pairs_free(&c->pairs);
	sq_buf_fini(&c->problem);
	*c = (struct sq_annotations_content){0};
}

static bool
bytes_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

bool
sq_annotations_content_equal(
    const struct sq_annotations_content *a, const struct sq_annotations_content *b)
{
	if (a->pairs.n != b->pairs.n ||
	    !bytes_equal(sq_buf_data(&a->problem), sq_buf_len(&a->problem),
		sq_buf_data(&b->problem), sq_buf_len(&b->problem)))
		return false;
	for (size_t i = 0; i < a->pairs.n; i++) {
		const struct sq_annotation *x = &a->pairs.v[i], *y = &b->pairs.v[i];

		if (strcmp(x->key, y->key) != 0 || !bytes_equal(x->value, x->len, y->value, y->len))
			return false;
	}
	return true;
}

static uint64_t
stat_ms(const struct stat *st)
{
	int64_t ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;

	return ms > 0 ? (uint64_t)ms : 1;
}

/* --- one file --- */

static void
read_file(const char *path, struct sq_annotations_content *out)
{
	struct sq_annotation_problems found = {0};
	struct sq_buf text = {0};
	struct stat st = {0};
	int rc = sq_file_read(path, SQ_ANNOTATIONS_SIZE_MAX, &text);

	if (rc != 0)
		sq_buf_printf(&out->problem, "%s", sq_file_reason(rc));
	else if (sq_annotations_file(sq_buf_len(&text) > 0 ? (char *)sq_buf_data(&text) : "",
		     sq_buf_len(&text), &out->pairs, &found) != 0)
		sq_annotation_problems_print(&found, false, &out->problem);
	(void)stat(path, &st);
	out->written_ms = stat_ms(&st);
	sq_annotation_problems_free(&found);
	sq_buf_fini(&text);
}

/* --- a folder --- */

/* The file of an annotation; NULL: an edit of it does not count in a running pod. */
static const char *
def_file(const struct sq_annotation_def *d)
{
	return d->live ? d->key + sizeof SQ_ANNOTATION_PREFIX - 1 : NULL;
}

/* Reads the file of an annotation, if it is there. */
static void
read_one(int dirfd, const struct sq_annotation_def *def, struct sq_annotations_content *out)
{
	const char *name = def_file(def);
	struct sq_buf text = {0};
	struct stat st;
	int rc = sq_file_read_at(dirfd, name, SQ_ANNOTATIONS_SIZE_MAX, &text);

	if (rc == 0 && sq_buf_len(&text) > 0)
		sq_annotation_pairs_add(
		    &out->pairs, def->key, (char *)sq_buf_data(&text), sq_buf_len(&text));
	else if (rc != 0 && (rc != SQ_EIO || errno != ENOENT))
		sq_buf_printf(&out->problem, "%s%s: %s", sq_buf_len(&out->problem) > 0 ? "\n" : "",
		    name, sq_file_reason(rc));
	if (fstatat(dirfd, name, &st, 0) == 0 && stat_ms(&st) > out->written_ms)
		out->written_ms = stat_ms(&st);
	sq_buf_fini(&text);
}

/* Reads all of the open folder. */
static void
read_all(int dirfd, struct sq_annotations_content *out)
{
	struct stat st = {0};

	sq_annotations_content_free(out);
	out->written_ms = fstat(dirfd, &st) == 0 ? stat_ms(&st) : 1;
	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		if (def_file(&sq_annotation_defs[i]) != NULL)
			read_one(dirfd, &sq_annotation_defs[i], out);
	}
}

/* Reads the set that "..data" leads to, if there is one.  True: it was the present one to
 * the end, or there is none. */
static bool
read_set(int dirfd, struct sq_annotations_content *out)
{
	int data = openat(dirfd, DATA, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat opened, now;
	bool same;

	if (data < 0) {
		read_all(dirfd, out); /* no kubelet's; or the volume comes just now */
		return fstatat(dirfd, DATA, &now, 0) != 0;
	}
	read_all(data, out);
	same = fstat(data, &opened) == 0 && fstatat(dirfd, DATA, &now, 0) == 0 &&
	    opened.st_dev == now.st_dev && opened.st_ino == now.st_ino;
	close(data);
	return same;
}

static void
read_dir(const char *path, struct sq_annotations_content *out)
{
	int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool whole = false;

	if (dirfd < 0) {
		sq_buf_printf(&out->problem, "%s", strerror(errno));
		return;
	}
	for (int i = 0; i < SWAPS_MAX && !whole; i++)
		whole = read_set(dirfd, out);
	close(dirfd);
	if (!whole) {
		sq_annotations_content_free(out);
		sq_buf_printf(&out->problem, DATA " changes too often to be read");
	}
}

void
sq_annotations_read(const struct sq_annotations_place *place, struct sq_annotations_content *out)
{
	*out = (struct sq_annotations_content){0};
	if (place->dir)
		read_dir(place->path, out);
	else
		read_file(place->path, out);
	if (sq_buf_len(&out->problem) > 0)
		sq_annotation_pairs_free(&out->pairs);
}

/* --- stamps --- */

static void
stamp_of(const char *dir, const char *name, struct sq_file_stamp *out)
{
	struct sq_buf path = {0};

	sq_buf_printf(&path, "%s/%s", dir, name);
	sq_buf_u8(&path, 0);
	sq_file_stamp((char *)sq_buf_data(&path), out);
	sq_buf_fini(&path);
}

void
sq_annotations_stamp(const struct sq_annotations_place *place, struct sq_annotations_stamp *out)
{
	size_t n = 0;

	*out = (struct sq_annotations_stamp){0};
	if (!place->dir) {
		sq_file_stamp(place->path, &out->v[0]);
		return;
	}
	stamp_of(place->path, DATA, &out->v[n++]);
	for (size_t i = 0; i < sq_annotation_defs_n && n < SQ_ARRAY_LEN(out->v); i++) {
		if (def_file(&sq_annotation_defs[i]) != NULL)
			stamp_of(place->path, def_file(&sq_annotation_defs[i]), &out->v[n++]);
	}
}

bool
sq_annotations_stamp_equal(
    const struct sq_annotations_stamp *a, const struct sq_annotations_stamp *b)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(a->v); i++) {
		if (!sq_file_stamp_equal(&a->v[i], &b->v[i]))
			return false;
	}
	return true;
}
