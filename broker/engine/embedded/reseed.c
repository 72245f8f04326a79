#include "broker/engine/embedded/reseed.h"

#include <inttypes.h>
#include <string.h>

#include "broker/engine/embedded/snapshot.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/msg.h"
#include "store/rows.h"

static int
reseed_error(const struct sq_reseed_cfg *cfg, struct sq_buf *err)
{
	const char *why = cfg->driver->error(cfg->conn);

	sq_buf_printf(err, "%s", why != NULL ? why : "the log does not answer");
	return SQ_EAGAIN;
}

/* Gets the next row; SQ_EINVAL: it is not there. */
static int
reseed_get(const struct sq_reseed_cfg *cfg, uint64_t n, uint32_t row, struct sq_buf *out,
    struct sq_buf *err)
{
	enum sq_shared_result result = cfg->driver->snap_get(cfg->conn, n, row, out);

	if (result == SQ_SHARED_DONE)
		return SQ_OK;
	if (result != SQ_SHARED_NOT_DONE)
		return reseed_error(cfg, err);
	sq_buf_printf(err, "the snapshot does not verify: row %" PRIu32 " is missing", row);
	return SQ_EINVAL;
}

static int
reseed_rows(const struct sq_reseed_cfg *cfg, const struct sq_shared_snapshot *s,
    struct sq_snapshot_in *in, struct sq_reseed_took *took, struct sq_buf *err)
{
	struct sq_buf row = {0};
	uint64_t done = 0;
	int rc = SQ_OK;

	for (uint32_t i = 0; rc == SQ_OK && done < s->bytes; i++) {
		uint64_t begun_us = sq_clock_us(), got_us;

		if (!cfg->progress(cfg->owner, done, s->bytes)) {
			sq_buf_printf(err, "the broker ends");
			rc = SQ_EAGAIN;
			break;
		}
		sq_buf_drain(&row, sq_buf_len(&row));
		rc = reseed_get(cfg, s->n, i, &row, err);
		got_us = sq_clock_us();
		took->read_us += got_us - begun_us;
		if (rc == SQ_OK && sq_buf_len(&row) == 0) {
			sq_buf_printf(err, "the snapshot does not verify: a row is empty");
			rc = SQ_EINVAL;
		}
		if (rc == SQ_OK)
			rc = sq_snapshot_in_row(in, sq_buf_bytes(&row), err);
		took->write_us += sq_clock_us() - got_us;
		done += sq_buf_len(&row);
	}
	sq_buf_fini(&row);
	return rc;
}

static int
reseed_from(const struct sq_reseed_cfg *cfg, const struct sq_shared_snapshot *s,
    struct sq_reseed_took *took, struct sq_buf *err)
{
	struct sq_rows_sum sum = {.lsn = s->lsn, .bytes = s->bytes, .format = s->format};
	struct sq_snapshot_in *in;
	uint64_t begun_us;
	int rc;

	*took = (struct sq_reseed_took){.n = s->n, .lsn = s->lsn, .bytes = s->bytes};
	memcpy(sum.sha256, s->sha256, sizeof sum.sha256);
	rc = sq_snapshot_in_new(&in, cfg->dir, cfg->max_bytes, cfg->store, err);
	if (rc != SQ_OK)
		return rc;
	rc = reseed_rows(cfg, s, in, took, err);
	begun_us = sq_clock_us();
	if (rc == SQ_OK)
		rc = sq_snapshot_in_end(in, &sum, err);
	sq_snapshot_in_free(&in);
	took->write_us += sq_clock_us() - begun_us;
	return rc;
}

static void
reseed_no_peer(void *arg, const struct sq_shared_peer *peer)
{
	(void)arg;
	(void)peer;
}

/* Says that records up to the snapshot's are here. */
static bool
reseed_announce(const struct sq_reseed_cfg *cfg, uint64_t lsn)
{
	struct sq_shared_peer me = *cfg->me;

	me.applied = me.kept = lsn;
	me.beats = sq_clock_wall_ms() / 1000;
	return cfg->driver->announce(cfg->conn, &me, reseed_no_peer, NULL) != SQ_SHARED_UNKNOWN;
}

int
sq_reseed(const struct sq_reseed_cfg *cfg, struct sq_reseed_took *took, struct sq_buf *err)
{
	struct sq_shared_snapshot s[2] = {{.n = 0}};
	int rc = SQ_ENOTFOUND;

	*took = (struct sq_reseed_took){0};
	if (cfg->driver->snap_newest(cfg->conn, &s[0], &s[1]) != SQ_SHARED_DONE)
		return reseed_error(cfg, err);
	if (s[0].n == 0) {
		sq_buf_printf(err, "the log has no snapshot");
		return SQ_ENOTFOUND;
	}
	for (unsigned i = 0; i < 2 && s[i].n != 0; i++) {
		if (!reseed_announce(cfg, s[i].lsn))
			return reseed_error(cfg, err);
		sq_buf_drain(err, sq_buf_len(err));
		rc = reseed_from(cfg, &s[i], took, err);
		if (rc != SQ_EINVAL)
			return rc;
		SQ_WARN("log", "snapshot %" PRIu64 " of record %" PRIu64 ": %.*s", s[i].n, s[i].lsn,
		    (int)sq_buf_len(err), (const char *)sq_buf_data(err));
	}
	return rc;
}
