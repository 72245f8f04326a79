/* Kubernetes quantities: amounts of CPU and memory.  Pure. */
#ifndef SQ_PROTO_ANNOTATIONS_QUANTITY_H
#define SQ_PROTO_ANNOTATIONS_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum { SQ_QUANTITY_MAX = 48 }; /* bytes of its text */

/* Reads a quantity as Kubernetes does: "100m", "0.5", "64Mi", "1e3", ".5Gi"; a negative one, one
 * above 2^63-1 thousandths, and one finer than a thousandth are errors.  '*milli' is its
 * value in thousandths.  SQ_EINVAL: '*why' is a static reason. */
int
sq_quantity_parse(const char *text, size_t len, uint64_t *milli, const char **why) SQ_MUST_CHECK;

#endif
