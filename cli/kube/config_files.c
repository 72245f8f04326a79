/* Files of a kubeconfig; see cli/kube/config_files.h. */
#include "cli/kube/config_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/view/safe.h"
#include "core/file.h"
#include "core/mem.h"

enum { FILES_NAMES_MAX = 10 };

static char *
files_join(const char *folder, const char *name)
{
	struct sq_buf path = {0};

	sq_buf_printf(&path, "%s/%s%c", folder, name, 0);
	return (char *)sq_buf_data(&path);
}

/* The folder of the path. */
static char *
files_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return sq_xstrdup(".");
	return slash == path ? sq_xstrdup("/") : sq_xmemdup0(path, (size_t)(slash - path));
}

char *
sq_kube_files_path(const struct sq_kube_file *f, const char *path)
{
	return path[0] == '/' ? sq_xstrdup(path) : files_join(f->folder, path);
}

/* Takes what has been read apart. */
static int
files_parse(struct sq_kube_file *f, const struct sq_buf *text, struct sq_buf *err)
{
	struct sq_yaml_error why;

	if (sq_yaml_json_read(
		(const char *)sq_buf_data(text), sq_buf_len(text), &f->documents, &why) != 0) {
		sq_buf_printf(err, "%s:%u:%u: ", f->path, why.line, why.column);
		sq_safe(err, why.text, strlen(why.text));
		return SQ_EINVAL;
	}
	f->root = f->documents.n > 0 ? f->documents.v[0].value : NULL;
	if (f->documents.n == 1 && json_is_object(f->root))
		return 0;
	sq_buf_printf(err, "%s: it is no kubeconfig, which is one map in YAML", f->path);
	return SQ_EINVAL;
}

static int
files_add(struct sq_kube_files *files, const char *path, struct sq_buf *err)
{
	struct sq_kube_file *f = &files->v[files->n];
	struct sq_buf text = {0};
	int rc;

	if (files->n == SQ_KUBE_FILES_MAX) {
		sq_buf_printf(err, "KUBECONFIG: more than %d files", SQ_KUBE_FILES_MAX);
		return SQ_ETOOBIG;
	}
	rc = sq_file_read(path, SQ_KUBE_FILE_MAX, &text);
	if (rc == SQ_EIO && errno == ENOENT) {
		sq_buf_fini(&text);
		return 0;
	}
	if (rc != 0)
		sq_buf_printf(err, "%s: %s", path, sq_file_reason(rc));
	if (rc == 0) {
		files->n++;
		f->path = sq_xstrdup(path);
		f->folder = files_folder(path);
		rc = sq_buf_len(&text) > 0 ? files_parse(f, &text, err) : 0;
	}
	sq_buf_wipe(&text);
	return rc;
}

/* Adds each file of the list. */
static int
files_add_all(struct sq_kube_files *files, const char *paths, struct sq_buf *err)
{
	int rc = 0;

	while (rc == 0 && *paths != '\0') {
		size_t len = strcspn(paths, ":");
		char *one = sq_xmemdup0(paths, len);

		if (len > 0)
			rc = files_add(files, one, err);
		free(one);
		paths += len + (paths[len] == ':');
	}
	return rc;
}

int
sq_kube_files_read(struct sq_kube_files *files, const char *paths, struct sq_buf *err)
{
	const char *home = getenv("HOME"), *env = getenv("KUBECONFIG");
	char *own = NULL;
	int rc;

	*files = (struct sq_kube_files){0};
	if (paths == NULL && env != NULL && *env != '\0')
		paths = env;
	if (paths == NULL)
		paths = own = files_join(home != NULL ? home : "", ".kube/config");
	rc = files_add_all(files, paths, err);
	if (rc == 0 && files->n == 0) {
		sq_safe(err, paths, strlen(paths));
		sq_buf_printf(
		    err, ": no such file; a kubeconfig is named by --kubeconfig or KUBECONFIG");
		rc = SQ_ENOTFOUND;
	}
	free(own);
	if (rc != 0)
		sq_kube_files_free(files);
	return rc;
}

void
sq_kube_files_free(struct sq_kube_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->v[i].path);
		free(files->v[i].folder);
		sq_yaml_documents_free(&files->v[i].documents);
	}
	*files = (struct sq_kube_files){0};
}

const json_t *
sq_kube_files_find(const struct sq_kube_files *files, const char *kind, const char *member,
    const char *name, const struct sq_kube_file **file)
{
	for (size_t k = 0; k < files->n; k++) {
		const json_t *entry;
		size_t i;

		json_array_foreach(json_object_get(files->v[k].root, kind), i, entry)
		{
			const char *its = json_string_value(json_object_get(entry, "name"));
			const json_t *value = json_object_get(entry, member);

			if (its == NULL || strcmp(its, name) != 0 || !json_is_object(value))
				continue;
			*file = &files->v[k];
			return value;
		}
	}
	return NULL;
}

void
sq_kube_files_names(const struct sq_kube_files *files, const char *kind, struct sq_buf *out)
{
	size_t n = 0;

	for (size_t k = 0; k < files->n; k++) {
		const json_t *entry;
		size_t i;

		json_array_foreach(json_object_get(files->v[k].root, kind), i, entry)
		{
			const json_t *name = json_object_get(entry, "name");

			if (!json_is_string(name) || ++n > FILES_NAMES_MAX)
				continue;
			sq_buf_printf(out, "%s", n > 1 ? ", " : "");
			sq_safe(out, json_string_value(name), json_string_length(name));
		}
	}
	sq_buf_printf(out, "%s", n == 0 ? "none" : n > FILES_NAMES_MAX ? ", ..." : "");
}
