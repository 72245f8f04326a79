/* Shared by annotations.c, subscribe.c and unquote.c. */
#ifndef SQ_PROTO_ANNOTATIONS_PRIV_H
#define SQ_PROTO_ANNOTATIONS_PRIV_H

#include "proto/annotations/annotations.h"

/* Checks 'd' as a whole and takes its filter apart ($tag/...).  'line' is that
 * within the value.  On error a line is in 'err'. */
int sq_declaration_check(struct sq_declaration *d, unsigned line, struct sq_buf *err) SQ_MUST_CHECK;
/* The YAML form. */
int sq_declarations_yaml(
    const char *value, size_t len, struct sq_declarations *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Adds an item with its defaults; NULL (and a line in 'err') when there are too many. */
struct sq_declaration *
sq_declarations_add(struct sq_declarations *, unsigned line, struct sq_buf *err);
/* The nearest of 'words' (NULL-terminated) to what was written; NULL: none is near. */
const char *sq_did_you_mean(const char *written, const char *const *words);

#endif
