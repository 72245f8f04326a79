#include "store/postgres/pg_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One statement: it locks the head against a claim, judges it, and changes nothing in it.  FOR KEY SHARE
 * would let a claim pass by. */
#define APPEND_SQL \
	"INSERT INTO @.log_0_%1$u (lsn, epoch, sure, data) SELECT $1::bigint, $2::bigint, " \
	"$3::bigint, $4::bytea FROM @.head h" \
	" WHERE h.p = 0 AND h.nonce = $5::bigint AND h.segment = %1$u AND NOT h.moved" \
	" AND ($1 = h.segment_first OR EXISTS (SELECT FROM @.log_0_%1$u WHERE lsn = $1 - 1))" \
	" FOR %2$s OF h"

/* Before a claim that will be good, and is none of a nonce that owns already: begins a segment behind one
 * that has records.  Which one that is, is not known before the head is locked. */
#define ROLL_SQL \
	"DO $$ DECLARE k int; e bigint; s bigint; BEGIN" \
	" SELECT segment INTO k FROM @.head" \
	" WHERE p = 0 AND nonce = %1$" PRId64 " AND nonce <> %2$" PRId64 \
	" AND NOT moved FOR UPDATE;" \
	" IF NOT FOUND THEN RETURN; END IF;" \
	" EXECUTE format('SELECT lsn, sure FROM @.log_0_%%s ORDER BY lsn DESC LIMIT 1', k) INTO " \
	"e, s;" \
	" IF e IS NULL THEN RETURN; END IF;" \
	" EXECUTE format('CREATE TABLE @.log_0_%%s (lsn bigint PRIMARY KEY, epoch bigint NOT " \
	"NULL," \
	" sure bigint NOT NULL, data bytea NOT NULL)', k + 1);" \
	" EXECUTE format('ALTER TABLE @.log_0_%%s ALTER data SET STORAGE EXTERNAL', k + 1);" \
	" INSERT INTO @.segment (p, n, first) VALUES (0, k + 1, e + 1);" \
	" UPDATE @.head SET segment = k + 1, segment_first = e + 1, sure = greatest(sure, s)" \
	" WHERE p = 0; END $$"

static void
append_write(unsigned segment, char sql[SQ_PG_SQL])
{
	(void)snprintf(
	    sql, SQ_PG_SQL, APPEND_SQL, segment, sq_pg_broken("key_share") ? "KEY SHARE" : "SHARE");
}

enum sq_shared_result
sq_pg_append(struct sq_shared *c, uint64_t nonce, uint64_t epoch, uint64_t lsn, uint64_t sure,
    struct sq_bytes data)
{
	unsigned n = sq_pg_last_segment(c)->n;
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	size_t done;

	assert(nonce != 0 && lsn > 0);
	sq_pg_begin(c);
	sq_pg_sends(c, data.len);
	sq_pg_u64(&a, lsn);
	sq_pg_u64(&a, epoch);
	sq_pg_u64(&a, sure);
	sq_pg_bytea(&a, data);
	sq_pg_u64(&a, nonce);
	if (sq_pg_prepare(c, SQ_PG_APPEND, n, append_write) != SQ_SHARED_DONE)
		return SQ_SHARED_UNKNOWN;
	done = sq_pg_queue_kind(c, SQ_PG_APPEND, &a);
	result = sq_pg_run_write(c);
	if (result == SQ_SHARED_DONE && sq_pg_affected(c, done) != 1) {
		sq_pg_say(
		    c, "another owns the log, or record %" PRIu64 " is not the next one", lsn);
		result = SQ_SHARED_REFUSED;
	}
	return result;
}

/* A claim has failed, and its transaction with it.  It may be that the new segment can't be made alone, which
 * the same without one settles: no rights, no room, a table of that name. */
static enum sq_shared_result
claim_failed(struct sq_shared *c, bool roll)
{
	char why[sizeof c->error];

	memcpy(why, c->error, sizeof why);
	(void)sq_pg_queue(c, NULL, "ROLLBACK");
	if (sq_pg_run(c) != SQ_SHARED_DONE || !roll)
		return SQ_SHARED_UNKNOWN;
	memcpy(c->error, why, sizeof why);
	return SQ_SHARED_NOT_DONE;
}

/* One transaction.  'moved': the last segment is another one than was known, so that 'last' is not. */
static enum sq_shared_result
claim_try(struct sq_shared *c, const struct sq_shared_claim *claim, bool roll,
    struct sq_shared_head *head, bool *moved)
{
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	size_t won, at, end;
	char sql[SQ_PG_SQL];

	sq_pg_u64(&a, claim->nonce);
	sq_pg_u64(&a, claim->expected);
	sq_pg_text(&a, claim->holder);
	sq_pg_text(&a, claim->link);
	sq_pg_text(&a, claim->admin);
	sq_pg_bool(&a, claim->again);
	if (sq_pg_prepare_head(c) != SQ_SHARED_DONE)
		return SQ_SHARED_UNKNOWN;
	(void)sq_pg_queue(c, NULL, "BEGIN");
	if (roll) {
		(void)snprintf(
		    sql, sizeof sql, ROLL_SQL, (int64_t)claim->expected, (int64_t)claim->nonce);
		(void)sq_pg_queue(c, NULL, sql);
	}
	won = sq_pg_queue(c, &a,
	    "UPDATE @.head SET boot = CASE WHEN nonce = $1 OR $6 THEN boot ELSE epoch + 1 END,"
	    " epoch = epoch + (nonce <> $1)::int, nonce = $1, holder = $3, link = $4,"
	    " admin = $5, beats = beats + 1 WHERE p = 0 AND nonce IN ($1, $2) AND NOT moved");
	at = sq_pg_queue_head(c);
	end = sq_pg_queue(c, NULL, "COMMIT");
	result = sq_pg_run(c);
	if (result == SQ_SHARED_NOT_DONE && PQtransactionStatus(c->pg) == PQTRANS_INERROR)
		return claim_failed(c, roll);
	if (result != SQ_SHARED_DONE || strcmp(PQcmdStatus(c->results[end]), "COMMIT") != 0)
		return SQ_SHARED_UNKNOWN; /* of a transaction that may be open */
	*moved = sq_pg_head(c, at, head) != sq_pg_last_segment(c)->n;
	if (sq_pg_affected(c, won) == 1)
		return SQ_SHARED_DONE;
	sq_pg_say(c, "%s", head->moved ? "the log has moved to files" : "another owns the log");
	return SQ_SHARED_REFUSED;
}

enum sq_shared_result
sq_pg_claim(struct sq_shared *c, const struct sq_shared_claim *claim, struct sq_shared_head *head)
{
	enum sq_shared_result result = SQ_SHARED_UNKNOWN;
	bool moved = true;

	assert(claim->nonce != 0);
	sq_pg_begin(c);
	for (int i = 0; moved && i < 3; i++) {
		/* Of a nonce that owns already it changes nothing. */
		result = claim_try(c, claim, claim->roll && i == 0, head, &moved);
		if (result != SQ_SHARED_DONE)
			return result;
		if (moved && sq_pg_segments(c) != SQ_SHARED_DONE)
			return SQ_SHARED_UNKNOWN;
	}
	if (moved)
		return SQ_SHARED_UNKNOWN;
	c->claimed = true;
	sq_pg_hosts_note(c->host, true);
	return result;
}

enum sq_shared_result
sq_pg_beat(struct sq_shared *c, uint64_t nonce, uint64_t sure, bool yields)
{
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	size_t done;

	sq_pg_begin(c);
	sq_pg_u64(&a, nonce);
	sq_pg_u64(&a, sure);
	sq_pg_bool(&a, yields);
	done = sq_pg_queue(c, &a,
	    "UPDATE @.head SET beats = beats + 1, sure = greatest(sure, $2),"
	    " holder = CASE WHEN $3 THEN '' ELSE holder END WHERE p = 0 AND nonce = $1 AND NOT "
	    "moved");
	result = sq_pg_run_write(c);
	if (result == SQ_SHARED_DONE && sq_pg_affected(c, done) != 1) {
		sq_pg_say(c, "another owns the log");
		result = SQ_SHARED_REFUSED;
	}
	return result;
}
