/* Shares: the part of each of the broker's totals that one tenant, or one topic space, may use.
 *
 *   sq_shares           the totals, and the free rest of each
 *    └─ sq_account      the use by one tenant or space
 *
 * An account may take more of a total while its use is below three times the free rest: a dynamic
 * threshold, used in switches for buffers that ports share (Choudhury and Hahne, "Dynamic Queue
 * Length Thresholds for Shared-Memory Packet Switches", 1998, with alpha 3).  A single account ends
 * at three quarters of the shared part, two equal ones at 3/7 each, and a rest is free for the
 * next.
 *
 * Besides, each of the first 'spaces' accounts has a floor, which is reserved for it: reserved
 * amounts are not free, also while there are fewer accounts.  Floors together are at most a quarter
 * of a total, and smaller for a small total.  An account above 'spaces' gets a floor when one with
 * a floor ends.  With one space nothing is divided: it takes up to the total.
 *
 * The count never exceeds a total, except by sq_share_force(), for amounts that exist already.  An
 * account above its share keeps its use, and is refused more.  Bytes in the store are forced when a
 * message is put, after each of its queues was asked for room: each worker may exceed the share by
 * one message in all of its queues.
 *
 * No locks except around the list of accounts, no clock, no sockets. */
#ifndef SQ_BROKER_SHARE_SHARE_H
#define SQ_BROKER_SHARE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/* In the order of the metric's label and of the rows in share.c.  Kinds of a tenant, except the two
 * of retained messages, which are a space's. */
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

/* The owner of an account. */
enum sq_share_of { SQ_SHARE_OF_TENANT, SQ_SHARE_OF_SPACE, SQ_SHARE_OFS };

#define SQ_SHARE_UNBOUNDED UINT64_MAX

struct sq_shares;
struct sq_account;

struct sq_shares_cfg {
	uint64_t totals[SQ_SHARE_KINDS]; /* SQ_SHARE_UNBOUNDED: no limit */
	uint64_t spaces;                 /* number with floors; 0, 1: nothing is divided */
};

/* Fixed limits of an account; SQ_SHARE_UNBOUNDED: its share alone.  They may change at any time: an
 * account above a new one keeps its use. */
struct sq_share_limits {
	_Atomic uint64_t of[SQ_SHARE_KINDS];
};
extern const struct sq_share_limits sq_share_no_limits;

struct sq_shares *sq_shares_new(const struct sq_shares_cfg *);
/* Changes the totals; floors stay as they were made.  An account above its new share keeps its use.
 * Thread: any.  Locks: none. */
void sq_shares_set_totals(struct sq_shares *, const uint64_t totals[SQ_SHARE_KINDS]);
/* Frees the shares with their accounts, also those in use; nulls the pointer. */
void sq_shares_free(struct sq_shares **);

/* Makes an account; copies 'name'; 'limits' (NULL: none) outlive it.  Thread: any.  Locks: the
 * list's. */
struct sq_account *sq_account_new(
    struct sq_shares *, enum sq_share_of, const char *name, const struct sq_share_limits *limits);
/* Frees an account without use (asserted) and nulls the pointer.  Thread: any.  Locks: the
 * list's. */
void sq_account_free(struct sq_account **);
/* Whether the account has no use.  Thread: any.  Locks: none. */
bool sq_account_empty(const struct sq_account *);

/* Takes 'n' units; false: refused, and nothing is counted.  One at a time, an account gets as many
 * units as its share allows; a large 'n' is taken whole or not at all.  Thread: any.  Locks: none;
 * one atomic of the account below its floor, one of the totals above. */
bool sq_share_take(struct sq_account *, enum sq_share_kind, uint64_t n) SQ_MUST_CHECK;
/* Takes 'n' units regardless of the share: for amounts in the store at the start, and for amounts
 * that must not be refused.  Thread and locks as above, for all of the following. */
void sq_share_force(struct sq_account *, enum sq_share_kind, uint64_t n);
/* Gives 'n' units back; more than the use: all of it. */
void sq_share_give(struct sq_account *, enum sq_share_kind, uint64_t n);
/* Whether sq_share_take() would succeed now; false counts as a refusal. */
bool sq_share_fits(const struct sq_account *, enum sq_share_kind, uint64_t n);
/* The units that sq_share_take() would give now; other threads may take some meanwhile. */
uint64_t sq_share_room(const struct sq_account *, enum sq_share_kind);
/* Whether the account has a limit of its own. */
bool sq_share_limited(const struct sq_account *, enum sq_share_kind);
/* Whether a share or a limit of the account may be the reason of a refusal; false: the total
 * alone. */
bool sq_share_of_own(const struct sq_account *, enum sq_share_kind);
uint64_t sq_share_used(const struct sq_account *, enum sq_share_kind);

/* Appends the reason of a refusal for people: "shop has 120 sessions, which is its share of 200
 * (limits.max-sessions; limits.spaces: 64)" or "…, of 120 that spaces.*.limits.sessions allows". */
void sq_share_explain(const struct sq_account *, enum sq_share_kind, struct sq_buf *out);
/* Appends metrics of the largest users, at most 50 of tenants and of spaces; others are summed up
 * in "other".  Thread: any.  Locks: the list's. */
void sq_shares_write(struct sq_shares *, struct sq_buf *out);

#endif
