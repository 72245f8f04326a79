/* The sidecar's requests and limits, by what the pod has. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/pod_patch.h"

#define GUARANTEED "{name: app, resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1000m}}}"

struct resources_case {
	const char *what;
	const char *annotations; /* entries of a map in flow form */
	const char *spec;        /* with the containers */
	const char *settings;    /* of "resources"; NULL: the defaults */
	const char *resources;   /* wanted */
};

static const struct resources_case cases[] = {
    {"what the installation says", "", "containers: [{name: app}]", NULL,
	"{requests: {cpu: 5m, memory: 8Mi}, limits: {memory: 64Mi}}"},
    {"an installation without limits", "", "containers: [{name: app}]",
	"{requests: {memory: null, ephemeral-storage: 1Mi}, limits: {memory: null}}",
	"{requests: {cpu: 5m, ephemeral-storage: 1Mi}}"},
    {"annotations go before",
	"sqmqos.io/sidecar-cpu-request: 20m, sqmqos.io/sidecar-cpu-limit: 500m,"
	" sqmqos.io/sidecar-memory-request: 16Mi, sqmqos.io/sidecar-memory-limit: 32Mi",
	"containers: [{name: app}]", NULL,
	"{requests: {cpu: 20m, memory: 16Mi}, limits: {cpu: 500m, memory: 32Mi}}"},
    {"a request above the installation's limit", "sqmqos.io/sidecar-memory-request: 128Mi",
	"containers: [{name: app}]", NULL,
	"{requests: {cpu: 5m, memory: 128Mi}, limits: {memory: 128Mi}}"},
    {"a limit below the installation's request", "sqmqos.io/sidecar-memory-limit: 4Mi",
	"containers: [{name: app}]", NULL,
	"{requests: {cpu: 5m, memory: 4Mi}, limits: {memory: 4Mi}}"},
    {"a Guaranteed pod stays one", "", "containers: [" GUARANTEED "]", NULL,
	"{requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 100m, memory: 64Mi}}"},
    {"by limits alone", "",
	"containers: [{name: app, resources: {limits: {cpu: 100m, memory: 1Gi}}}]", NULL,
	"{requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 100m, memory: 64Mi}}"},
    {"with an init container that is not", "",
	"initContainers: [{name: i}], containers: [" GUARANTEED "]", NULL,
	"{requests: {cpu: 5m, memory: 8Mi}, limits: {memory: 64Mi}}"},
    {"a request below its limit", "",
	"containers: [{name: app, resources: {limits: {cpu: 1, memory: 1Gi},"
	" requests: {cpu: 999m}}}]",
	NULL, "{requests: {cpu: 5m, memory: 8Mi}, limits: {memory: 64Mi}}"},
    {"a Guaranteed pod, the sidecar's request said", "sqmqos.io/sidecar-cpu-request: 30m",
	"containers: [" GUARANTEED "]", NULL,
	"{requests: {cpu: 30m, memory: 64Mi}, limits: {cpu: 30m, memory: 64Mi}}"},
    {"a Guaranteed pod, a large request of the installation", "", "containers: [" GUARANTEED "]",
	"{requests: {cpu: 300m}}",
	"{requests: {cpu: 300m, memory: 64Mi}, limits: {cpu: 300m, memory: 64Mi}}"},
    {"a pod with resources of its own", "",
	"resources: {requests: {cpu: 1, memory: 1Gi}}, containers: [{name: app}]", NULL, "{}"},
    {"of one kind", "", "resources: {limits: {cpu: 1}}, containers: [" GUARANTEED "]", NULL,
	"{requests: {memory: 8Mi}, limits: {memory: 64Mi}}"},
    {"and annotations", "sqmqos.io/sidecar-memory-limit: 32Mi",
	"resources: {limits: {cpu: 1, memory: 1Gi}}, containers: [{name: app}]", NULL,
	"{limits: {memory: 32Mi}}"},
};

Test(pod_resources, table)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char yaml[800], settings[300] = "";
		json_t *pod;

		snprintf(yaml, sizeof yaml, "{metadata: {name: a, annotations: {%s}}, spec: {%s}}",
		    cases[i].annotations, cases[i].spec);
		if (cases[i].settings != NULL)
			snprintf(settings, sizeof settings, "sidecar: {resources: %s}",
			    cases[i].settings);
		pod = pod_patched(yaml, settings);
		cr_log_info("%s", cases[i].what);
		pod_has(pod, "/spec/initContainers/0/resources", cases[i].resources);
		json_decref(pod);
	}
}

Test(pod_resources, a_guaranteed_pod_counts_the_limit)
{
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/sidecar-cpu-request: 20m,"
		   " sqmqos.io/sidecar-cpu-limit: 50m}}, spec: {containers: [" GUARANTEED "]}}",
	    "the sidecar's limit counts as its request", NULL);
}

Test(pod_resources, a_request_above_its_limit_is_denied)
{
	pod_denied("{metadata: {name: a, annotations: {sqmqos.io/sidecar-cpu-request: 200m,"
		   " sqmqos.io/sidecar-cpu-limit: 50m}}, spec: {containers: [{name: app}]}}",
	    "sqmqos.io/sidecar-cpu-", NULL);
}

Test(pod_resources, an_outbox_in_memory_must_fit)
{
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/outbox: 'memory: 256Mi'}},"
		   " spec: {containers: [{name: app}]}}",
	    "does not fit into the sidecar's limit of 64Mi", NULL);
	pod_warned("{metadata: {name: a, annotations: {sqmqos.io/outbox: 'memory: 256Mi',"
		   " sqmqos.io/sidecar-memory-limit: 300Mi}}, spec: {containers: [{name: app}]}}",
	    NULL);
}
