/* A directory that gets its tables from the log's snapshots (store/shared/snapshots.h). */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_RESEED_H
#define SQ_BROKER_ENGINE_EMBEDDED_RESEED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "store/shared/driver.h"

struct sq_reseed_cfg {
	const struct sq_shared_ops *driver;
	struct sq_shared *conn; /* with the deadline of its dial for each row */
	const char *dir;        /* has no tables; its lock is the caller's: seed.h */
	uint64_t max_bytes, store;
	/* The broker, which announces itself as one that has the snapshot already: so no segment
	 * behind it is dropped meanwhile. */
	const struct sq_shared_peer *me;
	/* Before each row: bytes of 'total' that are in place; false: the program ends. */
	bool (*progress)(void *owner, uint64_t done, uint64_t total);
	void *owner;
};

/* What it took. */
struct sq_reseed_took {
	uint64_t n, lsn, bytes;
	uint64_t read_us, write_us; /* in the driver; in making tables, the sync included */
};

/* Makes tables of the newest snapshot, or of the one before it if that does not verify.  Without SQ_OK the
 * directory has none: SQ_ENOTFOUND: the log has no snapshot; SQ_EINVAL: none verifies; SQ_EAGAIN: the
 * log does not answer, or the program ends; SQ_ENOMEM, SQ_EIO: the directory; each with a line in 'err'. */
int
sq_reseed(const struct sq_reseed_cfg *, struct sq_reseed_took *, struct sq_buf *err) SQ_MUST_CHECK;

#endif
