/* settings.yaml: defaults, values, and what is refused with its line. */
#include <criterion/criterion.h>
#include <string.h>

#include "../support/pod_patch.h"

Test(pod_settings, defaults)
{
	struct sq_settings s = pod_settings("");

	cr_assert_str_eq(s.version, SQ_VERSION);
	cr_assert_str_eq(s.space, "sqmqos-system");
	cr_assert_str_eq(s.fullname, "sqmqos");
	cr_assert_str_eq(s.cluster_domain, "cluster.local");
	cr_assert_eq(s.n_secrets, 0u);
	cr_assert_str_eq(s.repository, "sqmqos/sidecar");
	cr_assert_str_eq(s.requests[SQ_RESOURCE_CPU], "5m");
	cr_assert_str_eq(s.requests[SQ_RESOURCE_MEMORY], "8Mi");
	cr_assert_null(s.limits[SQ_RESOURCE_CPU]);
	cr_assert_str_eq(s.limits[SQ_RESOURCE_MEMORY], "64Mi");
	cr_assert_eq(s.admin_port, 7481);
	cr_assert_eq(s.broker_port, 7443);
	cr_assert(s.seccomp);
	cr_assert_not(s.core_dumps);
	cr_assert_eq(s.run_as_user, 65532);
	cr_assert_str_eq(s.audience, "sqmqos");
	cr_assert_eq(s.token_expiry_s, 3600u);
	sq_settings_free(&s);
}

Test(pod_settings, everything_said)
{
	struct sq_settings s = pod_settings(
	    "version: 9.8.7\n"
	    "namespace: mq\n"
	    "fullname: mine\n"
	    "clusterDomain: k8s.example\n"
	    "imagePullSecrets: [a, {name: b}]\n"
	    "sidecar:\n"
	    "  image: {registry: r, repository: p/q, tag: t, digest: '', pullPolicy: Always}\n"
	    "  resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: '2', memory: null}}\n"
	    "  adminPort: 1\n"
	    "  logLevel: debug\n"
	    "  logFormat: json\n"
	    "  security: {seccomp: false, coreDumps: true}\n"
	    "  runAsUser: null\n"
	    "broker: {port: 65535}\n"
	    "tracing: {endpoint: 'http://c:4318', sample: '0.5'}\n"
	    "auth: {audience: x, tokenExpirySeconds: 600}\n");

	cr_assert_str_eq(s.version, "9.8.7");
	cr_assert_str_eq(s.space, "mq");
	cr_assert_eq(s.n_secrets, 2u);
	cr_assert_str_eq(s.secrets[1], "b");
	cr_assert_str_eq(s.requests[SQ_RESOURCE_CPU], "1");
	cr_assert_str_eq(s.limits[SQ_RESOURCE_CPU], "2");
	cr_assert_null(s.limits[SQ_RESOURCE_MEMORY]);
	cr_assert_str_eq(s.pull_policy, "Always");
	cr_assert_not(s.seccomp);
	cr_assert(s.core_dumps);
	cr_assert_eq(s.run_as_user, -1);
	cr_assert_eq(s.broker_port, 65535);
	cr_assert_str_eq(s.tracing.endpoint, "http://c:4318");
	cr_assert_str_eq(s.tracing.sample, "0.5");
	sq_settings_free(&s);
}

Test(pod_settings, what_is_refused)
{
	static const char *const cases[][2] = {
	    {"sidecar:\n  adminport: 1\n",
		"s:2: sidecar.adminport is unknown, did you mean sidecar.adminPort?"},
	    {"nonsense: 1\n", "s:1: nonsense is unknown"},
	    {"sidecar:\n  image:\n    a/b: 1\n", "s:2: sidecar.image has an unknown key: a/b"},
	    {"version: 1.0\n", "s:1: version must be a version, as a text"},
	    {"sidecar: 1\n", "s:1: sidecar must be a map"},
	    {"- a\n", "s:1: the settings must be a map"},
	    {"\nsidecar: {adminPort: 70000}\n",
		"s:2: sidecar.adminPort must be a number from 1 to 65535"},
	    {"sidecar: {adminPort: '7481'}\n",
		"s:1: sidecar.adminPort must be a number from 1 to 65535"},
	    {"sidecar: {logLevel: loud}\n",
		"s:1: sidecar.logLevel must be one of: debug info warn error"},
	    {"sidecar: {security: {seccomp: 'false'}}\n",
		"s:1: sidecar.security.seccomp must be true or false"},
	    {"sidecar: {security: {coreDumps: null}}\n",
		"s:1: sidecar.security.coreDumps must be true or false"},
	    {"sidecar: {image: {pullPolicy: 'Always IfNotPresent'}}\n",
		"s:1: sidecar.image.pullPolicy must be one of: Always IfNotPresent Never"},
	    {"sidecar: {runAsUser: 0}\n",
		"s:1: sidecar.runAsUser must be a number from 1 to 2147483647, or null"},
	    {"sidecar: {resources: {limits: {memory: lots}}}\n",
		"s:1: sidecar.resources.limits.memory must be a quantity such as 64Mi"},
	    {"imagePullSecrets: [{}]\n",
		"s:1: imagePullSecrets must be a list of at most 16 names"},
	    {"auth:\n  tokenExpirySeconds: 10\n",
		"s:2: auth.tokenExpirySeconds must be a number from 600 to 4294967295"},
	    {"fullname: a\nfullname: b\n", "s:2: fullname twice"},
	    {"a: [\n", "s:2: "},
	    {"version: a\n---\nversion: b\n", "s:2: one document is enough"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sq_settings s;
		struct sq_buf err = {0};
		char text[400];

		cr_assert_eq(sq_settings_parse("s", cases[i][0], strlen(cases[i][0]), &s, &err),
		    SQ_EINVAL, "%s", cases[i][0]);
		snprintf(text, sizeof text, "%.*s", (int)sq_buf_len(&err),
		    (const char *)sq_buf_data(&err));
		cr_assert_eq(strncmp(text, cases[i][1], strlen(cases[i][1])), 0, "%s: %s",
		    cases[i][0], text);
		cr_assert_null(s.version);
		sq_buf_fini(&err);
	}
}
