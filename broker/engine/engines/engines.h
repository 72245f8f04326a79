/* The table of all engines, from which the configuration, the program and the contract suite take
 * theirs. */
#ifndef SQ_BROKER_ENGINE_ENGINES_ENGINES_H
#define SQ_BROKER_ENGINE_ENGINES_ENGINES_H

#include "broker/engine/embedded/embedded.h"
#include "broker/engine/memory/memory.h"

/* A new engine plugs in here: X(name), of sq_engine_<name>.  The first is the default. */
#define SQ_ENGINES(X) \
	X(embedded) \
	X(memory)

enum {
#define SQ_ENGINES_COUNT(name) SQ_ENGINE_##name,
	SQ_ENGINES(SQ_ENGINES_COUNT)
#undef SQ_ENGINES_COUNT
	    SQ_ENGINES_N
};

/* By the same index: names in the configuration, NULL behind the last, and contracts. */
extern const char *const sq_engine_names[SQ_ENGINES_N + 1];
extern const struct sq_engine_ops *const sq_engines[SQ_ENGINES_N];

#endif
