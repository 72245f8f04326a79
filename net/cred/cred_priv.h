/* The parts of credentials, for net/cred itself.
 *
 *   source.c  where they come from, by the configuration and the environment
 *   files.c   those that are in files
 *   answer.c  what services answer; pure
 *   value.c   values
 *   state.c   what they are at a time
 *   ask.c     the requests, one after the other
 *   cred.c    their life */
#ifndef SQ_NET_CRED_CRED_PRIV_H
#define SQ_NET_CRED_CRED_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/file.h"
#include "core/list.h"
#include "core/msg.h"
#include "net/cred/cred.h"
#include "net/curl/out.h"

enum {
	SQ_CRED_TEXT_MAX = 8192,      /* bytes of each of the texts */
	SQ_CRED_ANSWER_MAX = 32 << 10 /* bytes of an answer */
};

/* --- values --- */

struct sq_cred_kept {
	struct sq_cred_value value;
	struct sq_buf text;  /* of 'value', in it */
	uint64_t expires_ms; /* since 1970; 0: never */
	_Atomic unsigned refs;
};

struct sq_cred_parts {
	struct sq_bytes key_id, secret, token; /* .len 0: none */
	uint64_t expires_ms;
};

/* A value with one reference; NULL with the reason in 'why': a text is none of AWS's.  Pure. */
struct sq_cred_kept *sq_cred_kept_new(const struct sq_cred_parts *, struct sq_buf *why);
void sq_cred_kept_unref(struct sq_cred_kept *);
/* Whether all bytes are visible ASCII, 1 to 'max' of them. */
bool sq_cred_visible(struct sq_bytes, size_t max);
/* Without the ends of lines behind it. */
struct sq_bytes sq_cred_trim(struct sq_bytes);

/* --- answers --- */

enum sq_cred_form {
	SQ_CRED_FORM_IDENTITY, /* STS, AssumeRoleWithWebIdentity */
	SQ_CRED_FORM_ASSUMED,  /* STS, AssumeRole */
	SQ_CRED_FORM_AGENT,    /* of containers and instances */
};

/* Reads an answer of JSON; NULL with the reason in 'why', without any of its texts. */
struct sq_cred_kept *
sq_cred_answer_read(enum sq_cred_form, struct sq_bytes json, struct sq_buf *why);
/* Appends the code of an error, " (ExpiredTokenException)", or nothing. */
void sq_cred_answer_code(struct sq_bytes json, struct sq_buf *out);

/* --- where they come from --- */

enum sq_cred_from {
	SQ_CRED_FILES,
	SQ_CRED_ENVIRONMENT,
	SQ_CRED_IDENTITY,
	SQ_CRED_CONTAINER,
	SQ_CRED_INSTANCE,
	SQ_CRED_NOWHERE,
};
enum { SQ_CRED_N_FILES = 3 }; /* access key, secret key, session token */

struct sq_cred_source {
	enum sq_cred_from from;
	char *why;                           /* NOWHERE */
	char *files[SQ_CRED_N_FILES];        /* FILES; the last one may be NULL */
	struct sq_cred_kept *value;          /* ENVIRONMENT */
	char *identity_file, *identity_role; /* IDENTITY */
	char *url;                           /* CONTAINER; INSTANCE: without a path */
	char *auth, *auth_file;              /* CONTAINER: either, or neither */
	char *role;                          /* to be assumed with these; NULL: none */
	char *session;                       /* the name of a role's session */
	char *region, *sts;                  /* NULL: STS is not needed */
};

/* Finds out; what was found is copied. */
void sq_cred_source_find(
    struct sq_cred_source *, const struct sq_cred_cfg *, const char *(*env)(const char *name));
void sq_cred_source_fini(struct sq_cred_source *);
/* For people: "a web identity". */
const char *sq_cred_from_name(enum sq_cred_from);
/* Whether a container's credentials may be asked for at that address in the clear. */
bool sq_cred_address_good(const struct sockaddr *);

/* --- files --- */

struct sq_cred_files {
	struct sq_file_stamp seen[SQ_CRED_N_FILES], done[SQ_CRED_N_FILES];
	uint64_t seen_ms, looked_ms;
	bool begun;
};

/* Reads them if they are new, or have changed and settled: true, with a value, or NULL and the reason in
 * 'why'.  Waits for files.  Thread: the one that looks. */
bool sq_cred_files_look(struct sq_cred_files *, char *const paths[SQ_CRED_N_FILES], uint64_t now_ms,
    struct sq_cred_kept **out, struct sq_buf *why);

/* --- credentials --- */

struct sq_creds {
	struct sq_creds_cfg cfg;
	pthread_mutex_t lock; /* of all that is below, and of each one's */
	struct sq_list open;
	size_t n;
	struct sq_out *out; /* NULL: not yet */
};

enum sq_cred_step {
	SQ_CRED_IDLE,
	SQ_CRED_STEP_IDENTITY,
	SQ_CRED_STEP_CONTAINER,
	SQ_CRED_STEP_TOKEN, /* of the instance: a token, the role's name, its keys */
	SQ_CRED_STEP_ROLE,
	SQ_CRED_STEP_KEYS,
	SQ_CRED_STEP_ASSUME,
};

/* The request that is out. */
struct sq_cred_ask {
	enum sq_cred_step step; /* not IDLE: it is out, and holds a reference */
	struct sq_out_request req;
	struct sq_out_way way;
	struct sq_buf url, body, token;
};

struct sq_cred {
	struct sq_creds *all;
	struct sq_list node;
	char *scope, *ca_file;
	struct sq_cred_source source; /* immutable */
	struct sq_cred_files files;   /* of the thread that looks */
	struct sq_cred_ask ask;
	/* Under the lock. */
	unsigned refs;
	bool closed;
	struct sq_cred_kept *base;    /* with which the role is assumed */
	bool rebased;                 /* since the request that is out was sent */
	struct sq_cred_kept *value;   /* NULL: none yet */
	char *why;                    /* of the last failure; NULL: it went well */
	bool said;                    /* the log has that it went well */
	unsigned failures;            /* in a row */
	uint64_t due_ms, due_wall_ms; /* when it is fetched (again); UINT64_MAX: never */
};

/* What was fetched: a value that becomes the credentials', or NULL and the reason, which becomes theirs.
 * Under the lock. */
void sq_cred_ended(struct sq_cred *, struct sq_cred_kept *, char *why);
/* Gives up a reference of those of the lock; the last one frees it.  Under the lock. */
void sq_cred_unref(struct sq_cred *);
/* Whether the value may be used: the instance's, which AWS takes past its end while the metadata service
 * can't renew it, always.  Under the lock. */
bool sq_cred_good(const struct sq_cred *);
/* Wipes and frees what a request has had. */
void sq_cred_ask_fini(struct sq_cred_ask *);

/* Begins to fetch: NULL, or the reason why not.  Waits for files.  Thread: the one that looks, without
 * the lock. */
char *sq_cred_ask_begin(struct sq_cred *);
/* Cancels what is out.  Under the lock. */
void sq_cred_ask_cancel(struct sq_cred *);

#endif
