/* Settings of the installation for a pod's patch: the injector's settings.yaml, and the command
 * line's --values.  A strict reader of one table; pure. */
#ifndef SQ_K8S_PATCH_SETTINGS_H
#define SQ_K8S_PATCH_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	SQ_SETTINGS_SIZE_MAX = 1 << 20, /* bytes of the text */
	SQ_SETTINGS_SECRETS_MAX = 16,
};

/* The resources of a container that are set. */
enum sq_resource { SQ_RESOURCE_CPU, SQ_RESOURCE_MEMORY, SQ_RESOURCE_STORAGE, SQ_RESOURCES };
extern const char *const sq_resource_names[SQ_RESOURCES]; /* as Kubernetes names them */

/* Of sidecars' traces. */
struct sq_settings_tracing {
	char *endpoint;    /* "": publishes are not traced */
	char *sample;      /* a share, from 0 to 1 */
	char *traceparent; /* which publishes get one: sampled, all */
};

struct sq_settings {
	char *version;        /* of the installation; the label's value */
	char *space;          /* namespace that the brokers run in */
	char *fullname;       /* first part of the names of the chart's objects */
	char *cluster_domain; /* without a dot at its end */
	char *secrets[SQ_SETTINGS_SECRETS_MAX];
	size_t n_secrets;
	char *registry, *repository, *tag, *digest, *pull_policy; /* "": not set */
	char *requests[SQ_RESOURCES], *limits[SQ_RESOURCES];      /* quantities; NULL: none */
	char *log_level, *log_format;
	struct sq_settings_tracing tracing;
	bool seccomp, core_dumps;
	char *audience;
	int64_t run_as_user; /* -1: left to the platform */
	uint32_t token_expiry_s;
	uint16_t admin_port, broker_port, broker_admin_port;
};

/* The settings that an empty text gives; sq_settings_free() them. */
void sq_settings_init(struct sq_settings *);
/* Reads YAML.  Each key that is left out has its default; a key that is unknown, given twice or
 * of the wrong type is an error.  On error returns SQ_EINVAL, 'err' has one line that begins
 * with 'source' and the line ("settings.yaml:7: sidecar.adminPort must be ..."), and '*out' is
 * empty. */
int sq_settings_parse(const char *source, const char *text, size_t len, struct sq_settings *out,
    struct sq_buf *err) SQ_MUST_CHECK;
void sq_settings_free(struct sq_settings *);
/* Appends the image's name. */
void sq_settings_image(const struct sq_settings *, struct sq_buf *out);

#endif
