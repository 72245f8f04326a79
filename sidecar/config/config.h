/* The sidecar's configuration: one table, see core/config.h. */
#ifndef SQ_SIDECAR_CONFIG_CONFIG_H
#define SQ_SIDECAR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/config.h"
#include "core/err.h"
#include "proto/link/limits.h"

struct sq_sidecar_cfg {
	uint64_t listen_port;
	struct sq_strings listen_addresses;
	char *listen_unix;
	struct sq_strings brokers, brokers_allowed;
	uint64_t links_per_broker, brokers_max;
	uint64_t backoff_min_ms, backoff_max_ms, dial_timeout_ms, silence_ms, max_age_ms;
	bool tls;
	char *ca_file, *ca, *server_name, *cert_file, *key_file, *token_file, *password_file;
	char *space, *workload, *pod, *node;
	char *annotations_file, *annotations_dir;
	uint64_t declared_settle_ms;
	char *admin_listen, *state_dir;
	unsigned outbox_mode; /* enum sq_outbox_mode */
	uint64_t outbox_size;
	char *outbox_dir;
	bool outbox_shared;
	uint64_t outbox_take_up_ms;
	uint64_t outbox_order_wait_ms;
	uint64_t memory; /* bytes; 0: the machine's limit */
	uint64_t max_clients, max_packet, max_subscriptions;
	uint64_t lane_bytes, output_bytes;
	uint64_t receive_max, publish_max, credit_msgs, credit_bytes;
	uint64_t connect_timeout_ms, attach_timeout_ms, linger_ms, shutdown_ms;
	uint64_t sys_interval_ms;
	uint64_t keep_alive_max_ms, refused_max_ms;
	uint64_t topic_alias_max;
	struct sq_limits_cfg limits;
	char *trace_sample, *trace_endpoint, *trace_headers_file, *trace_ca;
	bool traces;          /* not a key: publishes are traced, and this share of new traces */
	uint64_t trace_share; /* is sampled: see core/trace.h */
	bool seccomp, core_dumps;
	unsigned log_level;  /* enum sq_log_level */
	unsigned trace_all;  /* 1: also publishes that are not sampled get a traceparent */
	unsigned log_format; /* enum sq_log_format */
};

extern const struct sq_config_key sq_sidecar_keys[];
extern const size_t sq_sidecar_keys_n;

/* Loads the configuration, checks keys that depend on each other, and takes the pod's name from the
 * host's if it is not given.  Errors as of sq_config_load(); the caller frees the result. */
int sq_sidecar_config(
    struct sq_sidecar_cfg *, int argc, char **argv, char **envp, struct sq_buf *err) SQ_MUST_CHECK;
void sq_sidecar_config_free(struct sq_sidecar_cfg *);

#endif
