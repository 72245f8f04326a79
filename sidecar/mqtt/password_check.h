/* Checks the passwords of clients on a thread, so that the loop never waits for crypt(3).
 *
 *   loop: ask ─▶ queue ─▶ thread: reads the file again if it changed, crypt(3)
 *         done ◀─ async ◀─────────┘
 *
 * One check at a time, in the order of requests.  Passwords are wiped after their check.  Knows no
 * clients: a caller gets its callback, or forgets its request.  All functions on the loop's
 * thread. */
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
/* Waits for the check in progress; further requests are dropped without an answer. */
void sq_password_check_free(struct sq_password_check **);
/* Requests a check of the password of 'user'; both are copied.  'done' is called once from the
 * loop, never inside this call.  NULL: too many requests wait. */
struct sq_password_ask *sq_password_ask(struct sq_password_check *, struct sq_bytes user,
    struct sq_bytes password, void (*done)(void *owner, bool good), void *owner);
/* Cancels the request and nulls the pointer; '*ask' may be NULL. */
void sq_password_forget(struct sq_password_ask **ask);

#endif
