/* The users of a password file: who may connect, each with a hash of crypt(3).
 *
 * A line of the file is user:hash; empty lines and those that begin with '#' don't count.
 * A file counts as a whole or not at all: while it can't be read, or has a bad line, the
 * users of the last good one stay.  Knows neither clients nor threads: password_check.h is
 * the one that asks, on a thread, for a check takes milliseconds. */
#ifndef SQ_SIDECAR_MQTT_PASSWORD_H
#define SQ_SIDECAR_MQTT_PASSWORD_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

struct sq_passwords;

#define SQ_PASSWORD_KEY "auth.password-file"

enum {
	SQ_PASSWORD_FILE_MAX = 4194304, /* bytes of the file */
	SQ_PASSWORD_USER_MAX = 1024,    /* bytes of a user's name */
	SQ_PASSWORD_MAX = 511,          /* bytes of a password: crypt(3) takes no more */
};

/* Reads 'file'.  NULL with a line in 'err' that names the file and what is wrong in which
 * of its lines; hashes are not named. */
struct sq_passwords *sq_passwords_open(const char *file, struct sq_buf *err);
void sq_passwords_free(struct sq_passwords **);
/* Reads the file again if it has changed.  True: its users count now.  A line in 'err',
 * once for each change: it was not taken. */
bool sq_passwords_refresh(struct sq_passwords *, struct sq_buf *err);
size_t sq_passwords_users(const struct sq_passwords *);
/* Whether 'password' is the one of 'user'.  Takes as long for a user that is not there,
 * and for a password that none can have; compares in constant time. */
bool sq_passwords_match(struct sq_passwords *, struct sq_bytes user, struct sq_bytes password);

/* Why crypt(3) here can't have made 'hash', or NULL when it can. */
const char *sq_password_hash_problem(const char *hash);

#endif
