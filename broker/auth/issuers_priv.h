/* The inner interface of the verifier of signed tokens.  issuers.c: its life.  issuers_judge.c: the way
 * of a token.  issuer_file.c, issuer_server.c: sources of an issuer's keys. */
#ifndef SQ_BROKER_AUTH_ISSUERS_PRIV_H
#define SQ_BROKER_AUTH_ISSUERS_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/auth/issuers.h"
#include "broker/auth/jwt/jwks.h"
#include "broker/auth/key_fetch.h"
#include "core/file.h"
#include "core/list.h"

struct sq_issuers;
struct sq_out_shared;

/* An issuer of tokens. */
struct sq_issuer {
	struct sq_issuers *all;
	const char *key; /* of the configuration: "auth.issuers", "auth.kubernetes" */
	char *issuer;    /* as configured; NULL: its server tells it */
	char *audience;
	char *space; /* NULL: the namespace that each token names */

	char *file;                 /* of its keys; NULL: a server has them */
	struct sq_file_stamp stamp; /* of the file when it was read last */

	struct sq_key_fetch *server;
	char cache_name[64];

	/* Under the lock of all. */
	struct sq_jwks *keys; /* a reference; NULL: none yet, or its file is gone */
	bool running;         /* its server is being asked */
	bool came;            /* and an answer has come */
	bool wanted;          /* a token waits: ask it now */
	unsigned failures;    /* in a row */
	uint64_t begun_ms;    /* when it was asked last; 0: never */
	uint64_t answered_ms; /* when it last said its keys; at first when it was started */
	uint64_t next_ms;
	struct sq_buf trouble;  /* why it did not answer, NUL-terminated; empty: it did */
	struct sq_list waiting; /* struct sq_auth_request */
};

struct sq_issuers {
	struct sq_verifier base;
	char *cache_dir; /* NULL: nothing is kept */
	uint64_t refresh_ms, unknown_ms;
	struct sq_issuer v[SQ_ISSUERS_MAX];
	unsigned n;
	struct sq_out_shared *out; /* what sends requests to servers */
	bool own_out;              /* it is nobody else's */
	pthread_t thread;          /* of servers, if there are any */
	pthread_cond_t wake;
	pthread_mutex_t lock;
	bool started, stopped; /* under 'lock', as is the next */
	unsigned n_waiting;
};

/* issuer.c */
/* Gives an issuer other keys, or none; the reference goes over.  Under the lock. */
void sq_issuer_set_keys(struct sq_issuer *, struct sq_jwks *);
/* Queues a request whose key the issuer does not have, under the lock.  SQ_AUTH_NONE: it waits; else
 * the reason of its refusal. */
enum sq_auth_reason sq_issuer_wait(struct sq_issuer *, struct sq_auth_request *);
/* The reason for refusing a token of an unknown key, under the lock: the key does not exist, or the
 * server did not answer. */
enum sq_auth_reason sq_issuer_reason(const struct sq_issuer *);

/* issuers_judge.c */
enum sq_judgement sq_issuers_verify(struct sq_verifier *, struct sq_auth_request *);
/* Judges requests that have waited once more, and answers them.  Without the lock. */
void sq_issuers_answer(struct sq_issuers *, struct sq_list *waiting);

/* issuer_file.c */
/* Reads the file; an error with a line in 'err'. */
int sq_issuer_file_open(struct sq_issuer *, struct sq_buf *err) SQ_MUST_CHECK;
/* Reads it again if it has changed; a file that is gone takes its keys along. */
void sq_issuer_file_refresh(struct sq_issuer *);

/* issuer_server.c */
void sq_issuer_server_load(struct sq_issuer *);
/* Starts the thread of all servers; there is one at least. */
void sq_issuer_servers_start(struct sq_issuers *);
/* The thread has been told by 'stopped'. */
void sq_issuer_servers_stop(struct sq_issuers *);
#endif
