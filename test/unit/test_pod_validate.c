/* Objects that make pods, and edits of pods that run. */
#include <criterion/criterion.h>
#include <string.h>

#include "../support/pod_patch.h"

static struct sq_patch
validate(const char *yaml, enum sq_asks asks)
{
	struct sq_settings s = pod_settings(NULL);
	json_t *object = pod_yaml(yaml);
	struct sq_patch p;

	sq_patch_validate(object, &s, asks, &p);
	cr_assert_null(p.ops);
	json_decref(object);
	sq_settings_free(&s);
	return p;
}

static void
note_is(const struct sq_notes *notes, size_t i, const char *path, const char *text)
{
	cr_assert_gt(notes->n, i, "%s", pod_notes(notes));
	cr_assert_str_eq(notes->v[i].path, path);
	cr_assert_not_null(strstr(notes->v[i].text, text), "%s", notes->v[i].text);
}

Test(pod_validate, a_template_has_reasons_with_their_places)
{
	struct sq_patch p = validate("apiVersion: apps/v1\n"
				     "kind: Deployment\n"
				     "metadata: {name: d}\n"
				     "spec:\n"
				     "  template:\n"
				     "    metadata: {annotations: {sqmqos.io/subscribe: 'a/#/b'}}\n"
				     "    spec: {hostNetwork: true, containers: [{name: app}]}\n",
	    SQ_ASKS);

	cr_assert_eq(p.outcome, SQ_PATCH_DENIED);
	cr_assert_eq(p.reasons.n, 2u, "%s", pod_notes(&p.reasons));
	note_is(&p.reasons, 0, "/spec/template/metadata/annotations/sqmqos.io~1subscribe",
	    "bad filter");
	cr_assert_eq(p.reasons.v[0].line, 1u);
	note_is(&p.reasons, 1, "/spec/template/spec/hostNetwork", "hostNetwork");
	sq_patch_free(&p);
}

Test(pod_validate, a_cronjob_and_a_list)
{
	struct sq_patch p = validate(
	    "apiVersion: v1\n"
	    "kind: List\n"
	    "items:\n"
	    "- {apiVersion: v1, kind: Service, spec: {}}\n"
	    "- apiVersion: batch/v1\n"
	    "  kind: CronJob\n"
	    "  metadata: {name: c}\n"
	    "  spec: {jobTemplate: {spec: {template: {metadata:"
	    " {labels: {sqmqos.io/inject: maybe}}, spec: {containers: [{name: app}]}}}}}\n",
	    SQ_ASKS_UNKNOWN);

	cr_assert_eq(p.outcome, SQ_PATCH_DENIED);
	note_is(&p.reasons, 0,
	    "/items/1/spec/jobTemplate/spec/template/metadata/labels/sqmqos.io~1inject",
	    "must be \"true\" or \"false\", not \"maybe\"");
	sq_patch_free(&p);
}

#define ANNOTATED(label, value) \
	"{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, spec: {template:" \
	" {metadata: {labels: {" label "}, annotations: {sqmqos.io/subscribe: " value "}}," \
	" spec: {containers: [{name: app}]}}}}"

Test(pod_validate, annotations_without_the_label)
{
	struct sq_patch p = validate(ANNOTATED("", "a"), SQ_ASKS_UNKNOWN);

	cr_assert_eq(p.outcome, SQ_PATCH_MADE);
	note_is(&p.warnings, 0, "/spec/template/metadata/annotations/sqmqos.io~1subscribe",
	    "does nothing without the label sqmqos.io/inject: \"true\" on the pod, unless");
	sq_patch_free(&p);
	p = validate(ANNOTATED("", "a"), SQ_ASKS);
	cr_assert_eq(p.warnings.n, 0u);
	sq_patch_free(&p);
	p = validate(ANNOTATED("sqmqos.io/inject: 'true'", "a"), SQ_ASKS_NOT);
	cr_assert_eq(p.outcome, SQ_PATCH_MADE);
	cr_assert_eq(p.warnings.n, 0u);
	sq_patch_free(&p);
	/* who takes no part is not held up */
	p = validate(ANNOTATED("", "'a/#/b'"), SQ_ASKS_NOT);
	cr_assert_eq(p.outcome, SQ_PATCH_UNTOUCHED);
	cr_assert_eq(p.reasons.n, 0u);
	note_is(&p.warnings, 0, "/spec/template/metadata/annotations/sqmqos.io~1subscribe",
	    "does nothing without the label");
	sq_patch_free(&p);
}

Test(pod_validate, labels_that_there_are_not)
{
	struct sq_patch p = validate(
	    ANNOTATED(
		"sqmqos.io/injct: 'true', sqmqos.io/port: '1', app: d, sqmqos.io/sidecar: x", "a"),
	    SQ_ASKS);

	cr_assert_eq(p.warnings.n, 2u, "%s", pod_notes(&p.warnings));
	note_is(&p.warnings, 0, "/spec/template/metadata/labels/sqmqos.io~1injct",
	    "the label sqmqos.io/injct is unknown and does nothing: the one that asks for a "
	    "sidecar is sqmqos.io/inject");
	note_is(&p.warnings, 1, "/spec/template/metadata/labels/sqmqos.io~1port",
	    "is an annotation, and does nothing as a label");
	sq_patch_free(&p);
}

#define NAMESPACE(where, value) \
	"{apiVersion: v1, kind: Namespace, metadata: {name: shop, " where \
	": {sqmqos.io/inject: '" value "'}}}"

Test(pod_validate, the_label_of_a_namespace)
{
	struct sq_patch p = validate(NAMESPACE("labels", "disabled"), SQ_ASKS_UNKNOWN);

	cr_assert_eq(p.outcome, SQ_PATCH_UNTOUCHED);
	cr_assert_eq(p.warnings.n, 1u);
	note_is(&p.warnings, 0, "/metadata/labels/sqmqos.io~1inject",
	    "sqmqos.io/inject: \"disabled\" counts as \"true\": only \"false\" leaves a namespace "
	    "without sidecars");
	sq_patch_free(&p);
	p = validate(NAMESPACE("annotations", "true"), SQ_ASKS_UNKNOWN);
	note_is(&p.warnings, 0, "/metadata/annotations/sqmqos.io~1inject",
	    "is a label, and does nothing as an annotation");
	sq_patch_free(&p);
	p = validate(NAMESPACE("labels", "true"), SQ_ASKS_UNKNOWN);
	cr_assert_eq(p.warnings.n, 0u);
	sq_patch_free(&p);
	p = validate(NAMESPACE("labels", "false"), SQ_ASKS_UNKNOWN);
	cr_assert_eq(p.warnings.n, 0u);
	sq_patch_free(&p);
}

Test(pod_validate, what_belongs_on_the_pods)
{
	struct sq_patch p = validate(
	    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d,"
	    " labels: {sqmqos.io/inject: 'true', app: d}, annotations: {sqmqos.io/subscribe: a,"
	    " sqmqos.io/port: '1884'}}, spec: {template: {metadata: {annotations:"
	    " {sqmqos.io/port: '1884'}}, spec: {containers: [{name: app}]}}}}",
	    SQ_ASKS);

	cr_assert_eq(p.outcome, SQ_PATCH_MADE, "%s", pod_notes(&p.reasons));
	cr_assert_eq(p.warnings.n, 2u, "%s", pod_notes(&p.warnings));
	note_is(&p.warnings, 0, "/metadata/annotations/sqmqos.io~1subscribe",
	    "does nothing here: it belongs on the pods, in the template's metadata.annotations");
	note_is(&p.warnings, 1, "/metadata/labels/sqmqos.io~1inject",
	    "in the template's metadata.labels");
	sq_patch_free(&p);
}

Test(pod_validate, a_claim_template_is_a_claim)
{
	struct sq_patch p = validate(
	    "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec:"
	    " {volumeClaimTemplates: [{metadata: {name: box}}], template: {metadata: {annotations:"
	    " {sqmqos.io/outbox: disk, sqmqos.io/outbox-claim: box}},"
	    " spec: {containers: [{name: app}]}}}}",
	    SQ_ASKS);

	cr_assert_eq(p.outcome, SQ_PATCH_MADE, "%s", pod_notes(&p.reasons));
	cr_assert_eq(p.warnings.n, 0u, "%s", pod_notes(&p.warnings));
	sq_patch_free(&p);
}

/* --- edits --- */

static struct sq_patch
edit(const char *was, const char *is)
{
	char yaml[2][400];
	json_t *pods[2];
	struct sq_patch p;

	snprintf(yaml[0], sizeof yaml[0],
	    "{metadata: {name: a, annotations: {%s}}, spec: {containers: [{name: app}]}}", was);
	snprintf(yaml[1], sizeof yaml[1],
	    "{metadata: {name: a, annotations: {%s}}, spec: {containers: [{name: app}]}}", is);
	pods[0] = pod_yaml(yaml[0]);
	pods[1] = pod_yaml(yaml[1]);
	sq_patch_validate_edit(pods[0], pods[1], &p);
	json_decref(pods[0]);
	json_decref(pods[1]);
	return p;
}

Test(pod_validate, a_bad_edit_is_refused)
{
	struct sq_patch p = edit("sqmqos.io/subscribe: a", "sqmqos.io/subscribe: 'a/#/b'");

	cr_assert_eq(p.outcome, SQ_PATCH_DENIED);
	note_is(&p.reasons, 0, "/metadata/annotations/sqmqos.io~1subscribe", "bad filter");
	cr_assert_str_eq(p.reasons.v[0].key, "sqmqos.io/subscribe");
	cr_assert_eq(p.reasons.v[0].line, 1u);
	sq_patch_free(&p);
}

Test(pod_validate, what_was_bad_before_does_not_hold_up_an_edit)
{
	struct sq_patch p = edit(
	    "sqmqos.io/subscribe: 'a/#/b'", "sqmqos.io/subscribe: 'a/#/b', x: z");

	cr_assert_eq(p.outcome, SQ_PATCH_UNTOUCHED, "%s", pod_notes(&p.reasons));
	sq_patch_free(&p);
	p = edit("sqmqos.io/subscribe: 'a/#/b'", "sqmqos.io/subscribe: 'a/#/b', sqmqos.io/port: x");
	cr_assert_eq(p.outcome, SQ_PATCH_DENIED);
	cr_assert_eq(p.reasons.n, 1u, "%s", pod_notes(&p.reasons));
	sq_patch_free(&p);
}

Test(pod_validate, an_edit_is_warned_of_what_comes_too_late_or_is_unknown)
{
	struct sq_patch p = edit("", "sqmqos.io/port: '1884', sqmqos.io/publisch: a");

	cr_assert_eq(p.outcome, SQ_PATCH_UNTOUCHED);
	cr_assert_eq(p.warnings.n, 2u, "%s", pod_notes(&p.warnings));
	cr_assert_not_null(strstr(pod_notes(&p.warnings), "did you mean sqmqos.io/publish"));
	cr_assert_not_null(
	    strstr(pod_notes(&p.warnings), "sqmqos.io/port counts when a pod is made"));
	sq_patch_free(&p);
}
