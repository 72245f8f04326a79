/* The files of a kubeconfig, and the entries in them: several files are one, of which the first one
 * that has an entry says what it is, as with kubectl. */
#ifndef SQ_CLI_KUBE_CONFIG_FILES_H
#define SQ_CLI_KUBE_CONFIG_FILES_H

#include "core/buf.h"
#include "core/err.h"
#include "k8s/patch/yaml_json.h"

enum { SQ_KUBE_FILES_MAX = 32, SQ_KUBE_FILE_MAX = 1 << 20 /* bytes */ };

struct sq_kube_file {
	char *path;
	char *folder; /* to which paths in it are relative */
	struct sq_yaml_documents documents;
	const json_t *root; /* the map */
};

struct sq_kube_files {
	struct sq_kube_file v[SQ_KUBE_FILES_MAX];
	size_t n;
};

/* Reads the files of 'paths', which colons part; those that are not there are left out.  NULL: of
 * the environment, KUBECONFIG, or ~/.kube/config.  Else an error with a line in 'err'. */
int sq_kube_files_read(struct sq_kube_files *, const char *paths, struct sq_buf *err) SQ_MUST_CHECK;
void sq_kube_files_free(struct sq_kube_files *);
/* The map of 'name' in the list 'kind' ("contexts"), whose entries have it as 'member' ("context");
 * '*file' has it.  NULL: there is none. */
const json_t *sq_kube_files_find(const struct sq_kube_files *, const char *kind, const char *member,
    const char *name, const struct sq_kube_file **file);
/* Appends the names in the list 'kind', some of them. */
void sq_kube_files_names(const struct sq_kube_files *, const char *kind, struct sq_buf *out);
/* The path that stands in the file: relative to its folder; the caller's. */
char *sq_kube_files_path(const struct sq_kube_file *, const char *path);

#endif
