/* Where a broker's admin endpoint is, through the proxy that an API server has for each pod. */
#ifndef SQ_CLI_KUBE_PLACE_H
#define SQ_CLI_KUBE_PLACE_H

#include "cli/kube/config.h"
#include "cli/view/http.h"

/* What is known of it; NULL: not given. */
struct sq_kube_ask {
	const char *files;   /* as sq_kube_access_read() takes them */
	const char *context; /* needed */
	const char *space;   /* the namespace of the broker; NULL: SQ_KUBE_NAMESPACE */
	const char *pod;     /* "NAME" or "NAME:PORT"; NULL: the one that has the chart's labels */
};

#define SQ_KUBE_NAMESPACE "sqmqos-system"

struct sq_kube_place {
	char *base; /* for sq_http_new(), with 'via' */
	struct sq_http_via via;
	struct sq_kube_access access;
};

/* Finds it.  SQ_EINVAL: what is given is wrong, the kubeconfig's part too; else the API server can't
 * be asked, or has no such pod; 'err' has a line. */
int sq_kube_place_find(
    struct sq_kube_place *, const struct sq_kube_ask *, struct sq_buf *err) SQ_MUST_CHECK;
void sq_kube_place_fini(struct sq_kube_place *);

#endif
