/* Deeds in slices: how each goes from worker to worker, commits and ends.  On the deed's worker. */
#ifndef SQ_BROKER_DEED_WORK_H
#define SQ_BROKER_DEED_WORK_H

#include "broker/deed/deed.h"
#include "broker/shard/shard.h"

/* Answers; the deed is its caller's again. */
void sq_deed_end(struct sq_deed *, enum sq_deed_end, const char *why);
/* Moves the deed to a worker, where 'step' runs. */
void sq_deed_go(struct sq_deed *, struct sq_shard *, void (*step)(struct sq_deed *));
/* Has its step run again in a later turn. */
void sq_deed_wait(struct sq_deed *);
/* Whether the deed must end before its next slice: it has failed, or its time is over. */
bool sq_deed_over(const struct sq_deed *);
/* The transaction of the present slice, which the first use makes. */
struct sq_txn *sq_deed_txn(struct sq_deed *);
/* Commits it, and begins another for the same slice. */
struct sq_txn *sq_deed_split(struct sq_deed *);
/* The slice is complete: its step runs again when all of it is committed. */
void sq_deed_commit(struct sq_deed *);
/* Whether the caller may do it to what rules name so in that space, which is the one it names, if it
 * names one. */
enum sq_deed_right sq_deed_may(const struct sq_deed *, const char *space, struct sq_bytes object);
/* The same of the session whose key the deed has, or of its queue. */
enum sq_deed_right sq_deed_may_session(const struct sq_deed *);

#endif
