/* One annotation, accepted or refused, for unit tests. */
#ifndef SQ_TEST_ANNOTATION_CASE_H
#define SQ_TEST_ANNOTATION_CASE_H

#include "proto/annotations/annotations.h"

/* Checks a pod that has just this annotation; it must be good, and without a warning. */
struct sq_annotations annotation_accept(const char *key, const char *value);
/* It must be refused with exactly these problems, which are those of the key: "line 1, column 2:
 * reason", one a line. */
void annotation_refuse(const char *key, const char *value, const char *want);
/* The same of several, "key", "value", ..., NULL; of a pod of workload "w".  'want' has the keys. */
void annotations_refuse(const char *const *pairs, const char *want);
/* They must be good; 'warnings' are exactly the warnings, one a line. */
struct sq_annotations annotations_accept(const char *const *pairs, const char *warnings);

#endif
