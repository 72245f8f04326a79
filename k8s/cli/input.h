/* The manifests that the command line is given: files, folders and standard input, as documents
 * with the places of their values. */
#ifndef SQ_K8S_CLI_INPUT_H
#define SQ_K8S_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/msg.h"
#include "k8s/patch/notes.h"
#include "k8s/patch/yaml_json.h"

enum { SQ_INPUT_FILES_MAX = 10000, SQ_INPUT_DEPTH_MAX = 32 };

struct sq_input {
	char *name; /* for messages; "-" is standard input */
	struct sq_buf text;
	bool json; /* else YAML */
	struct sq_yaml_documents documents;
	struct sq_yaml_error error; /* where 'malformed' */
	bool malformed;
};

struct sq_inputs {
	struct sq_input *v;
	size_t n;
};

/* A place in a file, from 1. */
struct sq_spot {
	unsigned line, column;
	bool exact; /* of an annotation's note: of the line and column in the value */
};

/* Reads and adds 'path': a file, "-", or all *.yaml, *.yml and *.json in and below a folder, except
 * names that start with a dot.  A malformed file is no error here.  SQ_EIO, SQ_ETOOBIG: 'err' has a
 * line. */
int sq_inputs_add(struct sq_inputs *, const char *path, struct sq_buf *err) SQ_MUST_CHECK;
void sq_inputs_free(struct sq_inputs *);
/* Parses 'text' (taken over) as a file of that name. */
struct sq_input sq_input_parse(const char *name, struct sq_buf *text);
void sq_input_free(struct sq_input *);

/* The place in the file of a note about document 'i'.  A place within an annotation's value is exact
 * where the value's line stands in the file without escapes (a block, plain quotes); else it is the
 * place of the annotation's key. */
struct sq_spot sq_input_spot(const struct sq_input *, size_t i, const struct sq_note *);
/* The text of document 'i' in the file, its "---" included. */
struct sq_bytes sq_input_document(const struct sq_input *, size_t i);

#endif
