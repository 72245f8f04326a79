/* Headers of requests to the collector, from a file that has one in each line, as "name: value": a
 * credential that is in no configuration.  Empty lines and those that begin with # are passed over. */
#ifndef SQ_TELEMETRY_HEADERS_H
#define SQ_TELEMETRY_HEADERS_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum { SQ_HEADERS_FILE_MAX = 16384, SQ_HEADERS_MAX = 32 };

typedef void (*sq_headers_each)(void *owner, const char *name, const char *value);

/* Reads the file and calls 'each' with every header, valid during the call.
 * SQ_EINVAL, SQ_EIO, SQ_ETOOBIG: 'err' has a line that names the file and what is wrong, and none of
 * its content; 'each' may have been called. */
int sq_headers_read(
    const char *path, sq_headers_each each, void *owner, struct sq_buf *err) SQ_MUST_CHECK;

#endif
