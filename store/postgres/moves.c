/* A log that comes from a store of files, and one that goes to such. */
#include "store/postgres/pg_priv.h"

#include <inttypes.h>
#include <stdio.h>

/* Whatever the log had before goes: nobody has owned it, or it has moved to that store's files. */
#define IMPORT_SQL \
	"DO $$ DECLARE k int; i int; BEGIN" \
	" SELECT segment INTO k FROM @.head" \
	" WHERE p = 0 AND (nonce = 0 OR (moved AND store = %1$" PRId64 ")) FOR UPDATE;" \
	" IF NOT FOUND OR NOT EXISTS (SELECT FROM @.snapshot WHERE p = 0 AND n = %4$" PRIu64 ")" \
	" THEN RETURN; END IF;" \
	" FOR i IN SELECT n FROM @.segment WHERE p = 0 LOOP" \
	" EXECUTE format('DROP TABLE IF EXISTS @.log_0_%%s', i); END LOOP;" \
	" DELETE FROM @.segment WHERE p = 0;" \
	" EXECUTE format('CREATE TABLE @.log_0_%%s (lsn bigint PRIMARY KEY, epoch bigint NOT " \
	"NULL," \
	" sure bigint NOT NULL, data bytea NOT NULL)', k + 1);" \
	" EXECUTE format('ALTER TABLE @.log_0_%%s ALTER data SET STORAGE EXTERNAL', k + 1);" \
	" INSERT INTO @.segment (p, n, first) VALUES (0, k + 1, %3$" PRIu64 " + 1);" \
	" UPDATE @.snapshot SET done = (n = %4$" PRIu64 ") WHERE p = 0;" \
	" UPDATE @.head SET store = %1$" PRId64 ", epoch = greatest(epoch, %2$" PRIu64 ")," \
	" boot = 0, nonce = 0, moved = false, holder = '', link = '', admin = '', beats = beats " \
	"+ 1," \
	" segment = k + 1, segment_first = %3$" PRIu64 " + 1, sure = %3$" PRIu64 \
	" WHERE p = 0; END $$"

/* One change, which is the only one of its call. */
static enum sq_shared_result
moves_one(struct sq_shared *c, size_t done, const char *why)
{
	enum sq_shared_result result = sq_pg_run_write(c);

	if (result == SQ_SHARED_DONE && sq_pg_affected(c, done) != 1) {
		sq_pg_say(c, "%s", why);
		result = SQ_SHARED_REFUSED;
	}
	return result;
}

enum sq_shared_result
sq_pg_import(
    struct sq_shared *c, uint64_t store, uint64_t epoch, const struct sq_shared_snapshot *s)
{
	struct sq_pg_args a = {.n = 0}, b = {.n = 0};
	enum sq_shared_result result;
	char sql[SQ_PG_SQL];
	size_t done;

	sq_pg_begin(c);
	sq_pg_receives(c); /* old segments may be large */
	(void)snprintf(sql, sizeof sql, IMPORT_SQL, (int64_t)store, epoch, s->lsn, s->n);
	(void)sq_pg_queue(c, NULL, sql);
	sq_pg_u64(&a, s->n);
	sq_pg_u64(&a, s->lsn);
	sq_pg_u32(&a, s->format);
	sq_pg_u64(&a, s->bytes);
	sq_pg_bytea(&a, (struct sq_bytes){s->sha256, sizeof s->sha256});
	(void)sq_pg_queue(c, &a,
	    "UPDATE @.snapshot SET lsn = $2, format = $3, bytes = $4, sha256 = $5"
	    " WHERE p = 0 AND n = $1");
	sq_pg_u64(&b, store);
	sq_pg_u64(&b, s->lsn);
	sq_pg_u64(&b, s->n);
	done = sq_pg_queue(c, &b,
	    "UPDATE @.head SET beats = beats WHERE p = 0 AND store = $1 AND nonce = 0 AND NOT moved"
	    " AND segment_first = $2::bigint + 1"
	    " AND EXISTS (SELECT FROM @.snapshot WHERE p = 0 AND n = $3 AND done)");
	result = moves_one(c, done, "the log is in use");
	if (result != SQ_SHARED_DONE)
		return result;
	return sq_pg_segments(c);
}

enum sq_shared_result
sq_pg_move(struct sq_shared *c, uint64_t nonce, const char *to)
{
	struct sq_pg_args a = {.n = 0};
	size_t done;

	sq_pg_begin(c);
	sq_pg_u64(&a, nonce);
	sq_pg_text(&a, to);
	done = sq_pg_queue(c, &a,
	    "UPDATE @.head SET moved = true, holder = $2, link = '', admin = '', beats = beats + 1"
	    " WHERE p = 0 AND nonce = $1 AND holder = CASE WHEN moved THEN $2 ELSE '' END");
	return moves_one(c, done, "another broker has claimed the log meanwhile");
}

enum sq_shared_result
sq_pg_skip(struct sq_shared *c, const struct sq_shared_head *h, uint64_t epoch)
{
	struct sq_pg_args a = {.n = 0};
	size_t done;

	sq_pg_begin(c);
	sq_pg_u64(&a, h->nonce);
	sq_pg_u64(&a, h->beats);
	sq_pg_u64(&a, epoch);
	done = sq_pg_queue(c, &a,
	    "UPDATE @.head SET epoch = greatest(epoch, $3) WHERE p = 0 AND nonce = $1 AND beats = "
	    "$2");
	return moves_one(c, done, "a broker owns the log");
}
