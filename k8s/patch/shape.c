/* The shape of a pod; see shape.h.  Its fields are one table. */
#include "k8s/patch/shape.h"

#include <stdbool.h>
#include <string.h>

#include "k8s/patch/edit.h"

enum type { T_MAP, T_MAPS, T_TEXTS, T_TEXT, T_INTEGER, T_BOOL, T_AMOUNTS };

struct field {
	const char *key; /* NULL: the end */
	enum type type;
	const struct field *below; /* of a map, of each map of a list; NULL: any */
};

static const struct field named[] = {{"name", T_TEXT, NULL}, {0}};
static const struct field port[] = {
    {"containerPort", T_INTEGER, NULL}, {"protocol", T_TEXT, NULL}, {0}};
static const struct field resources[] = {
    {"requests", T_AMOUNTS, NULL}, {"limits", T_AMOUNTS, NULL}, {0}};
static const struct field handler[] = {
    {"httpGet", T_MAP, NULL}, {"tcpSocket", T_MAP, NULL}, {"grpc", T_MAP, NULL}, {0}};
static const struct field lifecycle[] = {
    {"postStart", T_MAP, handler}, {"preStop", T_MAP, handler}, {0}};
static const struct field mount[] = {{"name", T_TEXT, NULL}, {"mountPath", T_TEXT, NULL}, {0}};
static const struct field container[] = {
    {"name", T_TEXT, NULL},
    {"restartPolicy", T_TEXT, NULL},
    {"env", T_MAPS, named},
    {"ports", T_MAPS, port},
    {"resources", T_MAP, resources},
    {"volumeMounts", T_MAPS, mount},
    {"securityContext", T_MAP, NULL},
    {"livenessProbe", T_MAP, handler},
    {"readinessProbe", T_MAP, handler},
    {"startupProbe", T_MAP, handler},
    {"lifecycle", T_MAP, lifecycle},
    {0},
};
static const struct field claim[] = {{"claimName", T_TEXT, NULL}, {0}};
static const struct field volume[] = {
    {"name", T_TEXT, NULL}, {"persistentVolumeClaim", T_MAP, claim}, {0}};
static const struct field security[] = {
    {"fsGroup", T_INTEGER, NULL}, {"runAsUser", T_INTEGER, NULL}, {0}};
static const struct field spec[] = {
    {"containers", T_MAPS, container},
    {"initContainers", T_MAPS, container},
    {"volumes", T_MAPS, volume},
    {"imagePullSecrets", T_MAPS, named},
    {"nodeSelector", T_TEXTS, NULL},
    {"os", T_MAP, named},
    {"securityContext", T_MAP, security},
    {"resources", T_MAP, resources},
    {"hostNetwork", T_BOOL, NULL},
    {"dnsPolicy", T_TEXT, NULL},
    {"dnsConfig", T_MAP, NULL},
    {"terminationGracePeriodSeconds", T_INTEGER, NULL},
    {0},
};
static const struct field owner[] = {
    {"kind", T_TEXT, NULL}, {"name", T_TEXT, NULL}, {"controller", T_BOOL, NULL}, {0}};
static const struct field metadata[] = {
    {"name", T_TEXT, NULL},
    {"generateName", T_TEXT, NULL},
    {"namespace", T_TEXT, NULL},
    {"labels", T_TEXTS, NULL},
    {"annotations", T_TEXTS, NULL},
    {"ownerReferences", T_MAPS, owner},
    {0},
};
static const struct field pod_fields[] = {
    {"metadata", T_MAP, metadata}, {"spec", T_MAP, spec}, {0}};

static void
shape_map(const struct sq_place *map, const struct field *fields, struct sq_notes *reasons);

/* A pointer as people write paths: spec.containers[0].name, labels['a/b']. */
static void
path_print(const char *pointer, struct sq_buf *out)
{
	while (*pointer == '/') {
		size_t len = strcspn(++pointer, "/");
		bool number = strspn(pointer, "0123456789") == len;
		bool quoted = memchr(pointer, '.', len) != NULL ||
		    memchr(pointer, '~', len) != NULL;

		sq_buf_printf(out, "%s",
		    quoted                    ? "['"
			: number              ? "["
			: sq_buf_len(out) > 0 ? "."
					      : "");
		for (size_t i = 0; i < len; i++) {
			if (pointer[i] == '~')
				sq_buf_printf(out, "%c", pointer[++i] == '0' ? '~' : '/');
			else
				sq_buf_append(out, &pointer[i], 1);
		}
		sq_buf_printf(out, "%s", quoted ? "']" : number ? "]" : "");
		pointer += len;
	}
}

static void
shape_reason(struct sq_notes *reasons, struct sq_place *p, const char *wants)
{
	const char *path = sq_pointer_text(&p->path);

	struct sq_buf text = {0};

	path_print(path, &text);
	sq_notes_add(reasons, path, "%s must be %s", sq_pointer_text(&text), wants);
	sq_buf_fini(&text);
}

static void
shape_entries(const struct sq_place *map, enum type type, struct sq_notes *reasons)
{
	const char *key;
	json_t *v;

	json_object_foreach(map->value, key, v)
	{
		struct sq_place p = sq_place_key(map, key);

		if (type == T_TEXTS && !json_is_string(v))
			shape_reason(reasons, &p, "a text: put quotes around it");
		else if (type == T_AMOUNTS && !json_is_string(v) && !json_is_number(v))
			shape_reason(reasons, &p, "a quantity");
		sq_place_fini(&p);
	}
}

static void
shape_items(const struct sq_place *list, const struct field *below, struct sq_notes *reasons)
{
	for (size_t i = 0; i < json_array_size(list->value); i++) {
		struct sq_place p = sq_place_item(list, i);

		if (!json_is_object(p.value))
			shape_reason(reasons, &p, "a map");
		else
			shape_map(&p, below, reasons);
		sq_place_fini(&p);
	}
}

static void
shape_value(struct sq_place *p, const struct field *f, struct sq_notes *reasons)
{
	switch (f->type) {
	case T_MAP:
		if (!json_is_object(p->value))
			shape_reason(reasons, p, "a map");
		else if (f->below != NULL)
			shape_map(p, f->below, reasons);
		break;
	case T_MAPS:
		if (!json_is_array(p->value))
			shape_reason(reasons, p, "a list");
		else
			shape_items(p, f->below, reasons);
		break;
	case T_TEXTS:
	case T_AMOUNTS:
		if (!json_is_object(p->value))
			shape_reason(reasons, p, "a map");
		else
			shape_entries(p, f->type, reasons);
		break;
	case T_TEXT:
		if (!json_is_string(p->value))
			shape_reason(reasons, p, "a text: put quotes around it");
		break;
	case T_INTEGER:
		if (!json_is_integer(p->value))
			shape_reason(reasons, p, "a whole number");
		break;
	case T_BOOL:
		if (!json_is_boolean(p->value))
			shape_reason(reasons, p, "true or false");
		break;
	}
}

static void
shape_map(const struct sq_place *map, const struct field *fields, struct sq_notes *reasons)
{
	for (; fields->key != NULL; fields++) {
		struct sq_place p = sq_place_key(map, fields->key);

		if (p.value != NULL)
			shape_value(&p, fields, reasons);
		sq_place_fini(&p);
	}
}

void
sq_shape_check(const json_t *pod, struct sq_notes *reasons)
{
	struct sq_place root = sq_place_root((json_t *)pod);

	if (!json_is_object(pod)) {
		sq_notes_add(reasons, "", "a pod must be a map");
		return;
	}
	shape_map(&root, pod_fields, reasons);
	if (json_array_size(json_object_get(json_object_get(pod, "spec"), "containers")) == 0 &&
	    reasons->n == 0)
		sq_notes_add(reasons, "/spec", "a pod needs spec.containers");
}
