/* What the sidecar does as its memory runs short (limits.memory, core/memory.h).
 *
 * What its clients have not taken yet is bounded before it comes, by the windows of budget.h.  What
 * they publish waits on its way to a broker: near the limit each client may have little of
 * that, so that it is not read, but for the little its acknowledgements are found behind it.
 * Where that is not enough, whoever holds most goes, and the next, as many as it takes: what a
 * client does not take counts for more than what it has sent. */
#ifndef SQ_SIDECAR_HOLD_ROOM_H
#define SQ_SIDECAR_HOLD_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQ_ROOM_TEXT "the sidecar's memory is nearly used up (limits.memory)"

struct sq_holds;

/* Whether nothing is taken that needs more memory. */
bool sq_room_none(void);
/* Whether nothing is taken that stays, either. */
bool sq_room_none_to_stay(void);
/* Whether a message of 'size' has to wait, of a client that has 'backlog' bytes on their way. */
bool sq_room_waits(size_t backlog, size_t size);
/* Once in each turn of the loop. */
void sq_room_turn(struct sq_holds *);

#endif
