/* What is wrong in a pod's annotations, all of it at once: each problem with its key, its
 * line and column in the value, and the reason.  Pure. */
#ifndef SQ_PROTO_ANNOTATIONS_PROBLEMS_H
#define SQ_PROTO_ANNOTATIONS_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	SQ_ANNOTATION_PROBLEMS_MAX = 64,      /* that are kept; further ones are counted */
	SQ_ANNOTATION_PROBLEM_TEXT_MAX = 400, /* bytes of a reason */
};

/* Lines and columns count from 1.  A column counts characters (code points), not bytes:
 * what an editor shows where a tab is one column. */
struct sq_position {
	unsigned line, column;
};

struct sq_annotation_problem {
	char *key;             /* "sqmqos.io/subscribe"; NULL: of the file itself */
	size_t pair;           /* which of the pairs that were checked; SIZE_MAX: none of them */
	struct sq_position at; /* within the value */
	char *text;            /* one line of UTF-8 without control characters */
	bool warning;          /* it does nothing, or not what is meant; else: malformed */
};

/* A zeroed struct is an empty list. */
struct sq_annotation_problems {
	struct sq_annotation_problem *v; /* of a check: by pair, then by position */
	size_t n;
	size_t errors, warnings; /* all of them, also those that were not kept */
};

/* Adds one; the text is made one line, and cut at its bound.  'key' may be NULL. */
void sq_annotation_problems_add(struct sq_annotation_problems *, const char *key, size_t pair,
    struct sq_position at, bool warning, const char *fmt, ...) SQ_PRINTF(6, 7);
/* Puts those from index 'from' on in order: by pair, then by position. */
void sq_annotation_problems_sort(struct sq_annotation_problems *, size_t from);
void sq_annotation_problems_free(struct sq_annotation_problems *);
/* Appends one, without an end of line: "sqmqos.io/subscribe: line 2, column 8: reason". */
void sq_annotation_problem_print(const struct sq_annotation_problem *, struct sq_buf *out);
/* Appends all errors, or all warnings, one a line, with an end of line between them and
 * none at the end; the last line may be "and 3 more". */
void sq_annotation_problems_print(
    const struct sq_annotation_problems *, bool warnings, struct sq_buf *out);
/* Where the byte 'offset' of a value stands. */
struct sq_position sq_position_of(const char *value, size_t offset);

#endif
