/* Dead letters, as a broker's HTTP API has them. */
#ifndef SQ_CLI_API_LETTERS_H
#define SQ_CLI_API_LETTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/api/api.h"

/* Appends the dead letters of a space, 'limit' at most, of all pages and without their payloads: as rows
 * of a table, or as an array of JSON. */
int sq_api_letters(struct sq_api *, const char *space, uint64_t limit, bool json,
    struct sq_buf *out, struct sq_buf *err) SQ_MUST_CHECK;

#endif
