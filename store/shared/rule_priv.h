/* The state of a rule, for rule.c, which says what is next, and rule_ends.c, which takes what became of
 * it. */
#ifndef SQ_STORE_SHARED_RULE_PRIV_H
#define SQ_STORE_SHARED_RULE_PRIV_H

#include "core/err.h"
#include "store/shared/rule.h"

/* What is known by the connection that is there, and forgotten with it. */
struct conn {
	bool up;
	bool judged;   /* a head has been read */
	bool good;     /* the last head fits what was applied */
	bool verified; /* so does the last record that was applied, or it is in the log no more */
	bool bad;      /* a record of the read that is under way contradicts what was applied */
	bool peeked;   /* of the broken rules */
	uint64_t sure;
	struct sq_shared_head head;
	/* Silence: the head is as it was at 'since_ms', and was last read at 'heard_ms'. */
	uint64_t since_ms, heard_ms, chance_ms;
	bool idle;     /* the log has no more than at the read before */
	bool progress; /* the read that is under way has led on */
};

/* The claim that is asked for, or was answered. */
struct claim {
	uint64_t expected, nonce;
	uint64_t target; /* the log's last when it was answered */
	bool roll;
};

/* The record of the last APPEND. */
struct flight {
	bool there;
	uint64_t lsn, epoch, chain;
};

/* The last verdict APPLY or OURS. */
struct offer {
	uint64_t lsn, chain;
};

struct sq_rule {
	struct sq_rule_cfg cfg;
	enum sq_rule_state state;
	bool owned;   /* it has told the caller that it owns, and has not been fenced since */
	bool blocked; /* by a record that can't be applied */
	uint64_t applied, chain;
	uint64_t epoch;        /* of its last answered claim */
	uint64_t nonce;        /* the same */
	uint64_t newest_epoch; /* of a head that was good */
	struct conn conn;
	struct claim claim;
	struct flight flight;
	struct offer offered;
	bool yielding;                                         /* the last BEAT */
	uint64_t dial_ms, read_ms, beat_ms, retry_ms, roll_ms; /* not before */
	uint64_t stale_ms;    /* heads have not fitted since then; 0: they do */
	uint64_t lease_ms;    /* when the last call began that proves ownership; 0: none does */
	uint64_t answered_ms; /* the last answer to an owner */
	char why[192];
#ifdef SQ_RULE_BROKEN
	struct sq_rule_broken broken;
#endif
};

static inline uint64_t
rule_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Whether no more steps follow. */
bool sq_rule_final(const struct sq_rule *);
/* Writes 'why'. */
void sq_rule_because(struct sq_rule *, const char *fmt, ...) SQ_PRINTF(2, 3);
/* Forgets the connection: the next step that needs one dials. */
void sq_rule_disconnect(struct sq_rule *);
/* Begins to claim, with a new nonce. */
void sq_rule_claim(struct sq_rule *, enum sq_rule_state claims, uint64_t expected, bool roll);
void sq_rule_fenced(struct sq_rule *);
/* Whether the owner's claim looks at the log first; of the broken rules. */
bool sq_rule_peeks(const struct sq_rule *);

#endif
