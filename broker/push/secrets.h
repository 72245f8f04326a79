/* Secrets of pushes: small files that are named by a path, or by a name in a folder of the space's, and
 * read again when they change.
 *
 *   a queue's worker: sq_secret_open() ··· sq_secret_get() ──▶ a value, immutable
 *                          │                      ▲
 *                          ▼ wake()               │
 *   another thread: sq_secrets_look() ── reads ───┘
 *
 * No worker ever waits for a volume.  What can't be read now, is readable by others, or isn't what it
 * has to be is no secret, whatever it was before: there is a reason in its place, and never an empty
 * credential.  Values are wiped, and no text of them is in a reason. */
#ifndef SQ_BROKER_PUSH_SECRETS_H
#define SQ_BROKER_PUSH_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "proto/declaration/push.h"
#include "proto/webhook/webhook.h"

struct sq_secret;
struct sq_secrets;

enum { SQ_SECRET_MAX = 16 << 10 }; /* bytes of a file */

enum sq_secret_kind {
	SQ_SECRET_BEARER, /* a token: its value is "Bearer TOKEN" */
	SQ_SECRET_BASIC,  /* user:password: its value is "Basic BASE64" */
	SQ_SECRET_VALUE,  /* of a header */
	SQ_SECRET_KEYS,   /* of proto/webhook */
	SQ_SECRET_CERT,   /* a client's certificate and key in PEM: its value is the file's path */
};

struct sq_secret_value {
	const char *text; /* NULL with KEYS */
	struct sq_webhook_keys keys;
};

/* 'dir': of secrets that are named, below it SPACE/NAME; NULL: there is none.  'wake' is told that there
 * is something to read, on any thread; NULL: nobody. */
struct sq_secrets *sq_secrets_new(const char *dir, void (*wake)(void *), void *arg);
/* Frees it and nulls the pointer; all secrets were closed. */
void sq_secrets_free(struct sq_secrets **);
/* Reads what was opened since, and what has changed, each at most once a second; is called a few times a
 * second.  Thread: one. */
void sq_secrets_look(struct sq_secrets *, uint64_t now_ms);

/* Opens a secret of a queue in 'space'; which file or name is copied.  The caller has set one of the two.
 * Never fails: sq_secret_get() says what is wrong.  Thread: any.  Locks: its own. */
struct sq_secret *sq_secret_open(
    struct sq_secrets *, const char *space, const struct sq_push_secret *, enum sq_secret_kind);
/* Closes it and nulls the pointer; values that were got stay good.  Thread: any.  Locks: its own. */
void sq_secret_close(struct sq_secret **);
/* The value as it is now; a reference, to be given back.  SQ_EAGAIN: it was not read yet.  SQ_ENOTFOUND:
 * it is none, with the reason in 'why' for people.  Thread: any.  Locks: its own. */
int sq_secret_get(
    struct sq_secret *, const struct sq_secret_value **, struct sq_buf *why) SQ_MUST_CHECK;
/* Gives it back and nulls the pointer; the last one wipes it.  Thread: any. */
void sq_secret_value_put(const struct sq_secret_value **);

/* Whether a text can be the name of a secret, or of the folder of a space's: one part of a path. */
bool sq_secret_name_good(const char *);

#endif
