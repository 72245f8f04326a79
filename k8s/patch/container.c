/* The sidecar's container: a native sidecar (an init container that restarts always). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "k8s/patch/making.h"

#define DIR_POD "/var/run/sqmqos/pod"
#define DIR_STATE "/var/run/sqmqos/state"
#define DIR_OUTBOX "/var/lib/sqmqos/outbox"

enum {
	/* The kubelet leaves a sidecar at least so long when the app has used up the grace
	 * (minimumGracePeriodInSeconds). */
	GRACE_LEFT_S = 2,
	SHUTDOWN_MAX_S = 600, /* what the sidecar takes */
	USER = 65532,         /* of the image */
};

/* --- environment --- */

/* The kubelet puts other variables in for $(NAME), and one dollar for two. */
static void
env_add(json_t *env, const char *name, const char *value)
{
	struct sq_buf text = {0};

	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '$')
			sq_buf_u8(&text, '$');
		sq_buf_u8(&text, (uint8_t)*p);
	}
	json_array_append_new(
	    env, json_pack("{s:s, s:s}", "name", name, "value", sq_pointer_text(&text)));
	sq_buf_fini(&text);
}

static void SQ_PRINTF(3, 4) env_format(json_t *env, const char *name, const char *fmt, ...)
{
	struct sq_buf text = {0};
	char line[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	sq_buf_printf(&text, "%s", line);
	env_add(env, name, sq_pointer_text(&text));
	sq_buf_fini(&text);
}

static void
env_field(json_t *env, const char *name, const char *path)
{
	json_array_append_new(env,
	    json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", name, "valueFrom", "fieldRef",
		"apiVersion", "v1", "fieldPath", path));
}

/* What is left of the pod's grace when the kubelet's own least is taken off: who comes to an end
 * within it is not killed. */
static json_int_t
shutdown_s(const struct sq_making *m)
{
	const json_t *v = json_object_get(m->spec, "terminationGracePeriodSeconds");
	json_int_t grace = json_is_integer(v) ? json_integer_value(v) : SQ_GRACE_DEFAULT_S;

	if (grace > SHUTDOWN_MAX_S + GRACE_LEFT_S)
		return SHUTDOWN_MAX_S;
	return grace > GRACE_LEFT_S + 1 ? grace - GRACE_LEFT_S : 1;
}

static void
env_outbox(const struct sq_making *m, json_t *env)
{
	const struct sq_outbox_annotation *o = &m->said.outbox;

	if (!o->set)
		return;
	env_add(env, "SQMQOS_OUTBOX_MODE", o->mode == SQ_OUTBOX_DISK ? "disk" : "memory");
	if (o->size != 0)
		env_format(env, "SQMQOS_OUTBOX_SIZE", "%llu", (unsigned long long)o->size);
	if (!sq_making_has_disk(m))
		return;
	env_add(env, "SQMQOS_OUTBOX_DIR", DIR_OUTBOX);
	/* Replicas, and the old and the new pod of a rolling update, meet in the claim. */
	env_add(env, "SQMQOS_OUTBOX_SHARED", "true");
}

/* Of these a pod names only what is not the sidecar's default. */
static void
env_security(const struct sq_settings *s, json_t *env)
{
	if (!s->seccomp)
		env_add(env, "SQMQOS_SECURITY_SECCOMP", "false");
	if (s->core_dumps)
		env_add(env, "SQMQOS_SECURITY_CORE_DUMPS", "true");
}

static void
env_tracing(const struct sq_settings *s, json_t *env)
{
	if (s->tracing.endpoint[0] == '\0')
		return;
	env_add(env, "SQMQOS_TRACING_ENDPOINT", s->tracing.endpoint);
	env_add(env, "SQMQOS_TRACING_SAMPLE", s->tracing.sample);
	if (strcmp(s->tracing.traceparent, "sampled") != 0)
		env_add(env, "SQMQOS_TRACING_TRACEPARENT", s->tracing.traceparent);
}

static json_t *
container_env(const struct sq_making *m)
{
	const struct sq_settings *s = m->settings;
	const char *level = m->said.sidecar.log_level;
	json_t *env = json_array();

	env_format(env, "SQMQOS_BROKERS", "%s-broker.%s.svc.%s:%u", s->fullname, s->space,
	    s->cluster_domain, s->broker_port);
	if (m->rq->trust_bundle != NULL)
		env_add(env, "SQMQOS_TLS_CA", m->rq->trust_bundle);
	env_add(env, "SQMQOS_AUTH_TOKEN_FILE", DIR_POD "/token");
	env_add(env, "SQMQOS_ANNOTATIONS_DIR", DIR_POD);
	env_add(env, "SQMQOS_STATE_DIR", DIR_STATE);
	env_field(env, "SQMQOS_IDENTITY_SPACE", "metadata.namespace");
	env_add(env, "SQMQOS_IDENTITY_WORKLOAD", m->workload);
	env_field(env, "SQMQOS_IDENTITY_POD", "metadata.name");
	env_field(env, "SQMQOS_IDENTITY_NODE", "spec.nodeName");
	env_format(env, "SQMQOS_LISTEN_PORT", "%u", m->port);
	env_format(env, "SQMQOS_ADMIN_LISTEN", "*:%u", s->admin_port);
	env_format(env, "SQMQOS_SHUTDOWN_TIMEOUT", "%llds", (long long)shutdown_s(m));
	env_add(env, "SQMQOS_POOL_DIAL_TIMEOUT", "1s");
	env_add(env, "SQMQOS_POOL_BACKOFF_MAX", "2s");
	env_add(env, "SQMQOS_LOG_LEVEL", level != NULL ? level : s->log_level);
	env_add(env, "SQMQOS_LOG_FORMAT", s->log_format);
	env_security(s, env);
	env_tracing(s, env);
	env_outbox(m, env);
	return env;
}

/* --- the rest --- */

static json_t *
container_probe(
    const struct sq_settings *s, const char *path, int period_s, int timeout_s, int failures)
{
	return json_pack("{s:{s:s, s:i}, s:i, s:i, s:i}", "httpGet", "path", path, "port",
	    (int)s->admin_port, "periodSeconds", period_s, "timeoutSeconds", timeout_s,
	    "failureThreshold", failures);
}

/* The user that the container names; -1: the platform's choice.  A pod that runs as root would
 * hand that down, and a sidecar as root does not start. */
static int64_t
container_user(const struct sq_making *m)
{
	const json_t *pod = json_object_get(
	    json_object_get(m->spec, "securityContext"), "runAsUser");

	if (m->settings->run_as_user >= 0)
		return m->settings->run_as_user;
	return json_is_integer(pod) && json_integer_value(pod) == 0 ? USER : -1;
}

/* Pod Security's profile "restricted", and a root that can't be written. */
static json_t *
container_security(const struct sq_making *m)
{
	int64_t user = container_user(m);
	json_t *security = json_pack("{s:b, s:b, s:b, s:{s:[s]}, s:{s:s}}",
	    "allowPrivilegeEscalation", 0, "readOnlyRootFilesystem", 1, "runAsNonRoot", 1,
	    "capabilities", "drop", "ALL", "seccompProfile", "type", "RuntimeDefault");

	if (user >= 0) {
		json_object_set_new(security, "runAsUser", json_integer(user));
		json_object_set_new(security, "runAsGroup", json_integer(user));
	}
	return security;
}

static json_t *
container_mounts(const struct sq_making *m)
{
	json_t *mounts = json_pack("[{s:s, s:s, s:b}, {s:s, s:s}]", "name", SQ_VOLUME_POD,
	    "mountPath", DIR_POD, "readOnly", 1, "name", SQ_VOLUME_STATE, "mountPath", DIR_STATE);

	if (sq_making_has_disk(m))
		json_array_append_new(mounts,
		    json_pack("{s:s, s:s}", "name",
			m->outbox_volume != NULL ? m->outbox_volume : SQ_VOLUME_OUTBOX, "mountPath",
			DIR_OUTBOX));
	return mounts;
}

static json_t *
container_image(const struct sq_making *m)
{
	struct sq_buf image = {0};
	json_t *v;

	if (m->said.sidecar.image != NULL)
		return json_string(m->said.sidecar.image);
	sq_settings_image(m->settings, &image);
	v = json_string(sq_pointer_text(&image));
	sq_buf_fini(&image);
	return v;
}

json_t *
sq_container_make(struct sq_making *m, json_t *resources)
{
	const struct sq_settings *s = m->settings;
	json_t *c = json_object();

	json_object_set_new(c, "name", json_string(SQ_SIDECAR_NAME));
	json_object_set_new(c, "image", container_image(m));
	json_object_set_new(c, "imagePullPolicy", json_string(s->pull_policy));
	json_object_set_new(c, "restartPolicy", json_string("Always"));
	json_object_set_new(c, "env", container_env(m));
	json_object_set_new(c, "ports",
	    json_pack("[{s:s, s:i, s:s}]", "name", "sqmqos-admin", "containerPort",
		(int)s->admin_port, "protocol", "TCP"));
	/* It listens within milliseconds; a node may be that slow.  A broker that is away fails
	 * neither this nor liveness. */
	json_object_set_new(c, "startupProbe", container_probe(s, "/livez", 1, 1, 120));
	json_object_set_new(c, "readinessProbe", container_probe(s, "/readyz", 2, 2, 3));
	json_object_set_new(c, "livenessProbe", container_probe(s, "/livez", 10, 5, 3));
	json_object_set_new(c, "resources", resources);
	json_object_set_new(c, "securityContext", container_security(m));
	json_object_set_new(c, "terminationMessagePolicy", json_string("FallbackToLogsOnError"));
	json_object_set_new(c, "volumeMounts", container_mounts(m));
	return c;
}
