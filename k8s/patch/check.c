/* What a pod can't have, or better has not, beside the sidecar. */
#include <string.h>

#include "k8s/patch/making.h"

static const char *
text_of(const json_t *map, const char *key)
{
	const char *s = json_string_value(json_object_get(map, key));

	return s != NULL ? s : "";
}

/* --- the pod as a whole --- */

static void
check_host(struct sq_making *m)
{
	const json_t *selector = json_object_get(m->spec, "nodeSelector");

	if (json_is_true(json_object_get(m->spec, "hostNetwork")))
		sq_notes_add(m->reasons, "/spec/hostNetwork",
		    "spec.hostNetwork: a pod on the host's network can't have a sidecar: whatever "
		    "runs on the node could publish and receive as this pod. The pod's "
		    "label " SQ_LABEL_INJECT ": \"false\" leaves it without");
	if (strcmp(text_of(json_object_get(m->spec, "os"), "name"), "windows") == 0)
		sq_notes_add(
		    m->reasons, "/spec/os/name", "spec.os.name: there is no sidecar for Windows");
	else if (strcmp(text_of(selector, "kubernetes.io/os"), "windows") == 0)
		sq_notes_add(m->reasons, "/spec/nodeSelector/kubernetes.io~1os",
		    "spec.nodeSelector: there is no sidecar for Windows");
}

static void
check_dns(struct sq_making *m)
{
	const char *policy = text_of(m->spec, "dnsPolicy");
	const json_t *config = json_object_get(m->spec, "dnsConfig");
	bool none = strcmp(policy, "None") == 0;

	if (strcmp(policy, "Default") == 0 ||
	    (none && json_array_size(json_object_get(config, "nameservers")) == 0))
		sq_notes_add(m->warnings, "/spec/dnsPolicy",
		    "spec.dnsPolicy: with %s the sidecar may not find the brokers, as it resolves "
		    "no Services: use ClusterFirst",
		    policy);
}

/* --- the sidecar's container, if it is there --- */

static void
check_own_label(struct sq_making *m, const json_t *container, const char *path)
{
	const char *version = text_of(json_object_get(m->meta, "labels"), SQ_SIDECAR_LABEL);

	if (version[0] == '\0' || strncmp(path, "/spec/initContainers", 20) != 0) {
		sq_notes_add(m->reasons, path,
		    "the pod has a container of its own that is named " SQ_SIDECAR_NAME
		    ": give it another name");
		return;
	}
	m->present = container;
}

static void
check_present(struct sq_making *m)
{
	static const char *const lists[] = {"initContainers", "containers"};

	for (size_t l = 0; l < 2; l++) {
		const json_t *list = json_object_get(m->spec, lists[l]);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *c = json_array_get(list, i);
			char path[64];

			if (strcmp(text_of(c, "name"), SQ_SIDECAR_NAME) != 0)
				continue;
			snprintf(path, sizeof path, "/spec/%s/%zu", lists[l], i);
			check_own_label(m, c, path);
		}
	}
}

/* --- ports --- */

static void
check_port(
    struct sq_making *m, const char *path, const char *container, json_int_t port, bool listens)
{
	if (port == m->port)
		sq_notes_add(m->reasons, path,
		    "port %d of container '%.64s' is where the sidecar offers MQTT: choose another "
		    "one for it by the annotation " SQ_ANNOTATION_PORT,
		    (int)port, container);
	else if (listens && port == m->settings->admin_port)
		sq_notes_add(m->reasons, path,
		    "port %d of container '%.64s' is the sidecar's admin port (sidecar.adminPort "
		    "of the installation)",
		    (int)port, container);
}

static void
check_container_ports(struct sq_making *m, const json_t *c, const char *path)
{
	const json_t *port;
	char at[160];
	size_t i;

	json_array_foreach(json_object_get(c, "ports"), i, port)
	{
		const char *protocol = text_of(port, "protocol");

		if (protocol[0] != '\0' && strcmp(protocol, "TCP") != 0)
			continue;
		snprintf(at, sizeof at, "%s/ports/%zu", path, i);
		check_port(m, at, text_of(c, "name"),
		    json_integer_value(json_object_get(port, "containerPort")), true);
	}
}

/* The kubelet reaches no loopback: a probe on the MQTT port means that the app listens there.
 * One on the admin port may ask the sidecar. */
static void
check_handler(struct sq_making *m, const json_t *c, const json_t *handler, const char *path)
{
	static const char *const kinds[] = {"httpGet", "tcpSocket", "grpc"};
	char at[160];

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		const json_t *kind = json_object_get(handler, kinds[i]);
		const json_t *port = json_object_get(kind, "port");

		if (!json_is_integer(port) || text_of(kind, "host")[0] != '\0')
			continue;
		snprintf(at, sizeof at, "%s/%s/port", path, kinds[i]);
		check_port(m, at, text_of(c, "name"), json_integer_value(port), false);
	}
}

static void
check_container(struct sq_making *m, const json_t *c, const char *path)
{
	static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
	static const char *const hooks[] = {"postStart", "preStop"};
	const json_t *lifecycle = json_object_get(c, "lifecycle");
	char at[128];

	check_container_ports(m, c, path);
	for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
		snprintf(at, sizeof at, "%s/%s", path, probes[i]);
		check_handler(m, c, json_object_get(c, probes[i]), at);
	}
	for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
		snprintf(at, sizeof at, "%s/lifecycle/%s", path, hooks[i]);
		check_handler(m, c, json_object_get(lifecycle, hooks[i]), at);
	}
}

static void
check_ports(struct sq_making *m)
{
	static const char *const lists[] = {"initContainers", "containers"};

	if (m->port == m->settings->admin_port)
		sq_notes_add(m->reasons,
		    m->said.port != 0 ? "/metadata/annotations/sqmqos.io~1port" : "/metadata",
		    "port %u is the sidecar's admin port (sidecar.adminPort of the installation): "
		    "choose another one for MQTT by the annotation " SQ_ANNOTATION_PORT,
		    m->port);
	for (size_t l = 0; l < 2; l++) {
		const json_t *list = json_object_get(m->spec, lists[l]);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *c = json_array_get(list, i);
			char path[64];

			snprintf(path, sizeof path, "/spec/%s/%zu", lists[l], i);
			if (c != m->present)
				check_container(m, c, path);
		}
	}
}

/* --- volumes --- */

/* Our volumes' names belong to us; where the sidecar is there, so are they. */
static void
check_volume_names(struct sq_making *m)
{
	static const char *const names[] = {SQ_VOLUME_POD, SQ_VOLUME_STATE, SQ_VOLUME_OUTBOX};
	const json_t *volume;
	char path[64];
	size_t i;

	if (m->present != NULL)
		return;
	json_array_foreach(json_object_get(m->spec, "volumes"), i, volume)
	{
		for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
			if (strcmp(text_of(volume, "name"), names[k]) != 0)
				continue;
			snprintf(path, sizeof path, "/spec/volumes/%zu", i);
			sq_notes_add(m->reasons, path,
			    "the pod has a volume of its own that is named %s: give it another "
			    "name",
			    names[k]);
		}
	}
}

static bool
claim_template_has(const struct sq_making *m, const char *name)
{
	const json_t *template;
	size_t i;

	json_array_foreach(m->rq->claim_templates, i, template)
	{
		if (strcmp(text_of(json_object_get(template, "metadata"), "name"), name) == 0)
			return true;
	}
	return false;
}

/* The claim is one by its name, or a volume of the pod that is one (a StatefulSet makes one for
 * each of its claim templates). */
static void
check_outbox(struct sq_making *m)
{
	const char *name = m->said.outbox_claim;
	const json_t *volume;
	size_t i;

	if (!sq_making_has_disk(m))
		return;
	if (claim_template_has(m, name)) {
		m->outbox_volume = name;
		return;
	}
	json_array_foreach(json_object_get(m->spec, "volumes"), i, volume)
	{
		const json_t *claim = json_object_get(volume, "persistentVolumeClaim");
		bool named = strcmp(text_of(volume, "name"), name) == 0;

		if (named && !json_is_object(claim))
			sq_notes_add(m->reasons, "/metadata/annotations/sqmqos.io~1outbox-claim",
			    SQ_ANNOTATION_OUTBOX_CLAIM
			    ": the volume '%.64s' is no PersistentVolumeClaim, and would take "
			    "acknowledged messages away with the pod",
			    name);
		if ((named || strcmp(text_of(claim, "claimName"), name) == 0) &&
		    !json_is_true(json_object_get(claim, "readOnly")))
			m->outbox_volume = text_of(volume, "name");
	}
}

static void
check_outbox_group(struct sq_making *m)
{
	const json_t *security = json_object_get(m->spec, "securityContext");

	if (!sq_making_has_disk(m) || json_is_integer(json_object_get(security, "fsGroup")) ||
	    m->settings->run_as_user < 0 || sq_volumes_take_group(m))
		return;
	sq_notes_add(m->warnings, "/metadata/annotations/sqmqos.io~1outbox-claim",
	    SQ_ANNOTATION_OUTBOX_CLAIM
	    ": user %lld must be able to write the claim '%.64s': set fsGroup in the pod's "
	    "securityContext (it is not set here, as it would change other volumes of the pod)",
	    (long long)m->settings->run_as_user, m->said.outbox_claim);
}

void
sq_check_pod(struct sq_making *m)
{
	check_host(m);
	check_dns(m);
	check_present(m);
	check_ports(m);
	check_volume_names(m);
	check_outbox(m);
	check_outbox_group(m);
}
