/* Plugins for credentials (client.authentication.k8s.io): programs that a kubeconfig names, and that
 * print an ExecCredential. */
#ifndef SQ_CLI_KUBE_EXEC_H
#define SQ_CLI_KUBE_EXEC_H

#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_kube_exec_answer {
	struct sq_buf token;     /* empty: none */
	struct sq_buf cert, key; /* PEM; empty: none */
};

/* Runs the program of the map 'plugin' and waits for it, up to a minute, after which, and at a
 * signal, it is ended; it has the caller's terminal and standard error.  A path in it is relative to
 * 'folder'; 'server' is what it is told if it asks for it.  Else an error with a reason in 'err'. */
int sq_kube_exec(const json_t *plugin, const char *folder, const char *server,
    struct sq_kube_exec_answer *, struct sq_buf *err) SQ_MUST_CHECK;
void sq_kube_exec_answer_fini(struct sq_kube_exec_answer *);

#endif
