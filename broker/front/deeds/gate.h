/* The rate of redrives: one at a time, and each as long after the one before as the letters of that
 * one should take.  Time comes in.  Thread: any. */
#ifndef SQ_BROKER_FRONT_DEEDS_GATE_H
#define SQ_BROKER_FRONT_DEEDS_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SQ_DEED_GATE_RATE = 1000 }; /* letters in a second */

/* Zeroed: open. */
struct sq_deed_gate {
	atomic_bool busy;
	_Atomic uint64_t open_ms; /* when the next one may begin */
};

/* Whether a redrive may begin now; one that does is ended by sq_deed_gate_end(). */
bool sq_deed_gate_begin(struct sq_deed_gate *, uint64_t now_ms);
/* The redrive that began at 'begun_ms' has published 'n' letters. */
void sq_deed_gate_end(struct sq_deed_gate *, uint64_t begun_ms, uint64_t n);

#endif
