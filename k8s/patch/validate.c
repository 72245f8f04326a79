/* Checks without a patch: objects that make pods, and edits of pods that run. */
#include <stdio.h>
#include <string.h>

#include "k8s/patch/making.h"
#include "k8s/patch/shape.h"

static bool
key_is_ours(const char *key)
{
	return strncmp(key, SQ_ANNOTATION_PREFIX, strlen(SQ_ANNOTATION_PREFIX)) == 0;
}

static bool
pod_has_label(const json_t *pod)
{
	const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");

	return json_object_get(labels, SQ_LABEL_INJECT) != NULL;
}

/* Annotations that nothing may ever read. */
static void
validate_label(const json_t *pod, enum sq_asks asks, struct sq_patch *out)
{
	json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations"), *v;
	struct sq_buf path = {0};
	const char *key;

	if (asks == SQ_ASKS || pod_has_label(pod))
		return;
	json_object_foreach(annotations, key, v)
	{
		if (!key_is_ours(key))
			continue;
		sq_pointer_add(&path, "metadata");
		sq_pointer_add(&path, "annotations");
		sq_pointer_add(&path, key);
		sq_notes_add(&out->warnings, sq_pointer_text(&path),
		    "%s%.128s does nothing without the label " SQ_LABEL_INJECT
		    ": \"true\" on the pod%s",
		    asks == SQ_ASKS_NOT ? "" : "the annotation ", key,
		    asks == SQ_ASKS_NOT ? " or its namespace" : ", unless its namespace has it");
		break;
	}
	sq_buf_fini(&path);
}

/* Labels of ours that there are not: a slip, or an annotation in the wrong place. */
static void
validate_unknown_labels(const json_t *pod, struct sq_notes *warnings)
{
	json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels"), *v;
	const char *key;

	json_object_foreach(labels, key, v)
	{
		struct sq_buf path = {0};

		if (!key_is_ours(key) || strcmp(key, SQ_LABEL_INJECT) == 0 ||
		    strcmp(key, SQ_SIDECAR_LABEL) == 0)
			continue;
		sq_pointer_add(&path, "metadata");
		sq_pointer_add(&path, "labels");
		sq_pointer_add(&path, key);
		if (sq_annotation_find(key) != NULL)
			sq_notes_add(warnings, sq_pointer_text(&path),
			    "%.128s is an annotation, and does nothing as a label", key);
		else
			sq_notes_add(warnings, sq_pointer_text(&path),
			    "the label %.128s is unknown and does nothing: the one that asks for "
			    "a sidecar is " SQ_LABEL_INJECT,
			    key);
		sq_buf_fini(&path);
	}
}

/* What is written on the object itself belongs on its pods: a usual slip. */
static void
validate_misplaced(
    const json_t *object, const struct sq_target *t, const char *field, struct sq_notes *warnings)
{
	json_t *map = json_object_get(json_object_get(object, "metadata"), field), *v;
	const json_t *pods = json_object_get(json_object_get(t->pod, "metadata"), field);
	const char *key;

	json_object_foreach(map, key, v)
	{
		struct sq_buf path = {0};

		if ((sq_annotation_find(key) == NULL && strcmp(key, SQ_LABEL_INJECT) != 0) ||
		    json_object_get(pods, key) != NULL)
			continue;
		sq_pointer_add(&path, "metadata");
		sq_pointer_add(&path, field);
		sq_pointer_add(&path, key);
		sq_notes_add(warnings, sq_pointer_text(&path),
		    "%.128s does nothing here: it belongs on the pods, in the template's "
		    "metadata.%s",
		    key, field);
		sq_buf_fini(&path);
	}
}

/* Workloads that ask to be scaled: others than can be, or such that each apply scales back. */
static void
validate_scale(const json_t *object, const struct sq_target *t, struct sq_notes *warnings)
{
	const json_t *meta = json_object_get(t->pod, "metadata");
	const char *kind = json_string_value(json_object_get(object, "kind"));
	struct sq_buf path = {0};

	if (json_object_get(json_object_get(meta, "annotations"), SQ_ANNOTATION_SCALE) == NULL)
		return;
	if (json_object_get(json_object_get(object, "spec"), "replicas") != NULL && t->scales) {
		sq_notes_add(warnings, "/spec/replicas",
		    "each apply sets it again: leave it out where " SQ_ANNOTATION_SCALE " counts");
	} else if (!t->scales) {
		sq_buf_printf(&path, "%s", t->path);
		sq_pointer_add(&path, "metadata");
		sq_pointer_add(&path, "annotations");
		sq_pointer_add(&path, SQ_ANNOTATION_SCALE);
		sq_notes_add(warnings, sq_pointer_text(&path),
		    SQ_ANNOTATION_SCALE " does nothing: a %.64s has no number of pods to change",
		    kind);
	}
	sq_buf_fini(&path);
}

static void validate_object(
    json_t *object, const struct sq_settings *s, enum sq_asks asks, struct sq_patch *out);

static void
validate_list(json_t *items, const struct sq_settings *s, enum sq_asks asks, struct sq_patch *out)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		struct sq_patch one = {0};
		char prefix[40];

		snprintf(prefix, sizeof prefix, "/items/%zu", i);
		validate_object(item, s, asks, &one);
		sq_notes_prefix(&one.reasons, prefix);
		sq_notes_prefix(&one.warnings, prefix);
		sq_notes_move(&out->reasons, &one.reasons);
		sq_notes_move(&out->warnings, &one.warnings);
		if (one.outcome > out->outcome)
			out->outcome = one.outcome;
		sq_patch_free(&one);
	}
}

static void
validate_target(
    const struct sq_target *t, const struct sq_settings *s, enum sq_asks asks, struct sq_patch *out)
{
	struct sq_patch_request rq = {
	    .pod = t->pod,
	    .workload = t->is_template ? t->workload : NULL,
	    .claim_templates = t->claim_templates,
	    .settings = s,
	    .asks = asks,
	};

	sq_patch_make(&rq, out);
	json_decref(out->ops);
	json_decref(out->pod);
	out->ops = out->pod = NULL;
	validate_label(t->pod, asks, out);
	validate_unknown_labels(t->pod, &out->warnings);
	sq_notes_prefix(&out->reasons, t->path);
	sq_notes_prefix(&out->warnings, t->path);
}

/* A namespace asks by its label alone, and by any value but one. */
static void
validate_namespace(const json_t *object, struct sq_notes *warnings)
{
	const json_t *meta = json_object_get(object, "metadata");
	const json_t *label = json_object_get(json_object_get(meta, "labels"), SQ_LABEL_INJECT);
	const char *value = json_string_value(label);
	bool on;

	if (value != NULL && sq_inject_label(value, &on) != 0)
		sq_notes_add(warnings, "/metadata/labels/sqmqos.io~1inject",
		    SQ_LABEL_INJECT ": \"%.64s\" counts as \"true\": only \"false\" leaves a "
				    "namespace without sidecars",
		    value);
	if (json_object_get(json_object_get(meta, "annotations"), SQ_LABEL_INJECT) != NULL)
		sq_notes_add(warnings, "/metadata/annotations/sqmqos.io~1inject",
		    SQ_LABEL_INJECT " is a label, and does nothing as an annotation");
}

static bool
is_namespace(const json_t *object)
{
	const char *kind = json_string_value(json_object_get(object, "kind"));
	const char *version = json_string_value(json_object_get(object, "apiVersion"));

	return kind != NULL && strcmp(kind, "Namespace") == 0 && version != NULL &&
	    strcmp(version, "v1") == 0;
}

static void
validate_object(
    json_t *object, const struct sq_settings *s, enum sq_asks asks, struct sq_patch *out)
{
	struct sq_target t;

	if (is_namespace(object))
		validate_namespace(object, &out->warnings);
	if (sq_target_find(object, &t) != 0)
		return;
	validate_target(&t, s, asks, out);
	if (t.is_template) {
		validate_misplaced(object, &t, "annotations", &out->warnings);
		validate_misplaced(object, &t, "labels", &out->warnings);
		validate_scale(object, &t, &out->warnings);
	}
}

void
sq_patch_validate(
    const json_t *object, const struct sq_settings *s, enum sq_asks asks, struct sq_patch *out)
{
	json_t *items = json_object_get(object, "items");

	*out = (struct sq_patch){.outcome = SQ_PATCH_UNTOUCHED};
	if (json_is_array(items))
		validate_list(items, s, asks, out);
	else
		validate_object((json_t *)object, s, asks, out);
}

/* --- edits --- */

static bool
value_changed(const json_t *was, const json_t *is, const char *key)
{
	const json_t *before = json_object_get(was, key), *after = json_object_get(is, key);

	return before != after && !json_equal(before, after);
}

/* Keeps the notes about annotations that the edit changed; others are not its fault.  Entries of
 * one annotation may contradict another's, so a note without a key stays. */
static void
notes_keep_changed(struct sq_notes *from, const json_t *was, const json_t *is, struct sq_notes *to)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct sq_note *n = &from->v[i];
		struct sq_note *kept;

		if (n->key != NULL && !value_changed(was, is, n->key))
			continue;
		kept = sq_notes_add(to, n->path, "%s", n->text);
		if (kept != NULL && n->key != NULL) {
			kept->key = n->key;
			from->v[i].key = NULL;
			kept->line = n->line;
			kept->column = n->column;
		}
	}
	sq_notes_free(from);
}

/* Those of ours that count when the pod is made, and were changed. */
static void
warn_late(const json_t *was, const json_t *is, struct sq_notes *warnings)
{
	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		const struct sq_annotation_def *d = &sq_annotation_defs[i];
		struct sq_buf path = {0};

		if (d->live || !value_changed(was, is, d->key))
			continue;
		sq_pointer_add(&path, "metadata");
		sq_pointer_add(&path, "annotations");
		sq_pointer_add(&path, d->key);
		sq_notes_add(warnings, sq_pointer_text(&path),
		    "%s counts when a pod is made: this one stays as it is", d->key);
		sq_buf_fini(&path);
	}
}

void
sq_patch_validate_edit(const json_t *old_pod, const json_t *pod, struct sq_patch *out)
{
	const json_t *meta = json_object_get(pod, "metadata");
	const json_t *was = json_object_get(json_object_get(old_pod, "metadata"), "annotations");
	const json_t *is = json_object_get(meta, "annotations");
	struct sq_notes reasons = {0}, warnings = {0};
	char workload[SQ_WORKLOAD_NAME_MAX + 1];
	struct sq_annotations said;

	*out = (struct sq_patch){.outcome = SQ_PATCH_UNTOUCHED};
	if (json_equal(was, is))
		return;
	sq_shape_check(pod, &out->reasons);
	if (out->reasons.n == 0) {
		sq_workload_of_pod(pod, workload);
		sq_annotated_check(
		    meta, workload[0] != '\0' ? workload : NULL, &said, &reasons, &warnings);
		sq_annotations_free(&said);
		notes_keep_changed(&reasons, was, is, &out->reasons);
		notes_keep_changed(&warnings, was, is, &out->warnings);
		warn_late(was, is, &out->warnings);
	}
	if (out->reasons.n > 0)
		out->outcome = SQ_PATCH_DENIED;
}
