/* Small JSON objects of requests, read strictly: members that there are not, and values that do not
 * read, are problems.  Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_OBJECT_H
#define SQ_BROKER_FRONT_HTTP_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/front/http/problem.h"
#include "proto/json/json.h"

/* Reads a text that is an object with some of the members of 'names', which NULL ends and in which an
 * empty name is none: found[k] is the token of the value of names[k], 0: there is none.  'at', 'room'
 * and 'depth' of the tokens are set before.  SQ_EINVAL: see 'fault'; more tokens than there is room
 * for are TOO_LARGE. */
int sq_http_object_read(struct sq_json_tokens *, struct sq_bytes text, const char *const *names,
    uint32_t *found, struct sq_http_fault *fault) SQ_MUST_CHECK;

/* Values of the member 'name' at token 'i'. */
int sq_http_object_bool(const struct sq_json_tokens *, uint32_t i, const char *name, bool *out,
    struct sq_http_fault *) SQ_MUST_CHECK;
/* A duration, as a text or a number of seconds. */
int sq_http_object_ms(const struct sq_json_tokens *, uint32_t i, const char *name, uint64_t *out,
    struct sq_http_fault *) SQ_MUST_CHECK;
/* A whole number of at most 'max'. */
int sq_http_object_number(const struct sq_json_tokens *, uint32_t i, const char *name, uint64_t max,
    uint64_t *out, struct sq_http_fault *) SQ_MUST_CHECK;

/* A text of at least one byte without U+0000, for free(). */
int sq_http_object_text(const struct sq_json_tokens *, uint32_t i, const char *name, char **out,
    struct sq_http_fault *) SQ_MUST_CHECK;

/* The same of a text that is no JSON, as of a query. */
int sq_http_text_ms(
    struct sq_bytes, const char *name, uint64_t *out, struct sq_http_fault *) SQ_MUST_CHECK;
int sq_http_text_number(struct sq_bytes, const char *name, uint64_t max, uint64_t *out,
    struct sq_http_fault *) SQ_MUST_CHECK;
/* A truth; a name without a value ("") is true. */
int sq_http_text_bool(
    struct sq_bytes, const char *name, bool *out, struct sq_http_fault *) SQ_MUST_CHECK;

#endif
