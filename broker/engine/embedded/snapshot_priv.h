/* The bytes of a snapshot; docs/store.md describes them. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_SNAPSHOT_PRIV_H
#define SQ_BROKER_ENGINE_EMBEDDED_SNAPSHOT_PRIV_H

#include "broker/engine/embedded/table_priv.h"

enum {
	SNAPSHOT_HEAD = 4 + 1 + 3 + 4 +
	    4 * 8,                  /* magic, format, 0, tables' format, store, lsn, mark */
	SNAPSHOT_ENTRY = 1 + 1 + 4, /* database, length of the key, of the value */
	SNAPSHOT_END = 1 + 8,       /* SNAPSHOT_LAST, number of entries */
	SNAPSHOT_LAST = 0xff,       /* in place of a database */
};

#define SNAPSHOT_MAGIC "sqsn"

#endif
