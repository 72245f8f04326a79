/* Where credentials come from.  It is decided once, by what is set, as SDKs do: a source that is set and
 * fails is no reason to sign as somebody else. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "net/cred/cred_priv.h"

#define CONTAINER_BASE "http://169.254.170.2"
#define INSTANCE_BASE "http://169.254.169.254"
#define INSTANCE_BASE_6 "http://[fd00:ec2::254]"
#define SESSION "sqmqos"

static const char *const from_names[] = {
    [SQ_CRED_FILES] = "files",
    [SQ_CRED_ENVIRONMENT] = "the environment",
    [SQ_CRED_IDENTITY] = "a web identity",
    [SQ_CRED_CONTAINER] = "the container's agent",
    [SQ_CRED_INSTANCE] = "the instance",
    [SQ_CRED_NOWHERE] = "nowhere",
};

typedef const char *(*source_env)(const char *name);

const char *
sq_cred_from_name(enum sq_cred_from from)
{
	return from_names[from];
}

/* A variable that says something; NULL: it does not. */
static const char *
source_get(source_env env, const char *name)
{
	const char *v = env(name);

	return v != NULL && v[0] != '\0' ? v : NULL;
}

static char *
source_copy(const char *s)
{
	return s != NULL ? sq_xstrdup(s) : NULL;
}

static void
source_bad(struct sq_cred_source *s, struct sq_buf *why)
{
	s->from = SQ_CRED_NOWHERE;
	free(s->why);
	s->why = sq_buf_take_text(why);
}

static void
source_files(struct sq_cred_source *s, const struct sq_cred_cfg *cfg)
{
	struct sq_buf why = {0};

	s->from = SQ_CRED_FILES;
	s->files[0] = source_copy(cfg->access_key_file);
	s->files[1] = source_copy(cfg->secret_key_file);
	s->files[2] = source_copy(cfg->session_token_file);
	if (s->files[0] == NULL || s->files[1] == NULL) {
		sq_buf_printf(&why, "access-key-file and secret-key-file go together");
		source_bad(s, &why);
	}
}

static void
source_environment(struct sq_cred_source *s, source_env env)
{
	struct sq_buf why = {0}, line = {0};

	s->from = SQ_CRED_ENVIRONMENT;
	s->value = sq_cred_kept_new(
	    &(struct sq_cred_parts){
		.key_id = sq_bytes_of(source_get(env, "AWS_ACCESS_KEY_ID")),
		.secret = sq_bytes_of(source_get(env, "AWS_SECRET_ACCESS_KEY")),
		.token = sq_bytes_of(source_get(env, "AWS_SESSION_TOKEN")),
	    },
	    &why);
	if (s->value == NULL) {
		sq_buf_printf(&line, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: %.*s",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		source_bad(s, &line);
	}
	sq_buf_fini(&why);
}

static void
source_container(struct sq_cred_source *s, source_env env)
{
	const char *relative = source_get(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	struct sq_buf url = {0}, why = {0};

	s->from = SQ_CRED_CONTAINER;
	if (relative != NULL)
		sq_buf_printf(&url, CONTAINER_BASE "%s%s", relative[0] == '/' ? "" : "/", relative);
	else
		sq_buf_printf(&url, "%s", source_get(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI"));
	s->url = sq_buf_take_text(&url);
	s->auth_file = source_copy(source_get(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
	if (s->auth_file == NULL)
		s->auth = source_copy(source_get(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN"));
	sq_buf_printf(
	    &why, "AWS_CONTAINER_CREDENTIALS_%s_URI: ", relative != NULL ? "RELATIVE" : "FULL");
	if (sq_out_url_check(s->url, NULL, NULL, 0, NULL, &why) != SQ_OK)
		source_bad(s, &why);
	sq_buf_fini(&why);
}

static void
source_instance(struct sq_cred_source *s, source_env env)
{
	const char *base = source_get(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = source_get(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	const char *off = source_get(env, "AWS_EC2_METADATA_DISABLED");
	struct sq_buf why = {0};

	s->from = SQ_CRED_INSTANCE;
	if (off != NULL && strcasecmp(off, "true") == 0) {
		sq_buf_printf(&why,
		    "none are configured, the environment has none, and "
		    "AWS_EC2_METADATA_DISABLED is set");
		source_bad(s, &why);
		return;
	}
	if (base == NULL)
		base = mode != NULL && strcasecmp(mode, "IPv6") == 0 ? INSTANCE_BASE_6
								     : INSTANCE_BASE;
	s->url = sq_xstrdup(base);
	for (size_t n = strlen(s->url); n > 0 && s->url[n - 1] == '/'; n--)
		s->url[n - 1] = '\0';
	sq_buf_printf(&why, "AWS_EC2_METADATA_SERVICE_ENDPOINT: ");
	if (sq_out_url_check(s->url, NULL, NULL, 0, NULL, &why) != SQ_OK)
		source_bad(s, &why);
	sq_buf_fini(&why);
}

static const char *
source_region(source_env env)
{
	const char *region = source_get(env, "AWS_REGION");

	return region != NULL ? region : source_get(env, "AWS_DEFAULT_REGION");
}

/* STS: its URL, and the region that signs. */
static void
source_sts(struct sq_cred_source *s, const struct sq_cred_cfg *cfg, source_env env)
{
	const char *region = cfg->region != NULL ? cfg->region : source_region(env);
	const char *domain = region != NULL ? sq_cred_domain(region) : NULL;
	const char *endpoint = cfg->sts_endpoint != NULL ? cfg->sts_endpoint
							 : source_get(env, "AWS_ENDPOINT_URL_STS");
	struct sq_buf why = {0}, url = {0};

	if (domain == NULL) {
		sq_buf_printf(&why, "STS needs a region: region, or AWS_REGION");
		source_bad(s, &why);
		return;
	}
	if (endpoint != NULL) {
		size_t n = strlen(endpoint);

		while (n > 0 && endpoint[n - 1] == '/')
			n--;
		sq_buf_append(&url, endpoint, n);
		sq_buf_u8(&url, '/');
	} else {
		sq_buf_printf(&url, "https://sts.%s.%s/", region, domain);
	}
	s->region = sq_xstrdup(region);
	s->sts = sq_buf_take_text(&url);
	sq_buf_printf(&why, "STS: ");
	if (sq_out_url_check(s->sts, NULL, NULL, 0, NULL, &why) != SQ_OK)
		source_bad(s, &why);
	sq_buf_fini(&why);
}

void
sq_cred_source_find(
    struct sq_cred_source *s, const struct sq_cred_cfg *cfg, const char *(*env)(const char *name))
{
	const char *session = source_get(env, "AWS_ROLE_SESSION_NAME");
	bool identity = source_get(env, "AWS_WEB_IDENTITY_TOKEN_FILE") != NULL &&
	    source_get(env, "AWS_ROLE_ARN") != NULL;

	*s = (struct sq_cred_source){0};
	s->role = source_copy(cfg->role_arn);
	s->session = sq_xstrdup(session != NULL ? session : SESSION);
	if (cfg->access_key_file != NULL || cfg->secret_key_file != NULL) {
		source_files(s, cfg);
	} else if (source_get(env, "AWS_ACCESS_KEY_ID") != NULL ||
	    source_get(env, "AWS_SECRET_ACCESS_KEY") != NULL) {
		source_environment(s, env);
	} else if (identity) {
		s->from = SQ_CRED_IDENTITY;
		s->identity_file = source_copy(source_get(env, "AWS_WEB_IDENTITY_TOKEN_FILE"));
		s->identity_role = source_copy(source_get(env, "AWS_ROLE_ARN"));
	} else if (source_get(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
	    source_get(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL) {
		source_container(s, env);
	} else {
		source_instance(s, env);
	}
	if (s->from != SQ_CRED_NOWHERE && (s->role != NULL || s->from == SQ_CRED_IDENTITY))
		source_sts(s, cfg, env);
}

void
sq_cred_source_fini(struct sq_cred_source *s)
{
	sq_cred_kept_unref(s->value);
	for (size_t i = 0; i < SQ_CRED_N_FILES; i++)
		free(s->files[i]);
	if (s->auth != NULL)
		explicit_bzero(s->auth, strlen(s->auth));
	free(s->auth);
	free(s->auth_file);
	free(s->identity_file);
	free(s->identity_role);
	free(s->region);
	free(s->role);
	free(s->session);
	free(s->sts);
	free(s->url);
	free(s->why);
	*s = (struct sq_cred_source){0};
}

bool
sq_cred_address_good(const struct sockaddr *at)
{
	static const unsigned char agent6[16] = {0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23};
	const struct sockaddr_in6 *in6 = (const void *)at;
	uint32_t in4;

	if (at->sa_family == AF_INET) {
		in4 = ntohl(((const struct sockaddr_in *)(const void *)at)->sin_addr.s_addr);
	} else if (at->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		memcpy(&in4, &in6->sin6_addr.s6_addr[12], sizeof in4);
		in4 = ntohl(in4);
	} else {
		return at->sa_family == AF_INET6 &&
		    (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
			memcmp(in6->sin6_addr.s6_addr, agent6, sizeof agent6) == 0);
	}
	/* 127.0.0.0/8; the agents of ECS and of EKS. */
	return in4 >> 24 == 127 || in4 == 0xa9feaa02 || in4 == 0xa9feaa17;
}

const char *
sq_cred_region(const struct sq_creds *all)
{
	return source_region(all->cfg.env);
}
