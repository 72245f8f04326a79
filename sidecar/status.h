/* What the admin endpoint shows of the loop, in a form that its thread may read. */
#ifndef SQ_SIDECAR_STATUS_H
#define SQ_SIDECAR_STATUS_H

#include <stdbool.h>

#include "core/buf.h"
#include "web/admin.h"

struct sq_app;
struct sq_status;

/* Follows 'app' from its loop, twice a second, from now on. */
struct sq_status *sq_status_new(struct sq_app *app);
/* No admin endpoint uses it any more. */
void sq_status_free(struct sq_status **);
/* Starts the endpoint on 'listen'.  NULL with a line in 'err'. */
struct sq_admin *sq_status_serve(struct sq_status *, const char *listen, struct sq_buf *err);

#endif
