#include "store/postgres/pg_priv.h"

#include <stdio.h>
#include <string.h>

enum sq_shared_result
sq_pg_drop(struct sq_shared *c, uint64_t lsn)
{
	enum sq_shared_result result;
	struct sq_pg_args a;
	char sql[SQ_PG_SQL];

	sq_pg_begin(c);
	result = sq_pg_segments(c);
	for (size_t i = 0; result == SQ_SHARED_DONE && i + 1 < c->segments_n; i++) {
		if (c->segments[i + 1].first - 1 > lsn)
			break;
		a.n = 0;
		sq_pg_u32(&a, c->segments[i].n);
		(void)sq_pg_queue(c, &a, "DELETE FROM @.segment WHERE p = 0 AND n = $1");
		(void)snprintf(
		    sql, sizeof sql, "DROP TABLE IF EXISTS @.log_0_%u", c->segments[i].n);
		(void)sq_pg_queue(c, NULL, sql);
		result = sq_pg_run_write(c);
	}
	if (result != SQ_SHARED_DONE)
		return result;
	return sq_pg_segments(c);
}

/* Copies that confirm; 0 where the role may not see it. */
static unsigned
keep_copies(const struct sq_shared *c, size_t r)
{
	bool hidden = sq_pg_int(c, r, 0, 1) > 0 || c->cfg->managed;

	return hidden ? 0 : 1 + (unsigned)sq_pg_int(c, r, 0, 0);
}

enum sq_shared_result
sq_pg_announce(
    struct sq_shared *c, const struct sq_shared_peer *me, sq_shared_peer_fn *each, void *arg)
{
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	struct sq_shared_peer peer;
	size_t list, copies;

	sq_pg_begin(c);
	sq_pg_text(&a, me->id);
	sq_pg_text(&a, me->link);
	sq_pg_text(&a, me->admin);
	sq_pg_text(&a, me->version);
	sq_pg_u32(&a, me->format_min);
	sq_pg_u32(&a, me->format_max);
	sq_pg_u64(&a, me->applied);
	sq_pg_u64(&a, me->kept);
	(void)sq_pg_queue(c, &a,
	    "INSERT INTO @.broker (id, link, admin, version, format_min, format_max, applied, kept,"
	    " beats, seen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, now()) ON CONFLICT (id) DO "
	    "UPDATE"
	    " SET link = $2, admin = $3, version = $4, format_min = $5, format_max = $6, applied = "
	    "$7,"
	    " kept = $8, beats = broker.beats + 1, seen = now()");
	/* Tidiness alone: who lives is told by beats, not by the server's clock. */
	(void)sq_pg_queue(c, NULL, "DELETE FROM @.broker WHERE seen < now() - interval '30 days'");
	/* No more than are kept: log_peers.h. */
	list = sq_pg_queue(c, NULL,
	    "SELECT id, link, admin, version, format_min, format_max, applied, kept, beats FROM"
	    " (SELECT * FROM @.broker ORDER BY seen DESC LIMIT 64) newest ORDER BY id");
	copies = sq_pg_queue(c, NULL,
	    "SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),"
	    " count(*) FILTER (WHERE sync_state IS NULL) FROM pg_stat_replication");
	result = sq_pg_run_write(c);
	if (result != SQ_SHARED_DONE)
		return result;
	c->copies = keep_copies(c, copies);
	for (int i = 0; i < sq_pg_rows(c, list); i++) {
		memset(&peer, 0, sizeof peer);
		sq_pg_copy(c, list, i, 0, peer.id, sizeof peer.id);
		sq_pg_copy(c, list, i, 1, peer.link, sizeof peer.link);
		sq_pg_copy(c, list, i, 2, peer.admin, sizeof peer.admin);
		sq_pg_copy(c, list, i, 3, peer.version, sizeof peer.version);
		peer.format_min = (unsigned)sq_pg_int(c, list, i, 4);
		peer.format_max = (unsigned)sq_pg_int(c, list, i, 5);
		peer.applied = sq_pg_int(c, list, i, 6);
		peer.kept = sq_pg_int(c, list, i, 7);
		peer.beats = sq_pg_int(c, list, i, 8);
		each(arg, &peer);
	}
	sq_pg_clear(c);
	return SQ_SHARED_DONE;
}
