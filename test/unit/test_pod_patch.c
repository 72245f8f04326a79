/* What a pod gets. */
#include <criterion/criterion.h>
#include <string.h>

#include "../support/json_patch.h"
#include "../support/pod_patch.h"

#define SIDECAR "/spec/initContainers/0"
#define BARE "{metadata: {name: a}, spec: {containers: [{name: app, image: app}]}}"

Test(pod_patch, a_native_sidecar_comes_first)
{
	json_t *pod = pod_patched("metadata: {name: a}\n"
				  "spec:\n"
				  "  initContainers: [{name: first, image: x}]\n"
				  "  containers: [{name: app, image: x}]\n",
	    NULL);

	pod_has(pod, SIDECAR "/name", "sqmqos-sidecar");
	pod_has(pod, SIDECAR "/restartPolicy", "Always");
	pod_has(pod, SIDECAR "/image", "'sqmqos/sidecar:" SQ_VERSION "'");
	pod_has(pod, SIDECAR "/imagePullPolicy", "IfNotPresent");
	pod_has(pod, "/spec/initContainers/1/name", "first");
	pod_has(pod, "/spec/containers/0/name", "app");
	json_decref(pod);
}

Test(pod_patch, probes_ask_the_admin_port)
{
	json_t *pod = pod_patched(BARE, "sidecar: {adminPort: 9999}");

	pod_has(pod, SIDECAR "/startupProbe/httpGet", "{path: /livez, port: 9999}");
	pod_has(pod, SIDECAR "/startupProbe/periodSeconds", "1");
	pod_has(pod, SIDECAR "/readinessProbe/httpGet", "{path: /readyz, port: 9999}");
	pod_has(pod, SIDECAR "/livenessProbe/httpGet", "{path: /livez, port: 9999}");
	pod_has(
	    pod, SIDECAR "/ports", "[{name: sqmqos-admin, containerPort: 9999, protocol: TCP}]");
	pod_env(pod, SIDECAR, "SQMQOS_ADMIN_LISTEN", "*:9999");
	json_decref(pod);
}

Test(pod_patch, it_is_what_restricted_pod_security_asks_for)
{
	json_t *pod = pod_patched(BARE, NULL);

	pod_has(pod, SIDECAR "/securityContext",
	    "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true,"
	    " capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault},"
	    " runAsUser: 65532, runAsGroup: 65532}");
	pod_has(pod, "/spec/securityContext", "-");
	json_decref(pod);
	pod = pod_patched(BARE, "sidecar: {runAsUser: null}");
	pod_has(pod, SIDECAR "/securityContext/runAsUser", "-");
	pod_has(pod, SIDECAR "/securityContext/runAsGroup", "-");
	pod_has(pod, SIDECAR "/securityContext/runAsNonRoot", "true");
	json_decref(pod);
	/* a pod's root is not the sidecar's */
	pod = pod_patched("{metadata: {name: a}, spec: {securityContext: {runAsUser: 0},"
			  " containers: [{name: app}]}}",
	    "sidecar: {runAsUser: null}");
	pod_has(pod, SIDECAR "/securityContext/runAsUser", "65532");
	json_decref(pod);
}

Test(pod_patch, one_projected_volume_has_token_and_annotations)
{
	json_t *pod = pod_patched(BARE, "auth: {audience: other, tokenExpirySeconds: 7200}");
	json_t *items = json_pointer_get(
		   pod, "/spec/volumes/0/projected/sources/1/downwardAPI/items"),
	       *item;
	size_t i;

	pod_has(pod, "/spec/volumes/0/name", "sqmqos-pod");
	pod_has(pod, "/spec/volumes/0/projected/sources/0/serviceAccountToken",
	    "{audience: other, expirationSeconds: 7200, path: token}");
	pod_has(pod, "/spec/volumes/0/projected/defaultMode", "0644");
	cr_assert_eq(json_array_size(items), 3u, "live ones alone");
	json_array_foreach(items, i, item)
	{
		const char *path = json_string_value(json_object_get(item, "path"));
		char field[200];

		snprintf(field, sizeof field, "metadata.annotations['sqmqos.io/%s']", path);
		cr_assert_str_eq(
		    json_string_value(json_pointer_get(item, "/fieldRef/fieldPath")), field);
	}
	pod_has(items, "/0/path", "subscribe");
	pod_has(pod, SIDECAR "/volumeMounts",
	    "- {name: sqmqos-pod, mountPath: /var/run/sqmqos/pod, readOnly: true}\n"
	    "- {name: sqmqos-state, mountPath: /var/run/sqmqos/state}");
	pod_has(pod, "/spec/volumes/1",
	    "{name: sqmqos-state, emptyDir: {medium: Memory, sizeLimit: 1Mi}}");
	pod_has(pod, "/spec/containers/0/volumeMounts", "-");
	json_decref(pod);
}

Test(pod_patch, its_environment)
{
	json_t *pod = pod_patched("{metadata: {name: a, annotations: {sqmqos.io/port: '1999',"
				  " sqmqos.io/sidecar-log-level: debug}},"
				  " spec: {containers: [{name: app}]}}",
	    "{namespace: mq, fullname: mine, clusterDomain: k8s.example, broker: {port: 7000},"
	    " sidecar: {logFormat: json}}");

	pod_env(pod, SIDECAR, "SQMQOS_BROKERS", "mine-broker.mq.svc.k8s.example:7000");
	pod_env(pod, SIDECAR, "SQMQOS_TLS_CA",
	    "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n");
	pod_env(pod, SIDECAR, "SQMQOS_AUTH_TOKEN_FILE", "/var/run/sqmqos/pod/token");
	pod_env(pod, SIDECAR, "SQMQOS_ANNOTATIONS_DIR", "/var/run/sqmqos/pod");
	pod_env(pod, SIDECAR, "SQMQOS_STATE_DIR", "/var/run/sqmqos/state");
	pod_env(pod, SIDECAR, "SQMQOS_IDENTITY_WORKLOAD", "a");
	pod_env(pod, SIDECAR, "SQMQOS_LISTEN_PORT", "1999");
	pod_env(pod, SIDECAR, "SQMQOS_POOL_DIAL_TIMEOUT", "1s");
	pod_env(pod, SIDECAR, "SQMQOS_POOL_BACKOFF_MAX", "2s");
	pod_env(pod, SIDECAR, "SQMQOS_LOG_LEVEL", "debug");
	pod_env(pod, SIDECAR, "SQMQOS_LOG_FORMAT", "json");
	pod_env(pod, SIDECAR, "SQMQOS_SECURITY_SECCOMP", "-");
	pod_env(pod, SIDECAR, "SQMQOS_SECURITY_CORE_DUMPS", "-");
	pod_env(pod, SIDECAR, "SQMQOS_TRACING_ENDPOINT", "-");
	pod_env(pod, SIDECAR, "SQMQOS_TRACING_SAMPLE", "-");
	pod_env(pod, SIDECAR, "SQMQOS_OUTBOX_MODE", "-");
	pod_has(pod, SIDECAR "/env/5",
	    "{name: SQMQOS_IDENTITY_SPACE, valueFrom: {fieldRef: {apiVersion: v1,"
	    " fieldPath: metadata.namespace}}}");
	pod_has(pod, SIDECAR "/env/7/valueFrom/fieldRef/fieldPath", "metadata.name");
	pod_has(pod, SIDECAR "/env/8/valueFrom/fieldRef/fieldPath", "spec.nodeName");
	json_decref(pod);
}

Test(pod_patch, where_its_spans_go)
{
	json_t *pod = pod_patched(BARE, "tracing: {endpoint: 'http://c:4318'}");

	pod_env(pod, SIDECAR, "SQMQOS_TRACING_ENDPOINT", "http://c:4318");
	pod_env(pod, SIDECAR, "SQMQOS_TRACING_SAMPLE", "0.01");
	pod_env(pod, SIDECAR, "SQMQOS_TRACING_TRACEPARENT", "-");
	json_decref(pod);
	pod = pod_patched(BARE, "tracing: {endpoint: 'http://c:4318', traceparent: all}");
	pod_env(pod, SIDECAR, "SQMQOS_TRACING_TRACEPARENT", "all");
	json_decref(pod);
}

Test(pod_patch, what_guards_the_sidecar_may_be_left_out)
{
	json_t *pod = pod_patched(BARE, "sidecar: {security: {seccomp: false, coreDumps: true}}");

	pod_env(pod, SIDECAR, "SQMQOS_SECURITY_SECCOMP", "false");
	pod_env(pod, SIDECAR, "SQMQOS_SECURITY_CORE_DUMPS", "true");
	json_decref(pod);
}

Test(pod_patch, the_shutdown_ends_within_the_grace)
{
	static const struct {
		const char *grace, *timeout;
	} cases[] = {{"null", "28s"}, {"0", "1s"}, {"1", "1s"}, {"2", "1s"}, {"3", "1s"},
	    {"4", "2s"}, {"30", "28s"}, {"602", "600s"}, {"86400", "600s"}, {"-1", "1s"}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char yaml[200];
		json_t *pod;

		snprintf(yaml, sizeof yaml,
		    "{metadata: {name: a}, spec: {terminationGracePeriodSeconds: %s,"
		    " containers: [{name: app}]}}",
		    cases[i].grace);
		pod = pod_patched(yaml, NULL);
		pod_env(pod, SIDECAR, "SQMQOS_SHUTDOWN_TIMEOUT", cases[i].timeout);
		json_decref(pod);
	}
}

Test(pod_patch, apps_learn_where_mqtt_is)
{
	json_t *pod = pod_patched(
	    "metadata: {name: a, annotations: {sqmqos.io/port: '1900'}}\n"
	    "spec:\n"
	    "  initContainers:\n"
	    "  - {name: once}\n"
	    "  - {name: proxy, restartPolicy: Always}\n"
	    "  containers:\n"
	    "  - {name: app, env: [{name: LONG, value: $(SQMQOS_URL)/x}]}\n"
	    "  - {name: own, env: [{name: SQMQOS_URL, value: mqtt://elsewhere}]}\n"
	    "  - {name: from, envFrom: [{configMapRef: {name: c}}], env: null}\n",
	    NULL);

	pod_env(pod, "/spec/initContainers/1", "SQMQOS_URL", "mqtt://localhost:1900");
	pod_env(pod, "/spec/initContainers/2", "SQMQOS_URL", "-");
	pod_has(
	    pod, "/spec/containers/0/env/0", "{name: SQMQOS_URL, value: mqtt://localhost:1900}");
	pod_has(pod, "/spec/containers/0/env/1/name", "LONG");
	pod_env(pod, "/spec/containers/1", "SQMQOS_URL", "mqtt://elsewhere");
	pod_env(pod, "/spec/containers/2", "SQMQOS_URL", "mqtt://localhost:1900");
	pod_env(pod, SIDECAR, "SQMQOS_URL", "-");
	json_decref(pod);
}

Test(pod_patch, label_and_default_container)
{
	json_t *pod = pod_patched(
	    "{metadata: {name: a}, spec: {containers: [{name: one}, {name: two}]}}",
	    "version: 1.2.3+build.7");

	pod_has(pod, "/metadata/labels/sqmqos.io~1sidecar", "1.2.3_build.7");
	pod_has(pod, "/metadata/annotations/kubectl.kubernetes.io~1default-container", "one");
	json_decref(pod);
	pod = pod_patched("{metadata: {name: a, annotations:"
			  " {kubectl.kubernetes.io/default-container: two}},"
			  " spec: {containers: [{name: one}, {name: two}]}}",
	    NULL);
	pod_has(pod, "/metadata/annotations/kubectl.kubernetes.io~1default-container", "two");
	json_decref(pod);
}

Test(pod_patch, a_pod_that_has_next_to_nothing)
{
	json_t *pod = pod_patched("spec: {containers: [{name: app}]}\n"
				  "metadata: {generateName: web-, labels: null, annotations: null}",
	    NULL);

	pod_env(pod, SIDECAR, "SQMQOS_IDENTITY_WORKLOAD", "web");
	json_decref(pod);
	pod = pod_patched("{metadata: {name: a}, spec: {initContainers: null, volumes: null,"
			  " imagePullSecrets: null, securityContext: null,"
			  " containers: [{name: app, env: null, resources: null}]}}",
	    "imagePullSecrets: [s]");
	pod_has(pod, "/spec/volumes/1/name", "sqmqos-state");
	pod_has(pod, "/spec/imagePullSecrets", "[{name: s}]");
	json_decref(pod);
}

Test(pod_patch, pull_secrets_are_merged)
{
	json_t *pod = pod_patched("{metadata: {name: a}, spec: {imagePullSecrets: [{name: one}],"
				  " containers: [{name: app}]}}",
	    "imagePullSecrets: [two, one, {name: three}]");

	pod_has(pod, "/spec/imagePullSecrets", "[{name: one}, {name: two}, {name: three}]");
	json_decref(pod);
}

Test(pod_patch, images)
{
	static const struct {
		const char *settings, *image;
	} cases[] = {
	    {"sidecar: {image: {registry: r.example:5000, repository: a/b, tag: v9}}",
		"'r.example:5000/a/b:v9'"},
	    {"sidecar: {image: {repository: a/b, tag: v9, digest: 'sha256:00'}}",
		"'a/b@sha256:00'"},
	    {"version: 7.8.9", "'sqmqos/sidecar:7.8.9'"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *pod = pod_patched(BARE, cases[i].settings);

		pod_has(pod, SIDECAR "/image", cases[i].image);
		json_decref(pod);
	}
}

Test(pod_patch, ports_of_service_meshes_are_merged)
{
	static const struct {
		const char *there, *merged; /* for port 7443 */
	} cases[] = {
	    {"", "7443"},
	    {"3306", "3306,7443"},
	    {"3306, 5432,", "3306, 5432,7443"},
	    {"80,7443,90", "80,7443,90"},
	    {"7000-8000", "7000-8000"},
	    {"7444-8000,74430", "7444-8000,74430,7443"},
	    {"7443x", "7443x,7443"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char yaml[400], quoted[64];
		json_t *pod;

		snprintf(yaml, sizeof yaml,
		    "{metadata: {name: a, annotations: {config.linkerd.io/skip-outbound-ports: "
		    "'%s'}},"
		    " spec: {containers: [{name: app}]}}",
		    cases[i].there);
		snprintf(quoted, sizeof quoted, "'%s'", cases[i].merged);
		pod = pod_patched(yaml, NULL);
		pod_has(
		    pod, "/metadata/annotations/config.linkerd.io~1skip-outbound-ports", quoted);
		pod_has(
		    pod, "/metadata/annotations/config.linkerd.io~1skip-inbound-ports", "'7481'");
		pod_has(pod, "/metadata/annotations/traffic.sidecar.istio.io~1excludeOutboundPorts",
		    "'7443'");
		pod_has(pod, "/metadata/annotations/traffic.sidecar.istio.io~1excludeInboundPorts",
		    "'7481'");
		json_decref(pod);
	}
}

Test(pod_patch, a_disk_outbox_is_the_claim)
{
	json_t *pod = pod_patched(
	    "{metadata: {name: a, annotations: {sqmqos.io/outbox: 'disk: 1Gi',"
	    " sqmqos.io/outbox-claim: mine}}, spec: {containers: [{name: app}]}}",
	    NULL);

	pod_has(pod, "/spec/volumes/2",
	    "{name: sqmqos-outbox, persistentVolumeClaim: {claimName: mine}}");
	pod_has(pod, SIDECAR "/volumeMounts/2",
	    "{name: sqmqos-outbox, mountPath: /var/lib/sqmqos/outbox}");
	pod_env(pod, SIDECAR, "SQMQOS_OUTBOX_MODE", "disk");
	pod_env(pod, SIDECAR, "SQMQOS_OUTBOX_SIZE", "1073741824");
	pod_env(pod, SIDECAR, "SQMQOS_OUTBOX_DIR", "/var/lib/sqmqos/outbox");
	pod_env(pod, SIDECAR, "SQMQOS_OUTBOX_SHARED", "true");
	pod_has(
	    pod, "/spec/securityContext", "{fsGroup: 65532, fsGroupChangePolicy: OnRootMismatch}");
	json_decref(pod);
}

Test(pod_patch, a_claim_that_the_pod_mounts_already_is_not_mounted_twice)
{
	json_t *pod = pod_patched(
	    "{metadata: {name: a, annotations: {sqmqos.io/outbox: disk,"
	    " sqmqos.io/outbox-claim: mine}}, spec: {securityContext: {fsGroup: 5},"
	    " volumes: [{name: data, persistentVolumeClaim: {claimName: mine}}],"
	    " containers: [{name: app, volumeMounts: [{name: data, mountPath: /data}]}]}}",
	    NULL);

	pod_has(pod, SIDECAR "/volumeMounts/2/name", "data");
	pod_has(pod, "/spec/volumes/3", "-");
	pod_has(pod, "/spec/securityContext", "{fsGroup: 5}");
	json_decref(pod);
	/* by the name of a volume, as a StatefulSet names those of its claims */
	pod = pod_patched(
	    "{metadata: {name: a, annotations: {sqmqos.io/outbox: disk,"
	    " sqmqos.io/outbox-claim: box}}, spec: {volumes: [{name: box,"
	    " persistentVolumeClaim: {claimName: box-a-0}}], containers: [{name: app}]}}",
	    NULL);
	pod_has(pod, SIDECAR "/volumeMounts/2/name", "box");
	pod_has(pod, "/spec/securityContext/fsGroup", "65532");
	json_decref(pod);
}

Test(pod_patch, other_volumes_keep_their_groups)
{
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/outbox: disk,"
		   " sqmqos.io/outbox-claim: mine}}, spec: {volumes: [{name: db,"
		   " persistentVolumeClaim: {claimName: db}}], containers: [{name: app}]}}",
	    "user 65532 must be able to write the claim 'mine': set fsGroup", NULL);
	/* nor does a claim that the app uses */
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/outbox: disk,"
		   " sqmqos.io/outbox-claim: db}}, spec: {volumes: [{name: db,"
		   " persistentVolumeClaim: {claimName: db}}], containers: [{name: app,"
		   " volumeMounts: [{name: db, mountPath: /db}]}]}}",
	    "user 65532 must be able to write the claim 'db'", NULL);
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/outbox: disk,"
		   " sqmqos.io/outbox-claim: mine}}, spec: {volumes: [{name: keys,"
		   " secret: {secretName: k}}], containers: [{name: app}]}}",
	    "set fsGroup", NULL);
}

/* --- again, and after others --- */

/* What an API server and another webhook do to a pod between two calls. */
static void
others_edit(json_t *pod)
{
	json_t *proxy = pod_yaml("{name: istio-proxy, restartPolicy: Always, image: proxy}");
	json_t *late = pod_yaml("{name: late, image: late}");
	json_t *ours = json_pointer_get(pod, SIDECAR);

	json_object_set_new(ours, "terminationMessagePath", json_string("/dev/termination-log"));
	json_object_set_new(
	    json_pointer_get(ours, "/readinessProbe"), "successThreshold", json_integer(1));
	json_array_insert_new(json_pointer_get(pod, "/spec/initContainers"), 0, proxy);
	json_array_append_new(json_pointer_get(pod, "/spec/containers"), late);
}

Test(pod_patch, after_another_webhook_only_what_is_missing_is_added)
{
	struct sq_settings s = pod_settings(NULL);
	json_t *pod = pod_patched(BARE, NULL), *restored;

	others_edit(pod);
	restored = pod_patched_json(pod, &s);
	/* its place is the other's choice */
	pod_has(restored, "/spec/initContainers/0/name", "istio-proxy");
	pod_has(restored, "/spec/initContainers/1/name", "sqmqos-sidecar");
	pod_has(restored, "/spec/initContainers/2", "-");
	pod_has(restored, "/spec/initContainers/0/env", "-");
	pod_env(restored, "/spec/containers/1", "SQMQOS_URL", "mqtt://localhost:1883");
	json_decref(restored);

	/* what was taken away comes back; what was changed stays */
	json_array_remove(json_pointer_get(pod, "/spec/volumes"), 0);
	json_array_remove(json_pointer_get(pod, "/spec/initContainers/1/env"), 0);
	json_object_del(json_pointer_get(pod, "/spec/initContainers/1"), "livenessProbe");
	json_object_set_new(json_pointer_get(pod, "/spec/initContainers/1/readinessProbe/httpGet"),
	    "path", json_string("/app-health/sqmqos-sidecar/readyz"));
	json_object_set_new(
	    json_pointer_get(pod, "/spec/initContainers/1"), "image", json_string("mirror/x:1"));
	restored = pod_patched_json(pod, &s);
	pod_has(restored, "/spec/volumes/1/name", "sqmqos-pod");
	pod_env(restored, "/spec/initContainers/1", "SQMQOS_BROKERS",
	    "sqmqos-broker.sqmqos-system.svc.cluster.local:7443");
	pod_has(restored, "/spec/initContainers/1/livenessProbe/httpGet/path", "/livez");
	pod_has(restored, "/spec/initContainers/1/readinessProbe/httpGet/path",
	    "/app-health/sqmqos-sidecar/readyz");
	pod_has(restored, "/spec/initContainers/1/image", "mirror/x:1");
	json_decref(restored);
	json_decref(pod);
	sq_settings_free(&s);
}

Test(pod_patch, a_sidecar_of_another_version_stays_as_it_is)
{
	struct sq_settings s = pod_settings("version: 9.9.9");
	json_t *pod = pod_patched(BARE, NULL);
	struct sq_patch_request rq = {.pod = pod, .settings = &s, .asks = SQ_ASKS};
	struct sq_patch p;

	json_array_clear(json_pointer_get(pod, SIDECAR "/env"));
	sq_patch_make(&rq, &p);
	cr_assert_eq(p.outcome, SQ_PATCH_MADE);
	cr_assert_eq(json_array_size(p.ops), 0u);
	cr_assert_not_null(
	    strstr(pod_notes(&p.warnings), "a sidecar of version " SQ_VERSION), "it is said");
	sq_patch_free(&p);
	json_decref(pod);
	sq_settings_free(&s);
}

Test(pod_patch, the_label_of_a_copied_template_does_not_make_a_sidecar)
{
	json_t *pod = pod_patched("{metadata: {name: a, labels: {sqmqos.io/sidecar: 0.0.1}},"
				  " spec: {containers: [{name: app}]}}",
	    NULL);

	pod_has(pod, SIDECAR "/name", "sqmqos-sidecar");
	pod_has(pod, "/metadata/labels/sqmqos.io~1sidecar", SQ_VERSION);
	json_decref(pod);
}

Test(pod_patch, who_does_not_ask_is_untouched)
{
	struct sq_settings s = pod_settings(NULL);
	json_t *off = pod_yaml("{metadata: {name: a, labels: {sqmqos.io/inject: 'false'}},"
			       " spec: {hostNetwork: true, containers: [{name: app}]}}");
	json_t *plain = pod_yaml(BARE);
	struct sq_patch_request rq = {.pod = off, .settings = &s, .asks = SQ_ASKS};
	struct sq_patch p;

	sq_patch_make(&rq, &p);
	cr_assert_eq(p.outcome, SQ_PATCH_UNTOUCHED);
	cr_assert_null(p.ops);
	sq_patch_free(&p);
	rq.pod = plain;
	rq.asks = SQ_ASKS_NOT;
	sq_patch_make(&rq, &p);
	cr_assert_eq(p.outcome, SQ_PATCH_UNTOUCHED);
	sq_patch_free(&p);
	json_decref(off);
	json_decref(plain);
	sq_settings_free(&s);
}
