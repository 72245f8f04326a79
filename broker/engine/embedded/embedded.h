/* The embedded engine: durable on the disk of its machine, with a log and tables behind it.
 * embedded.c opens with its structure. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_EMBEDDED_H
#define SQ_BROKER_ENGINE_EMBEDDED_EMBEDDED_H

#include "broker/engine/engine.h"

extern const struct sq_engine_ops sq_engine_embedded;

#endif
