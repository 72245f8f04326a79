/* The memory engine: queues in memory, which end with the process. */
#ifndef SQ_BROKER_ENGINE_MEMORY_MEMORY_H
#define SQ_BROKER_ENGINE_MEMORY_MEMORY_H

#include "broker/engine/engine.h"

extern const struct sq_engine_ops sq_engine_memory;

#endif
