/* The memory engine with commits that wait until the test lets them end, well or
 * not. */
#ifndef SQ_TEST_SUPPORT_HELD_ENGINE_H
#define SQ_TEST_SUPPORT_HELD_ENGINE_H

#include "broker/engine/engine.h"

extern const struct sq_engine_ops held_engine;

/* From now on commits wait, or no longer; those that wait already stay. */
void held_engine_hold(bool hold);
size_t held_engine_waiting(void);
/* Ends the first commit that waits, with 'err'. */
void held_engine_release(int err);

#endif
