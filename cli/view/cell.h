/* Values of the view in words for people. */
#ifndef SQ_CLI_VIEW_CELL_H
#define SQ_CLI_VIEW_CELL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

/* "0 B", "1.5 KiB". */
void sq_cell_bytes(struct sq_buf *out, uint64_t bytes);
/* "250ms", "3s", "2m 5s", "4h 3m", "2d 1h". */
void sq_cell_span(struct sq_buf *out, uint64_t ms);
/* Appends the value of a column of that type and unit, as safe text; "-": it is not known.  'now_ms'
 * is the wall clock's. */
void sq_cell(
    struct sq_buf *out, const json_t *value, const char *type, const char *unit, uint64_t now_ms);
/* Whether values of that type and unit stand at the right. */
bool sq_cell_right(const char *type);

#endif
