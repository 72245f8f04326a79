/* Bridges, as a broker's HTTP API has them: shown, paused, resumed. */
#ifndef SQ_CLI_API_BRIDGES_H
#define SQ_CLI_API_BRIDGES_H

#include <stdbool.h>

#include "cli/api/api.h"

/* Appends all bridges that one may see as rows of a table, or as an array of JSON. */
int sq_api_bridges_list(
    struct sq_api *, bool json, struct sq_buf *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Appends one bridge, a member in a line, or as it came. */
int sq_api_bridges_show(struct sq_api *, const char *bridge, bool json, struct sq_buf *out,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Has it do 'what': "pause" or "resume". */
int sq_api_bridges_order(
    struct sq_api *, const char *bridge, const char *what, struct sq_buf *err) SQ_MUST_CHECK;

#endif
