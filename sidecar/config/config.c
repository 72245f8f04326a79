/* The sidecar's configuration table. */
#include "sidecar/config/config.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "core/dumps.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/trace.h"
#include "proto/annotations/outbox.h"
#include "proto/link/key.h"
#include "proto/topic/topic.h"

static const char *const outbox_modes[] = {"memory", "disk", NULL};
static const char *const characters[] = {"allow", "refuse", NULL};
static const char *const automatic[] = {"auto", NULL};
static const char *const trace_parents[] = {"sampled", "all", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

#define SAMPLE_DEFAULT "0.01" /* as the key's help says */

#define KEY(name, type, field, def, min, max, help) \
	{ \
		name, type, offsetof(struct sq_sidecar_cfg, field), def, min, max, NULL, help, \
		    false \
	}

/* Rows leave out members that are zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

const struct sq_config_key sq_sidecar_keys[] = {
    KEY("listen.port", SQ_CFG_UINT, listen_port, "1883", 0, 65535,
	"TCP port for local MQTT clients; 0: none."),
    KEY("listen.addresses", SQ_CFG_LIST, listen_addresses, "127.0.0.1, ::1", 0, 0,
	"Addresses of that port."),
    KEY("listen.unix", SQ_CFG_STRING, listen_unix, NULL, 0, 0,
	"Path of a unix socket for local MQTT clients."),
    KEY("brokers", SQ_CFG_LIST, brokers, "127.0.0.1:7443", 0, 0,
	"Brokers as host:port; all serve one store."),
    KEY("pool.links-per-broker", SQ_CFG_UINT, links_per_broker, "2", 1, 2,
	"HTTP/2 connections to each broker."),
    KEY("pool.brokers-max", SQ_CFG_UINT, brokers_max, "2", 1, 16,
	"To how many of the brokers at a time."),
    KEY("pool.brokers-allowed", SQ_CFG_LIST, brokers_allowed, NULL, 0, 0,
	"Hosts to which a broker may send this one: a host, or .domain for all below it. None: "
	"those "
	"of brokers, below them, and beside them in .svc or a domain of three labels or more."),
    KEY("pool.backoff-min", SQ_CFG_DURATION, backoff_min_ms, "100ms", 1, 60000,
	"Longest wait before the first dial again; the wait is drawn at random."),
    KEY("pool.backoff-max", SQ_CFG_DURATION, backoff_max_ms, "5s", 1, 600000,
	"What that wait grows to."),
    KEY("pool.dial-timeout", SQ_CFG_DURATION, dial_timeout_ms, "5s", 10, 60000,
	"Time for a connection to come up."),
    KEY("pool.silence", SQ_CFG_DURATION, silence_ms, "10s", 100, 600000,
	"A link without a frame for so long is dropped. Brokers send one every 5 s: below 6s "
	"idle links are dropped again and again, and the log says so at the start."),
    KEY("pool.max-age", SQ_CFG_DURATION, max_age_ms, NULL, 0, 0,
	"Age at which a link is replaced; 0: never."),
    KEY("tls.enabled", SQ_CFG_BOOL, tls, "true", 0, 0,
	"TLS 1.3 to the brokers; false: clear text."),
    KEY("tls.ca-file", SQ_CFG_STRING, ca_file, NULL, 0, 0,
	"PEM file of the authorities to trust; without it the system's."),
    KEY("tls.ca", SQ_CFG_STRING, ca, NULL, 0, 0,
	"The authorities themselves, as PEM text, in place of a file."),
    KEY("tls.server-name", SQ_CFG_STRING, server_name, NULL, 0, 0,
	"Name that the brokers' certificates must have; without it the host's."),
    KEY("tls.cert-file", SQ_CFG_STRING, cert_file, NULL, 0, 0,
	"PEM file of a certificate chain that proves to brokers who this is, where they take "
	"certificates; it and the key are read again when they change."),
    KEY("tls.key-file", SQ_CFG_STRING, key_file, NULL, 0, 0, "PEM file with its private key."),
    KEY("auth.token-file", SQ_CFG_STRING, token_file, NULL, 0, 0,
	"File with the bearer token; read again when it changes."),
    KEY("auth.password-file", SQ_CFG_STRING, password_file, NULL, 0, 0,
	"Users that local clients must name, user:hash on each line, hashed as crypt(3) does; "
	"read again when it changes; unset: user name and password are not looked at."),
    KEY("identity.space", SQ_CFG_STRING, space, "default", 0, 0, "The topic space."),
    KEY("identity.workload", SQ_CFG_STRING, workload, "app", 0, 0,
	"The workload; its name is the default group."),
    KEY("identity.pod", SQ_CFG_STRING, pod, NULL, 0, 0, "The pod; without it the host's name."),
    KEY("identity.node", SQ_CFG_STRING, node, NULL, 0, 0,
	"The node that the pod runs on; it is named in the log."),
    KEY("annotations.file", SQ_CFG_STRING, annotations_file, NULL, 0, 0,
	"The pod's annotations as the downward API writes them, in one file."),
    KEY("annotations.dir", SQ_CFG_STRING, annotations_dir, NULL, 0, 0,
	"A folder with a file for each: subscribe, publish and client-id, empty or missing where "
	"it is not set."),
    KEY("declared.settle", SQ_CFG_DURATION, declared_settle_ms, "1s", 0, 600000,
	"How long a client is watched before it may get the declared messages, without a "
	"client-id."),
    {"outbox.mode", SQ_CFG_ENUM, offsetof(struct sq_sidecar_cfg, outbox_mode), "memory", 0, 0,
	outbox_modes,
	"Where publishes wait for a broker; disk: QoS 1 and 2 are acknowledged once synced there."},
    KEY("outbox.size", SQ_CFG_SIZE, outbox_size, NULL, 65536, UINT64_C(1) << 44,
	"How many bytes of them; without it 8Mi in memory, 1Gi on disk."),
    KEY("outbox.dir", SQ_CFG_STRING, outbox_dir, NULL, 0, 0,
	"Directory of an outbox on disk, for this sidecar alone."),
    KEY("outbox.shared", SQ_CFG_BOOL, outbox_shared, "false", 0, 0,
	"outbox.dir is shared by many sidecars: each has a folder of its own there, and empties "
	"those that were left behind."),
    KEY("outbox.take-up", SQ_CFG_DURATION, outbox_take_up_ms, "1m", 1000, 86400000,
	"Time between two looks for such a folder; one that no sidecar has at two of them is taken "
	"up."),
    KEY("outbox.order-wait", SQ_CFG_DURATION, outbox_order_wait_ms, "5s", 0, 600000,
	"How long a client's SUBSCRIBE waits at most for what the client has published before by "
	"the disk, and what it publishes after for the SUBACK; 0: not at all."),
    KEY("admin.listen", SQ_CFG_STRING, admin_listen, NULL, 0, 0,
	"Address of /livez, /readyz and /metrics, as 127.0.0.1:9090, localhost:9090, or *:9090 for "
	"every address of IPv4 and IPv6; without it there is none."),
    KEY("state.dir", SQ_CFG_STRING, state_dir, NULL, 0, 0,
	"Directory of what outlives a restart of the sidecar in its pod: that it was ready."),
    KEY("limits.clients", SQ_CFG_UINT, max_clients, "16384", 1, 1000000,
	"MQTT connections at a time."),
    KEY("limits.max-packet", SQ_CFG_SIZE, max_packet, "1088Ki", 1024, 268435455,
	"Bytes of an MQTT packet from a client; a payload of 1 MiB fits the default."),
    KEY("limits.subscriptions", SQ_CFG_UINT, max_subscriptions, "10000", 1, 1000000,
	"Subscriptions of a client."),
    KEY("limits.topic-levels", SQ_CFG_UINT, limits.topic_levels, "128", 1, SQ_TOPIC_LEVELS_MAX,
	"Levels of a topic name or filter. Of this key, the next one and those of mqtt the broker "
	"has its own: the stricter counts."),
    KEY("limits.client-id", SQ_CFG_UINT, limits.client_id, "256", 32, SQ_KEY_CLIENT_MAX,
	"Bytes of a client id."),
    {"limits.memory", SQ_CFG_SIZE, offsetof(struct sq_sidecar_cfg, memory), "auto", 8388608, 0,
	automatic,
	"Memory of the process: publishers are slowed down from 80 % on, from 95 % on nothing is "
	"taken that needs more; auto: half of the control group's, or of the machine's."},
    KEY("limits.lane", SQ_CFG_SIZE, lane_bytes, "1Mi", 4096, 1073741824,
	"Bytes of a client's publishes on their way to a broker; then it is not read."),
    KEY("limits.output", SQ_CFG_SIZE, output_bytes, "256Ki", 4096, 1073741824,
	"Bytes to a client, besides its credit, above which it is not read."),
    KEY("session.receive-max", SQ_CFG_UINT, receive_max, "1024", 1, 65535,
	"Unfinished QoS 1 and 2 deliveries to a client that states no limit."),
    KEY("session.publish-max", SQ_CFG_UINT, publish_max, "65535", 1, 65535,
	"Unfinished QoS 1 and 2 publishes of an MQTT 5 client."),
    KEY("session.topic-alias-max", SQ_CFG_UINT, topic_alias_max, "16", 0, 65535,
	"Topic aliases that an MQTT 5 client may set; 0: none. At most 16 serve what is sent to "
	"it."),
    KEY("session.credit-messages", SQ_CFG_UINT, credit_msgs, "8192", 1, 1000000,
	"Messages on their way to a client at a time."),
    KEY("session.credit-bytes", SQ_CFG_SIZE, credit_bytes, "1Mi", 1024, 1073741824,
	"Bytes on their way to a client at a time."),
    KEY("session.keep-alive-max", SQ_CFG_DURATION, keep_alive_max_ms, NULL, 0, 65535000,
	"Longest keep alive granted to MQTT 5 clients; 0: any, also none."),
    KEY("session.connect-timeout", SQ_CFG_DURATION, connect_timeout_ms, "10s", 100, 600000,
	"Time from a connection to its CONNECT."),
    KEY("session.attach-timeout", SQ_CFG_DURATION, attach_timeout_ms, "20s", 100, 600000,
	"How long the CONNECT of a durable session waits for a broker."),
    KEY("session.refused-max", SQ_CFG_DURATION, refused_max_ms, "60s", 0, 86400000,
	"How long a publish may be refused that its client can't be told of (MQTT 3.1.1) while "
	"nothing else goes on; then the connection is closed; 0: for ever."),
    KEY("session.linger", SQ_CFG_DURATION, linger_ms, "60s", 1000, 3600000,
	"How long what a departed client has published waits for a broker."),
    KEY("sys.interval", SQ_CFG_DURATION, sys_interval_ms, "10s", 0, 86400000,
	"Time between two rounds of what the sidecar says of itself below $SYS/sidecar, to clients "
	"that have subscribed; 0s: nothing is said."),
    KEY("mqtt.max-qos", SQ_CFG_UINT, limits.max_qos, "2", 0, 2,
	"Highest QoS that clients publish with and subscribe to."),
    KEY("mqtt.retain", SQ_CFG_BOOL, limits.retain, "true", 0, 0,
	"Clients may publish retained messages, wills included."),
    KEY("mqtt.wildcard-subscriptions", SQ_CFG_BOOL, limits.wildcard, "true", 0, 0,
	"Clients may subscribe with + and #."),
    KEY("mqtt.shared-subscriptions", SQ_CFG_BOOL, limits.shared, "true", 0, 0,
	"Clients may subscribe with $share."),
    KEY("mqtt.subscription-ids", SQ_CFG_BOOL, limits.sub_ids, "true", 0, 0,
	"Clients may give subscription identifiers."),
    {"mqtt.control-characters", SQ_CFG_ENUM,
	offsetof(struct sq_sidecar_cfg, limits.control_refused), "allow", 0, 0, characters,
	"Control characters and non-characters of Unicode in topics, filters, client ids and user "
	"names; refuse: packets with them are malformed."},
    KEY("shutdown.timeout", SQ_CFG_DURATION, shutdown_ms, "10s", 0, 600000,
	"How long SIGTERM waits for publishes to reach a broker."),
    KEY("tracing.sample", SQ_CFG_STRING, trace_sample, NULL, 0, 0,
	"Share, from 0 to 1, of the apps' publishes without a W3C traceparent that is sampled and "
	"gets one; unset: 0.01 with a tracing.endpoint, and else publishes are not traced."),
    {"tracing.traceparent", SQ_CFG_ENUM, offsetof(struct sq_sidecar_cfg, trace_all), "sampled", 0,
	0, trace_parents,
	"Which publishes without a traceparent get one; all: those that are not sampled, too, with "
	"the "
	"flags 00, for 71 bytes each."},
    KEY("tracing.endpoint", SQ_CFG_STRING, trace_endpoint, NULL, 0, 0,
	"Collector that gets spans of sampled messages by OTLP over HTTP, as "
	"http://otel-collector:4318; unset: no spans are recorded."),
    KEY("tracing.headers-file", SQ_CFG_STRING, trace_headers_file, NULL, 0, 0,
	"File with headers for the collector, name: value on each line; read for each request."),
    KEY("tracing.ca", SQ_CFG_STRING, trace_ca, NULL, 0, 0,
	"PEM file of the authorities to trust for an https collector; without it the system's."),
    KEY("security.seccomp", SQ_CFG_BOOL, seccomp, "true", 0, 0,
	"Refuse system calls that no sidecar makes, with EPERM, a metric and a line of the log."),
    KEY(SQ_DUMPS_KEY, SQ_CFG_BOOL, core_dumps, "false", 0, 0, SQ_DUMPS_HELP),
    {"log.level", SQ_CFG_ENUM, offsetof(struct sq_sidecar_cfg, log_level), "info", 0, 0, log_levels,
	"Least severe lines to log.", true},
    {"log.format", SQ_CFG_ENUM, offsetof(struct sq_sidecar_cfg, log_format), "text", 0, 0,
	sq_log_format_names, "How a line of the log is written; json: an object each."},
};
const size_t sq_sidecar_keys_n = SQ_ARRAY_LEN(sq_sidecar_keys);

static int
config_part(const char *key, const char *value, struct sq_buf *err)
{
	if (value != NULL && value[0] != '\0' && strlen(value) <= SQ_KEY_PART_MAX)
		return 0;
	sq_buf_printf(err, "%s: must have 1 to %d bytes", key, SQ_KEY_PART_MAX);
	return SQ_EINVAL;
}

static int
config_tracing(struct sq_sidecar_cfg *cfg, struct sq_buf *err)
{
	const char *share = sq_config_is_set(cfg->trace_sample) ? cfg->trace_sample
	    : sq_config_is_set(cfg->trace_endpoint)             ? SAMPLE_DEFAULT
								: NULL;

	cfg->traces = share != NULL;
	if (!cfg->traces || sq_trace_share_parse(share, &cfg->trace_share) == SQ_OK)
		return SQ_OK;
	sq_buf_printf(
	    err, "tracing.sample: '%s' is not a number from 0 to 1, as 0.01", cfg->trace_sample);
	return SQ_EINVAL;
}

int
sq_sidecar_config(
    struct sq_sidecar_cfg *cfg, int argc, char **argv, char **envp, struct sq_buf *err)
{
	int rc = sq_config_load(cfg, sq_sidecar_keys, sq_sidecar_keys_n, argc, argv, envp, err);

	if (rc != 0)
		return rc;
	if (cfg->pod == NULL || cfg->pod[0] == '\0') {
		char host[256] = "";

		(void)gethostname(host, sizeof host - 1);
		cfg->pod = sq_xstrdup(host[0] != '\0' ? host : "localhost");
	}
	if ((rc = config_part("identity.space", cfg->space, err)) != 0 ||
	    (rc = config_part("identity.workload", cfg->workload, err)) != 0 ||
	    (rc = config_part("identity.pod", cfg->pod, err)) != 0 ||
	    (rc = config_tracing(cfg, err)) != 0)
		return rc;
	if (sq_config_is_set(cfg->ca_file) && sq_config_is_set(cfg->ca)) {
		sq_buf_printf(err, "tls.ca and tls.ca-file are both set: one of them");
		return SQ_EINVAL;
	}
	if (sq_config_is_set(cfg->cert_file) != sq_config_is_set(cfg->key_file)) {
		sq_buf_printf(err, "tls.cert-file and tls.key-file: both or none");
		return SQ_EINVAL;
	}
	if (sq_config_is_set(cfg->annotations_file) && sq_config_is_set(cfg->annotations_dir)) {
		sq_buf_printf(
		    err, "annotations.file and annotations.dir are both set: one of them");
		return SQ_EINVAL;
	}
	if (cfg->brokers.n == 0) {
		sq_buf_printf(err, "brokers: at least one is needed");
		return SQ_EINVAL;
	}
	if (cfg->listen_port == 0 && cfg->listen_unix == NULL) {
		sq_buf_printf(err,
		    "listen.port is 0 and listen.unix is not set: "
		    "no client could connect");
		return SQ_EINVAL;
	}
	if (cfg->outbox_mode == SQ_OUTBOX_DISK &&
	    (cfg->outbox_dir == NULL || cfg->outbox_dir[0] == '\0')) {
		sq_buf_printf(err, "outbox.mode: disk needs outbox.dir");
		return SQ_EINVAL;
	}
	if (cfg->backoff_min_ms > cfg->backoff_max_ms) {
		sq_buf_printf(err, "pool.backoff-min is above pool.backoff-max");
		return SQ_EINVAL;
	}
	return 0;
}

void
sq_sidecar_config_free(struct sq_sidecar_cfg *cfg)
{
	sq_config_free(cfg, sq_sidecar_keys, sq_sidecar_keys_n);
}
