/* The injector's table of keys; see k8s/injector/config.h. */
#include "k8s/injector/config.h"

#include <stddef.h>
#include <string.h>

#include "core/dumps.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/kube_api/kube_api.h"

#define AT(member) offsetof(struct sq_injector_config, member)

#define SECOND UINT64_C(1000)
#define HOUR (3600 * SECOND)
#define YEAR (365 * 24 * HOUR)

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 }; /* of DNS */

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const modes[] = {"managed", "provided", "files", NULL};

/* Rows leave out members that are zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

const struct sq_config_key sq_injector_config_keys[] = {
    {"listen.address", SQ_CFG_STRING, AT(listen), "*:10250", 0, 0, NULL,
	"Where the API server calls /mutate and /validate: host:port, [v6]:port, or *:port for "
	"every address."},
    {"listen.max-connections", SQ_CFG_UINT, AT(max_connections), "256", 1, 100000, NULL,
	"Connections at a time; for one more the idlest is closed."},
    {"listen.max-waiting", SQ_CFG_SIZE, AT(max_waiting), "32Mi", 16 << 20, UINT64_C(1) << 40, NULL,
	"Bytes of requests that have not come in whole, of all connections; above that the "
	"largest is ended."},
    {"admin.listen", SQ_CFG_STRING, AT(admin_listen), NULL, 0, 0, NULL,
	"Address of /livez, /readyz and /metrics, as *:9090; without it there is none."},
    {"settings.file", SQ_CFG_STRING, AT(settings_file), NULL, 0, 0, NULL,
	"What sidecars are made of, as the chart writes it (settings.yaml); read again when it "
	"changes, but for namespace, fullname and clusterDomain, from which names follow."},
    {"certificates.mode", SQ_CFG_ENUM, AT(mode), "managed", 0, 0, modes,
	"managed: made and renewed here, kept in two Secrets; provided: of Secrets that somebody "
	"else writes, as cert-manager does; files: of files, and no API server is asked."},
    {"certificates.ca-lifetime", SQ_CFG_DURATION, AT(ca_ms), "87600h", 30 * SECOND, 50 * YEAR, NULL,
	"managed: how long an authority lives; it is renewed at two thirds of that."},
    {"certificates.leaf-lifetime", SQ_CFG_DURATION, AT(leaf_ms), "2160h", 10 * SECOND, 10 * YEAR,
	NULL,
	"managed: how long the broker's certificate and the webhook's live; each is renewed at two "
	"thirds of that."},
    {"certificates.overlap", SQ_CFG_DURATION, AT(overlap_ms), "24h", SECOND, YEAR, NULL,
	"managed: how long a new authority is trusted before it signs, and the old one after; more "
	"than kubelet's sync period and link.max-age."},
    {"certificates.ca-secret", SQ_CFG_STRING, AT(ca_secret), NULL, 0, 0, NULL,
	"Secret of the authority, or with provided the one whose ca.crt sidecars and API server "
	"shall trust; without it <fullname>-ca."},
    {"certificates.ca-config-map", SQ_CFG_STRING, AT(ca_config_map), NULL, 0, 0, NULL,
	"provided: ConfigMap with that ca.crt, in place of the Secret."},
    {"certificates.broker-secret", SQ_CFG_STRING, AT(broker_secret), NULL, 0, 0, NULL,
	"managed: Secret that brokers mount; without it <fullname>-broker-tls."},
    {"certificates.broker-names", SQ_CFG_LIST, AT(broker_names), NULL, 0, 0, NULL,
	"managed: DNS names of the broker's certificate besides those of its Services, at most 16, "
	"as that "
	"of a load balancer."},
    {"certificates.serving-secret", SQ_CFG_STRING, AT(serving_secret), NULL, 0, 0, NULL,
	"provided: Secret with tls.crt and tls.key of the webhook, for the DNS name "
	"<fullname>-injector.<namespace>.svc."},
    {"certificates.cert-file", SQ_CFG_STRING, AT(cert_file), NULL, 0, 0, NULL,
	"files: PEM file with the webhook's certificate chain."},
    {"certificates.key-file", SQ_CFG_STRING, AT(key_file), NULL, 0, 0, NULL,
	"files: PEM file with its key."},
    {"certificates.ca-file", SQ_CFG_STRING, AT(ca_file), NULL, 0, 0, NULL,
	"files: PEM file with the authorities that sidecars shall trust."},
    {"webhooks.name", SQ_CFG_STRING, AT(webhooks), NULL, 0, 0, NULL,
	"Name of the mutating and of the validating webhook configuration; without it "
	"0-<fullname>-injector."},
    {"webhooks.ca-bundle", SQ_CFG_BOOL, AT(ca_bundle), "true", 0, 0, NULL,
	"Write the authorities into both, and again when they are gone; false: somebody else does, "
	"as cert-manager's cainjector. Never with files."},
    {"kubernetes.server", SQ_CFG_STRING, AT(api_server), NULL, 0, 0, NULL,
	"The API server, as https://10.96.0.1:443; without it as kubelet tells each pod."},
    {"kubernetes.token-file", SQ_CFG_STRING, AT(token_file), SQ_KUBE_API_TOKEN_FILE, 0, 0, NULL,
	"Token for the API server."},
    {"kubernetes.ca-file", SQ_CFG_STRING, AT(api_ca_file), SQ_KUBE_API_CA_FILE, 0, 0, NULL,
	"Authorities of the API server."},
    {"kubernetes.interval", SQ_CFG_DURATION, AT(interval_ms), "3s", 100, 60 * SECOND, NULL,
	"How often Secrets, webhook configurations and files are looked at."},
    {"shutdown.lame-duck", SQ_CFG_DURATION, AT(lame_ms), "5s", 0, 600 * SECOND, NULL,
	"How long SIGTERM lets requests come, which the API server sends until it knows."},
    {"shutdown.timeout", SQ_CFG_DURATION, AT(drain_ms), "10s", 0, 600 * SECOND, NULL,
	"How long it then waits for those that are running."},
    {SQ_DUMPS_KEY, SQ_CFG_BOOL, AT(core_dumps), "false", 0, 0, NULL, SQ_DUMPS_HELP},
    {"log.level", SQ_CFG_ENUM, AT(log_level), "info", 0, 0, levels, "Least severe lines to log.",
	true},
    {"log.format", SQ_CFG_ENUM, AT(log_format), "text", 0, 0, sq_log_format_names,
	"How lines are written; json: one object per line."},
};

const size_t sq_injector_config_n = SQ_ARRAY_LEN(sq_injector_config_keys);

/* Which keys a mode needs, and which it does not take. */
static int
config_check_mode(const struct sq_injector_config *c, struct sq_buf *err)
{
	const struct {
		const char *key, *value;
		unsigned modes; /* bits: taken by these */
		bool needed;
	} rules[] = {
	    {"certificates.serving-secret", c->serving_secret, 1u << SQ_CERTS_PROVIDED, true},
	    {"certificates.ca-config-map", c->ca_config_map, 1u << SQ_CERTS_PROVIDED, false},
	    {"certificates.broker-secret", c->broker_secret, 1u << SQ_CERTS_MANAGED, false},
	    {"certificates.ca-secret", c->ca_secret,
		1u << SQ_CERTS_MANAGED | 1u << SQ_CERTS_PROVIDED, false},
	    {"certificates.cert-file", c->cert_file, 1u << SQ_CERTS_FILES, true},
	    {"certificates.key-file", c->key_file, 1u << SQ_CERTS_FILES, true},
	    {"certificates.ca-file", c->ca_file, 1u << SQ_CERTS_FILES, true},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rules); i++) {
		bool taken = (rules[i].modes & 1u << c->mode) != 0;

		if (taken ? !rules[i].needed || sq_config_is_set(rules[i].value)
			  : !sq_config_is_set(rules[i].value))
			continue;
		sq_buf_printf(err, "%s: %s with certificates.mode: %s", rules[i].key,
		    taken ? "needed" : "not taken", modes[c->mode]);
		return SQ_EINVAL;
	}
	if (sq_config_is_set(c->ca_secret) && sq_config_is_set(c->ca_config_map)) {
		sq_buf_printf(
		    err, "certificates.ca-config-map: there is certificates.ca-secret, too");
		return SQ_EINVAL;
	}
	return SQ_OK;
}

/* A DNS name, whose first label may be "*", and no IPv4 address. */
static bool
config_is_name(const char *name)
{
	size_t label = 0, i = strncmp(name, "*.", 2) == 0 ? 2 : 0;

	for (; name[i] != '\0' && i <= NAME_MAX_BYTES; i++) {
		bool letter = (name[i] >= 'a' && name[i] <= 'z') ||
		    (name[i] >= '0' && name[i] <= '9');
		bool inner = label > 0 && name[i + 1] != '.' && name[i + 1] != '\0';

		if (name[i] == '.' && label > 0)
			label = 0;
		else if ((letter || (name[i] == '-' && inner)) && ++label <= LABEL_MAX_BYTES)
			continue;
		else
			return false;
	}
	return label > 0 && i <= NAME_MAX_BYTES && strspn(name, "0123456789.") < i;
}

static int
config_check_names(const struct sq_injector_config *c, struct sq_buf *err)
{
	if (c->broker_names.n > 0 && c->mode != SQ_CERTS_MANAGED) {
		sq_buf_printf(err,
		    "certificates.broker-names: not taken with certificates.mode: %s",
		    modes[c->mode]);
		return SQ_EINVAL;
	}
	if (c->broker_names.n > SQ_INJECTOR_BROKER_NAMES_MAX) {
		sq_buf_printf(
		    err, "certificates.broker-names: more than %d", SQ_INJECTOR_BROKER_NAMES_MAX);
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < c->broker_names.n; i++) {
		if (config_is_name(c->broker_names.v[i]))
			continue;
		sq_buf_printf(err,
		    "certificates.broker-names: '%.64s' is no DNS name in lower case",
		    c->broker_names.v[i]);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

int
sq_injector_config_load(
    struct sq_injector_config *c, int argc, char **argv, char **envp, struct sq_buf *err)
{
	int rc = sq_config_load(
	    c, sq_injector_config_keys, sq_injector_config_n, argc, argv, envp, err);

	if (rc != SQ_OK)
		return rc;
	if (!sq_config_is_set(c->settings_file)) {
		sq_buf_printf(err, "settings.file: needed");
		return SQ_EINVAL;
	}
	/* The old authority has a third of its life left when it is renewed; it signs for one
	 * overlap, and what it signed is in use for another. */
	if (c->overlap_ms > c->ca_ms / 6) {
		sq_buf_printf(err,
		    "certificates.overlap: more than a sixth of certificates.ca-lifetime: an "
		    "authority would end before its successor is known");
		return SQ_EINVAL;
	}
	return config_check_mode(c, err) == SQ_OK ? config_check_names(c, err) : SQ_EINVAL;
}

void
sq_injector_config_free(struct sq_injector_config *c)
{
	sq_config_free(c, sq_injector_config_keys, sq_injector_config_n);
}
