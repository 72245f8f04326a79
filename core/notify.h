/* What a program tells the service manager that started it, by the protocol of sd_notify(3): that it
 * serves, reads its configuration again, or stops; a line for `systemctl status`; and at intervals
 * that it is alive (WatchdogSec= of its unit).  The protocol is a datagram of lines and is promised
 * to be stable, so no library is linked for it.
 *
 * Without NOTIFY_SOCKET in the environment nothing is told.  No call blocks: what the manager does
 * not take at once is told again by the next tick.  One thread at a time. */
#ifndef SQ_CORE_NOTIFY_H
#define SQ_CORE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct sq_notify;

enum sq_notify_state {
	SQ_NOTIFY_STARTING, /* nothing is told of it */
	SQ_NOTIFY_READY,
	SQ_NOTIFY_RELOADING, /* SQ_NOTIFY_READY follows when it is done */
	SQ_NOTIFY_STOPPING,
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.  Never NULL.  A socket that can't be used is
 * logged under 'scope', which must stay, and the program goes on without. */
struct sq_notify *sq_notify_open(const char *scope);
/* Frees it and nulls the pointer. */
void sq_notify_close(struct sq_notify **);
/* Whether anybody listens, so that a status is worth its making. */
bool sq_notify_wanted(const struct sq_notify *);
/* Tells the state, if it is another one than before. */
void sq_notify_set(struct sq_notify *, enum sq_notify_state);
/* Tells the first line of 'text' for people, cut to 200 bytes, if it differs from the one before. */
void sq_notify_status(struct sq_notify *, const char *text);
/* Tells what could not be told before; and, with 'live', that the program is alive, when that is
 * due: three times within the time that the manager waits for it.  'now_ms' is sq_clock_ms(). */
void sq_notify_tick(struct sq_notify *, uint64_t now_ms, bool live);

#endif
