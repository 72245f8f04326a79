/* The sidecar's volumes.
 *
 * Who may read the token: the kubelet writes it with the volume's mode (0644), unless all
 * containers of the pod run as one user (then 0600 and owned by that user, which is the
 * sidecar's, too), or the pod has an fsGroup (then 0640, and every container is in that group).
 * So the sidecar's container can read the token with any users of the app's containers. */
#include <string.h>

#include "k8s/patch/making.h"

bool
sq_making_has_disk(const struct sq_making *m)
{
	return m->said.outbox.set && m->said.outbox.mode == SQ_OUTBOX_DISK &&
	    m->said.outbox_claim != NULL;
}

/* A file for each annotation that may change while the pod runs. */
static json_t *
volume_annotations(void)
{
	json_t *items = json_array();

	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		const struct sq_annotation_def *d = &sq_annotation_defs[i];
		char path[160];

		if (!d->live)
			continue;
		snprintf(path, sizeof path, "metadata.annotations['%s']", d->key);
		json_array_append_new(items,
		    json_pack("{s:s, s:{s:s, s:s}}", "path", d->key + strlen(SQ_ANNOTATION_PREFIX),
			"fieldRef", "apiVersion", "v1", "fieldPath", path));
	}
	return items;
}

json_t *
sq_volume_pod_make(const struct sq_making *m)
{
	return json_pack("{s:s, s:{s:i, s:[{s:{s:s, s:I, s:s}}, {s:{s:o}}]}}", "name",
	    SQ_VOLUME_POD, "projected", "defaultMode", 0644, "sources", "serviceAccountToken",
	    "audience", m->settings->audience, "expirationSeconds",
	    (json_int_t)m->settings->token_expiry_s, "path", "token", "downwardAPI", "items",
	    volume_annotations());
}

json_t *
sq_volume_state_make(void)
{
	return json_pack("{s:s, s:{s:s, s:s}}", "name", SQ_VOLUME_STATE, "emptyDir", "medium",
	    "Memory", "sizeLimit", "1Mi");
}

json_t *
sq_volume_outbox_make(const struct sq_making *m)
{
	return json_pack("{s:s, s:{s:s}}", "name", SQ_VOLUME_OUTBOX, "persistentVolumeClaim",
	    "claimName", m->said.outbox_claim);
}

/* Whether an fsGroup changes nothing of a volume that its files' readers could mind. */
static bool
volume_takes_group(const json_t *v)
{
	static const char *const kinds[] = {"emptyDir", "configMap", "downwardAPI", "projected"};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (json_is_object(json_object_get(v, kinds[i])))
			return true;
	}
	return false;
}

/* Whether a container of the pod's own mounts a volume. */
static bool
volume_is_mounted(const struct sq_making *m, const char *volume)
{
	static const char *const lists[] = {"initContainers", "containers"};
	const json_t *c, *mount;
	size_t i, k;

	for (size_t l = 0; l < 2; l++) {
		json_array_foreach(json_object_get(m->spec, lists[l]), i, c)
		{
			json_array_foreach(json_object_get(c, "volumeMounts"), k, mount)
			{
				const char *name = json_string_value(
				    json_object_get(mount, "name"));

				if (c != m->present && name != NULL && strcmp(name, volume) == 0)
					return true;
			}
		}
	}
	return false;
}

bool
sq_volumes_take_group(const struct sq_making *m)
{
	const char *outbox = m->outbox_volume != NULL ? m->outbox_volume : SQ_VOLUME_OUTBOX;
	const json_t *v;
	size_t i;

	if (volume_is_mounted(m, outbox))
		return false;
	json_array_foreach(json_object_get(m->spec, "volumes"), i, v)
	{
		const char *name = json_string_value(json_object_get(v, "name"));

		if (!volume_takes_group(v) && (name == NULL || strcmp(name, outbox) != 0))
			return false;
	}
	return true;
}
