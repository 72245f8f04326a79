/* The container's requests and limits.  They come from the annotations, else from the
 * installation, and must fit to the pod:
 *
 *   a pod of the class Guaranteed stays one: request and limit are the same;
 *   a pod with resources of its own (spec.resources) shares them: without annotations the sidecar
 *   names none of what the pod names, as the sum of its containers must stay below;
 *   of a request above its limit, what comes from the installation gives way. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "k8s/patch/making.h"
#include "proto/annotations/quantity.h"

/* What a sidecar in a Guaranteed pod may use at most, where nobody says it: the request of an
 * idle one would be no limit to work with. */
#define CPU_GUARANTEED "100m"
#define MEMORY_GUARANTEED "64Mi"
/* What a sidecar needs beside its outbox, in bytes. */
enum { MEMORY_BESIDE_OUTBOX = 16 << 20 };

/* A quantity in thousandths; 0: none, or none that can be read. */
static uint64_t
milli(const char *text)
{
	const char *why;
	uint64_t v;

	return text != NULL && sq_quantity_parse(text, strlen(text), &v, &why) == 0 ? v : 0;
}

static uint64_t
milli_of(const json_t *amounts, const char *name)
{
	const json_t *v = json_object_get(amounts, name);
	double number = json_is_number(v) ? json_number_value(v) : 0;

	if (json_is_string(v))
		return milli(json_string_value(v));
	return number > 0 && number < 1e15 ? (uint64_t)(number * 1000) : 0;
}

/* Whether container-level resources make the pod Guaranteed: each container has limits of CPU and
 * memory, and requests no less. */
static bool
container_is_guaranteed(const json_t *c)
{
	const json_t *resources = json_object_get(c, "resources");
	const json_t *limits = json_object_get(resources, "limits");
	const json_t *requests = json_object_get(resources, "requests");

	for (int r = SQ_RESOURCE_CPU; r <= SQ_RESOURCE_MEMORY; r++) {
		uint64_t limit = milli_of(limits, sq_resource_names[r]);
		const json_t *request = json_object_get(requests, sq_resource_names[r]);

		/* One that is left out is its limit. */
		if (limit == 0 ||
		    (request != NULL && milli_of(requests, sq_resource_names[r]) != limit))
			return false;
	}
	return true;
}

static bool
pod_is_guaranteed(const struct sq_making *m)
{
	static const char *const lists[] = {"initContainers", "containers"};
	const json_t *c;
	size_t i;

	if (json_object_size(json_object_get(m->spec, "resources")) > 0)
		return false; /* if it is, then by itself */
	for (size_t l = 0; l < 2; l++) {
		json_array_foreach(json_object_get(m->spec, lists[l]), i, c)
		{
			if (c != m->present && !container_is_guaranteed(c))
				return false;
		}
	}
	return true;
}

static bool
pod_names(const struct sq_making *m, const char *resource)
{
	const json_t *resources = json_object_get(m->spec, "resources");

	return json_object_get(json_object_get(resources, "requests"), resource) != NULL ||
	    json_object_get(json_object_get(resources, "limits"), resource) != NULL;
}

struct amount {
	const char *request, *limit; /* NULL: none */
};

static void
amount_fit(struct amount *a, bool request_said, bool limit_said)
{
	if (a->request == NULL || a->limit == NULL || milli(a->request) <= milli(a->limit))
		return;
	if (request_said && !limit_said)
		a->limit = a->request;
	else
		a->request = a->limit;
}

static void
amount_guarantee(struct sq_making *m, struct amount *a, const struct amount *said,
    enum sq_resource r, const char *key)
{
	const char *least = r == SQ_RESOURCE_CPU ? CPU_GUARANTEED : MEMORY_GUARANTEED;

	if (said->request != NULL && said->limit != NULL &&
	    milli(said->request) != milli(said->limit))
		sq_notes_add(m->warnings, "/metadata/annotations",
		    "%s: the pod is Guaranteed, and stays so: the sidecar's limit counts as its "
		    "request",
		    key);
	if (said->limit != NULL)
		a->limit = said->limit;
	else if (said->request != NULL)
		a->limit = said->request;
	else if (a->limit == NULL)
		a->limit = milli(a->request) > milli(least) ? a->request : least;
	a->request = a->limit;
}

static struct amount
amount_of(struct sq_making *m, enum sq_resource r, bool guaranteed)
{
	const struct sq_sidecar_annotations *s = &m->said.sidecar;
	struct amount said = {0}, a;
	const char *key = r == SQ_RESOURCE_CPU ? "sqmqos.io/sidecar-cpu-request"
					       : "sqmqos.io/sidecar-memory-request";

	if (r == SQ_RESOURCE_CPU)
		said = (struct amount){s->cpu_request, s->cpu_limit};
	else if (r == SQ_RESOURCE_MEMORY)
		said = (struct amount){s->memory_request, s->memory_limit};
	a = said;
	if (!pod_names(m, sq_resource_names[r])) {
		a.request = said.request != NULL ? said.request : m->settings->requests[r];
		a.limit = said.limit != NULL ? said.limit : m->settings->limits[r];
	}
	if (guaranteed && r != SQ_RESOURCE_STORAGE)
		amount_guarantee(m, &a, &said, r, key);
	else
		amount_fit(&a, said.request != NULL, said.limit != NULL);
	return a;
}

static void
resources_outbox(struct sq_making *m, const struct amount *memory)
{
	const struct sq_outbox_annotation *o = &m->said.outbox;
	uint64_t limit = milli(memory->limit) / 1000;

	if (!o->set || o->mode != SQ_OUTBOX_MEMORY || limit == 0 ||
	    o->size + MEMORY_BESIDE_OUTBOX <= limit)
		return;
	sq_notes_add(m->warnings, "/metadata/annotations/sqmqos.io~1outbox",
	    SQ_ANNOTATION_OUTBOX
	    ": an outbox of %llu bytes in memory does not fit into the sidecar's "
	    "limit of %s: raise sqmqos.io/sidecar-memory-limit",
	    (unsigned long long)o->size, memory->limit);
}

json_t *
sq_resources_make(struct sq_making *m)
{
	json_t *requests = json_object(), *limits = json_object(), *resources = json_object();
	bool guaranteed = pod_is_guaranteed(m);

	for (int r = 0; r < SQ_RESOURCES; r++) {
		struct amount a = amount_of(m, (enum sq_resource)r, guaranteed);

		if (a.request != NULL)
			json_object_set_new(requests, sq_resource_names[r], json_string(a.request));
		if (a.limit != NULL)
			json_object_set_new(limits, sq_resource_names[r], json_string(a.limit));
		if (r == SQ_RESOURCE_MEMORY)
			resources_outbox(m, &a);
	}
	if (json_object_size(requests) > 0)
		json_object_set(resources, "requests", requests);
	if (json_object_size(limits) > 0)
		json_object_set(resources, "limits", limits);
	json_decref(requests);
	json_decref(limits);
	return resources;
}
