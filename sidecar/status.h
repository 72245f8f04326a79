/* The state that the admin endpoint shows: a copy of the loop's state in a form that the endpoint's
 * thread may read. */
#ifndef SQ_SIDECAR_STATUS_H
#define SQ_SIDECAR_STATUS_H

#include <stdbool.h>

#include "core/buf.h"
#include "web/admin.h"

struct sq_app;
struct sq_reload;
struct sq_status;

/* Copies the state of 'app' twice a second from now on, on its loop.  'reload' outlives it. */
struct sq_status *sq_status_new(struct sq_app *app, struct sq_reload *reload);
/* Frees it and nulls the pointer; the admin endpoint has ended. */
void sq_status_free(struct sq_status **);
/* Whether the sidecar is ready, as of the last copy; adds to 'why' a line for each thing that is
 * missing or worth knowing.  Thread: any.  Locks: its own. */
bool sq_status_ready(struct sq_status *, struct sq_buf *why);
/* Starts the endpoint on the address 'listen'; the caller ends it.  NULL with a line in 'err'. */
struct sq_admin *sq_status_serve(struct sq_status *, const char *listen, struct sq_buf *err);

#endif
