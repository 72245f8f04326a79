/* Applies a JSON patch (RFC 6902), as an API server does with what a webhook answers: add, replace
 * and remove. */
#ifndef SQ_TEST_JSON_PATCH_H
#define SQ_TEST_JSON_PATCH_H

#include <jansson.h>

/* The document with all operations applied, a new reference; NULL where one can't be, as RFC
 * 6902 says. */
json_t *json_patch_apply(const json_t *document, const json_t *ops);
/* The value at a JSON pointer (RFC 6901), borrowed; NULL: there is none. */
json_t *json_pointer_get(json_t *document, const char *pointer);

#endif
