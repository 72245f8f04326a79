/* A pod's patch, composed of its parts; see patch.h.
 *
 * All is checked first, so that a pod that is denied hears every reason at once.  Then the pod is
 * edited: each step adds what is missing and leaves what is there, so that a second call changes
 * nothing, and one after another webhook restores what that one took away, wherever it has put
 * the rest. */
#include "k8s/patch/patch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/patch/making.h"
#include "k8s/patch/ports.h"
#include "k8s/patch/shape.h"

#define DEFAULT_CONTAINER "kubectl.kubernetes.io/default-container"
#define MIRROR_POD "kubernetes.io/config.mirror"

static const char *
text_of(const json_t *map, const char *key)
{
	return json_string_value(json_object_get(map, key));
}

/* The item of a list of maps whose 'key' has this text; NULL: none. */
static json_t *
list_find(const json_t *list, const char *key, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *s = text_of(item, key);

		if (s != NULL && strcmp(s, text) == 0)
			return item;
	}
	return NULL;
}

/* --- the container --- */

/* Adds the items that a list lacks, by what their 'key' has. */
static void
fill_list(struct sq_edit *e, const struct sq_place *map, const char *name, const char *key,
    const json_t *wanted)
{
	struct sq_place list;
	json_t *item, *there;
	size_t i, k;

	if (json_array_size(wanted) == 0)
		return;
	list = sq_edit_list(e, map, name);
	json_array_foreach(wanted, i, item)
	{
		json_array_foreach(list.value, k, there)
		{
			if (json_equal(json_object_get(there, key), json_object_get(item, key)))
				break;
		}
		if (k == json_array_size(list.value))
			sq_edit_insert(e, &list, k, json_deep_copy(item));
	}
	sq_place_fini(&list);
}

/* Adds what the container that is there lacks of 'wanted'.  Values that are there stay, as do
 * probes and resources as a whole: others rewrite them with reason. */
static void
container_fill(struct sq_making *m, const struct sq_place *c, json_t *wanted)
{
	static const char *const lists[][2] = {
	    {"env", "name"}, {"ports", "containerPort"}, {"volumeMounts", "mountPath"}};
	const char *key;
	json_t *v;

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		fill_list(
		    &m->edit, c, lists[i][0], lists[i][1], json_object_get(wanted, lists[i][0]));
	json_object_foreach(wanted, key, v)
	{
		json_t *there = json_object_get(c->value, key);

		if (there == NULL || json_is_null(there))
			sq_edit_set(&m->edit, c, key, json_deep_copy(v));
	}
}

static void
make_container(struct sq_making *m, const struct sq_place *spec, json_t *wanted)
{
	struct sq_place list = sq_edit_list(&m->edit, spec, "initContainers"), c;
	json_t *item;
	size_t i;

	if (m->present == NULL) {
		sq_edit_insert(&m->edit, &list, 0, wanted);
		m->present = json_array_get(list.value, 0);
		sq_place_fini(&list);
		return;
	}
	json_array_foreach(list.value, i, item)
	{
		if (item != m->present)
			continue;
		c = sq_place_item(&list, i);
		container_fill(m, &c, wanted);
		sq_place_fini(&c);
	}
	json_decref(wanted);
	sq_place_fini(&list);
}

/* --- what is around it --- */

static void
make_volume(struct sq_making *m, const struct sq_place *volumes, json_t *volume)
{
	if (list_find(volumes->value, "name", text_of(volume, "name")) == NULL)
		sq_edit_insert(&m->edit, volumes, json_array_size(volumes->value), volume);
	else
		json_decref(volume);
}

static void
make_volumes(struct sq_making *m, const struct sq_place *spec)
{
	struct sq_place volumes = sq_edit_list(&m->edit, spec, "volumes");

	make_volume(m, &volumes, sq_volume_pod_make(m));
	make_volume(m, &volumes, sq_volume_state_make());
	if (sq_making_has_disk(m) && m->outbox_volume == NULL)
		make_volume(m, &volumes, sq_volume_outbox_make(m));
	sq_place_fini(&volumes);
}

/* The claim of an outbox can be written by the sidecar's user through the pod's fsGroup. */
static void
make_group(struct sq_making *m, const struct sq_place *spec)
{
	const json_t *there = json_object_get(m->spec, "securityContext");
	struct sq_place security;

	if (!sq_making_has_disk(m) || m->settings->run_as_user < 0 ||
	    json_is_integer(json_object_get(there, "fsGroup")) || !sq_volumes_take_group(m))
		return;
	security = sq_edit_map(&m->edit, spec, "securityContext");
	sq_edit_set(&m->edit, &security, "fsGroup", json_integer(m->settings->run_as_user));
	if (json_object_get(security.value, "fsGroupChangePolicy") == NULL)
		sq_edit_set(
		    &m->edit, &security, "fsGroupChangePolicy", json_string("OnRootMismatch"));
	sq_place_fini(&security);
}

static void
make_secrets(struct sq_making *m, const struct sq_place *spec)
{
	struct sq_place secrets;

	if (m->settings->n_secrets == 0)
		return;
	secrets = sq_edit_list(&m->edit, spec, "imagePullSecrets");
	for (size_t i = 0; i < m->settings->n_secrets; i++) {
		if (list_find(secrets.value, "name", m->settings->secrets[i]) == NULL)
			sq_edit_insert(&m->edit, &secrets, json_array_size(secrets.value),
			    json_pack("{s:s}", "name", m->settings->secrets[i]));
	}
	sq_place_fini(&secrets);
}

/* First in the list, so that other variables may refer to it. */
static void
make_url(struct sq_making *m, const struct sq_place *container)
{
	struct sq_place env;
	char url[64];

	if (list_find(json_object_get(container->value, "env"), "name", "SQMQOS_URL") != NULL)
		return;
	snprintf(url, sizeof url, "mqtt://localhost:%u", m->port);
	env = sq_edit_list(&m->edit, container, "env");
	sq_edit_insert(
	    &m->edit, &env, 0, json_pack("{s:s, s:s}", "name", "SQMQOS_URL", "value", url));
	sq_place_fini(&env);
}

/* The app's containers, and its init containers that end; other native sidecars are none of its. */
static void
make_urls(struct sq_making *m, const struct sq_place *spec)
{
	static const char *const lists[] = {"initContainers", "containers"};

	for (size_t l = 0; l < 2; l++) {
		struct sq_place list = sq_place_key(spec, lists[l]);

		for (size_t i = 0; i < json_array_size(list.value); i++) {
			struct sq_place c = sq_place_item(&list, i);
			const char *restarts = text_of(c.value, "restartPolicy");

			if (c.value != m->present &&
			    (l == 1 || restarts == NULL || strcmp(restarts, "Always") != 0))
				make_url(m, &c);
			sq_place_fini(&c);
		}
		sq_place_fini(&list);
	}
}

/* --- metadata --- */

static void
make_ports(struct sq_making *m, const struct sq_place *annotations)
{
	static const struct {
		const char *key;
		bool link; /* else: the admin endpoint */
	} lists[] = {
	    {"traffic.sidecar.istio.io/excludeOutboundPorts", true},
	    {"traffic.sidecar.istio.io/excludeInboundPorts", false},
	    {"config.linkerd.io/skip-outbound-ports", true},
	    {"config.linkerd.io/skip-inbound-ports", false},
	};

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		const char *there = text_of(annotations->value, lists[i].key);
		uint16_t port = lists[i].link ? m->settings->broker_port : m->settings->admin_port;
		struct sq_buf merged = {0};

		sq_ports_merge(there != NULL ? there : "", port, &merged);
		sq_edit_set(
		    &m->edit, annotations, lists[i].key, json_string(sq_pointer_text(&merged)));
		sq_buf_fini(&merged);
	}
}

static void
make_default_container(struct sq_making *m, const struct sq_place *annotations)
{
	const char *name = text_of(
	    json_array_get(json_object_get(m->spec, "containers"), 0), "name");

	if (name != NULL && json_object_get(annotations->value, DEFAULT_CONTAINER) == NULL)
		sq_edit_set(&m->edit, annotations, DEFAULT_CONTAINER, json_string(name));
}

/* A version as the value of a label, which takes no "+". */
static json_t *
label_version(const char *version)
{
	char text[64];
	size_t n = 0;

	for (; version[n] != '\0' && n + 1 < sizeof text; n++)
		text[n] = version[n] == '+' ? '_' : version[n];
	text[n] = '\0';
	return json_string(text);
}

static void
make_metadata(struct sq_making *m, const struct sq_place *root)
{
	struct sq_place meta = sq_edit_map(&m->edit, root, "metadata");
	struct sq_place labels = sq_edit_map(&m->edit, &meta, "labels");
	struct sq_place annotations = sq_edit_map(&m->edit, &meta, "annotations");

	if (text_of(labels.value, SQ_SIDECAR_LABEL) == NULL || m->present == NULL)
		sq_edit_set(
		    &m->edit, &labels, SQ_SIDECAR_LABEL, label_version(m->settings->version));
	make_default_container(m, &annotations);
	make_ports(m, &annotations);
	sq_place_fini(&annotations);
	sq_place_fini(&labels);
	sq_place_fini(&meta);
}

/* --- the whole --- */

static void
making_edit(struct sq_making *m, json_t *resources)
{
	struct sq_place root = sq_place_root(m->pod), spec = sq_place_key(&root, "spec");
	json_t *wanted = sq_container_make(m, resources);

	make_metadata(m, &root);
	make_group(m, &spec);
	make_container(m, &spec, wanted);
	make_volumes(m, &spec);
	make_secrets(m, &spec);
	make_urls(m, &spec);
	sq_place_fini(&spec);
	sq_place_fini(&root);
}

/* Whether the sidecar that is there is of another version, which knows other settings. */
static bool
making_is_foreign(const struct sq_making *m)
{
	const char *label = text_of(json_object_get(m->meta, "labels"), SQ_SIDECAR_LABEL);
	json_t *own = label_version(m->settings->version);
	bool foreign = m->present != NULL && label != NULL &&
	    strcmp(label, json_string_value(own)) != 0;

	json_decref(own);
	return foreign;
}

static void
making_workload(struct sq_making *m)
{
	if (m->said.workload != NULL)
		snprintf(m->workload, sizeof m->workload, "%s", m->said.workload);
	if (m->workload[0] == '\0')
		sq_notes_add(m->reasons, "/metadata",
		    "the pod has neither an owner nor a name to be its workload: set "
		    "the annotation " SQ_ANNOTATION_WORKLOAD);
}

static void
making_check(struct sq_making *m, json_t **resources)
{
	if (m->rq->workload != NULL)
		snprintf(m->workload, sizeof m->workload, "%s", m->rq->workload);
	else
		sq_workload_of_pod(m->rq->pod, m->workload);
	sq_annotated_check(m->meta, m->workload[0] != '\0' ? m->workload : NULL, &m->said,
	    m->reasons, m->warnings);
	m->port = m->said.port != 0 ? m->said.port : SQ_SIDECAR_MQTT_PORT;
	making_workload(m);
	sq_check_pod(m);
	*resources = sq_resources_make(m);
	m->foreign = making_is_foreign(m);
	if (m->foreign)
		sq_notes_add(m->warnings, "/metadata/labels/sqmqos.io~1sidecar",
		    "the pod comes with a sidecar of version %.64s, which stays as it is",
		    text_of(json_object_get(m->meta, "labels"), SQ_SIDECAR_LABEL));
}

/* Whether the pod is to have a sidecar by its label.  A reason where the label is wrong. */
static bool
making_is_asked(const struct sq_patch_request *rq, struct sq_patch *out)
{
	const json_t *meta = json_object_get(rq->pod, "metadata");
	const char *label = text_of(json_object_get(meta, "labels"), SQ_LABEL_INJECT);
	bool on = false;
	int rc = sq_inject_label(label, &on);

	if (json_object_get(json_object_get(meta, "annotations"), MIRROR_POD) != NULL) {
		sq_notes_add(&out->warnings, "/metadata/annotations",
		    "a static pod can't have a sidecar: the kubelet has it from a file");
		return false;
	}
	if (rc == SQ_ENOTFOUND)
		return rq->asks != SQ_ASKS_NOT;
	if (rc != 0)
		sq_notes_add(&out->reasons, "/metadata/labels/sqmqos.io~1inject",
		    "the label " SQ_LABEL_INJECT " must be \"true\" or \"false\", not \"%.64s\"",
		    label);
	return rc != 0 || on;
}

void
sq_patch_make(const struct sq_patch_request *rq, struct sq_patch *out)
{
	struct sq_making m = {.rq = rq, .settings = rq->settings};
	json_t *resources = NULL;

	*out = (struct sq_patch){.outcome = SQ_PATCH_DENIED};
	sq_shape_check(rq->pod, &out->reasons);
	if (out->reasons.n > 0) {
		sq_annotated_check(json_object_get(rq->pod, "metadata"), rq->workload, &m.said,
		    &out->reasons, &out->warnings);
		sq_annotations_free(&m.said);
		return;
	}
	if (!making_is_asked(rq, out)) {
		out->outcome = SQ_PATCH_UNTOUCHED;
		return;
	}
	m.pod = json_deep_copy(rq->pod);
	m.meta = json_object_get(m.pod, "metadata");
	m.spec = json_object_get(m.pod, "spec");
	m.edit.ops = json_array();
	m.reasons = &out->reasons;
	m.warnings = &out->warnings;
	making_check(&m, &resources);
	if (out->reasons.n == 0) {
		out->outcome = SQ_PATCH_MADE;
		if (!m.foreign)
			making_edit(&m, resources);
		else
			json_decref(resources);
		out->ops = m.edit.ops;
		out->pod = m.pod;
	} else {
		json_decref(resources);
		json_decref(m.edit.ops);
		json_decref(m.pod);
	}
	sq_annotations_free(&m.said);
}

void
sq_patch_free(struct sq_patch *p)
{
	json_decref(p->ops);
	json_decref(p->pod);
	sq_notes_free(&p->reasons);
	sq_notes_free(&p->warnings);
	*p = (struct sq_patch){0};
}
