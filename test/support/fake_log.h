/* A log of several brokers on two copies, as store/shared/driver.h promises it, in memory: what happens at
 * the log, without connections, time or chance.
 *
 * A write happens at the first copy, and is durable once the second has it.  Answers wait for that; what
 * is read does not show it before, but after a restart of the first copy in place, it does.  A fail-over
 * goes on with the second copy: what it had not got is gone. */
#ifndef FAKE_LOG_H
#define FAKE_LOG_H

#include "store/shared/driver.h"

/* Rules of the log that are switched off: the log lies. */
struct fake_log_broken {
	bool no_nonce; /* an append does not look who owns */
	bool no_last;  /* an append takes any lsn, and overwrites none */
};

struct fake_record {
	uint64_t lsn, epoch, sure;
	unsigned char *data;
	size_t len;
};

struct fake_log;

struct fake_log *fake_log_new(uint64_t store);
void fake_log_free(struct fake_log **);
/* The first copy, left alone by a fail-over: it answers readers, and nothing more of it gets durable. */
struct fake_log *fake_log_fork(const struct fake_log *);
void fake_log_break(struct fake_log *, struct fake_log_broken);

/* Writes: DONE or REFUSED.  After DONE '*at' is the point up to which the second copy must be for the
 * answer.  UNKNOWN: too much is not copied; it did not happen. */
enum sq_shared_result fake_log_append(struct fake_log *, uint64_t nonce, uint64_t epoch,
    uint64_t lsn, uint64_t sure, struct sq_bytes data, uint64_t *at);
enum sq_shared_result fake_log_claim(
    struct fake_log *, const struct sq_shared_claim *, struct sq_shared_head *, uint64_t *at);
enum sq_shared_result
fake_log_beat(struct fake_log *, uint64_t nonce, uint64_t sure, bool yields, uint64_t *at);
/* Durable at once. */
void fake_log_drop(struct fake_log *, uint64_t lsn);
/* Its store, first record or 'moved' as a test wants them; durable at once. */
void fake_log_set(struct fake_log *, const struct sq_shared_head *);

/* What a reader is shown. */
const struct sq_shared_head *fake_log_seen(const struct fake_log *);
/* What would survive a fail-over. */
const struct sq_shared_head *fake_log_durable(const struct fake_log *);
/* The record at place 'lsn', 1 to the head's last; NULL: it was dropped. */
const struct fake_record *fake_log_record(const struct fake_log *, uint64_t lsn);
unsigned fake_log_segments(const struct fake_log *);

/* The second copy gets 'n' more writes, or all that there are. */
void fake_log_copy(struct fake_log *, unsigned n);
unsigned fake_log_uncopied(const struct fake_log *);
bool fake_log_has(const struct fake_log *, uint64_t at);
void fake_log_fail_over(struct fake_log *);
void fake_log_restart(struct fake_log *);

#endif
