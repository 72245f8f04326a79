/* Folders of disk outboxes in a place that many pods share, for example one
 * PersistentVolumeClaim of a Deployment:
 *
 *   <place>/<workload>/<pod>       a sidecar's own, locked while it lives
 *   <place>/<workload>/<pod>.1     where that was taken up by another one meanwhile
 *
 * A folder that no lock holds at two looks in a row was left behind by a pod that is gone: any
 * sidecar of the workload may take it up.  (At one look it may be a container that is being
 * started again.)  The lock is what keeps two from one folder; this is only about finding
 * them.  Knows no stores, sessions or loops. */
#ifndef SQ_SIDECAR_OUTBOX_FOLDERS_H
#define SQ_SIDECAR_OUTBOX_FOLDERS_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	SQ_OUTBOX_FOLDERS_OWN_MAX = 32, /* names that a sidecar tries for its own */
	SQ_OUTBOX_FOLDERS_MAX = 4096,   /* entries that a look goes through */
};

struct sq_outbox_folders;

/* 'place' must be there.  NULL with a line in 'err' when the workload's folder can't be made in
 * it, or it is the folder of one sidecar, whose messages would not be found again. */
struct sq_outbox_folders *sq_outbox_folders_open(
    const char *place, const char *workload, const char *pod, struct sq_buf *err);
void sq_outbox_folders_close(struct sq_outbox_folders **);
/* The path of the sidecar's own folder, the 'n'-th try from 0; valid until the next call. */
const char *sq_outbox_folders_own(struct sq_outbox_folders *, unsigned n);
/* Looks once: a folder that was left behind, or NULL; valid until the next call.  'own' is
 * passed over, and so are folders that were refused. */
const char *sq_outbox_folders_left(struct sq_outbox_folders *, const char *own);
/* The last one that was found is of no use: it is passed over from now on. */
void sq_outbox_folders_refuse(struct sq_outbox_folders *);

#endif
