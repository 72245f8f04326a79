/* Folders in a shared place; see folders.h. */
#include "sidecar/outbox/folders.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "store/dir.h"

/* A sorted set of folder names would be no faster: there is a handful. */
struct names {
	char **v;
	size_t n;
};

struct sq_outbox_folders {
	char *root; /* <place>/<workload> */
	char *pod;
	struct names free_before; /* at the last look */
	struct names refused;
	struct sq_buf path;  /* of what was returned last */
	struct sq_buf found; /* its name */
};

static bool
names_has(const struct names *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->v[i], name) == 0)
			return true;
	return false;
}

static void
names_add(struct names *set, const char *name)
{
	set->v = sq_xrealloc(set->v, (set->n + 1) * sizeof *set->v);
	set->v[set->n++] = sq_xstrdup(name);
}

static void
names_fini(struct names *set)
{
	for (size_t i = 0; i < set->n; i++)
		free(set->v[i]);
	free(set->v);
	*set = (struct names){0};
}

/* A name of a workload or a pod may be anything: what a path can't have is escaped. */
static void
folders_put_name(struct sq_buf *out, const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '/' || *p == '%' || (p == name && *p == '.'))
			sq_buf_printf(out, "%%%02x", (unsigned char)*p);
		else
			sq_buf_u8(out, (uint8_t)*p);
	}
}

static const char *
folders_path(struct sq_outbox_folders *f, const char *name)
{
	sq_buf_drain(&f->path, sq_buf_len(&f->path));
	sq_buf_printf(&f->path, "%s/%s", f->root, name);
	sq_buf_u8(&f->path, 0);
	return (const char *)sq_buf_data(&f->path);
}

/* Whether an outbox is in the place itself, and not in a folder of it. */
static bool
folders_is_store(const char *place)
{
	struct sq_buf path = {0};
	bool is;

	sq_buf_printf(&path, "%s/id", place);
	sq_buf_u8(&path, 0);
	is = access((const char *)sq_buf_data(&path), F_OK) == 0;
	sq_buf_fini(&path);
	return is;
}

struct sq_outbox_folders *
sq_outbox_folders_open(const char *place, const char *workload, const char *pod, struct sq_buf *err)
{
	struct sq_outbox_folders *f = sq_xcalloc(1, sizeof *f);
	struct sq_buf text = {0};

	sq_buf_printf(&text, "%s/", place);
	folders_put_name(&text, workload);
	sq_buf_u8(&text, 0);
	f->root = sq_xstrdup((const char *)sq_buf_data(&text));
	sq_buf_drain(&text, sq_buf_len(&text));
	folders_put_name(&text, pod);
	sq_buf_u8(&text, 0);
	f->pod = sq_xstrdup((const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	if (folders_is_store(place)) {
		sq_buf_printf(err,
		    "%s: has the outbox of one sidecar in it: let that empty it, without "
		    "outbox.shared, "
		    "or name another place",
		    place);
		sq_outbox_folders_close(&f);
	} else if (mkdir(f->root, 0700) != 0 && errno != EEXIST) {
		sq_buf_printf(err, "%s: %s", f->root, strerror(errno));
		sq_outbox_folders_close(&f);
	}
	return f;
}

void
sq_outbox_folders_close(struct sq_outbox_folders **fp)
{
	struct sq_outbox_folders *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	names_fini(&f->free_before);
	names_fini(&f->refused);
	sq_buf_fini(&f->path);
	sq_buf_fini(&f->found);
	free(f->root);
	free(f->pod);
	free(f);
}

const char *
sq_outbox_folders_own(struct sq_outbox_folders *f, unsigned n)
{
	struct sq_buf name = {0};
	const char *path;

	sq_buf_printf(&name, "%s", f->pod);
	if (n > 0)
		sq_buf_printf(&name, ".%u", n);
	sq_buf_u8(&name, 0);
	path = folders_path(f, (const char *)sq_buf_data(&name));
	sq_buf_fini(&name);
	return path;
}

/* Whether it is a folder that no process has locked just now. */
static bool
folders_free(struct sq_outbox_folders *f, const char *name, const char *own)
{
	const char *path = folders_path(f, name);
	struct stat st;

	return name[0] != '.' && (own == NULL || strcmp(path, own) != 0) &&
	    !names_has(&f->refused, name) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    !sq_store_locked(path);
}

const char *
sq_outbox_folders_left(struct sq_outbox_folders *f, const char *own)
{
	DIR *dir = opendir(f->root);
	struct names free_now = {0};
	struct dirent *e;
	unsigned seen = 0;

	sq_buf_drain(&f->found, sq_buf_len(&f->found));
	if (dir == NULL)
		return NULL;
	while (seen++ < SQ_OUTBOX_FOLDERS_MAX && (e = readdir(dir)) != NULL) {
		if (!folders_free(f, e->d_name, own))
			continue;
		names_add(&free_now, e->d_name);
		if (sq_buf_len(&f->found) == 0 && names_has(&f->free_before, e->d_name))
			sq_buf_append(&f->found, e->d_name, strlen(e->d_name) + 1);
	}
	closedir(dir);
	names_fini(&f->free_before);
	f->free_before = free_now;
	return sq_buf_len(&f->found) > 0 ? folders_path(f, (const char *)sq_buf_data(&f->found))
					 : NULL;
}

void
sq_outbox_folders_refuse(struct sq_outbox_folders *f)
{
	if (sq_buf_len(&f->found) > 0)
		names_add(&f->refused, (const char *)sq_buf_data(&f->found));
}
