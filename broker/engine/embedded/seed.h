/* The directory of a store before its engine opens it: whose log its tables belong to.
 *
 * A store of files has tables and a journal, one of a log of several brokers (store/log.h: shared) has
 * tables alone: these are a cache of that log, have its id, and can be thrown away and made anew.
 * Neither is opened as the other; the engine makes tables of files where it finds none, and no shared
 * ones.
 *
 * The caller of clear() and make() has the directory's lock (store/dir.h), which the engine's open()
 * takes for itself. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_SEED_H
#define SQ_BROKER_ENGINE_EMBEDDED_SEED_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "store/log.h"

enum sq_seed_kind {
	SQ_SEED_NONE,   /* no directory, or neither tables nor journal in it */
	SQ_SEED_FILES,  /* a journal, or tables of one */
	SQ_SEED_SHARED, /* tables of a log of several brokers */
};

struct sq_seed_look {
	enum sq_seed_kind kind;
	uint64_t store, lsn;     /* of tables */
	struct sq_log_mark mark; /* of a shared log's */
};

/* Looks, and changes nothing.  The errors of sq_table_open(), with a line in 'err'. */
int sq_seed_look(const char *dir, struct sq_seed_look *, struct sq_buf *err) SQ_MUST_CHECK;
/* Removes tables and journal; what else is in the directory stays.  SQ_EIO with a line in 'err'. */
int sq_seed_clear(const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
/* Removes the journal alone, which the tables do not need. */
int sq_seed_drop_journal(const char *dir, struct sq_buf *err) SQ_MUST_CHECK;
/* Makes empty tables for the shared log of that id; sq_table_open() opens them for a snapshot.  The
 * errors of sq_table_make(). */
int
sq_seed_make(const char *dir, uint64_t max_bytes, uint64_t store, struct sq_buf *err) SQ_MUST_CHECK;

#endif
