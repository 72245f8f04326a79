/* A broker in a cluster; see cli/kube/place.h. */
#include "cli/kube/place.h"

#include <stdlib.h>
#include <string.h>

#include "cli/view/safe.h"
#include "core/mem.h"

/* The labels of the chart's broker, percent-encoded. */
#define PLACE_LABELS "app.kubernetes.io%2Fname%3Dsqmqos%2Capp.kubernetes.io%2Fcomponent%3Dbroker"

enum { PLACE_PODS_MAX = 50, PLACE_NAME_MAX = 253, PLACE_PORT = 9090, PLACE_PORT_MAX = 65535 };

/* A broker's pod. */
struct place_pod {
	char name[PLACE_NAME_MAX + 1];
	unsigned port; /* 0: not known */
};

/* Whether it can be a name of Kubernetes, and stand in a path. */
static bool
place_is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
			((name[i] == '-' || name[i] == '.') && i > 0)))
			return false;
	return len > 0 && len <= PLACE_NAME_MAX;
}

/* Reads "NAME" or "NAME:PORT". */
static bool
place_given(const char *text, struct place_pod *pod)
{
	size_t len = strcspn(text, ":");
	unsigned port = 0;

	*pod = (struct place_pod){0};
	if (!place_is_name(text, len))
		return false;
	memcpy(pod->name, text, len);
	if (text[len] == '\0')
		return true;
	for (const char *p = text + len + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || port > PLACE_PORT_MAX)
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	pod->port = port;
	return port > 0 && port <= PLACE_PORT_MAX;
}

/* ---- pods ---- */

static bool
place_is_ready(const json_t *pod)
{
	const json_t *c;
	size_t i;

	if (json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp") != NULL)
		return false;
	json_array_foreach(json_object_get(json_object_get(pod, "status"), "conditions"), i, c)
	{
		const char *type = json_string_value(json_object_get(c, "type"));
		const char *status = json_string_value(json_object_get(c, "status"));

		if (type != NULL && status != NULL && strcmp(type, "Ready") == 0)
			return strcmp(status, "True") == 0;
	}
	return false;
}

/* The port that is called admin. */
static unsigned
place_port(const json_t *pod)
{
	const json_t *container, *port;
	size_t i, k;

	json_array_foreach(json_object_get(json_object_get(pod, "spec"), "containers"), i,
	    container) json_array_foreach(json_object_get(container, "ports"), k, port)
	{
		const char *name = json_string_value(json_object_get(port, "name"));
		json_int_t n = json_integer_value(json_object_get(port, "containerPort"));

		if (name != NULL && strcmp(name, "admin") == 0 && n > 0 && n <= PLACE_PORT_MAX)
			return (unsigned)n;
	}
	return PLACE_PORT;
}

static const char *
place_name(const json_t *pod)
{
	const char *name = json_string_value(
	    json_object_get(json_object_get(pod, "metadata"), "name"));

	return name != NULL && place_is_name(name, strlen(name)) ? name : NULL;
}

/* Whether two pods are brokers of one release, any of which answers for all. */
static bool
place_same(const json_t *a, const json_t *b)
{
	static const char label[] = "app.kubernetes.io/instance";
	const json_t *one = json_object_get(
	    json_object_get(json_object_get(a, "metadata"), "labels"), label);
	const json_t *other = json_object_get(
	    json_object_get(json_object_get(b, "metadata"), "labels"), label);

	return one != NULL && json_equal(one, other);
}

/* Takes the only one that is ready out of the list, or the first of those of one release. */
static int
place_choose(const json_t *list, const char *space, struct place_pod *out, struct sq_buf *err)
{
	struct sq_buf names = {0};
	const json_t *pod, *first = NULL;
	size_t i, n = 0;
	int rc = 0;

	json_array_foreach(json_object_get(list, "items"), i, pod)
	{
		const char *name = place_name(pod);

		if (name == NULL || !place_is_ready(pod) ||
		    (first != NULL && place_same(first, pod)))
			continue;
		first = first != NULL ? first : pod;
		sq_buf_printf(&names, "%s%s", n++ > 0 ? ", " : "", name);
		snprintf(out->name, sizeof out->name, "%s", name);
		out->port = place_port(pod);
	}
	if (n > 1) {
		sq_buf_printf(err, "namespace %s has several brokers: %.*s; --pod names one", space,
		    (int)sq_buf_len(&names), (char *)sq_buf_data(&names));
		rc = SQ_EEXIST;
	} else if (n == 0) {
		sq_buf_printf(err,
		    "namespace %s has no broker that is ready (app.kubernetes.io/name=sqmqos, "
		    "component=broker); --kube-namespace names another, --pod a pod",
		    space);
		rc = SQ_ENOTFOUND;
	}
	sq_buf_fini(&names);
	return rc;
}

/* Asks the API server for the pod, or for its port. */
static int
place_ask(struct sq_kube_place *p, const char *space, struct place_pod *pod, struct sq_buf *err)
{
	struct sq_http *http = sq_http_new(p->access.server, NULL, &p->via, err);
	struct sq_buf path = {0};
	json_t *answer = NULL;
	int rc = SQ_EINVAL;

	sq_buf_printf(&path, "/api/v1/namespaces/%s/pods", space);
	if (pod->name[0] != '\0')
		sq_buf_printf(&path, "/%s", pod->name);
	else
		sq_buf_printf(&path, "?labelSelector=%s&limit=%d", PLACE_LABELS, PLACE_PODS_MAX);
	sq_buf_u8(&path, 0);
	if (http != NULL)
		rc = sq_http_get(http, (char *)sq_buf_data(&path), &answer, err);
	if (rc == 0 && pod->name[0] != '\0')
		pod->port = place_port(answer);
	else if (rc == 0)
		rc = place_choose(answer, space, pod, err);
	json_decref(answer);
	sq_buf_fini(&path);
	sq_http_free(&http);
	return rc;
}

/* ---- the place ---- */

static void
place_via(struct sq_kube_place *p)
{
	const struct sq_kube_access *a = &p->access;

	p->via = (struct sq_http_via){
	    .name = a->name,
	    .token = sq_buf_len(&a->token) > 0 ? (char *)sq_buf_data(&a->token) : NULL,
	    .ca = sq_buf_bytes(&a->ca),
	    .cert = sq_buf_bytes(&a->cert),
	    .key = sq_buf_bytes(&a->key),
	    .server_name = a->server_name,
	    .proxy = a->proxy,
	    .insecure = a->insecure,
	};
}

int
sq_kube_place_find(struct sq_kube_place *p, const struct sq_kube_ask *ask, struct sq_buf *err)
{
	const char *space = ask->space != NULL ? ask->space : SQ_KUBE_NAMESPACE;
	struct place_pod pod = {0};
	struct sq_buf base = {0};
	int rc;

	*p = (struct sq_kube_place){0};
	if (!place_is_name(space, strlen(space))) {
		sq_buf_printf(err, "--kube-namespace is no name of a namespace");
		return SQ_EINVAL;
	}
	if (ask->pod != NULL && !place_given(ask->pod, &pod)) {
		sq_buf_printf(err, "--pod is NAME or NAME:PORT");
		return SQ_EINVAL;
	}
	if (sq_kube_access_read(&p->access, ask->files, ask->context, err) != 0)
		return SQ_EINVAL;
	place_via(p);
	rc = pod.port == 0 ? place_ask(p, space, &pod, err) : 0;
	if (rc != 0) {
		sq_kube_place_fini(p);
		return rc == SQ_EINVAL ? SQ_EIO : rc;
	}
	sq_buf_printf(&base, "%s/api/v1/namespaces/%s/pods/%s:%u/proxy%c", p->access.server, space,
	    pod.name, pod.port, 0);
	p->base = (char *)sq_buf_data(&base);
	return 0;
}

void
sq_kube_place_fini(struct sq_kube_place *p)
{
	sq_kube_access_fini(&p->access);
	free(p->base);
	*p = (struct sq_kube_place){0};
}
