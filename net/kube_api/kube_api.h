/* Requests to a Kubernetes API server, by libcurl: one at a time, blocking the caller's thread,
 * which is never a loop's.
 *
 * It transports requests and answers, and knows no resource.  Of the process's environment only the
 * server's address is used: no proxies, no .netrc, no redirects.  The connection is reused. */
#ifndef SQ_NET_KUBE_API_H
#define SQ_NET_KUBE_API_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

/* The places of kubelet's files in each pod. */
#define SQ_KUBE_API_TOKEN_FILE "/var/run/secrets/kubernetes.io/serviceaccount/token"
#define SQ_KUBE_API_CA_FILE "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

enum { SQ_KUBE_API_TOKEN_MAX = 16384 }; /* bytes */

struct sq_kube_api;

struct sq_kube_api_cfg {
	/* "https://host:port", a name or an address, IPv6 in brackets; http:// only without a
	 * token.  NULL: of the environment, KUBERNETES_SERVICE_HOST and _PORT. */
	const char *server;
	const char *token_file; /* read at each request; NULL: no token is sent */
	const char *ca_file;    /* PEM, read at each connection; NULL: the system's authorities */
	uint64_t connect_ms;    /* for a connection with its handshake; 0: 5 s */
	uint64_t timeout_ms;    /* for a whole request; 0: 10 s */
	size_t max_body;        /* bytes of an answer; 0: 8 MiB */
};

struct sq_kube_api_request {
	const char *method;       /* "GET", "PUT", "PATCH", ... */
	const char *path;         /* with its query: "/api/v1/namespaces/x/secrets/y" */
	const char *content_type; /* of the body; NULL without one */
	struct sq_bytes body;
};

/* A zeroed struct is ready for use; its body is emptied by each request. */
struct sq_kube_api_answer {
	unsigned status;
	struct sq_buf body;
};

/* Makes a client, without a connection yet.  NULL with a line in 'err': no server, or a malformed
 * one, is named.  All strings are copied. */
struct sq_kube_api *sq_kube_api_new(const struct sq_kube_api_cfg *, struct sq_buf *err);
/* No request is running. */
void sq_kube_api_free(struct sq_kube_api **);
/* "https://10.96.0.1:443": for log lines. */
const char *sq_kube_api_server(const struct sq_kube_api *);

/* Sends a request and waits for its answer; any status is SQ_OK.  Errors, with a line in 'err' that
 * names the request and the reason: SQ_EIO; SQ_ETOOBIG above 'max_body'; SQ_EINVAL for a path or a
 * token file that can't be sent; SQ_ECLOSED once stopped.  Thread: one at a time. */
int sq_kube_api_do(struct sq_kube_api *, const struct sq_kube_api_request *,
    struct sq_kube_api_answer *, struct sq_buf *err) SQ_MUST_CHECK;
/* Ends a running request at once, and refuses later ones.  Thread: any, until
 * sq_kube_api_free(). */
void sq_kube_api_stop(struct sq_kube_api *);

/* Appends an unexpected answer in one line: request, status, and the message of the API server's
 * Status object, if it is one. */
void sq_kube_api_explain(const struct sq_kube_api *, const struct sq_kube_api_request *,
    const struct sq_kube_api_answer *, struct sq_buf *out);

#endif
