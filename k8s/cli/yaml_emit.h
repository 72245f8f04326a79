/* JSON values as YAML text, in block form, as people write manifests. */
#ifndef SQ_K8S_CLI_YAML_EMIT_H
#define SQ_K8S_CLI_YAML_EMIT_H

#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"

/* Appends one document without "---" that ends with a newline and from which kubectl reads the same
 * value.  SQ_EINVAL: libyaml refused the value; 'out' may have a part. */
int sq_yaml_emit(const json_t *value, struct sq_buf *out) SQ_MUST_CHECK;

#endif
