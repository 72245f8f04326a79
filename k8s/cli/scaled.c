#include "k8s/cli/scaled.h"

#include <string.h>

#include "core/percent.h"
#include "k8s/patch/annotated.h"
#include "proto/annotations/annotations.h"

static const char *
text_at(const json_t *object, const char *part, const char *key)
{
	const json_t *of = part != NULL ? json_object_get(object, part) : object;
	const char *s = json_string_value(json_object_get(of, key));

	return s != NULL ? s : "";
}

/* ---- triggers ---- */

static void
url_put(struct sq_buf *out, const char *name, const char *value)
{
	sq_buf_printf(out, "%s=", name);
	sq_percent_put(out, value);
}

/* Of a workload and its group, or of a named queue: then there is no workload. */
static void
trigger_url(
    struct sq_buf *out, const struct sq_settings *s, const char *space, const char *const queue[2])
{
	sq_buf_printf(out, "http://%s-broker.%s.svc.%s:%u/v1/backlog?", s->fullname, s->space,
	    s->cluster_domain, s->broker_admin_port);
	url_put(out, "space", space);
	if (queue[0] == NULL) {
		url_put(out, "&queue", queue[1]);
		return;
	}
	url_put(out, "&workload", queue[0]);
	url_put(out, "&group", queue[1]);
}

/* KEDA wants numbers as texts. */
static json_t *
trigger_new(const struct sq_settings *s, uint32_t per, const char *url)
{
	return json_pack("{s:s, s:{s:s, s:s, s:o, s:s, s:s}, s:{s:s, s:s}}", "type", "metrics-api",
	    "metadata", "url", url, "valueLocation", "backlog", "targetValue",
	    json_sprintf("%u", per), "activationTargetValue", "0", "authMode", "bearer",
	    "authenticationRef", "kind", "ClusterTriggerAuthentication", "name", s->fullname);
}

/* A trigger for each queue that pods share. */
static json_t *
triggers_new(const struct sq_scaled_request *r, const struct sq_annotations *said,
    const char *space, const char *workload)
{
	const struct sq_declarations *ds = &said->subscribe;
	json_t *triggers = json_array();

	for (size_t i = 0; i < ds->n; i++) {
		const struct sq_declaration *d = &ds->v[i];
		const char *group = d->group != NULL ? d->group : workload;
		const char *const queue[2] = {d->queue == NULL ? workload : NULL, group};
		struct sq_buf url = {0};
		json_t *trigger;
		bool known = d->pod;

		trigger_url(&url, r->settings, space, queue);
		sq_buf_u8(&url, '\0');
		trigger = trigger_new(
		    r->settings, said->scale.per, (const char *)sq_buf_data(&url));
		for (size_t k = 0; k < json_array_size(triggers) && !known; k++)
			known = json_equal(trigger, json_array_get(triggers, k)) != 0;
		if (!known)
			json_array_append(triggers, trigger);
		json_decref(trigger);
		sq_buf_fini(&url);
	}
	return triggers;
}

/* ---- the object ---- */

static json_t *
object_new(const struct sq_scaled_request *r, const struct sq_annotations *said, const char *space)
{
	const char *workload = said->workload != NULL ? said->workload : r->target->workload;
	const char *name = text_at(r->object, "metadata", "name");

	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:{s:s, s:s, s:s}, s:i, s:i, s:o}}",
	    "apiVersion", "keda.sh/v1alpha1", "kind", "ScaledObject", "metadata", "name", name,
	    "namespace", space, "spec", "scaleTargetRef", "apiVersion",
	    text_at(r->object, NULL, "apiVersion"), "kind", text_at(r->object, NULL, "kind"),
	    "name", name, "minReplicaCount", (int)said->scale.min, "maxReplicaCount",
	    (int)said->scale.max, "triggers", triggers_new(r, said, space, workload));
}

json_t *
sq_scaled_object(const struct sq_scaled_request *r, struct sq_buf *why)
{
	const char *space = text_at(r->object, "metadata", "namespace");
	struct sq_notes known = {0}; /* from the patch */
	struct sq_annotations said;
	json_t *made = NULL;

	if (!r->target->scales)
		return NULL;
	sq_annotated_check(json_object_get(r->target->pod, "metadata"), r->target->workload, &said,
	    &known, &known);
	if (space[0] == '\0' && r->space != NULL)
		space = r->space;
	if (said.scale.set && space[0] == '\0')
		sq_buf_printf(why,
		    "a ScaledObject reads the backlog of a namespace: say which one, by "
		    "metadata.namespace or -n");
	else if (said.scale.set && text_at(r->object, "metadata", "name")[0] == '\0')
		sq_buf_printf(why, "a ScaledObject is of a workload with a name");
	else if (said.scale.set)
		made = object_new(r, &said, space);
	sq_notes_free(&known);
	sq_annotations_free(&said);
	return made;
}
