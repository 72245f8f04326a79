/* store/shared/snapshots: who writes a snapshot to a log, when, and what is left of one that is given up. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_shared.h"
#include "core/mem.h"
#include "store/shared/snapshots.h"
#include "store/shared/upkeep.h"

enum { STORE = 7, DUE = 100000, ROW = 1000, ROWS = 40, WAIT_US = 1000, WAITS = 30000 };

/* A state of rows that say their number. */
struct sq_rows {
	unsigned next;
};

static struct fake_shared *fake;
static struct fake_way *way;
static struct sq_shared *conn; /* the test's own */
static struct sq_snapshots *snapshots;
static struct {
	pthread_mutex_t lock;
	uint64_t lsn;
	unsigned stop_at; /* the row before which reading waits; 0: none */
	unsigned fail_at; /* the row at which it fails; 0: none */
	unsigned opened, closed, read;
} state;

static unsigned
get(const unsigned *p)
{
	unsigned n;

	pthread_mutex_lock(&state.lock);
	n = *p;
	pthread_mutex_unlock(&state.lock);
	return n;
}

static void
set(unsigned *p, unsigned n)
{
	pthread_mutex_lock(&state.lock);
	*p = n;
	pthread_mutex_unlock(&state.lock);
}

static int
rows_open(void *owner, struct sq_rows **out, uint64_t *lsn, struct sq_buf *err)
{
	(void)err;
	cr_assert_eq(owner, &state);
	*out = sq_xcalloc(1, sizeof **out);
	pthread_mutex_lock(&state.lock);
	state.opened++;
	*lsn = state.lsn;
	pthread_mutex_unlock(&state.lock);
	return SQ_OK;
}

static int
rows_next(struct sq_rows *r, struct sq_buf *row, struct sq_buf *err)
{
	set(&state.read, ++r->next);
	while (get(&state.stop_at) == r->next)
		usleep(WAIT_US);
	if (get(&state.fail_at) == r->next) {
		sq_buf_printf(err, "it takes too long");
		return SQ_EAGAIN;
	}
	if (r->next > ROWS)
		return SQ_OK;
	memset(sq_buf_reserve(row, ROW), (int)r->next, ROW);
	sq_buf_commit(row, ROW);
	return SQ_OK;
}

static void
rows_sum(const struct sq_rows *r, struct sq_rows_sum *sum)
{
	cr_assert_eq(r->next, ROWS + 1u);
	*sum = (struct sq_rows_sum){.lsn = state.lsn, .bytes = ROW * ROWS, .format = 3};
	memset(sum->sha256, 9, sizeof sum->sha256);
}

static void
rows_close(struct sq_rows **rp)
{
	if (*rp != NULL)
		set(&state.closed, get(&state.closed) + 1);
	free(*rp);
	*rp = NULL;
}

static const struct sq_rows_source source = {rows_open, rows_next, rows_sum, rows_close};

static void
begin(void)
{
	struct sq_buf err = {0};

	pthread_mutex_init(&state.lock, NULL);
	state.lsn = 50;
	fake = fake_shared_new(STORE);
	way = fake_shared_way(fake);
	cr_assert_eq(fake_shared_ops.dial(&conn, way, 1000, &err), SQ_OK);
	snapshots = sq_snapshots_new(&(struct sq_snapshots_cfg){.driver = &fake_shared_ops,
	    .driver_cfg = way,
	    .rows = &source,
	    .rows_owner = &state,
	    .bytes = DUE});
}

static void
end(void)
{
	sq_snapshots_free(&snapshots);
	fake_shared_ops.hang_up(&conn);
	fake_shared_free(&fake);
	cr_assert_eq(state.opened, state.closed);
}

TestSuite(snapshots, .init = begin, .fini = end, .timeout = 60);

/* As the log's thread does, more often. */
static void
tell(enum sq_snapshots_turn turn, uint64_t bytes)
{
	sq_snapshots_tell(snapshots,
	    &(struct sq_snapshots_news){.turn = turn,
		.owns = turn == SQ_SNAPSHOTS_OWNER || turn == SQ_SNAPSHOTS_SPARE,
		.applied = state.lsn + bytes / 1000,
		.records = state.lsn + bytes / 1000,
		.bytes = bytes});
}

static struct sq_shared_snapshot
newest(void)
{
	struct sq_shared_snapshot s = {0};

	cr_assert_eq(fake_shared_ops.snap_newest(conn, &s, NULL), SQ_SHARED_DONE);
	return s;
}

/* Tells so until there is snapshot 'n'. */
static void
await(enum sq_snapshots_turn turn, uint64_t bytes, uint64_t n)
{
	for (unsigned i = 0; i < WAITS && newest().n < n; i++) {
		tell(turn, bytes);
		usleep(WAIT_US);
	}
	cr_assert_eq(newest().n, n);
}

/* Tells so until it has looked 'times' more, and there is none. */
static void
none(enum sq_snapshots_turn turn, uint64_t bytes, unsigned times)
{
	unsigned opened = get(&state.opened), n = fake_shared_calls(fake, FAKE_SNAP) + times;

	for (unsigned i = 0; i < WAITS && fake_shared_calls(fake, FAKE_SNAP) < n; i++) {
		tell(turn, bytes += DUE / 1000);
		usleep(WAIT_US);
	}
	cr_assert_geq(fake_shared_calls(fake, FAKE_SNAP), n);
	cr_assert_eq(get(&state.opened), opened);
}

Test(snapshots, a_follower_writes_one_when_enough_has_come)
{
	struct sq_shared_snapshot s;
	struct sq_buf row = {0};

	none(SQ_SNAPSHOTS_FOLLOWER, 0, 1);
	await(SQ_SNAPSHOTS_FOLLOWER, 2 * DUE, 1);
	s = newest();
	cr_assert_eq(s.lsn, 50u);
	cr_assert_eq(s.bytes, (uint64_t)ROW * ROWS);
	cr_assert_eq(s.format, 3u);
	cr_assert_eq(s.sha256[31], 9);
	for (uint32_t i = 0; i < ROWS; i++) {
		sq_buf_drain(&row, sq_buf_len(&row));
		cr_assert_eq(fake_shared_ops.snap_get(conn, 1, i, &row), SQ_SHARED_DONE);
		cr_assert_eq(sq_buf_len(&row), (size_t)ROW);
		cr_assert_eq(sq_buf_data(&row)[ROW - 1], i + 1);
	}
	cr_assert_eq(fake_shared_ops.snap_get(conn, 1, ROWS, &row), SQ_SHARED_NOT_DONE);
	cr_assert_lt(sq_snapshots_age_ms(snapshots), 60000u);
	sq_buf_fini(&row);
}

Test(snapshots, the_next_one_comes_on_top_and_not_without_anything_new)
{
	await(SQ_SNAPSHOTS_OWNER, 2 * DUE, 1);
	none(SQ_SNAPSHOTS_OWNER, 2 * DUE + DUE / 2, 0);
	for (unsigned i = 0; i < 20; i++) { /* due, but the tables are where they were */
		tell(SQ_SNAPSHOTS_OWNER, 5 * DUE);
		usleep(WAIT_US);
	}
	cr_assert_eq(newest().n, 1u);
	pthread_mutex_lock(&state.lock);
	state.lsn = 90;
	pthread_mutex_unlock(&state.lock);
	await(SQ_SNAPSHOTS_OWNER, 9 * DUE, 2);
	cr_assert_eq(newest().lsn, 90u);
}

Test(snapshots, it_is_not_anothers_turn)
{
	none(SQ_SNAPSHOTS_NONE, 10 * DUE, 1);
	cr_assert_eq(newest().n, 0u);
}

Test(snapshots, an_owner_with_followers_waits_for_thrice_as_much)
{
	none(SQ_SNAPSHOTS_SPARE, 2 * DUE, 1);
	await(SQ_SNAPSHOTS_SPARE, 4 * DUE, 1);
}

Test(snapshots, what_is_due_is_twice_the_last_one)
{
	cr_assert_eq(sq_snapshots_due(100, 49), 100u);
	cr_assert_eq(sq_snapshots_due(100, 51), 102u);
}

Test(snapshots, what_either_of_two_needs_stays)
{
	const struct sq_shared_snapshot a = {.n = 1, .lsn = 74}, b = {.n = 2, .lsn = 72};
	const struct sq_shared_snapshot none_yet = {.n = 0};

	cr_assert_eq(sq_upkeep_may_drop(100, &b, &a), 72u);
	cr_assert_eq(sq_upkeep_may_drop(100, &a, &b), 72u);
	cr_assert_eq(sq_upkeep_may_drop(50, &b, &a), 50u);
	cr_assert_eq(sq_upkeep_may_drop(100, &b, &none_yet), 0u);
}

Test(snapshots, a_change_of_roles_gives_it_up)
{
	set(&state.stop_at, 5);
	for (unsigned i = 0; i < WAITS && get(&state.read) < 5; i++) {
		tell(SQ_SNAPSHOTS_FOLLOWER, 2 * DUE);
		usleep(WAIT_US);
	}
	tell(SQ_SNAPSHOTS_OWNER, 2 * DUE);
	set(&state.stop_at, 0);
	for (unsigned i = 0; i < WAITS && get(&state.closed) == 0; i++)
		usleep(WAIT_US);
	cr_assert_eq(get(&state.closed), 1u);
	cr_assert_leq(get(&state.read), 6u);
	cr_assert_eq(newest().n, 0u);
}

Test(snapshots, the_end_gives_it_up)
{
	set(&state.stop_at, 5);
	for (unsigned i = 0; i < WAITS && get(&state.read) < 5; i++) {
		tell(SQ_SNAPSHOTS_FOLLOWER, 2 * DUE);
		usleep(WAIT_US);
	}
	set(&state.stop_at, 0);
	sq_snapshots_free(&snapshots);
	cr_assert_eq(get(&state.closed), 1u);
}

Test(snapshots, a_state_that_can_not_be_read_leaves_none)
{
	set(&state.fail_at, 7);
	for (unsigned i = 0; i < WAITS && get(&state.closed) == 0; i++) {
		tell(SQ_SNAPSHOTS_FOLLOWER, 2 * DUE);
		usleep(WAIT_US);
	}
	cr_assert_eq(get(&state.closed), 1u);
	cr_assert_eq(newest().n, 0u);
}

Test(snapshots, a_log_that_takes_no_row_leaves_none)
{
	set(&state.stop_at, 7);
	for (unsigned i = 0; i < WAITS && get(&state.read) < 7; i++) {
		tell(SQ_SNAPSHOTS_FOLLOWER, 2 * DUE);
		usleep(WAIT_US);
	}
	fake_shared_fault(fake, FAKE_SNAP, FAKE_NOT_DONE, 1);
	set(&state.stop_at, 0);
	for (unsigned i = 0; i < WAITS && get(&state.closed) == 0; i++)
		usleep(WAIT_US);
	cr_assert_eq(get(&state.closed), 1u);
	cr_assert_eq(newest().n, 0u);
}
