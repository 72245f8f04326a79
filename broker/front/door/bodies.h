/* Bodies of requests of good connections, of all doors, while memory is short (core/memory.h).
 *
 * A body is in memory from its first byte to the request's answer, and a connection may have a
 * hundred of them at a time; over HTTP/2 the heads count, too, and complete answers that the peer
 * does not take.  While memory is short, a connection whose requests are above its bound is not read
 * until answers have gone out.  A connection that stays above it without an answer being due, because
 * its bodies never end, is ended with ENHANCE_YOUR_CALM: after 5 s with a quarter of all bytes, else
 * after 30 s; and so is one that is above it with an answer that lies for so long.  The bounds:
 *
 *   memory     all have little     all together have an eighth of limits.memory
 *   FREE       any                 any
 *   FILLED     any                 one of the largest
 *   PACED      any                 one of the largest
 *   REFUSED    one of the largest  64 KiB
 *
 * So acknowledgements, which are small, pass in a well-behaved connection. */
#ifndef SQ_BROKER_FRONT_DOOR_BODIES_H
#define SQ_BROKER_FRONT_DOOR_BODIES_H

#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"

struct sq_conn;

/* The bytes that a connection may have while all have 'together'; 'largest': of one body. */
size_t sq_bodies_most(enum sq_memory_level, size_t together, uint64_t limit, size_t largest);
/* The time for which a connection above the bound waits unread before it is ended. */
uint64_t sq_bodies_wait_ms(size_t bytes, size_t together);

/* Checks the connection's bytes: after a read, after answers, and each second.  Cheap while memory
 * is free.  Thread: the connection's. */
void sq_bodies_look(struct sq_conn *);
/* Removes the bytes of a connection that has closed. */
void sq_bodies_gone(struct sq_conn *);

#endif
