/* The users of a password file, each with a hash of crypt(3).
 *
 * A line of the file is user:hash; empty lines and lines that begin with '#' are comments.  A file
 * counts as a whole or not at all: while it is unreadable or has a bad line, the users of the last
 * good one stay.  Knows neither clients nor threads; password_check.h calls it on a thread, because
 * a check takes milliseconds. */
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
	SQ_PASSWORD_MAX = 511,          /* bytes of a password: the maximum of crypt(3) */
};

/* Reads 'file'.  NULL with a line in 'err' that names the file, the line and the fault, and no
 * hash. */
struct sq_passwords *sq_passwords_open(const char *file, struct sq_buf *err);
void sq_passwords_free(struct sq_passwords **);
/* Reads the file again if it has changed.  True: its new users count.  False with a line in 'err',
 * once for each change: the new file was refused. */
bool sq_passwords_refresh(struct sq_passwords *, struct sq_buf *err);
size_t sq_passwords_users(const struct sq_passwords *);
/* Whether 'password' is the user's.  Takes equally long for an unknown user and for an impossible
 * password; compares in constant time. */
bool sq_passwords_match(struct sq_passwords *, struct sq_bytes user, struct sq_bytes password);

/* The reason why this machine's crypt(3) cannot check 'hash', static; NULL: it can. */
const char *sq_password_hash_problem(const char *hash);

#endif
