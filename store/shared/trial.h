/* What tests see and break of the shared log; nothing of it is in a program that is released.
 *
 * With SQ_FAULTS, SQMQOS_HISTORY=FILE in the environment: FILE gets a line for each record before it is
 * applied, `lsn chain kind`: chain in hex, kind "o" of this broker's own, "f" of another's.  With
 * SQ_RULE_BROKEN, SQMQOS_BROKEN=NAME: that member of struct sq_rule_broken is set.  One log in a
 * process.  Thread: the log's.
 *
 * With SQ_FAULTS, SQMQOS_RECORDS=N: this broker knows formats of records up to N, as a later version
 * would; what it writes is the same. */
#ifndef SQ_STORE_SHARED_TRIAL_H
#define SQ_STORE_SHARED_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

struct sq_rule;

#ifdef SQ_FAULTS
void sq_trial_applies(uint64_t lsn, uint64_t chain, bool own);
unsigned sq_trial_format(unsigned format);
#else
static inline unsigned
sq_trial_format(unsigned format)
{
	return format;
}
static inline void
sq_trial_applies(uint64_t lsn, uint64_t chain, bool own)
{
	(void)lsn, (void)chain, (void)own;
}
#endif

#ifdef SQ_RULE_BROKEN
void sq_trial_break(struct sq_rule *);
#else
static inline void
sq_trial_break(struct sq_rule *r)
{
	(void)r;
}
#endif

#endif
