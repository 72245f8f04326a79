#include "broker/engine/engines/engines.h"

#define NAME(name) #name,
#define OPS(name) &sq_engine_##name,

const char *const sq_engine_names[SQ_ENGINES_N + 1] = {SQ_ENGINES(NAME) NULL};
const struct sq_engine_ops *const sq_engines[SQ_ENGINES_N] = {SQ_ENGINES(OPS)};
