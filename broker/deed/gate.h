/* The rate of redrives: one at a time, and each as long after the one before as the letters of that
 * one should take.  No space has all of it: where another one was refused it has the next turn, if
 * it comes for it.  Time comes in.  Thread: any. */
#ifndef SQ_BROKER_DEED_GATE_H
#define SQ_BROKER_DEED_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	SQ_DEED_GATE_RATE = 1000,    /* letters in a second */
	SQ_DEED_GATE_TURN_MS = 3000, /* that a turn is kept after the last refusal */
};

struct sq_deed_gate {
	pthread_mutex_t lock;
	bool busy;
	uint64_t open_ms; /* when the next one may begin */
	uint64_t last,
	    next; /* hashes of spaces: that had it last, and whose turn is next; 0: none */
	uint64_t next_until_ms;
};

/* Opens it. */
void sq_deed_gate_init(struct sq_deed_gate *);
/* Whether a redrive of that space may begin now; one that does is ended by sq_deed_gate_end(). */
bool sq_deed_gate_begin(struct sq_deed_gate *, const char *space, uint64_t now_ms);
/* The redrive that began at 'begun_ms' has published 'n' letters. */
void sq_deed_gate_end(struct sq_deed_gate *, uint64_t begun_ms, uint64_t n);

#endif
