#include "store/postgres/pg_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* Removes the snapshots that a query of their numbers gives. */
static enum sq_shared_result
snap_remove(struct sq_shared *c, const char *which)
{
	size_t list = sq_pg_queue(c, NULL, which);
	enum sq_shared_result result = sq_pg_run(c);
	int rows = result == SQ_SHARED_DONE ? sq_pg_rows(c, list) : 0;
	uint64_t *n = sq_xcalloc((size_t)rows + 1, sizeof *n);
	struct sq_pg_args a;
	char sql[128];

	for (int i = 0; i < rows; i++)
		n[i] = sq_pg_int(c, list, i, 0);
	for (int i = 0; result == SQ_SHARED_DONE && i < rows; i++) {
		a.n = 0;
		sq_pg_u64(&a, n[i]);
		(void)sq_pg_queue(c, &a, "DELETE FROM @.snapshot WHERE p = 0 AND n = $1");
		(void)snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS @.snap_0_%" PRIu64, n[i]);
		(void)sq_pg_queue(c, NULL, sql);
		result = sq_pg_run_write(c);
	}
	free(n);
	return result;
}

enum sq_shared_result
sq_pg_snap_begin(struct sq_shared *c, struct sq_shared_snapshot *s)
{
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	char sql[256];
	size_t n;

	sq_pg_begin(c);
	result = snap_remove(c, "SELECT n FROM @.snapshot WHERE p = 0 AND NOT done ORDER BY n");
	if (result != SQ_SHARED_DONE)
		return result;
	n = sq_pg_queue(c, NULL, "SELECT nextval('@.snapshot_n'::regclass)");
	result = sq_pg_run_write(c);
	if (result != SQ_SHARED_DONE)
		return result;
	s->n = sq_pg_int(c, n, 0, 0);
	sq_pg_u64(&a, s->n);
	sq_pg_u64(&a, s->lsn);
	sq_pg_u32(&a, s->format);
	(void)sq_pg_queue(c, &a,
	    "INSERT INTO @.snapshot (p, n, lsn, format, bytes, sha256, done)"
	    " VALUES (0, $1, $2, $3, 0, '', false)");
	(void)snprintf(sql, sizeof sql,
	    "CREATE TABLE @.snap_0_%" PRIu64 " (i int PRIMARY KEY, data bytea NOT NULL)", s->n);
	(void)sq_pg_queue(c, NULL, sql);
	(void)snprintf(sql, sizeof sql,
	    "ALTER TABLE @.snap_0_%" PRIu64 " ALTER data SET STORAGE EXTERNAL", s->n);
	(void)sq_pg_queue(c, NULL, sql);
	return sq_pg_run_write(c);
}

/* No such table: it was removed, so nothing was done. */
static enum sq_shared_result
snap_judge(const struct sq_shared *c, enum sq_shared_result result)
{
	return result != SQ_SHARED_DONE && strcmp(c->state, "42P01") == 0 ? SQ_SHARED_NOT_DONE
									  : result;
}

enum sq_shared_result
sq_pg_snap_put(struct sq_shared *c, uint64_t n, uint32_t row, struct sq_bytes data)
{
	struct sq_pg_args a = {.n = 0};
	char sql[256];

	sq_pg_begin(c);
	sq_pg_sends(c, data.len);
	sq_pg_u32(&a, row);
	sq_pg_bytea(&a, data);
	(void)snprintf(sql, sizeof sql,
	    "INSERT INTO @.snap_0_%" PRIu64 " (i, data) VALUES ($1, $2)"
	    " ON CONFLICT (i) DO UPDATE SET data = $2",
	    n);
	(void)sq_pg_queue(c, &a, sql);
	return snap_judge(c, sq_pg_run_write(c));
}

enum sq_shared_result
sq_pg_snap_done(struct sq_shared *c, const struct sq_shared_snapshot *s)
{
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	size_t done;

	sq_pg_begin(c);
	sq_pg_u64(&a, s->n);
	sq_pg_u64(&a, s->lsn);
	sq_pg_u32(&a, s->format);
	sq_pg_u64(&a, s->bytes);
	sq_pg_bytea(&a, (struct sq_bytes){s->sha256, sizeof s->sha256});
	done = sq_pg_queue(c, &a,
	    "UPDATE @.snapshot SET done = true, lsn = $2, format = $3, bytes = $4, sha256 = $5"
	    " WHERE p = 0 AND n = $1");
	result = sq_pg_run_write(c);
	if (result != SQ_SHARED_DONE)
		return result;
	if (sq_pg_affected(c, done) != 1) {
		sq_pg_say(c, "snapshot %" PRIu64 " was removed", s->n);
		return SQ_SHARED_REFUSED;
	}
	return snap_remove(
	    c, "SELECT n FROM @.snapshot WHERE p = 0 AND done ORDER BY n DESC OFFSET 2");
}

static void
snap_row(const struct sq_shared *c, size_t list, int row, struct sq_shared_snapshot *out)
{
	struct sq_bytes hash;

	memset(out, 0, sizeof *out);
	if (row >= sq_pg_rows(c, list))
		return;
	out->n = sq_pg_int(c, list, row, 0);
	out->lsn = sq_pg_int(c, list, row, 1);
	out->format = (unsigned)sq_pg_int(c, list, row, 2);
	out->bytes = sq_pg_int(c, list, row, 3);
	hash = sq_pg_get(c, list, row, 4);
	if (hash.len == sizeof out->sha256)
		memcpy(out->sha256, hash.p, hash.len);
}

enum sq_shared_result
sq_pg_snap_newest(
    struct sq_shared *c, struct sq_shared_snapshot *newest, struct sq_shared_snapshot *older)
{
	enum sq_shared_result result;
	size_t list;

	sq_pg_begin(c);
	list = sq_pg_queue(c, NULL,
	    "SELECT n, lsn, format, bytes, sha256 FROM @.snapshot WHERE p = 0 AND done"
	    " ORDER BY n DESC LIMIT 2");
	result = sq_pg_run(c);
	if (result != SQ_SHARED_DONE)
		return SQ_SHARED_UNKNOWN;
	snap_row(c, list, 0, newest);
	if (older != NULL)
		snap_row(c, list, 1, older);
	return SQ_SHARED_DONE;
}

enum sq_shared_result
sq_pg_snap_get(struct sq_shared *c, uint64_t n, uint32_t row, struct sq_buf *out)
{
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	struct sq_bytes data;
	char sql[128];
	size_t got;

	sq_pg_begin(c);
	sq_pg_receives(c);
	sq_pg_u32(&a, row);
	(void)snprintf(sql, sizeof sql, "SELECT data FROM @.snap_0_%" PRIu64 " WHERE i = $1", n);
	got = sq_pg_queue(c, &a, sql);
	result = sq_pg_run(c);
	if (result != SQ_SHARED_DONE)
		return snap_judge(c, SQ_SHARED_UNKNOWN);
	if (sq_pg_rows(c, got) != 1) {
		sq_pg_say(c, "snapshot %" PRIu64 " has no row %" PRIu32, n, row);
		return SQ_SHARED_NOT_DONE;
	}
	data = sq_pg_get(c, got, 0, 0);
	sq_buf_append(out, data.p, data.len);
	sq_pg_clear(c);
	return SQ_SHARED_DONE;
}
