/* The write-recording layer: what of a store a loss of power could undo.
 *
 * A library for LD_PRELOAD.  For files below POWERFAIL_DIR it writes what each
 * write replaces into undo logs below POWERFAIL_LOG (a tmpfs), and forgets it
 * when a sync of the file has returned; the same for names (create, rename,
 * unlink), until their folder is synced.  After the process was killed,
 * powerfail.py keeps, drops or tears what the logs hold.
 *
 * LOG/f-INODE-STAMP has the entries of one file, LOG/d-STAMP those of names, in
 * the order of STAMP (16 hex digits).  A sync starts a new log, and once it has
 * returned removes the older ones: what was written while it ran may be undone.
 * POWERFAIL_HELD, a folder on the store's disk, has links to files whose names a
 * rename or an unlink has taken away, named by the same stamps.
 *
 * While LOG/fail-sync is there, the next sync of a file journal-* fails with EIO and
 * takes it away.  What was written to that file may be undone as long as its process
 * lives, whatever syncs say: the system calls such pages clean.
 *
 * Writes on O_DSYNC descriptors are entries while they run; once they have
 * returned, they are a PF_SYNCED entry, so that undoing older writes spares them.
 * Descriptors that were made by dup() are not followed.
 * Shared writable mappings are not recorded: the file LOG/mapped says that there
 * was one (but for lock.mdb, which holds nothing that outlives a process). */
#ifndef SQ_TORTURE_POWERFAIL_H
#define SQ_TORTURE_POWERFAIL_H

#include <stdint.h>

enum pf_kind {
	PF_WRITE = 1, /* 'bytes' were at 'offset'; what is missing of 'length' was behind the end */
	PF_SIZE,      /* the size changes; 'bytes' are what a shorter size cuts off, at 'offset' */
	PF_SYNCED,    /* this range is on disk */
	PF_CREATE,    /* name */
	PF_RENAME,    /* two names, each with its NUL; 'offset' 1: the second one was taken away */
	PF_UNLINK,    /* name */
};

/* Little-endian, as the machine has it; 'bytes' follow. */
struct pf_entry {
	uint32_t kind;
	uint32_t bytes;
	uint64_t offset;
	uint64_t length;   /* of the write, or of the range */
	uint64_t old_size; /* of the file */
	uint64_t new_size; /* of PF_WRITE: at least; held link of PF_UNLINK and PF_RENAME */
};

#endif
