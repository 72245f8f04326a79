/* A context of a kubeconfig: the API server, how it proves itself, and how the caller does. */
#ifndef SQ_CLI_KUBE_CONFIG_H
#define SQ_CLI_KUBE_CONFIG_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* The name of the context that a pod has without a kubeconfig. */
#define SQ_KUBE_IN_CLUSTER "in-cluster"

struct sq_kube_access {
	char *server;      /* "https://host:port", maybe with a path, without a slash at its end */
	char *server_name; /* of its certificate; NULL: that of 'server' */
	char *proxy;       /* NULL: none */
	char *name;        /* for people: "context dev of /home/x/.kube/config" */
	bool insecure;     /* its certificate is not looked at, for the file says so */
	struct sq_buf ca;  /* PEM; empty: the system's authorities */
	struct sq_buf cert, key; /* PEM; empty: none */
	struct sq_buf token;     /* with a NUL behind it; empty: none */
};

/* Reads a context, runs its plugin for credentials if it has one, and reads the files that it names.
 * 'files' as in config_files.h.  Else an error with a line in 'err' that names file, context and what
 * is wrong. */
int sq_kube_access_read(struct sq_kube_access *, const char *files, const char *context,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Wipes and frees what it has. */
void sq_kube_access_fini(struct sq_kube_access *);

#endif
