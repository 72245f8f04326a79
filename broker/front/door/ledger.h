/* How many of something each identity has, by its id, over all connections of a door: pending
 * requests, or connections.  Thread: any of the door's.  Locks: one, inside. */
#ifndef SQ_BROKER_FRONT_DOOR_LEDGER_H
#define SQ_BROKER_FRONT_DOOR_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct sq_ledger_entry;
struct sq_ledger;

struct sq_ledger *sq_ledger_new(void);
/* Frees it and nulls the pointer; every entry has been left. */
void sq_ledger_free(struct sq_ledger **);

/* Counts one more of the identity, until sq_ledger_leave(); NULL: it has 'max' already, where that is
 * not 0. */
struct sq_ledger_entry *sq_ledger_enter(struct sq_ledger *, uint64_t identity, unsigned max);
/* Whether the entry, which has not been left, is the identity's. */
bool sq_ledger_is(const struct sq_ledger_entry *, uint64_t identity);
/* Counts it no more, and nulls the pointer, which may be NULL. */
void sq_ledger_leave(struct sq_ledger *, struct sq_ledger_entry **);
/* How many the identity has. */
unsigned sq_ledger_count(struct sq_ledger *, uint64_t identity);

#endif
