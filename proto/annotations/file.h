/* The downward API's file of all annotations: a line for each, key="value", the value with
 * the escapes of Go's strconv.Quote.  Pure. */
#ifndef SQ_PROTO_ANNOTATIONS_FILE_H
#define SQ_PROTO_ANNOTATIONS_FILE_H

#include "core/buf.h"
#include "proto/annotations/annotations.h"

/* What a file has of ours; those of other prefixes are left out. */
struct sq_annotation_pairs {
	struct sq_annotation *v; /* owned, with keys and values */
	size_t n;
};

/* Takes a whole file apart.  SQ_EINVAL: it is not of that form (the problem has no key, and
 * its position is the file's), and '*out' is empty. */
int sq_annotations_file(const char *text, size_t len, struct sq_annotation_pairs *out,
    struct sq_annotation_problems *) SQ_MUST_CHECK;
/* Adds a pair, of copies. */
void sq_annotation_pairs_add(
    struct sq_annotation_pairs *, const char *key, const char *value, size_t len);
void sq_annotation_pairs_free(struct sq_annotation_pairs *);
/* Undoes Go's strconv.Quote: 'quoted' starts at the opening quote.  Appends the
 * text to 'out' and returns how many bytes were read, or SQ_EINVAL with a
 * static reason in '*why'. */
long sq_go_unquote(const char *quoted, size_t len, struct sq_buf *out, const char **why);
/* Appends a line as the file has it: key="value". */
void sq_annotations_file_line(struct sq_buf *out, const struct sq_annotation *);

#endif
