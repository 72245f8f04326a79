/* Tables as rows of bytes, and rows as tables: the snapshots of a log of several brokers.
 *
 *   tables --out--> rows --(kept by the log: store/shared/snapshots.h)--> in --> tables elsewhere
 *
 * The rows are one stream of bytes that is cut each SQ_ROWS_ROW; docs/store.md has it.  They have what
 * one moment's commit has: its lsn is the snapshot's, and the log's records behind it make any later
 * state of it, as they do at a restart of the tables' own broker.
 *
 * Reading holds one transaction of LMDB from the first row to the last.  As long as it is open, no page
 * that the tables free is used again, and their file grows by what checkpoints rewrite: for queues
 * that turn over at 20 MB/s, and a snapshot at 80 MB/s, by about a quarter of the snapshot's size.
 * Reading ends with SQ_EAGAIN when the file has grown by an eighth of its maximum, or when a checkpoint
 * finds no room, so a broker never stalls for a snapshot.  What the file has grown by is used again
 * afterwards. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_SNAPSHOT_H
#define SQ_BROKER_ENGINE_EMBEDDED_SNAPSHOT_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "store/log.h"
#include "store/rows.h"

struct sq_table;

enum { SQ_SNAPSHOT_FORMAT = 1 }; /* of the rows: sq_rows_sum.format */

/* --- tables to rows --- */

/* Of an open engine's tables: 'owner' is the struct sq_table.  Those of a shared log. */
extern const struct sq_rows_source sq_snapshot_source;

/* The same for tables of any log, as those of the shared log 'store' at record mark.lsn; that
 * is the lsn of the tables.  For a store that moves to a shared log. */
int sq_snapshot_open_as(struct sq_table *, uint64_t store, const struct sq_log_mark *mark,
    struct sq_rows **, uint64_t *lsn, struct sq_buf *err) SQ_MUST_CHECK;

/* --- rows to tables --- */

struct sq_snapshot_in;

/* Begins with tables for the shared log of that id, in a directory that is there and has none
 * (seed.h: its caller has the lock).  The errors of sq_table_make(). */
int sq_snapshot_in_new(struct sq_snapshot_in **, const char *dir, uint64_t max_bytes,
    uint64_t store, struct sq_buf *err) SQ_MUST_CHECK;
/* Takes the next row.  SQ_EINVAL: it is no part of a snapshot of that log; SQ_ENOMEM: the tables or
 * the disk have no room; SQ_EIO; each with a line in 'err', and only free() may follow. */
int
sq_snapshot_in_row(struct sq_snapshot_in *, struct sq_bytes row, struct sq_buf *err) SQ_MUST_CHECK;
/* All rows were given: the tables are there durably, if they are whole and what 'sum' says; SQ_EINVAL
 * if not.  Only free() may follow. */
int sq_snapshot_in_end(
    struct sq_snapshot_in *, const struct sq_rows_sum *sum, struct sq_buf *err) SQ_MUST_CHECK;
/* Without an end() that was SQ_OK the directory has no tables, as before.  NULL is allowed. */
void sq_snapshot_in_free(struct sq_snapshot_in **);

#endif
