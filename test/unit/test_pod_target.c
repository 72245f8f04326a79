/* Which workload a pod belongs to, and where an object has its pods. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../k8s/patch/target.h"
#include "../support/json_patch.h"
#include "../support/pod_patch.h"

static const struct {
	const char *meta, *workload;
} pods[] = {
    /* bare */
    {"{name: lone}", "lone"},
    {"{generateName: job-run-}", "job-run"},
    {"{generateName: dashes--}", "dashes"},
    {"{generateName: none}", "none"},
    {"{name: set, generateName: set-}", "set"},
    {"{}", ""},
    /* ReplicaSets, of a Deployment, of Argo Rollouts, alone */
    {"{name: web-5f7d-abc, labels: {pod-template-hash: 5f7d}, ownerReferences:"
     " [{kind: ReplicaSet, name: web-5f7d, controller: true}]}",
	"web"},
    {"{labels: {rollouts-pod-template-hash: 77aa}, ownerReferences:"
     " [{kind: ReplicaSet, name: my-roll-77aa, controller: true}]}",
	"my-roll"},
    {"{labels: {app: x}, ownerReferences:"
     " [{kind: ReplicaSet, name: plain-set, controller: true}]}",
	"plain-set"},
    {"{labels: {pod-template-hash: '123'}, ownerReferences:"
     " [{kind: ReplicaSet, name: other-456, controller: true}]}",
	"other-456"},
    {"{labels: {pod-template-hash: web}, ownerReferences:"
     " [{kind: ReplicaSet, name: web, controller: true}]}",
	"web"},
    /* the others' own */
    {"{name: db-0, ownerReferences: [{kind: StatefulSet, name: db, controller: true}]}", "db"},
    {"{ownerReferences: [{kind: DaemonSet, name: agent-1, controller: true}]}", "agent-1"},
    {"{ownerReferences: [{kind: ReplicationController, name: rc, controller: true}]}", "rc"},
    {"{ownerReferences: [{kind: SparkApplication, name: spark-12345678, controller: true}]}",
	"spark-12345678"},
    /* Jobs: a CronJob's run has the time, in minutes or in seconds */
    {"{ownerReferences: [{kind: Job, name: migrate, controller: true}]}", "migrate"},
    {"{ownerReferences: [{kind: Job, name: nightly-29380800, controller: true}]}", "nightly"},
    {"{ownerReferences: [{kind: Job, name: n-ly-1762848000, controller: true}]}", "n-ly"},
    {"{ownerReferences: [{kind: Job, name: batch-1234567, controller: true}]}", "batch-1234567"},
    {"{ownerReferences: [{kind: Job, name: batch-12345678901, controller: true}]}",
	"batch-12345678901"},
    {"{ownerReferences: [{kind: Job, name: batch-1234567a, controller: true}]}", "batch-1234567a"},
    {"{ownerReferences: [{kind: Job, name: '12345678', controller: true}]}", "12345678"},
    /* who owns without managing does not count; nor do several */
    {"{name: kept, ownerReferences: [{kind: ConfigMap, name: c}]}", "kept"},
    {"{name: x, ownerReferences: [{kind: ConfigMap, name: c},"
     " {kind: StatefulSet, name: db, controller: true}]}",
	"db"},
};

Test(pod_target, workloads)
{
	for (size_t i = 0; i < sizeof pods / sizeof pods[0]; i++) {
		char yaml[400], workload[SQ_WORKLOAD_NAME_MAX + 1];
		json_t *pod;

		snprintf(yaml, sizeof yaml, "{metadata: %s}", pods[i].meta);
		pod = pod_yaml(yaml);
		sq_workload_of_pod(pod, workload);
		cr_assert_str_eq(workload, pods[i].workload, "%s: %s", yaml, workload);
		json_decref(pod);
	}
}

Test(pod_target, the_annotation_goes_before)
{
	json_t *pod = pod_patched(
	    "{metadata: {name: a, annotations: {sqmqos.io/workload: other},"
	    " ownerReferences: [{kind: StatefulSet, name: db, controller: true}]},"
	    " spec: {containers: [{name: app}]}}",
	    NULL);

	pod_env(pod, "/spec/initContainers/0", "SQMQOS_IDENTITY_WORKLOAD", "other");
	json_decref(pod);
}

/* The kubelet would put a variable of the container in its place. */
Test(pod_target, dollars_of_a_workload_stay_dollars)
{
	json_t *pod = pod_patched(
	    "{metadata: {name: a, annotations: {sqmqos.io/workload: '$(SQMQOS_TLS_CA)'}},"
	    " spec: {containers: [{name: app}]}}",
	    NULL);

	pod_env(pod, "/spec/initContainers/0", "SQMQOS_IDENTITY_WORKLOAD", "$$(SQMQOS_TLS_CA)");
	json_decref(pod);
}

static const struct {
	const char *object, *path, *workload; /* path NULL: no target */
} objects[] = {
    {"{apiVersion: v1, kind: Pod, metadata: {name: p}}", "", "p"},
    {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {}}}",
	"/spec/template", "d"},
    {"{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {template: {}}}",
	"/spec/template", "s"},
    {"{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: s}, spec: {template: {}}}",
	"/spec/template", "s"},
    {"{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: d-1, labels:"
     " {pod-template-hash: '1'}}, spec: {template: {}}}",
	"/spec/template", "d"},
    {"{apiVersion: batch/v1, kind: Job, metadata: {name: c-12345678}, spec: {template: {}}}",
	"/spec/template", "c"},
    {"{apiVersion: batch/v1, kind: CronJob, metadata: {name: c},"
     " spec: {jobTemplate: {spec: {template: {}}}}}",
	"/spec/jobTemplate/spec/template", "c"},
    {"{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: r},"
     " spec: {template: {}}}",
	"/spec/template", "r"},
    {"{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}", NULL, NULL},
    {"{apiVersion: example.com/v1, kind: Deployment, spec: {template: {}}}", NULL, NULL},
    {"{apiVersion: apps/v1, kind: Deployment, spec: {template: []}}", NULL, NULL},
    {"{kind: Pod}", NULL, NULL},
    {"[]", NULL, NULL},
};

Test(pod_target, objects)
{
	for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
		json_t *object = pod_yaml(objects[i].object);
		struct sq_target t;
		int rc = sq_target_find(object, &t);

		cr_assert_eq(
		    rc, objects[i].path != NULL ? 0 : SQ_ENOTFOUND, "%s", objects[i].object);
		if (rc == 0) {
			cr_assert_str_eq(t.path, objects[i].path);
			cr_assert_str_eq(t.workload, objects[i].workload);
			cr_assert_eq(t.pod, json_pointer_get(object, t.path));
		}
		json_decref(object);
	}
}
