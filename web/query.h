/* The parameters in the query of a request's URL: NAME=VALUE&NAME=VALUE, each of them once, values
 * percent-encoded.  Pure. */
#ifndef SQ_WEB_QUERY_H
#define SQ_WEB_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

/* Reads a query into 'values', 'n' of them and all NULL before, in the order of 'names': what is not
 * given stays NULL.  False: 'why' has what is wrong, for people.  Free the values either way. */
bool sq_query_read(
    const char *query, const char *const *names, char **values, size_t n, struct sq_buf *why);
void sq_query_free(char **values, size_t n);

#endif
