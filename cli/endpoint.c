/* Where the broker is; see cli/endpoint.h. */
#include "cli/endpoint.h"

#include "cli/kube/place.h"
#include "cli/verbs.h"

/* Through the API server. */
static struct sq_remote *
endpoint_in_cluster(
    const struct sq_options *o, struct sq_tables *tables, int *code, struct sq_buf *err)
{
	const struct sq_kube_ask ask = {
	    .files = o->value[SQ_OPTION_KUBECONFIG],
	    .context = o->value[SQ_OPTION_KUBE_CONTEXT],
	    .space = o->value[SQ_OPTION_KUBE_NAMESPACE],
	    .pod = o->value[SQ_OPTION_POD],
	};
	struct sq_kube_place place;
	struct sq_remote *remote;
	int rc = sq_kube_place_find(&place, &ask, err);

	*code = rc == SQ_EINVAL ? SQ_EXIT_USAGE : SQ_EXIT_ERROR;
	if (rc != 0)
		return NULL;
	remote = sq_remote_open(place.base, o->value[SQ_OPTION_TOKEN], &place.via, tables, err);
	sq_kube_place_fini(&place);
	*code = SQ_EXIT_USAGE;
	return remote;
}

struct sq_remote *
sq_endpoint_open(
    const struct sq_options *o, struct sq_tables *tables, int *code, struct sq_buf *err)
{
	static const enum sq_option_id cluster[] = {
	    SQ_OPTION_KUBECONFIG, SQ_OPTION_KUBE_NAMESPACE, SQ_OPTION_POD};
	bool in_cluster = sq_option_given(o, SQ_OPTION_KUBE_CONTEXT);

	*code = SQ_EXIT_USAGE;
	if (in_cluster && sq_option_given(o, SQ_OPTION_ADMIN)) {
		sq_buf_printf(err, "--admin and --kube-context name two places: give one of them");
		return NULL;
	}
	for (size_t i = 0; i < sizeof cluster / sizeof cluster[0] && !in_cluster; i++) {
		if (!sq_option_given(o, cluster[i]))
			continue;
		sq_buf_printf(err, "--%s says nothing without --kube-context",
		    sq_option_table[cluster[i]].name);
		return NULL;
	}
	if (in_cluster)
		return endpoint_in_cluster(o, tables, code, err);
	return sq_remote_open(
	    o->value[SQ_OPTION_ADMIN], o->value[SQ_OPTION_TOKEN], NULL, tables, err);
}
