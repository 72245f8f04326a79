/* The broker's configuration: one table (core/config.h). */
#ifndef SQ_BROKER_CONFIG_CONFIG_H
#define SQ_BROKER_CONFIG_CONFIG_H

#include <stdbool.h>

#include "broker/shard/cfg.h"
#include "broker/shard/tenant.h"
#include "core/config.h"

/* A topic space that several tenants share, or settings of a tenant's own. */
struct sq_broker_space {
	struct sq_config_record record;
	struct sq_strings tenants;
	struct sq_share_limits limits;  /* 0: not set; loading turns that into no limit */
	struct sq_config_records reads; /* struct sq_broker_read */
};

/* An item of spaces.NAME.reads. */
struct sq_broker_read {
	struct sq_config_record record;
	char *space, *filter;
};

/* An item of acl. */
struct sq_broker_rule {
	struct sq_config_record record;
	struct sq_strings allow, deny, topics, queues;
	char *identity, *space;
};

/* An item of auth.issuers. */
struct sq_broker_issuer {
	struct sq_config_record record;
	char *issuer, *audience, *space, *keys_file, *keys_url, *ca_file;
};

/* An item of auth.certificates. */
struct sq_broker_certificate {
	struct sq_config_record record;
	char *name;
	struct sq_strings spaces;
};

/* An item of push.allow. */
struct sq_broker_allow {
	struct sq_config_record record;
	char *host, *cidr;
	struct sq_strings spaces;
};

/* session.recovery-time: as the log is (sq_broker_config_recovery_ms()). */
#define SQ_RECOVERY_AUTO UINT64_MAX

enum sq_broker_log_kind { SQ_BROKER_LOG_LOCAL, SQ_BROKER_LOG_POSTGRES };

enum { SQ_BROKER_WORKERS_MAX = 64 };

/* Of a log of several brokers, and this broker among them (log.c). */
struct sq_broker_log {
	unsigned kind; /* enum sq_broker_log_kind */
	char *id, *advertise, *admin_advertise;
	struct sq_strings hosts;
	char *database, *user, *password_file, *schema, *ca_file, *cert_file, *key_file;
	bool create, unsafe, import;
	unsigned copies; /* 1: managed */
	uint64_t isolated_ms, segment_size, segment_age_ms, snapshot_size;
};

struct sq_broker_config {
	char *listen;
	bool tls;
	char *tls_cert, *tls_key, *tls_bundle;
	char *tokens_file, *old_token_file;
	char *client_ca_file, *client_crl_file;
	struct sq_config_records certificates; /* struct sq_broker_certificate */
	bool kubernetes;
	char *api_server, *api_token_file, *api_ca_file;
	char *audience;
	struct sq_config_records issuers; /* struct sq_broker_issuer */
	bool insecure;
	unsigned owner; /* enum sq_owner_scope */
	bool adopt;
	char *subscribers_dir, *bridges_dir;
	struct sq_config_records spaces; /* struct sq_broker_space */
	struct sq_config_records acl;    /* struct sq_broker_rule */
	unsigned acl_default;            /* 1: deny */
	/* From the spaces: each tenant once, with names and limits of theirs. */
	struct sq_tenant_share *shares;
	size_t n_shares;
	/* Rights of one space to read another, with texts of theirs. */
	struct sq_tenant_grant *grants;
	size_t n_grants;
	uint64_t workers; /* 0: auto */
	unsigned engine;  /* enum sq_broker_engine */
	struct sq_broker_log log;
	char *store_dir;
	unsigned durability; /* enum sq_durability */
	uint64_t sync_interval_ms, store_stall_ms, journal_size, store_max_size, store_cache_size;
	char *admin_listen;
	bool console;
	uint64_t max_packet, max_inflight, max_sessions, max_subs;
	uint64_t memory; /* 0: as the machine gives */
	uint64_t spaces_kept, max_groups, total_subs;
	uint64_t max_will, max_sub_bytes, max_matches;
	struct sq_limits_cfg limits;
	uint64_t link_max_age_ms, link_idle_ms, link_stall_ms, max_connections;
	uint64_t strangers_per_address, unauthenticated_body, unauthenticated_total;
	bool http;
	uint64_t http_max_body; /* 0: by max_packet */
	char *http_listen;
	uint64_t http_read_ms, http_write_ms, http_idle_ms, http_max_requests, http_max_identity,
	    http_max_conns;
	uint64_t http_rate, http_wait_ms, http_max_batch;
	struct sq_strings http_origins;
	char *http_events_topic;
	uint64_t grace_ms, recovery_ms /* SQ_RECOVERY_AUTO */, session_expiry_max_ms;
	uint64_t queue_max_msgs, queue_max_bytes, queue_expiry_ms, queue_expiry_max_ms;
	uint64_t queue_lonely_ms, metrics_queues;
	uint64_t retained_max_msgs, retained_max_bytes;
	uint64_t delayed_max_ms, delayed_max_msgs, delayed_max_bytes;
	uint64_t dead_max_msgs, dead_max_bytes, dead_total_msgs, dead_total_bytes;
	uint64_t key_window_ms, max_keys;
	uint64_t pull_max_leases, pull_settle_window_ms;
	struct sq_config_records push_allow; /* struct sq_broker_allow */
	struct sq_strings push_trusted;
	char *push_proxy, *push_secrets_dir, *push_origin;
	uint64_t push_per_origin;
	unsigned unknown_properties; /* index into the names of the table */
	uint64_t expiry_default_ms, expiry_max_ms;
	uint64_t sys_interval_ms;
	uint64_t drain_ms;
	char *trace_endpoint, *trace_headers_file, *trace_ca;
	bool core_dumps;
	unsigned log_level;  /* enum sq_log_level */
	unsigned log_format; /* enum sq_log_format */
};

extern const struct sq_config_key sq_broker_config_keys[];
extern const size_t sq_broker_config_n;

/* Loads the configuration and checks keys that depend on each other.  Errors as of
 * sq_config_load(); the caller frees the result. */
int sq_broker_config_load(struct sq_broker_config *, int argc, char **argv, char **envp,
    struct sq_buf *err) SQ_MUST_CHECK;
void sq_broker_config_free(struct sq_broker_config *);
/* Checks the keys about identities: tokens, certificates and issuers (identities.c).  SQ_EINVAL
 * with a line in 'err'. */
int sq_broker_config_identities(const struct sq_broker_config *, struct sq_buf *err) SQ_MUST_CHECK;
/* Checks the keys about the log, and fills those that have no value (log.c).  SQ_EINVAL with a line in
 * 'err'. */
int sq_broker_config_log(struct sq_broker_config *, struct sq_buf *err) SQ_MUST_CHECK;
/* Checks the keys about topic spaces and fills the tenants' shares from them (spaces.c).  SQ_EINVAL
 * with a line in 'err'. */
int sq_broker_config_spaces(struct sq_broker_config *, struct sq_buf *err) SQ_MUST_CHECK;
/* Has the limits of spaces that both have be those of 'now', for the broker too, which has been
 * given the first one's.  Thread: any. */
void sq_broker_config_set_limits(struct sq_broker_config *, const struct sq_broker_config *now);
/* Checks the grants between spaces, after sq_broker_config_spaces(), and fills the tenants' grants
 * from them (grants.c).  SQ_EINVAL with a line in 'err'. */
int sq_broker_config_grants(struct sq_broker_config *, struct sq_buf *err) SQ_MUST_CHECK;
/* Makes the access rules from the configuration; the caller owns them (acl.c).  NULL with a line in
 * 'err': a rule is malformed. */
struct sq_acl *sq_broker_config_acl(const struct sq_broker_config *, struct sq_buf *err);
/* How long no messages are taken after a start, 'yielded': one whose state another broker has handed
 * over. */
uint64_t sq_broker_config_recovery_ms(const struct sq_broker_config *, bool yielded);
/* Whether each caller that reaches the broker is let in: neither TLS nor tokens are configured. */
bool sq_broker_config_open(const struct sq_broker_config *);
/* The part of the configuration that the broker's core reads; points into the given one, which
 * outlives it. */
struct sq_broker_cfg sq_broker_config_cfg(const struct sq_broker_config *);

#endif
