/* Checks the passwords of clients on a thread, so that the loop never waits for crypt(3).
 *
 *   loop: ask ─▶ queue ─▶ thread: reads the file again if it changed, crypt(3)
 *         done ◀─ async ◀─────────┘
 *
 * One check at a time, in the order of asking.  Passwords are wiped once they are
 * checked.  Knows no clients: who asks gets a call, or forgets what it asked. */
#ifndef SQ_SIDECAR_MQTT_PASSWORD_CHECK_H
#define SQ_SIDECAR_MQTT_PASSWORD_CHECK_H

#include <ev.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/msg.h"

struct sq_password_check;
struct sq_password_ask;

enum { SQ_PASSWORD_WAITING_MAX = 256 }; /* checks that wait at a time */

/* Reads the file and starts the thread; NULL with a line in 'err'. */
struct sq_password_check *
sq_password_check_new(struct ev_loop *, const char *file, struct sq_buf *err);
/* Waits for a check that is under way; what was asked is not answered. */
void sq_password_check_free(struct sq_password_check **);
/* Asks whether 'password' is the one of 'user'; both are copied.  'done' is called from the
 * loop, once, never from within.  NULL: too many wait. */
struct sq_password_ask *sq_password_ask(struct sq_password_check *, struct sq_bytes user,
    struct sq_bytes password, void (*done)(void *owner, bool good), void *owner);
/* Nobody wants the answer any more; '*ask' may be NULL. */
void sq_password_forget(struct sq_password_ask **ask);

#endif
