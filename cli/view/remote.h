/* A broker's view, read at its admin endpoint, all pages of a table.
 *
 * What the other side may cost is bounded: the bytes of an answer, the values in it and their depth,
 * the rows of a table, and the pages without a row. */
#ifndef SQ_CLI_VIEW_REMOTE_H
#define SQ_CLI_VIEW_REMOTE_H

#include "cli/view/reader.h"
#include "core/err.h"

#define SQ_REMOTE_ADMIN "http://127.0.0.1:9090"

struct sq_http_via;
struct sq_remote;

/* Makes a reader, which asks for nothing yet.  'admin' NULL: of the environment, SQMQOS_ADMIN, or
 * SQ_REMOTE_ADMIN; "HOST:PORT" is good, too.  'token_file' NULL: no token; 'via' as in http.h.  NULL:
 * 'err' has a line. */
struct sq_remote *sq_remote_open(const char *admin, const char *token_file,
    const struct sq_http_via *via, struct sq_tables *, struct sq_buf *err);
/* sq_http_do() at the endpoint. */
int sq_remote_do(struct sq_remote *, const char *method, const char *path, const json_t *body,
    json_t **out, struct sq_buf *err) SQ_MUST_CHECK;
/* sq_http_part() */
void sq_remote_part(struct sq_remote *);
/* Reads the token of a file, without white space around it, as a text; wipe it.  False: 'err' has a
 * line. */
bool sq_remote_token(const char *path, struct sq_buf *token, struct sq_buf *err);
/* Nulls the pointer. */
void sq_remote_close(struct sq_remote **);

#endif
