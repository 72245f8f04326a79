/* The injector's configuration: one table (core/config.h). */
#ifndef SQ_K8S_INJECTOR_CONFIG_H
#define SQ_K8S_INJECTOR_CONFIG_H

#include <stdbool.h>

#include "core/config.h"

/* In the order of the key's choices. */
enum sq_injector_mode {
	SQ_CERTS_MANAGED,  /* made here, kept in Secrets */
	SQ_CERTS_PROVIDED, /* somebody else's Secrets, read from the API server */
	SQ_CERTS_FILES,    /* somebody else's, in files; no API server is asked */
};

enum { SQ_INJECTOR_BROKER_NAMES_MAX = 16 };

struct sq_injector_config {
	char *listen, *admin_listen;
	uint64_t max_connections, max_waiting;
	char *settings_file;
	unsigned mode; /* enum sq_injector_mode */
	uint64_t ca_ms, leaf_ms, overlap_ms;
	char *ca_secret, *ca_config_map, *broker_secret, *serving_secret;
	struct sq_strings broker_names;
	char *cert_file, *key_file, *ca_file;
	char *webhooks;
	bool ca_bundle;
	char *api_server, *token_file, *api_ca_file;
	uint64_t interval_ms;
	uint64_t lame_ms, drain_ms;
	bool core_dumps;
	unsigned log_level;  /* enum sq_log_level */
	unsigned log_format; /* enum sq_log_format */
};

extern const struct sq_config_key sq_injector_config_keys[];
extern const size_t sq_injector_config_n;

/* Loads the configuration, and checks keys against each other; see sq_config_load(). */
int sq_injector_config_load(struct sq_injector_config *, int argc, char **argv, char **envp,
    struct sq_buf *err) SQ_MUST_CHECK;
void sq_injector_config_free(struct sq_injector_config *);

#endif
