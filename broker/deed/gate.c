#include "broker/deed/gate.h"

#include <string.h>

#include "core/htab.h"

void
sq_deed_gate_init(struct sq_deed_gate *g)
{
	*g = (struct sq_deed_gate){0};
	pthread_mutex_init(&g->lock, NULL);
}

bool
sq_deed_gate_begin(struct sq_deed_gate *g, const char *space, uint64_t now_ms)
{
	uint64_t who = sq_hash(space, strlen(space)) | 1;
	bool turn, begins;

	pthread_mutex_lock(&g->lock);
	turn = g->next == 0 || g->next == who || now_ms >= g->next_until_ms;
	begins = turn && !g->busy && now_ms >= g->open_ms;
	if (begins) {
		g->busy = true;
		g->last = who;
		g->next = 0;
	} else if (turn && who != g->last) {
		g->next = who;
		g->next_until_ms = now_ms + SQ_DEED_GATE_TURN_MS;
	}
	pthread_mutex_unlock(&g->lock);
	return begins;
}

void
sq_deed_gate_end(struct sq_deed_gate *g, uint64_t begun_ms, uint64_t n)
{
	pthread_mutex_lock(&g->lock);
	g->open_ms = begun_ms + n * 1000 / SQ_DEED_GATE_RATE;
	g->busy = false;
	pthread_mutex_unlock(&g->lock);
}
