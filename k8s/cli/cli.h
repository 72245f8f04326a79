/* The command line's commands; main.c reads their options.
 *
 *   input.h      files to documents, notes to places in files
 *   yaml_emit.h  objects to YAML
 *   inject.c     lint.c  explain.c  the commands
 *   told.h       the meaning of annotations, in words */
#ifndef SQ_K8S_CLI_H
#define SQ_K8S_CLI_H

#include "core/buf.h"
#include "k8s/cli/input.h"
#include "k8s/patch/patch.h"

enum sq_cli_exit {
	SQ_CLI_GOOD = 0,
	SQ_CLI_PROBLEMS = 1, /* in the manifests */
	SQ_CLI_USAGE = 2,    /* of the options, or a file can't be read */
};

struct sq_cli {
	struct sq_inputs inputs;
	struct sq_settings settings;
	char *trust_bundle;     /* NULL: none */
	const char *space;      /* -n; NULL: the manifest's namespace */
	struct sq_buf out, err; /* printed at the end */
};

/* Each fills 'out' and 'err' and returns the program's exit code. */
enum sq_cli_exit sq_cli_inject(struct sq_cli *);
enum sq_cli_exit sq_cli_lint(struct sq_cli *);
enum sq_cli_exit sq_cli_explain(struct sq_cli *);

/* Appends "file:line:column: text" of each note about a document, warnings marked as such. */
void sq_cli_notes(const struct sq_input *, size_t document, const struct sq_notes *, bool warnings,
    struct sq_buf *out);
/* Appends the error of a file that is not YAML; false: the file is YAML. */
bool sq_cli_malformed(const struct sq_input *, struct sq_buf *out);

/* Calls 'each' for every object of a document: itself, or the items of a list, with the JSON
 * pointer of the object.  'object' may be changed. */
void sq_cli_objects(
    json_t *document, void (*each)(void *user, json_t *object, const char *pointer), void *user);

#endif
