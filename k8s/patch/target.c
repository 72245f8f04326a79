/* Kinds of objects and names of workloads; see target.h. */
#include "k8s/patch/target.h"

#include <stdio.h>
#include <string.h>

/* Where each kind has its pod. */
static const struct {
	const char *kind;
	const char *group; /* of its apiVersion, "": the core's */
	const char *path;
	bool scales; /* it has the subresource "scale" */
} kinds[] = {
    {"Pod", "", "", false},
    {"Deployment", "apps", "/spec/template", true},
    {"StatefulSet", "apps", "/spec/template", true},
    {"DaemonSet", "apps", "/spec/template", false},
    {"ReplicaSet", "apps", "/spec/template", true},
    {"ReplicationController", "", "/spec/template", true},
    {"Job", "batch", "/spec/template", false},
    {"CronJob", "batch", "/spec/jobTemplate/spec/template", false},
    {"Rollout", "argoproj.io", "/spec/template", true},
};

/* Whether an apiVersion ("apps/v1", "v1") is of a group. */
static bool
version_of_group(const char *version, const char *group)
{
	const char *slash = strchr(version, '/');
	size_t len = slash != NULL ? (size_t)(slash - version) : 0;

	return strlen(group) == len && memcmp(version, group, len) == 0;
}

/* Follows a path whose parts need no escapes. */
static json_t *
follow(json_t *v, const char *path)
{
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		v = json_object_getn(v, path, len);
		path += len;
	}
	return v;
}

static void
name_copy(char *out, const char *name, size_t len)
{
	if (len > SQ_WORKLOAD_NAME_MAX)
		len = SQ_WORKLOAD_NAME_MAX;
	memcpy(out, name, len);
	out[len] = '\0';
}

int
sq_target_find(json_t *object, struct sq_target *out)
{
	const char *kind = json_string_value(json_object_get(object, "kind"));
	const char *version = json_string_value(json_object_get(object, "apiVersion"));
	const json_t *meta = json_object_get(object, "metadata");
	const char *name = json_string_value(json_object_get(meta, "name"));
	size_t i = 0;

	*out = (struct sq_target){0};
	if (kind == NULL || version == NULL)
		return SQ_ENOTFOUND;
	for (; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(kind, kinds[i].kind) == 0 && version_of_group(version, kinds[i].group))
			break;
	}
	if (i == sizeof kinds / sizeof kinds[0])
		return SQ_ENOTFOUND;
	out->path = kinds[i].path;
	out->scales = kinds[i].scales;
	out->pod = follow(object, out->path);
	out->is_template = out->path[0] != '\0';
	if (!json_is_object(out->pod))
		return SQ_ENOTFOUND;
	if (strcmp(kind, "StatefulSet") == 0)
		out->claim_templates = json_object_get(
		    json_object_get(object, "spec"), "volumeClaimTemplates");
	if (out->is_template && name != NULL)
		sq_workload_of_owner(kind, name, json_object_get(meta, "labels"), out->workload);
	else if (!out->is_template)
		sq_workload_of_pod(out->pod, out->workload);
	return 0;
}

/* Bytes of 'name' without "-HASH" at its end, where a label of that key has the hash; 0: it
 * does not end so. */
static size_t
name_without_hash(const char *name, const json_t *labels, const char *label)
{
	const char *hash = json_string_value(json_object_get(labels, label));
	size_t n = strlen(name), h = hash != NULL ? strlen(hash) : 0;

	if (h == 0 || n <= h + 1 || name[n - h - 1] != '-' || strcmp(name + n - h, hash) != 0)
		return 0;
	return n - h - 1;
}

/* Bytes of a Job's name without the time that a CronJob gives it: 8 to 10 digits behind the
 * last dash.  0: it has none. */
static size_t
name_without_time(const char *name)
{
	const char *dash = strrchr(name, '-');
	size_t digits = dash != NULL ? strspn(dash + 1, "0123456789") : 0;

	if (digits < 8 || digits > 10 || dash[1 + digits] != '\0')
		return 0;
	return (size_t)(dash - name);
}

void
sq_workload_of_owner(
    const char *kind, const char *name, const json_t *labels, char out[SQ_WORKLOAD_NAME_MAX + 1])
{
	size_t len = 0;

	if (strcmp(kind, "ReplicaSet") == 0) {
		len = name_without_hash(name, labels, "pod-template-hash");
		if (len == 0)
			len = name_without_hash(name, labels, "rollouts-pod-template-hash");
	} else if (strcmp(kind, "Job") == 0) {
		len = name_without_time(name);
	}
	name_copy(out, name, len != 0 ? len : strlen(name));
}

/* The owner that manages the pod; NULL: nobody does. */
static const json_t *
pod_controller(const json_t *meta)
{
	const json_t *owner;
	size_t i;

	json_array_foreach(json_object_get(meta, "ownerReferences"), i, owner)
	{
		if (json_is_true(json_object_get(owner, "controller")))
			return owner;
	}
	return NULL;
}

void
sq_workload_of_pod(const json_t *pod, char out[SQ_WORKLOAD_NAME_MAX + 1])
{
	const json_t *meta = json_object_get(pod, "metadata"), *owner = pod_controller(meta);
	const char *kind = json_string_value(json_object_get(owner, "kind"));
	const char *name = json_string_value(json_object_get(owner, "name"));
	const char *own = json_string_value(json_object_get(meta, "name"));
	const char *prefix = json_string_value(json_object_get(meta, "generateName"));
	size_t len;

	out[0] = '\0';
	if (kind != NULL && name != NULL) {
		sq_workload_of_owner(kind, name, json_object_get(meta, "labels"), out);
	} else if (own != NULL && own[0] != '\0') {
		name_copy(out, own, strlen(own));
	} else if (prefix != NULL) {
		for (len = strlen(prefix); len > 0 && prefix[len - 1] == '-';)
			len--;
		name_copy(out, prefix, len);
	}
}
