/* The keys of messages that have come over bridges: what a bridge knows is not published again.
 *
 *   sq_dedups   those of all bridges, of one broker
 *   sq_dedup    the window of one bridge: its keys, the oldest first
 *
 * A key is known for 'for_ms' after its message came, however often it comes again; of more than 'max'
 * the oldest is forgotten, whatever its age.  It is identified by 128 bits of SHA-256 over the name of
 * its bridge and its text.  It takes SQ_DEDUP_BYTES of memory and its part of a table of pointers, at
 * most 88 bytes together, and a record in the store, which is written in the transaction of its message:
 * after a restart, or on another broker that takes over, exactly the keys of what was published are
 * known.  A window without a key has no memory.
 *
 * Keys of a bridge that is no more stay for SQ_DEDUP_LEFT_MS of their own time; a bridge of its name that
 * comes back has them.
 *
 * A window is used on one worker, that of its bridge; sq_dedups_*() take a lock. */
#ifndef SQ_BROKER_BRIDGE_DEDUP_H
#define SQ_BROKER_BRIDGE_DEDUP_H

#include "broker/engine/engine.h"
#include "core/bytes.h"

struct sq_dedup;
struct sq_dedups;
struct sq_shard;

enum {
	SQ_DEDUP_BYTES = 64, /* of a key, with what the allocator adds */
	SQ_DEDUP_LEFT_MS = 7 * 24 * 3600 *
	    1000, /* keys of a bridge that is no more: no dedup.for is longer */
};

struct sq_dedup_key {
	uint64_t hi, lo;
};

struct sq_dedups *sq_dedups_new(void);
/* Frees it with all windows, and nulls the pointer; no worker turns. */
void sq_dedups_free(struct sq_dedups **);
/* Reads the keys of the store; before any other use.  Returns the engine's error. */
int sq_dedups_load(struct sq_dedups *, struct sq_engine *, uint64_t now_ms) SQ_MUST_CHECK;
/* Removes a bounded number of keys of bridges that are no more; now and then, on the shard's worker. */
void sq_dedups_sweep(struct sq_dedups *, struct sq_shard *, uint64_t now_ms);

/* The window of the bridge of that name, for one user at a time, with these limits; 'max' 0: it knows
 * nothing.  Thread: any worker, which is its user's from now on. */
struct sq_dedup *
sq_dedup_open(struct sq_dedups *, const char *bridge, uint64_t for_ms, uint64_t max);
/* Its user goes; nulls the pointer.  What it has added is committed, or forgotten again. */
void sq_dedup_close(struct sq_dedup **);

/* All of these on the window's worker. */

struct sq_dedup_key sq_dedup_key(const struct sq_dedup *, struct sq_bytes text);
/* Whether a message with that key came within the window: one whose commit may be on its way. */
bool sq_dedup_knows(const struct sq_dedup *, const struct sq_dedup_key *, uint64_t now_ms);
/* Adds a key that is not known, with its record, to the transaction of its message; and removes there
 * what has to go for it, a few at the most.  Returns how many were forgotten younger than 'for_ms'. */
unsigned
sq_dedup_add(struct sq_dedup *, struct sq_txn *, const struct sq_dedup_key *, uint64_t now_ms);
/* The most that one sq_dedup_add() puts into a transaction: see sq_txn_ops.room. */
enum { SQ_DEDUP_ADD_ITEMS = 3, SQ_DEDUP_ADD_BYTES = 128 };
/* The transaction in which it was added has failed: it is not known. */
void sq_dedup_forget(struct sq_dedup *, const struct sq_dedup_key *);
/* Removes a bounded number of keys that are too old or too many.  Returns as sq_dedup_add(). */
unsigned sq_dedup_sweep(struct sq_dedup *, struct sq_shard *, uint64_t now_ms);
size_t sq_dedup_count(const struct sq_dedup *);

#endif
