/* YAML text to JSON values, as kubectl reads manifests (YAML 1.1 scalars, anchors, merge keys,
 * several documents), with the place of each value in the text.  On libyaml's events. */
#ifndef SQ_K8S_PATCH_YAML_JSON_H
#define SQ_K8S_PATCH_YAML_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

enum {
	SQ_YAML_SIZE_MAX = 8 << 20, /* bytes of a text */
	SQ_YAML_NODES_MAX = 500000, /* values of all documents, those of aliases counted again */
	SQ_YAML_DEPTH_MAX = 100,    /* values within each other */
	SQ_YAML_DOCUMENTS_MAX = 5000,
	SQ_YAML_REASON_MAX = 300,
};

/* The place of a value, and the places of the values in it.  Lines and columns count from 1, columns in
 * characters. */
struct sq_yaml_mark {
	unsigned line, column;
	unsigned key_line, key_column;  /* of the value's key; 0: it has none */
	char *key;                      /* within its map; NULL: it is not in one */
	struct sq_yaml_mark **children; /* of a map or a list, in their order */
	size_t n;
	bool shares;               /* 'children' belongs to another mark (an alias) */
	struct sq_yaml_mark *next; /* in the list that owns all */
};

struct sq_yaml_document {
	json_t *value;             /* JSON's null for an empty one */
	struct sq_yaml_mark *mark; /* of 'value' */
	unsigned line;             /* of the document's start, its "---" included */
	bool separated;            /* by a "---" of its own */
};

struct sq_yaml_documents {
	struct sq_yaml_document *v;
	size_t n;
	struct sq_yaml_mark *marks; /* all of them */
};

struct sq_yaml_error {
	unsigned line, column; /* from 1 */
	char text[SQ_YAML_REASON_MAX];
};

/* Reads all documents.  On error returns SQ_EINVAL or SQ_ETOOBIG; '*err' has place and reason, and
 * '*out' is empty. */
int sq_yaml_json_read(const char *text, size_t len, struct sq_yaml_documents *out,
    struct sq_yaml_error *err) SQ_MUST_CHECK;
void sq_yaml_documents_free(struct sq_yaml_documents *);

/* The mark of the value at a JSON pointer; where there is none, the mark of the nearest value around
 * it.  NULL only for a NULL 'root'. */
const struct sq_yaml_mark *sq_yaml_mark_find(const struct sq_yaml_mark *root, const char *pointer);

/* The value that kubectl reads from a plain scalar of 'len' bytes of UTF-8: a new reference; NULL: a
 * number that JSON lacks. */
json_t *sq_yaml_plain(const char *text, size_t len);

#endif
