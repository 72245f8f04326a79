/* How a process that copies a store, and the one that has it open, come to terms.
 *
 * The copier has locks on bytes of the file "backup" in the store's folder, one for each part that
 * is to stay as it is, and has written its number there, which no other copier has.  The kernel
 * takes the locks away when the copier ends, however that is.  The owner looks, and answers in the
 * file "backup-held": that the part is held for that number, or that it is not any more, and why.
 * Whatever else is in that file, or nothing, means the latter. */
#ifndef SQ_STORE_HELD_H
#define SQ_STORE_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum sq_held_part {
	SQ_HELD_TABLES,  /* pages of the tables that are in use */
	SQ_HELD_JOURNAL, /* contents of the journal's files; they may be removed */
};

/* ---- the owner of the store ---- */

/* The number of the copier that wants the part held; 0: there is none.  Thread: any. */
uint64_t sq_held_for(int dirfd, enum sq_held_part);
/* Answers the copier 'number': the tables are held by 'owner', a number that each opening draws; or
 * not any more, if 'ended' says why.  An answer that can't be written counts as that. */
void sq_held_answer(int dirfd, uint64_t number, uint64_t owner, const char *ended);
/* Takes the last owner's answer away: nothing is held.  Before the first change of a store. */
void sq_held_forget(const char *dir);

/* ---- the copier ---- */

struct sq_held {
	int dirfd, fd;
	uint64_t number;
};

/* Asks for both parts of the store in 'dir'.  SQ_EEXIST: another copier is there; SQ_EIO; with a
 * line in 'err'. */
int sq_held_ask(struct sq_held *, const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
/* The owner that says that the tables are held; 0: none does, with its reason in 'why', if it has
 * given one.  What was copied while another was the owner is not of one moment. */
uint64_t sq_held_by(const struct sq_held *, struct sq_buf *why);
/* Lets go of one part, or of all that is still held. */
void sq_held_release(struct sq_held *, enum sq_held_part);
void sq_held_end(struct sq_held *);

#endif
