/* The rule by which brokers share one log: what a broker may do next, and what its answers mean.
 *
 *   driver's results --events--> rule --steps--> the log's thread (log_shared.c) --calls--> driver
 *
 * Pure: no clock, socket or chance of its own; times are milliseconds of the caller's monotonic clock.
 * test/unit/test_rule_sim.c runs many brokers of it on a log with faults, test/model/log.pml is its
 * model.  The rules, as those name them:
 *
 *  R1  One append in flight; a record carries in 'sure' the lsn before it.
 *  R2  An append or beat that is not DONE, and not NOT_DONE, is unknown: hang up, dial, and claim with
 *      one's own nonce expected and a new one, the same new one until it is answered.  Then all up to
 *      'last' is durable and is read.  The record in flight is there: it is committed.  It is not: it
 *      never will be, and its entries go into another record.
 *  R3  A claim that is refused to the owner: FENCED.  Final; nothing is told any more.
 *  R4  A follower applies a record only once a head or a record that was read on the same connection
 *      says 'sure' of it; so does a candidate, whose own claim's answer says it of all before it.
 *  R5  A candidate claims with the nonce expected that it has seen; it owns once the claim was answered
 *      and it has applied all up to the claim's 'last'.
 *  R6  What was applied stays.  A log that is shorter than that, or has another chain, at an epoch that
 *      is not older than the newest that was seen, or for SQ_RULE_STALE_MS: DIVERGED.  Nothing is
 *      applied, claimed or served then; a follower's state ends if the log is good again, an owner's
 *      does not.  On each connection the last record that was applied is read again first, and compared.
 *
 * Silence: a follower may claim once answered reads of one connection, no two of them more than
 * SQ_RULE_GAP_MS apart, have shown the same nonce, beats and last for SQ_RULE_SILENCE_MS and a chance
 * more; and at once, but for a smaller chance, where nobody holds the log.
 *
 * The switches (struct sq_rule_broken) exist in builds of tests alone; each breaks one rule. */
#ifndef SQ_STORE_SHARED_RULE_H
#define SQ_STORE_SHARED_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/shared/driver.h"

enum {
	SQ_RULE_POLL_MS = 10, /* between reads while records come */
	SQ_RULE_REST_MS = 50, /* between reads else */
	SQ_RULE_BEAT_MS = 1000,
	/* The head has stayed the same for so long: its owner is gone.  More than a beat and a call's deadline
	 * (2 s): an owner whose beat hangs claims before others do, and so stays the owner. */
	SQ_RULE_SILENCE_MS = 3200,
	SQ_RULE_GAP_MS = 1000,   /* reads farther apart say nothing of what was between them */
	SQ_RULE_CHANCE_MS = 300, /* a candidate waits up to so long more */
	SQ_RULE_HURRY_MS = 50,   /* the same, where nobody holds the log */
	SQ_RULE_LEASE_MS = 2000,
	SQ_RULE_DIAL_MS = 100,   /* between attempts to dial */
	SQ_RULE_RETRY_MS = 200,  /* after NOT_DONE */
	SQ_RULE_ROLL_MS = 60000, /* after a roll that was NOT_DONE; a plain claim goes before */
	SQ_RULE_STALE_MS = 10000,
	SQ_RULE_DIVERGED_MS = 1000, /* between looks at a log that has diverged */
};

struct sq_rule;

enum sq_rule_state {
	SQ_RULE_FOLLOWS,
	SQ_RULE_CLAIMS,  /* for the first time */
	SQ_RULE_CATCHES, /* its claim was answered; it reads up to the claim's last */
	SQ_RULE_OWNS,
	SQ_RULE_RECLAIMS, /* R2 */
	SQ_RULE_FENCED,  /* final: another claimed, or the log has not answered for 'isolated_ms' */
	SQ_RULE_YIELDED, /* final: the wish to yield is fulfilled */
	SQ_RULE_LOST,    /* final: records that it needs were dropped; it needs a snapshot */
	SQ_RULE_DIVERGED,
};

struct sq_rule_cfg {
	uint64_t store; /* whose log it must be */
	uint64_t applied,
	    chain; /* the last record that was applied, and its chain; chain 0: not known */
	/* At least 'applied': a log that ends before it contradicts what was applied, too (R6).  What was
	 * made durable may have parts of records up to there. */
	uint64_t needs;
	/* A random number, not 0. */
	uint64_t (*draw)(void *arg);
	void *arg;
	uint64_t isolated_ms; /* an owner without an answer for so long stops; 0: never */
};

enum sq_rule_what {
	SQ_RULE_REST,   /* nothing until 'until_ms', or until there is more to append */
	SQ_RULE_DIAL,   /* hang up if there is a connection; then dial */
	SQ_RULE_READ,   /* from 'from' */
	SQ_RULE_CLAIM,  /* 'expected', 'nonce', 'roll'; the same again until it is answered */
	SQ_RULE_APPEND, /* a new record, as sq_rule_sealed() says, or the same that was NOT_DONE */
	SQ_RULE_BEAT,   /* 'nonce', 'sure', 'yields' */
	SQ_RULE_STOP,   /* no more steps follow: FENCED, YIELDED, LOST, or an owner's DIVERGED */
};

struct sq_rule_step {
	enum sq_rule_what what;
	uint64_t until_ms;
	uint64_t from;
	uint64_t expected, nonce, epoch, lsn, sure;
	bool roll, yields;
	bool again; /* APPEND: of the record that was NOT_DONE */
};

/* What the caller would like. */
struct sq_rule_wish {
	bool append; /* there are entries */
	bool
	    may_claim; /* nothing else keeps it from that: tables near enough, clock good, format known */
	bool next;  /* it is the one that others are told of: it waits less before a claim */
	bool roll;  /* a new segment is due; until a CLAIM with 'roll' is DONE */
	bool yield; /* it ends: an owner lets go of the log once nothing is to be appended */
};

/* What became of a record that was read. */
enum sq_rule_verdict {
	SQ_RULE_APPLY, /* it is the next one; sq_rule_applied() follows */
	SQ_RULE_OURS, /* it is the record in flight: its entries are committed; sq_rule_applied() */
	SQ_RULE_SKIP, /* applied already */
	SQ_RULE_LATER, /* not sure yet, or not the next one: it will be read again */
	SQ_RULE_BAD,   /* R6 */
};

struct sq_rule *sq_rule_new(const struct sq_rule_cfg *);
void sq_rule_free(struct sq_rule **);

/* What to do now.  The caller carries it out and reports its end, before it asks again. */
void sq_rule_next(
    struct sq_rule *, uint64_t now_ms, const struct sq_rule_wish *, struct sq_rule_step *out);

/* Ends of steps.  'sent_ms': when the call began. */
void sq_rule_dialled(struct sq_rule *, uint64_t now_ms, bool good);
/* The head of a read, before its records. */
void sq_rule_head(struct sq_rule *, uint64_t now_ms, const struct sq_shared_head *);
/* Some record of the read says 'sure'.  Optional, and of use before records are offered: record n is
 * mostly made sure of by record n + 1, so who looks one ahead needs not read a page twice. */
void sq_rule_sure(struct sq_rule *, uint64_t sure);
/* A record of a read, in their order: 'chain' is the one in its header, 'good' whether its header can be
 * read and its content has the header's checksum; and, if it is the next one and sq_rule_chain() is not
 * 0, whether 'chain' follows from that. */
enum sq_rule_verdict sq_rule_record(
    struct sq_rule *, uint64_t lsn, uint64_t epoch, uint64_t sure, uint64_t chain, bool good);
/* The record of the last verdict APPLY or OURS has been applied, or it can't be (a format that is not
 * known): then it is offered again by later reads, and nothing is claimed. */
void sq_rule_applied(struct sq_rule *, bool good);
void sq_rule_read(struct sq_rule *, uint64_t now_ms, enum sq_shared_result);
void sq_rule_claimed(struct sq_rule *, uint64_t sent_ms, uint64_t now_ms, enum sq_shared_result,
    const struct sq_shared_head *);
/* The record of step APPEND has this chain; before its call. */
void sq_rule_sealed(struct sq_rule *, uint64_t chain);
/* DONE: the record is committed, and the caller applies it now. */
void sq_rule_appended(struct sq_rule *, uint64_t sent_ms, uint64_t now_ms, enum sq_shared_result);
void sq_rule_beaten(struct sq_rule *, uint64_t sent_ms, uint64_t now_ms, enum sq_shared_result);
/* The connection was ended by a call that is no step of the rule's.  Between two steps. */
void sq_rule_broke(struct sq_rule *);

enum sq_rule_state sq_rule_state(const struct sq_rule *);
/* Whether the record of the last APPEND is neither committed nor known to be none.  It becomes false
 * by OURS, by a DONE, or when the broker owns again and it was not there: then the caller appends its
 * entries anew. */
bool sq_rule_in_flight(const struct sq_rule *);
uint64_t sq_rule_applied_lsn(const struct sq_rule *);
uint64_t sq_rule_chain(const struct sq_rule *);
uint64_t sq_rule_epoch(const struct sq_rule *);
/* Whether the owner may take and hand out: a beat, append or claim that was sent less than
 * SQ_RULE_LEASE_MS ago was answered. */
bool sq_rule_leased(const struct sq_rule *, uint64_t now_ms);
/* For FENCED, LOST and DIVERGED, a line: why, with lsns; else "". */
const char *sq_rule_why(const struct sq_rule *);

#ifdef SQ_RULE_BROKEN
struct sq_rule_broken {
	bool no_sure;    /* R4: applies what it reads */
	bool no_barrier; /* R2: settles an unknown outcome by a plain read */
	bool no_expect;  /* R2: the owner's claim expects whatever nonce is there */
};
void sq_rule_break(struct sq_rule *, const struct sq_rule_broken *);
#endif

#endif
