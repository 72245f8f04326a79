/* The files of an engine that is durable: which log it has, and how large they may be. */
#ifndef SQ_BROKER_ENGINE_FILES_H
#define SQ_BROKER_ENGINE_FILES_H

#include <stdint.h>

#include "store/log.h"

/* Of its greatest size: above, puts are refused. */
enum { SQ_STORE_FULL_PERCENT = 80 };

struct sq_engine_files {
	const char *dir;
	const struct sq_log_ops *log; /* its log; outlives the engine */
	const struct sq_log_shared_cfg
	    *shared; /* of a log of several brokers; outlives it, too; or NULL */
	enum sq_durability durability;
	uint64_t interval_ms;
	uint64_t stall_ms;      /* a commit that takes longer is a stall; 0: none is */
	uint64_t journal_bytes; /* of messages and changes that are in the log only */
	uint64_t max_bytes;     /* of the tables */
	uint64_t cache_bytes;   /* of waiting messages that are also in memory */
};

#endif
