/* An engine whose store outlives the broker inside one test: durable queues and
 * records are there again when another broker opens it.  It keeps the contract of
 * broker/engine/engine.h, on one thread, with simple lists.
 *
 * A transaction is durable from its commit on, or, while commits are held, from
 * its release on; its done() comes with the next turn. */
#ifndef SQ_TEST_SUPPORT_STORED_ENGINE_H
#define SQ_TEST_SUPPORT_STORED_ENGINE_H

#include "broker/engine/engine.h"

extern const struct sq_engine_ops stored_engine;

/* Empties the store; before the first broker of a test. */
void stored_engine_reset(void);
/* The broker is as good as dead: nothing that it still does reaches the store,
 * commits that are held never will.  Until the next opening. */
void stored_engine_crash(void);

/* From now on durable commits wait, or no longer; those that wait already stay. */
void stored_engine_hold(bool hold);
size_t stored_engine_waiting(void);
/* Makes the first commit that waits durable. */
void stored_engine_release(void);
/* While sick it is not healthy and says that durable queues are full. */
void stored_engine_sick(bool sick);
/* While full it takes nothing new, and is well. */
void stored_engine_full(bool full);

/* What is in the store. */
size_t stored_engine_records(uint8_t kind); /* 0: of any kind */
size_t stored_engine_queues(void);
size_t stored_engine_items(void);
/* What another broker has made of these: it forgets those of a kind, or clears bits of the byte at
 * 'offset' of each.  While no broker has it open. */
void stored_engine_forget(uint8_t kind);
void stored_engine_clear(uint8_t kind, size_t offset, unsigned char bits);
/* Commits that held something durable, since the reset. */
size_t stored_engine_commits(void);

#endif
