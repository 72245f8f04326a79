/* Credentials for AWS, from where its SDKs look for them, and fresh (docs/bridges.md, "Credentials").
 *
 *   any thread: sq_cred_open() ··· sq_cred_get() ──▶ a value, immutable
 *                     │                  ▲
 *                     ▼                  │
 *   one thread: sq_creds_look() ── reads files, asks by net/curl
 *
 * The first of these that is there, and no other when it fails:
 *
 *   files of the configuration, read again when they change
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, by STS of the region (or AWS_ENDPOINT_URL_STS)
 *   AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI: over https, or to an address of this machine or
 *     of AWS's agents, and no other
 *   the metadata service of EC2, version 2, unless AWS_EC2_METADATA_DISABLED
 *
 * A role of the configuration is assumed with these by STS.  What has an end is renewed 5 minutes ahead
 * of it, and what there is stays good until its end while that fails.  Texts are wiped, and none of them
 * is in a log or a reason. */
#ifndef SQ_NET_CRED_CRED_H
#define SQ_NET_CRED_CRED_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_cred;
struct sq_creds;
struct sq_out_shared;

struct sq_creds_cfg {
	struct sq_out_shared *out; /* outlives no request: freed before sq_creds_free() */
	/* For tests; NULL: getenv(), sq_clock_ms(), sq_clock_wall_ms(). */
	const char *(*env)(const char *name);
	uint64_t (*ms)(void);
	uint64_t (*wall_ms)(void);
};

/* All of a program's.  Copies the settings; neither thread nor libcurl yet. */
struct sq_creds *sq_creds_new(const struct sq_creds_cfg *);
/* Frees it and nulls the pointer; all were closed, and no request of 'out' is left. */
void sq_creds_free(struct sq_creds **);
/* Reads files that have changed, and begins what is due; is called a few times a second.  May wait for
 * files.  Thread: one. */
void sq_creds_look(struct sq_creds *);

/* All is copied; NULLs: not set. */
struct sq_cred_cfg {
	const char *scope; /* of lines in the log: "bridge/NAME" */
	const char *access_key_file, *secret_key_file, *session_token_file;
	const char *role_arn;
	const char *region; /* of STS; NULL: AWS_REGION, AWS_DEFAULT_REGION */
	const char
	    *sts_endpoint; /* "https://host:port"; NULL: AWS_ENDPOINT_URL_STS, that of the region */
	const char *ca_file; /* PEM, for STS; NULL: the system's authorities */
};

/* Opens credentials; never fails: sq_cred_get() says what is wrong.  Thread: any.  Locks: its own. */
struct sq_cred *sq_cred_open(struct sq_creds *, const struct sq_cred_cfg *);
/* Closes them and nulls the pointer, which may be NULL; values that were got stay good.  Thread: any.
 * Locks: its own. */
void sq_cred_close(struct sq_cred **);

/* For sq_out_sign(). */
struct sq_cred_value {
	const char *key_id, *secret;
	const char *token; /* NULL: none */
};

/* The value as it is now; a reference, to be given back.  Never waits.  SQ_EAGAIN: it is being fetched
 * for the first time.  SQ_ENOTFOUND: there is none, with the reason in 'why' for people; asked again,
 * there may be one.  Thread: any.  Locks: its own. */
int sq_cred_get(struct sq_cred *, const struct sq_cred_value **, struct sq_buf *why) SQ_MUST_CHECK;
/* Gives it back and nulls the pointer, which may be NULL; the last one wipes it.  Thread: any. */
void sq_cred_value_put(const struct sq_cred_value **);

/* The region of the environment (AWS_REGION, AWS_DEFAULT_REGION); NULL: none. */
const char *sq_cred_region(const struct sq_creds *);
/* The domain of a region's services: "amazonaws.com", "amazonaws.com.cn".  NULL: that is no region's
 * name.  Pure. */
const char *sq_cred_domain(const char *region);

#endif
