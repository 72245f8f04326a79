#include "broker/front/deeds/gate.h"

bool
sq_deed_gate_begin(struct sq_deed_gate *g, uint64_t now_ms)
{
	if (atomic_exchange(&g->busy, true))
		return false;
	if (now_ms >= atomic_load(&g->open_ms))
		return true;
	atomic_store(&g->busy, false);
	return false;
}

void
sq_deed_gate_end(struct sq_deed_gate *g, uint64_t begun_ms, uint64_t n)
{
	atomic_store(&g->open_ms, begun_ms + n * 1000 / SQ_DEED_GATE_RATE);
	atomic_store(&g->busy, false);
}
