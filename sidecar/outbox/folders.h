/* Folders of disk outboxes in a place that many pods share, for example the PersistentVolumeClaim
 * of a Deployment:
 *
 *   <place>/<workload>/<pod>       a sidecar's own, locked while it lives
 *   <place>/<workload>/<pod>.1     the same, if another sidecar has taken up the first meanwhile
 *
 * A folder that is unlocked at two looks in a row was left behind by a pod that is gone, and any
 * sidecar of the workload may take it up. (At a single look its container may be restarting.) The
 * lock alone keeps two sidecars from one folder; this module only finds folders.  Knows no stores,
 * sessions or loops. */
#ifndef SQ_SIDECAR_OUTBOX_FOLDERS_H
#define SQ_SIDECAR_OUTBOX_FOLDERS_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	SQ_OUTBOX_FOLDERS_OWN_MAX = 32, /* names that a sidecar tries for its own folder */
	SQ_OUTBOX_FOLDERS_MAX = 4096,   /* directory entries read in a look */
};

struct sq_outbox_folders;

/* Opens an existing 'place'.  NULL with a line in 'err': the workload's folder can't be made, or
 * the place is the folder of a single sidecar, whose messages would not be found again. */
struct sq_outbox_folders *sq_outbox_folders_open(
    const char *place, const char *workload, const char *pod, struct sq_buf *err);
void sq_outbox_folders_close(struct sq_outbox_folders **);
/* The path of the sidecar's own folder, at the 'n'-th try, from 0; valid until the next call. */
const char *sq_outbox_folders_own(struct sq_outbox_folders *, unsigned n);
/* Looks once for a folder that was left behind; NULL: none.  Skips 'own' and refused folders.
 * Valid until the next call. */
const char *sq_outbox_folders_left(struct sq_outbox_folders *, const char *own);
/* Has the last found folder skipped from now on. */
void sq_outbox_folders_refuse(struct sq_outbox_folders *);

#endif
