/* A log (store/log.h) whose records are a test's, and come when the test says so, on its thread.
 *
 * With sq_log_cfg.shared it follows: open() gives no record, and scripted_deliver() does.  Without it
 * open() gives those up to scripted_upto, and claim() owns: a restart.
 *
 * It says that it is rather full, so that checkpoints follow each other; each waits in mark(), its chunk
 * written and not committed, until scripted_step() or the like. */
#ifndef SQ_TEST_SUPPORT_SCRIPTED_LOG_H
#define SQ_TEST_SUPPORT_SCRIPTED_LOG_H

#include "store/log.h"

extern const struct sq_log_ops scripted_log;

/* What a test has as records: lsn 1 is the first. */
struct script {
	struct sq_buf bytes;
	size_t ends[1024];
	uint64_t n;
};
extern struct script script;
void script_clear(void);
/* Adds a record, which takes 'data'. */
void script_add(struct sq_buf *data);

extern uint64_t scripted_upto;         /* of a restart: its last record */
extern struct sq_log *scripted_opened; /* the last one that was opened */

/* Gives the follower its next record; what applied() says. */
int scripted_deliver(struct sq_log *);
/* Tells the follower that it owns, or that another does; 'back' gets what has been appended. */
void scripted_own(struct sq_log *, uint64_t epoch);
void scripted_fence(struct sq_log *);
/* What it was opened with. */
const struct sq_log_cfg *scripted_cfg(const struct sq_log *);
bool scripted_claimed(const struct sq_log *);
/* Commits what has been appended, as one record; adds its bytes to 'out', which may be NULL. */
void scripted_commit(struct sq_log *, struct sq_buf *out);
/* Waits until a checkpoint stands in mark(). */
void scripted_await(struct sq_log *);
/* Has that one end, and waits until the next one stands there. */
void scripted_step(struct sq_log *);
/* Has that one end; the next one begins when it is waited for. */
void scripted_rest(struct sq_log *);
/* Checkpoints do not wait any more. */
void scripted_free(struct sq_log *);
void scripted_set_full(struct sq_log *, bool full);
void scripted_set_leased(struct sq_log *, bool leased);
/* The last lsn that was released. */
uint64_t scripted_released(const struct sq_log *);

#endif
