/* Shares: how much of each of the broker's totals one tenant may have, or one topic space.
 *
 *   sq_shares           the totals, and what of each is left
 *    └─ sq_account      what one of those who share them has
 *
 * One may take more of a total while what it has is below three times what is free: a
 * dynamic threshold, as switches have for buffers that their ports share (Choudhury and
 * Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998, with
 * alpha 3).  Alone one ends at three quarters of what is shared, two equal ones at 3/7 each,
 * and something is free for the next.
 *
 * Besides, each of the first 'spaces' accounts has a floor, which is kept back for it whatever
 * others have: what is kept back is not free, also while fewer accounts are there.  Floors
 * together are at most a quarter of a total, and are smaller where it is small.  An account
 * above 'spaces' has no floor until one that has goes.  With one space nothing is divided:
 * it takes up to the total.
 *
 * What is counted never goes above a total, but by sq_share_force(), which is for what is
 * there already; who has more than its share keeps it, and is refused more.  Bytes in the store
 * are forced when a message is put, after each of its queues was asked for room: above the
 * share there may be, for each worker, one message in all the queues that it goes to.
 *
 * No locks but around the list of accounts, no clock, no sockets. */
#ifndef SQ_BROKER_SHARE_SHARE_H
#define SQ_BROKER_SHARE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/* In the order of the metric's label and of the rows in share.c.  Of a tenant, but for the
 * two of retained messages, which are a space's. */
enum sq_share_kind {
	SQ_SHARE_SESSIONS,
	SQ_SHARE_CONNECTIONS,
	SQ_SHARE_GROUPS,
	SQ_SHARE_SUBSCRIPTIONS,
	SQ_SHARE_RETAINED,
	SQ_SHARE_RETAINED_BYTES,
	SQ_SHARE_DELAYED,
	SQ_SHARE_DELAYED_BYTES,
	SQ_SHARE_DEAD_LETTERS,
	SQ_SHARE_DEAD_LETTERS_BYTES,
	SQ_SHARE_KEYS,
	SQ_SHARE_STORED_BYTES,
	SQ_SHARE_MEMORY,
	SQ_SHARE_KINDS
};

/* Whose an account is. */
enum sq_share_of { SQ_SHARE_OF_TENANT, SQ_SHARE_OF_SPACE, SQ_SHARE_OFS };

#define SQ_SHARE_UNBOUNDED UINT64_MAX

struct sq_shares;
struct sq_account;

struct sq_shares_cfg {
	uint64_t totals[SQ_SHARE_KINDS]; /* SQ_SHARE_UNBOUNDED: not shared, all is taken */
	uint64_t spaces;                 /* that have floors; 0, 1: nothing is divided */
};

/* What one may have at most, whatever is free; SQ_SHARE_UNBOUNDED: what its share is. */
struct sq_share_limits {
	uint64_t of[SQ_SHARE_KINDS];
};
extern const struct sq_share_limits sq_share_no_limits;

struct sq_shares *sq_shares_new(const struct sq_shares_cfg *);
/* Frees the accounts that are there, too, whatever they have. */
void sq_shares_free(struct sq_shares **);

/* 'name' is copied; 'limits', NULL for none, too.
 * Thread: any.  Locks: the list's. */
struct sq_account *sq_account_new(
    struct sq_shares *, enum sq_share_of, const char *name, const struct sq_share_limits *limits);
/* It has nothing, which is an assert: what is counted was given back.
 * Thread: any.  Locks: the list's. */
void sq_account_free(struct sq_account **);
/* Whether nothing is counted.  Thread: any. */
bool sq_account_empty(const struct sq_account *);

/* Counts 'n' more; false: refused, nothing was counted.  As many units as its share allows,
 * one by one: a large 'n' is taken whole or not at all.
 * Thread: any.  Locks: none; one atomic of the account's below its floor, one of all above. */
bool sq_share_take(struct sq_account *, enum sq_share_kind, uint64_t n) SQ_MUST_CHECK;
/* The same, whatever the share is: for what is in the store at the start, and what must not
 * be refused. */
void sq_share_force(struct sq_account *, enum sq_share_kind, uint64_t n);
/* What was counted by these two is gone.  More than is counted: all is. */
void sq_share_give(struct sq_account *, enum sq_share_kind, uint64_t n);
/* Whether sq_share_take() would give 'n' now; if not, it is a refusal as that one's. */
bool sq_share_fits(const struct sq_account *, enum sq_share_kind, uint64_t n);
/* How much sq_share_take() would give now; others take meanwhile. */
uint64_t sq_share_room(const struct sq_account *, enum sq_share_kind);
/* Whether a limit of its own is set to it. */
bool sq_share_limited(const struct sq_account *, enum sq_share_kind);
/* Whether what stops it may be its own: a share, or a limit; else it is the total alone. */
bool sq_share_of_own(const struct sq_account *, enum sq_share_kind);
uint64_t sq_share_used(const struct sq_account *, enum sq_share_kind);

/* Appends why 'a' was refused, for people: "shop has 120 sessions, which is its share of
 * 200 (limits.max-sessions; limits.spaces: 64)" or "…, of 120 that spaces.*.limits.sessions
 * allows". */
void sq_share_explain(const struct sq_account *, enum sq_share_kind, struct sq_buf *out);
/* Appends metrics of use by the accounts that use most, at most 50 of tenants and of spaces;
 * others together are "other".  Thread: any. */
void sq_shares_write(struct sq_shares *, struct sq_buf *out);

#endif
