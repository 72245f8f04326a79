/* Measures of the sidecar against a shortage of memory (limits.memory, core/memory.h).
 *
 * Messages to clients are bounded in advance, by the windows of budget.h.  Publishes wait in memory
 * on their way to a broker: near the limit, each client may have only a few bytes of them.  The
 * input of a client above that is read only as far as its acknowledgements need.  If that does not
 * suffice, the client with most memory is disconnected, then the next.  Output that a client does
 * not read weighs more than its publishes.  On the loop's thread. */
#ifndef SQ_SIDECAR_HOLD_ROOM_H
#define SQ_SIDECAR_HOLD_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQ_ROOM_TEXT "the sidecar's memory is nearly used up (limits.memory)"

struct sq_holds;

/* Whether memory is too short for anything new. */
bool sq_room_none(void);
/* Whether memory is too short for messages that stay in memory; the stricter test. */
bool sq_room_none_to_stay(void);
/* Whether a message of 'size' bytes must wait, from a client with 'backlog' bytes on their way. */
bool sq_room_waits(size_t backlog, size_t size);
/* Watches the memory level and acts on it; called once in each turn of the loop. */
void sq_room_turn(struct sq_holds *);

#endif
