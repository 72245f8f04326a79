/* Pods that get no sidecar, and why; and what is only warned of. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/json_patch.h"
#include "../support/pod_patch.h"

#define APP "containers: [{name: app}]"

Test(pod_denied, the_host_and_windows)
{
	pod_denied("{metadata: {name: a}, spec: {hostNetwork: true, " APP "}}",
	    "spec.hostNetwork: a pod on the host's network can't have a sidecar: whatever runs on "
	    "the "
	    "node could publish and receive as this pod. The pod's label sqmqos.io/inject: "
	    "\"false\" "
	    "leaves it without",
	    NULL);
	pod_denied("{metadata: {name: a}, spec: {os: {name: windows}, " APP "}}",
	    "there is no sidecar for Windows", NULL);
	pod_denied("{metadata: {name: a}, spec: {nodeSelector: {kubernetes.io/os: windows}, " APP
		   "}}",
	    "there is no sidecar for Windows", NULL);
	pod_warned("{metadata: {name: a}, spec: {os: {name: linux}, hostNetwork: false,"
		   " nodeSelector: {kubernetes.io/os: linux}, " APP "}}",
	    NULL);
}

Test(pod_denied, ports_that_are_ours)
{
	static const char *const denied[] = {
	    "containers: [{name: app, ports: [{containerPort: 80}, {containerPort: 1883}]}]",
	    "containers: [{name: app, ports: [{containerPort: 7481, protocol: TCP}]}]",
	    "initContainers: [{name: i, ports: [{containerPort: 1883}]}], " APP,
	    "containers: [{name: app, livenessProbe: {tcpSocket: {port: 1883}}}]",
	    "containers: [{name: app, lifecycle: {preStop: {httpGet: {port: 1883}}}}]",
	};
	static const char *const fine[] = {
	    "containers: [{name: app, ports: [{containerPort: 1883, protocol: UDP}]}]",
	    "containers: [{name: app, ports: [{containerPort: 8080, hostPort: 1883}]}]",
	    "containers: [{name: app, startupProbe: {httpGet: {port: 7481, path: /readyz}}}]",
	    "containers: [{name: app, livenessProbe: {tcpSocket: {port: 1883, host: mq.example}}}]",
	    "containers: [{name: app, livenessProbe: {httpGet: {port: web}}}]",
	};
	char yaml[300];

	for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
		snprintf(yaml, sizeof yaml, "{metadata: {name: a}, spec: {%s}}", denied[i]);
		pod_denied(yaml, "of container", NULL);
	}
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
		snprintf(yaml, sizeof yaml, "{metadata: {name: a}, spec: {%s}}", fine[i]);
		pod_warned(yaml, NULL);
	}
	pod_denied("{metadata: {name: a, annotations: {sqmqos.io/port: '7481'}}, spec: {" APP "}}",
	    "port 7481 is the sidecar's admin port", NULL);
	/* another port for MQTT makes room */
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/port: '1884'}},"
		   " spec: {containers: [{name: broker, ports: [{containerPort: 1883}]}]}}",
	    NULL);
	pod_denied("{metadata: {name: a, annotations: {sqmqos.io/port: '1884'}},"
		   " spec: {containers: [{name: broker, ports: [{containerPort: 1884}]}]}}",
	    "port 1884 of container 'broker' is where the sidecar offers MQTT", NULL);
}

Test(pod_denied, a_label_that_is_neither_true_nor_false)
{
	static const char *const values[] = {"'yes'", "'True'", "enabled", "''"};

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char yaml[200];

		snprintf(yaml, sizeof yaml,
		    "{metadata: {name: a, labels: {sqmqos.io/inject: %s}}, spec: {" APP "}}",
		    values[i]);
		pod_denied(yaml, "the label sqmqos.io/inject must be \"true\" or \"false\"", NULL);
	}
}

Test(pod_denied, names_that_are_ours)
{
	pod_denied("{metadata: {name: a}, spec: {containers: [{name: sqmqos-sidecar}]}}",
	    "a container of its own that is named sqmqos-sidecar", NULL);
	pod_denied("{metadata: {name: a}, spec: {initContainers: [{name: sqmqos-sidecar}], " APP
		   "}}",
	    "a container of its own that is named sqmqos-sidecar", NULL);
	pod_denied("{metadata: {name: a, labels: {sqmqos.io/sidecar: 0.1.0}},"
		   " spec: {containers: [{name: sqmqos-sidecar}]}}",
	    "a container of its own that is named sqmqos-sidecar", NULL);
	pod_denied("{metadata: {name: a}, spec: {volumes: [{name: sqmqos-pod, emptyDir: {}}], " APP
		   "}}",
	    "a volume of its own that is named sqmqos-pod", NULL);
}

Test(pod_denied, a_disk_outbox_needs_a_claim)
{
	pod_denied("{metadata: {name: a, annotations: {sqmqos.io/outbox: disk}}, spec: {" APP "}}",
	    "outbox-claim", NULL);
	pod_denied("{metadata: {name: a, annotations: {sqmqos.io/outbox: disk,"
		   " sqmqos.io/outbox-claim: scratch}},"
		   " spec: {volumes: [{name: scratch, emptyDir: {}}], " APP "}}",
	    "the volume 'scratch' is no PersistentVolumeClaim", NULL);
}

Test(pod_denied, every_reason_at_once)
{
	pod_denied("metadata:\n"
		   "  name: a\n"
		   "  annotations:\n"
		   "    sqmqos.io/subscribe: |\n"
		   "      - filter: a/#/b\n"
		   "      - filter: c\n"
		   "        qos: 7\n"
		   "    sqmqos.io/port: nine\n"
		   "spec:\n"
		   "  hostNetwork: true\n"
		   "  containers: [{name: app, ports: [{containerPort: 7481}]}]\n",
	    "5 problems:\n- ", "sqmqos.io/subscribe: line 1, column ",
	    "sqmqos.io/subscribe: line 3, column ",
	    "sqmqos.io/port: line 1, column 1: ", "spec.hostNetwork", NULL);
}

Test(pod_denied, warnings)
{
	pod_warned("{metadata: {name: a}, spec: {dnsPolicy: Default, " APP "}}",
	    "spec.dnsPolicy: with Default", NULL);
	pod_warned("{metadata: {name: a}, spec: {dnsPolicy: None, " APP "}}",
	    "spec.dnsPolicy: with None", NULL);
	pod_warned("{metadata: {name: a}, spec: {dnsPolicy: None,"
		   " dnsConfig: {nameservers: [10.0.0.10]}, " APP "}}",
	    NULL);
	pod_warned("{metadata: {name: a}, spec: {dnsPolicy: ClusterFirst, " APP "}}", NULL);
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/subscribes: a, other/x: z}},"
		   " spec: {" APP "}}",
	    "did you mean sqmqos.io/subscribe", NULL);
}

Test(pod_denied, what_is_no_pod)
{
	static const char *const texts[] = {
	    "[]",
	    "1",
	    "{}",
	    "{spec: {containers: []}}",
	    "{spec: []}",
	    "{spec: {containers: {}}}",
	    "{spec: {containers: [1]}}",
	    "{spec: {containers: [{name: app, env: [null]}]}}",
	    "{metadata: [], spec: {" APP "}}",
	    "{metadata: {labels: {sqmqos.io/inject: true}}, spec: {" APP "}}",
	    "{metadata: {annotations: {sqmqos.io/port: 1884}}, spec: {" APP "}}",
	    "{metadata: {ownerReferences: [[]]}, spec: {" APP "}}",
	    "{spec: {hostNetwork: 'yes', " APP "}}",
	    "{spec: {volumes: [{name: 1}], " APP "}}",
	    "{spec: {resources: {limits: {cpu: {}}}, " APP "}}",
	    "{spec: {containers: [{name: app, lifecycle: {preStop: []}}]}}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		pod_denied(texts[i], "", NULL);
	pod_denied("{metadata: {annotations: {sqmqos.io/port: 1884}}, spec: {" APP "}}",
	    "metadata.annotations['sqmqos.io/port'] must be a text: put quotes around it", NULL);
	/* beside what else is wrong */
	pod_denied("{metadata: {annotations: {sqmqos.io/port: 1884, sqmqos.io/subscribe: 'a/#/b'}},"
		   " spec: {" APP "}}",
	    "must be a text", "bad filter", NULL);
	/* nothing to be its workload */
	pod_denied("{spec: {" APP "}}", "set the annotation sqmqos.io/workload", NULL);
}

Test(pod_denied, a_static_pod_is_left_alone)
{
	struct sq_settings s = pod_settings(NULL);
	json_t *pod = pod_yaml(
	    "{metadata: {name: a, annotations: {kubernetes.io/config.mirror: x}},"
	    " spec: {" APP "}}");
	struct sq_patch_request rq = {.pod = pod, .settings = &s, .asks = SQ_ASKS};
	struct sq_patch p;

	sq_patch_make(&rq, &p);
	cr_assert_eq(p.outcome, SQ_PATCH_UNTOUCHED);
	cr_assert_eq(p.warnings.n, 1u);
	sq_patch_free(&p);
	json_decref(pod);
	sq_settings_free(&s);
}
