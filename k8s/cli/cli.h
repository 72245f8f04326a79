/* The command line's commands; main.c reads their options.
 *
 *   input.h      files to documents, notes to places in files
 *   yaml_emit.h  objects to YAML
 *   inject.c     lint.c  explain.c  scale.c  the commands
 *   out.c        documents that are printed
 *   scaled.h     ScaledObjects
 *   told.h       the meaning of annotations, in words */
#ifndef SQ_K8S_CLI_H
#define SQ_K8S_CLI_H

#include "core/buf.h"
#include "k8s/cli/input.h"
#include "k8s/patch/patch.h"
#include "k8s/patch/target.h"

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
enum sq_cli_exit sq_cli_scale(struct sq_cli *);

/* Appends "file:line:column: text" of each note about a document, warnings marked as such. */
void sq_cli_notes(const struct sq_input *, size_t document, const struct sq_notes *, bool warnings,
    struct sq_buf *out);
/* Appends the error of a file that is not YAML; false: the file is YAML. */
bool sq_cli_malformed(const struct sq_input *, struct sq_buf *out);

/* Append a document to 'out', behind "---" where another one, or the file's own "---", asks for it:
 * document 'i' of a file as it is written; another value as JSON; as YAML.  False: libyaml refused
 * the value. */
void sq_cli_out_verbatim(struct sq_cli *, const struct sq_input *, size_t i);
void sq_cli_out_json(struct sq_cli *, const json_t *value);
bool sq_cli_out_yaml(struct sq_cli *, const json_t *value, bool separated) SQ_MUST_CHECK;

/* An object of a document. */
struct sq_cli_place {
	const struct sq_input *in;
	size_t document;
	const char *pointer; /* JSON pointer of the object in the document */
};

/* Appends the workload's ScaledObject to 'out', if its annotation asks for one (scaled.h).  False:
 * 'err' has a line about what is missing. */
bool sq_cli_scaled(struct sq_cli *, const struct sq_cli_place *, const json_t *object,
    const struct sq_target *) SQ_MUST_CHECK;

/* Calls 'each' for every object of a document: itself, or the items of a list, with the JSON
 * pointer of the object.  'object' may be changed. */
void sq_cli_objects(
    json_t *document, void (*each)(void *user, json_t *object, const char *pointer), void *user);

#endif
