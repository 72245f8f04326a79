/* Objects of the API server; see k8s/injector/keeper_priv.h. */
#include <stdio.h>
#include <string.h>

#include "k8s/injector/keeper_priv.h"

#define FIELD_MANAGER "fieldManager=sqmqos-injector"

static const struct kind {
	const char *title, *prefix, *plural;
	bool of_space; /* in our namespace */
} kinds[] = {
    [SQ_KEEPER_SECRET] = {"Secret", "/api/v1", "secrets", true},
    [SQ_KEEPER_CONFIG_MAP] = {"ConfigMap", "/api/v1", "configmaps", true},
    [SQ_KEEPER_MUTATING] = {"MutatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1",
	"mutatingwebhookconfigurations", false},
    [SQ_KEEPER_VALIDATING] = {"ValidatingWebhookConfiguration",
	"/apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", false},
};

static void
api_path(const struct sq_keeper *k, const struct sq_keeper_object *o, const char *query,
    char out[SQ_KEEPER_PATH_MAX])
{
	const struct kind *kind = &kinds[o->kind];

	snprintf(out, SQ_KEEPER_PATH_MAX, "%s%s%s/%s/%s%s", kind->prefix,
	    kind->of_space ? "/namespaces/" : "", kind->of_space ? k->cfg.names->space : "",
	    kind->plural, o->name, query);
}

static void
api_name(const struct sq_keeper *k, const struct sq_keeper_object *o, struct sq_buf *out)
{
	const struct kind *kind = &kinds[o->kind];

	sq_buf_printf(out, "%s %s%s%s", kind->title, kind->of_space ? k->cfg.names->space : "",
	    kind->of_space ? "/" : "", o->name);
}

static void
api_wipe(struct sq_kube_api_answer *a)
{
	sq_buf_wipe(&a->body); /* Secrets */
}

void
sq_keeper_get(struct sq_keeper *k, struct sq_keeper_object *o, struct sq_buf *why)
{
	char path[SQ_KEEPER_PATH_MAX];
	const struct sq_kube_api_request rq = {.method = "GET", .path = path};
	struct sq_kube_api_answer answer = {0};

	api_path(k, o, "", path);
	if (sq_kube_api_do(k->api, &rq, &answer, why) == SQ_OK) {
		if (answer.status == 200)
			o->json = json_loadb((const char *)sq_buf_data(&answer.body),
			    sq_buf_len(&answer.body), JSON_REJECT_DUPLICATES, NULL);
		o->missing = answer.status == 404;
		if (o->missing) {
			api_name(k, o, why);
			sq_buf_printf(why, " is not there");
		} else if (o->json == NULL) {
			sq_kube_api_explain(k->api, &rq, &answer, why);
		}
	}
	if (o->json == NULL && !o->missing)
		sq_metric_add(&sq_injector_metrics, SQ_IM_API_ERRORS, 1);
	api_wipe(&answer);
}

void
sq_keeper_object_fini(struct sq_keeper_object *o)
{
	json_decref(o->json);
	o->json = NULL;
}

int
sq_keeper_patch(struct sq_keeper *k, const struct sq_keeper_object *o, const char *type,
    const struct sq_buf *patch, struct sq_buf *why)
{
	char path[SQ_KEEPER_PATH_MAX];
	const struct sq_kube_api_request rq = {
	    .method = "PATCH",
	    .path = path,
	    .content_type = type,
	    .body = {sq_buf_data(patch), sq_buf_len(patch)},
	};
	struct sq_kube_api_answer answer = {0};
	int rc;

	api_path(k, o, "?" FIELD_MANAGER, path);
	rc = sq_kube_api_do(k->api, &rq, &answer, why);
	if (rc == SQ_OK && answer.status == 409)
		rc = SQ_ESTALE;
	else if (rc == SQ_OK && answer.status != 200) {
		sq_kube_api_explain(k->api, &rq, &answer, why);
		rc = SQ_EIO;
	}
	if (rc != SQ_OK && rc != SQ_ESTALE) {
		sq_metric_add(&sq_injector_metrics, SQ_IM_API_ERRORS, 1);
		rc = SQ_EIO;
	}
	api_wipe(&answer);
	return rc;
}
