/* What requests to an API server have in common, whoever sends them. */
#ifndef SQ_NET_KUBE_API_PARTS_H
#define SQ_NET_KUBE_API_PARTS_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* The address of the server, "https://10.96.0.1:443", as it was given or (NULL, "") is in the
 * environment, for free(); http only without a token.  NULL with a line in 'err'. */
char *sq_kube_server(const char *given, bool token, struct sq_buf *err);
/* Appends the value of the header "Authorization", with a NUL, as the file has it now; the caller wipes
 * it.  Another result than 0: 'err' has a line. */
int sq_kube_bearer(const char *token_file, struct sq_buf *value, struct sq_buf *err) SQ_MUST_CHECK;
/* Appends an unexpected answer: its status, and the message of the API server's Status object, if it is
 * one. */
void sq_kube_explain(unsigned status, const struct sq_buf *body, struct sq_buf *out);

#endif
