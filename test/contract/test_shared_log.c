/* Several shared logs on one log in memory: who owns, what each applies, and what follows from faults. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_shared.h"
#include "../support/faulty_shared.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "core/mem.h"
#include "store/shared/log_shared.h"
#include "store/shared/record.h"
#include "store/shared/rule.h"
#include "store/shared/upkeep.h"

enum { STORE = 7, BROKERS = 2, WAIT_US = 1000, WAITS = 30000, TEXT_MAX = 24 };

struct entry {
	struct sq_log_entry entry;
	char text[TEXT_MAX];
};

/* A broker, and what its log has told it; under the lock. */
struct broker {
	char id[8];
	struct sq_log *log;
	struct fake_way *way;
	struct faulty_shared *faults;
	pthread_mutex_t lock;
	struct sq_buf told; /* the bytes of all entries, in their order */
	uint64_t lsn;
	unsigned own, found; /* entries of its own; records of others */
	unsigned owns, fenced, back;
	uint64_t epoch;
	int refusal;
	bool stalled;
	char why[128];
	unsigned stalls;
	struct sq_histogram commits;
};

static struct fake_shared *fake;
static struct broker brokers[BROKERS];

static int
on_applied(void *owner, uint64_t lsn, struct sq_bytes data, struct sq_list *entries)
{
	struct broker *b = owner;
	int rc = SQ_OK;

	pthread_mutex_lock(&b->lock);
	cr_assert_eq(b->fenced, 0);
	if (entries == NULL)
		rc = b->refusal;
	if (rc == SQ_OK) {
		cr_assert_eq(lsn, b->lsn + 1);
		b->lsn = lsn;
		b->found += entries == NULL;
		sq_buf_append(&b->told, data.p, data.len);
	}
	if (entries != NULL) {
		cr_assert_eq(b->owns, 1);
		SQ_LIST_FOR_EACH_SAFE(e, entries, struct sq_log_entry, node) {
			sq_list_remove(&e->node);
			sq_buf_append(&b->told, e->data.p, e->data.len);
			b->own++;
		}
	}
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static void
on_role(void *owner, enum sq_log_role role, uint64_t epoch, struct sq_list *back)
{
	struct broker *b = owner;

	pthread_mutex_lock(&b->lock);
	cr_assert_neq(role, SQ_LOG_FOLLOWS);
	b->owns += role == SQ_LOG_OWNS;
	b->fenced += role == SQ_LOG_FENCED;
	b->epoch = epoch;
	if (back != NULL) {
		SQ_LIST_FOR_EACH_SAFE(e, back, struct sq_log_entry, node) {
			sq_list_remove(&e->node);
			b->back++;
		}
	}
	pthread_mutex_unlock(&b->lock);
}

static void
on_stalled(void *owner, const char *why)
{
	struct broker *b = owner;

	pthread_mutex_lock(&b->lock);
	b->stalled = why != NULL;
	b->stalls += why != NULL;
	if (why != NULL)
		snprintf(b->why, sizeof b->why, "%s", why);
	pthread_mutex_unlock(&b->lock);
}

static struct sq_log_shared_cfg
shared_cfg(struct broker *b)
{
	struct sq_log_shared_cfg cfg = {
	    .driver = &faulty_shared_ops,
	    .driver_cfg = b->faults,
	    .deadline_ms = 300,
	    .close_ms = 1000,
	    .me = {.format_min = 1, .format_max = 1},
	};

	snprintf(cfg.me.id, sizeof cfg.me.id, "%s", b->id);
	snprintf(cfg.me.link, sizeof cfg.me.link, "%s:8883", b->id);
	return cfg;
}

static void
broker_open_as(struct broker *b, const struct sq_log_shared_cfg *shared, struct sq_log_mark mark)
{
	const struct sq_log_cfg cfg = {
	    .store = STORE,
	    .from = b->lsn,
	    .mark = mark,
	    .format = 1,
	    .file = {.commits = &b->commits},
	    .shared = shared,
	    .applied = on_applied,
	    .role = on_role,
	    .stalled = on_stalled,
	    .owner = b,
	};
	struct sq_buf err = {0};

	b->owns = b->fenced = b->back = 0;
	cr_assert_eq(sq_log_open(&b->log, &sq_log_shared, &cfg, &err), SQ_OK);
	cr_assert_eq(sq_buf_len(&err), 0);
}

static void
broker_open(struct broker *b)
{
	const struct sq_log_shared_cfg shared = shared_cfg(b);

	broker_open_as(b, &shared, (struct sq_log_mark){0});
}

static void
begin(void)
{
	fake = fake_shared_new(STORE);
	for (unsigned i = 0; i < BROKERS; i++) {
		struct broker *b = &brokers[i];

		snprintf(b->id, sizeof b->id, "b%u", i);
		b->way = fake_shared_way(fake);
		b->faults = faulty_shared_new(&fake_shared_ops, b->way);
		pthread_mutex_init(&b->lock, NULL);
	}
}

static void
end(void)
{
	for (unsigned i = 0; i < BROKERS; i++) {
		sq_log_close(&brokers[i].log);
		faulty_shared_free(&brokers[i].faults);
		sq_buf_fini(&brokers[i].told);
	}
	fake_shared_free(&fake);
}

TestSuite(shared_log, .init = begin, .fini = end, .timeout = 60);

/* Awaits what 'cond' says of a broker. */
#define AWAIT(b, cond) \
	do { \
		bool good_ = false; \
		for (unsigned wait_ = 0; wait_ < WAITS && !good_; wait_++) { \
			pthread_mutex_lock(&(b)->lock); \
			good_ = (cond); \
			pthread_mutex_unlock(&(b)->lock); \
			if (!good_) \
				usleep(WAIT_US); \
		} \
		cr_assert(good_, "%s: %s", (b)->id, #cond); \
	} while (0)

#define AWAIT_LOOK(b, cond) \
	do { \
		struct sq_log_shared_look look; \
		bool good_ = false; \
		for (unsigned wait_ = 0; wait_ < WAITS && !good_; wait_++) { \
			sq_log_shared_look((b)->log, &look); \
			good_ = (cond); \
			if (!good_) \
				usleep(WAIT_US); \
		} \
		cr_assert(good_, "%s: %s (%s)", (b)->id, #cond, look.why); \
	} while (0)

static void
own(struct broker *b)
{
	broker_open(b);
	sq_log_claim(b->log);
	AWAIT(b, b->owns == 1);
}

static void
append(struct broker *b, struct entry *e, char who, unsigned i)
{
	int n = snprintf(e->text, sizeof e->text, "%c%u", who, i);

	e->entry = (struct sq_log_entry){
	    .data = {(const unsigned char *)e->text, (size_t)n + 1}, .patient = i % 3 == 2};
	sq_log_append(b->log, &e->entry);
}

static void
append_n(struct broker *b, struct entry *v, char who, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		append(b, &v[i], who, i);
}

/* The texts of 'who' are there, each once, from 0 to n - 1 in their order. */
static void
assert_told(struct broker *b, char who, unsigned n)
{
	char want[TEXT_MAX];
	const char *p, *stop;
	unsigned i = 0;

	pthread_mutex_lock(&b->lock);
	p = (const char *)sq_buf_data(&b->told);
	stop = p + sq_buf_len(&b->told);
	for (; p < stop; p += strlen(p) + 1) {
		if (*p != who)
			continue;
		snprintf(want, sizeof want, "%c%u", who, i++);
		cr_assert_str_eq(p, want);
	}
	pthread_mutex_unlock(&b->lock);
	cr_assert_eq(i, n, "%u of %u", i, n);
}

static struct sq_log_shared_counts
counts(struct broker *b)
{
	struct sq_log_shared_counts n;

	sq_log_shared_counts(b->log, &n);
	return n;
}

/* The second broker has applied what the first one has. */
static void
assert_same(void)
{
	struct broker *a = &brokers[0], *b = &brokers[1];

	AWAIT(b, b->lsn == a->lsn);
	cr_assert(sq_buf_equal(&a->told, &b->told));
	cr_assert_eq(sq_log_mark(a->log).lsn, sq_log_mark(b->log).lsn);
	cr_assert_eq(sq_log_mark(a->log).chain, sq_log_mark(b->log).chain);
}

/* The log has been read so often that who would claim had done so. */
static void
await_reads(void)
{
	unsigned before = fake_shared_calls(fake, FAKE_READ);

	while (fake_shared_calls(fake, FAKE_READ) < before + 8)
		usleep(WAIT_US);
}

/* Following */

Test(shared_log, a_follower_applies_what_the_owner_does_and_knows_who_that_is)
{
	static struct entry v[50];
	struct broker *a = &brokers[0], *b = &brokers[1];
	struct sq_log_shared_look seen;

	own(a);
	broker_open(b);
	append_n(a, v, 'a', 50);
	AWAIT(a, a->own == 50);
	assert_same();
	assert_told(b, 'a', 50);
	cr_assert_eq(b->owns, 0);
	cr_assert(sq_log_leased(a->log));
	cr_assert_not(sq_log_leased(b->log));
	sq_log_shared_look(b->log, &seen);
	cr_assert_eq(seen.role, SQ_LOG_FOLLOWS);
	cr_assert(seen.up && seen.caught_up);
	cr_assert_str_eq(seen.owner, "b0");
	cr_assert_str_eq(seen.owner_link, "b0:8883");
	cr_assert_eq(seen.epoch, a->epoch);
	cr_assert_eq(seen.store, STORE);
	cr_assert_eq(seen.clock_ms, 0);
	cr_assert_eq(seen.lag_ms, 0);
	AWAIT_LOOK(a, strcmp(look.standby, "b1") == 0 && strcmp(look.standby_link, "b1:8883") == 0);
	AWAIT_LOOK(a, look.peers == 2 && look.format == 1);
	cr_assert_eq(counts(a).records, a->lsn);
	cr_assert_eq(counts(b).records, 0);
}

Test(shared_log, two_brokers_of_one_id_are_told)
{
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	snprintf(b->id, sizeof b->id, "%s", a->id);
	broker_open(b);
	AWAIT_LOOK(b, strstr(look.why, "the same broker.id, b0") != NULL);
	sq_log_close(&b->log);
	snprintf(b->id, sizeof b->id, "b1");
	broker_open(b);
	AWAIT_LOOK(b, look.caught_up && look.why[0] == '\0');
}

Test(shared_log, a_follower_needs_no_beat_to_apply_all_but_the_last_record)
{
	static struct entry v[20];
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	broker_open(b);
	faulty_shared_next(a->faults, FAULTY_NOT_DONE, FAULTY_BEAT, 100000);
	for (unsigned i = 0; i < 20; i++) {
		append(a, &v[i], 'a', i);
		AWAIT(a, a->own == i + 1);
	}
	AWAIT(b, b->lsn == a->lsn - 1);
	faulty_shared_next(a->faults, FAULTY_NOT_DONE, FAULTY_BEAT, 0);
	assert_same();
}

Test(shared_log, what_is_not_done_again_and_again_is_one_line)
{
	struct broker *a = &brokers[0];
	FILE *said = tmpfile();
	unsigned lines = 0;
	char line[256];

	cr_assert(said != NULL && dup2(fileno(said), STDERR_FILENO) == STDERR_FILENO);
	faulty_shared_next(a->faults, FAULTY_NOT_DONE, FAULTY_ANNOUNCE, 2);
	broker_open(a);
	AWAIT_LOOK(a, look.peers == 1); /* two more that were good */
	rewind(said);
	while (fgets(line, sizeof line, said) != NULL)
		lines += strstr(line, "can't announce itself: no space left") != NULL;
	cr_assert_eq(lines, 1u);
}

Test(shared_log, each_commit_is_in_the_histogram)
{
	static struct entry v[3];
	struct broker *a = &brokers[0];
	uint64_t n = 0;

	own(a);
	for (unsigned i = 0; i < 3; i++) {
		append(a, &v[i], 'a', i);
		AWAIT(a, a->own == i + 1);
	}
	for (unsigned lane = 0; lane < SQ_HISTOGRAM_LANES; lane++) {
		for (unsigned i = 0; i <= SQ_HISTOGRAM_BOUNDS; i++)
			n += a->commits.lanes[lane].counts[i];
	}
	cr_assert_eq(n, 3);
}

Test(shared_log, a_patient_entry_is_committed_though_nothing_else_comes)
{
	static struct entry v[3];
	struct broker *a = &brokers[0];

	own(a);
	append(a, &v[2], 'p', 2);
	cr_assert(v[2].entry.patient);
	AWAIT(a, a->own == 1);
	append(a, &v[2], 'q', 2);
	append(a, &v[0], 'a', 0); /* and behind it one that is not */
	AWAIT(a, a->own == 3);
	append(a, &v[2], 'r', 2);
	sq_log_close(&a->log); /* at once */
	cr_assert_eq(a->own, 4);
	cr_assert_eq(a->back, 0);
}

Test(shared_log, nobody_claims_who_was_not_asked_to)
{
	struct broker *a = &brokers[0];

	broker_open(a);
	await_reads();
	cr_assert_eq(fake_shared_calls(fake, FAKE_CLAIM), 0);
	cr_assert_eq(a->owns, 0);
}

/* Who owns */

Test(shared_log, a_close_commits_and_lets_go_and_the_next_one_owns_at_once)
{
	static struct entry v[100], w;
	struct broker *a = &brokers[0], *b = &brokers[1];
	uint64_t begun_ms, epoch;

	own(a);
	broker_open(b);
	sq_log_claim(b->log);
	append_n(a, v, 'a', 100);
	begun_ms = sq_clock_ms();
	sq_log_close(&a->log);
	cr_assert_eq(a->own, 100);
	epoch = a->epoch;
	AWAIT(b, b->owns == 1);
	cr_assert_lt(sq_clock_ms() - begun_ms, SQ_RULE_SILENCE_MS, "it does not wait for silence");
	cr_assert_gt(b->epoch, epoch);
	append(b, &w, 'a', 100);
	AWAIT(b, b->own == 1);
	assert_told(b, 'a', 101);
}

Test(shared_log, silence_of_the_owner_makes_another_claim_and_the_first_is_fenced)
{
	static struct entry v[8], w;
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	broker_open(b);
	sq_log_claim(b->log);
	append_n(a, v, 'a', 5);
	AWAIT(a, a->own == 5);
	faulty_shared_stop(a->faults);
	faulty_shared_await_stopped(a->faults);
	append_n(a, v + 5, 'x', 3);
	AWAIT(b, b->owns == 1);
	cr_assert_gt(b->epoch, a->epoch);
	append(b, &w, 'a', 5);
	AWAIT(b, b->own == 1);
	cr_assert_not(sq_log_leased(a->log));
	faulty_shared_cont(a->faults);
	AWAIT(a, a->fenced == 1);
	cr_assert_eq(a->back, 3);
	cr_assert_eq(a->own, 5);
	assert_told(b, 'a', 6);
	AWAIT_LOOK(a, look.role == SQ_LOG_FENCED && look.why[0] != '\0');
	cr_assert_eq(counts(a).fenced, 1);
	cr_assert_eq(sq_log_busy_ms(a->log), 0);
}

Test(shared_log, a_fenced_broker_comes_back_as_a_follower)
{
	static struct entry v[2];
	struct broker *a = &brokers[0], *b = &brokers[1];
	struct sq_log_mark mark;
	struct sq_log_shared_cfg shared;

	own(a);
	append(a, &v[0], 'a', 0);
	AWAIT(a, a->own == 1);
	fake_shared_usurp(fake, 4711, "");
	AWAIT(a, a->fenced == 1);
	mark = sq_log_mark(a->log);
	sq_log_close(&a->log);
	shared = shared_cfg(a);
	broker_open_as(a, &shared, mark);
	sq_log_claim(a->log);
	AWAIT(a, a->owns == 1);
	append(a, &v[1], 'a', 1);
	AWAIT(a, a->own == 2);
	broker_open(b);
	assert_same();
}

/* Outcomes that are not known */

Test(shared_log, a_record_whose_answer_was_lost_is_found_and_applied_once)
{
	static struct entry v[3];
	struct broker *a = &brokers[0], *b = &brokers[1];
	uint64_t epoch;

	own(a);
	broker_open(b);
	epoch = a->epoch;
	faulty_shared_next(a->faults, FAULTY_UNTOLD, FAULTY_APPEND, 1);
	append(a, &v[0], 'a', 0);
	AWAIT(a, a->own == 1);
	append(a, &v[1], 'a', 1);
	AWAIT(a, a->own == 2);
	assert_told(a, 'a', 2);
	assert_same();
	cr_assert_eq(a->epoch, epoch, "nobody is told");
	cr_assert_eq(a->owns, 1);
	cr_assert_eq(counts(a).unknown_found, 1);
	cr_assert_eq(counts(a).unknown_not, 0);
	cr_assert_eq(counts(a).claims_again, 1);
	cr_assert_eq(counts(a).claims_won, 1);
	AWAIT_LOOK(a, look.epoch == epoch);
	AWAIT_LOOK(b, look.epoch == epoch && look.applied == 2);
}

Test(shared_log, a_record_that_was_lost_is_written_again_before_what_came_later)
{
	static struct entry v[20];
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	broker_open(b);
	faulty_shared_stop(a->faults);
	faulty_shared_next(a->faults, FAULTY_LOST, FAULTY_APPEND, 2);
	append_n(a, v, 'a', 10);
	faulty_shared_await_stopped(a->faults);
	for (unsigned i = 10; i < 20; i++)
		append(a, &v[i], 'a', i);
	faulty_shared_cont(a->faults);
	AWAIT(a, a->own == 20);
	assert_told(a, 'a', 20);
	assert_same();
	cr_assert_eq(counts(a).unknown_not, 2);
	cr_assert_eq(counts(a).unknown_found, 0);
}

Test(shared_log, an_append_that_comes_late_or_twice_changes_nothing)
{
	static struct entry v[3];
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	broker_open(b);
	fake_shared_fault(fake, FAKE_APPEND, FAKE_LATE, 1);
	append(a, &v[0], 'a', 0);
	AWAIT(a, a->own == 1);
	fake_shared_late(fake);
	faulty_shared_next(a->faults, FAULTY_TWICE, FAULTY_APPEND, 1);
	append(a, &v[1], 'a', 1);
	append(a, &v[2], 'a', 2);
	AWAIT(a, a->own == 3);
	assert_told(a, 'a', 3);
	assert_same();
}

Test(shared_log, what_a_first_copy_alone_has_is_not_applied_until_it_is_sure)
{
	static struct entry v[3];
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	append(a, &v[0], 'a', 0);
	AWAIT(a, a->own == 1);
	broker_open(b);
	assert_same();
	/* It is at the first copy when that restarts, and shown; then the second takes over without it. */
	fake_shared_stall(fake, true);
	append(a, &v[1], 'a', 1);
	AWAIT(a, a->stalled);
	faulty_shared_stop(a->faults);
	faulty_shared_await_stopped(a->faults);
	fake_shared_restart(fake);
	await_reads();
	cr_assert_eq(b->lsn, 1);
	fake_shared_fail_over(fake);
	fake_shared_stall(fake, false);
	faulty_shared_cont(a->faults);
	AWAIT(a, a->own == 2);
	append(a, &v[2], 'a', 2);
	AWAIT(a, a->own == 3);
	assert_told(a, 'a', 3);
	assert_same();
	cr_assert_not(a->stalled);
}

Test(shared_log, a_fail_over_of_the_log_keeps_what_was_applied)
{
	static struct entry v[40];
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	broker_open(b);
	for (unsigned i = 0; i < 40; i++) {
		append(a, &v[i], 'a', i);
		if (i % 10 == 5)
			fake_shared_fail_over(fake);
	}
	AWAIT(a, a->own == 40);
	assert_told(a, 'a', 40);
	assert_same();
	cr_assert_eq(a->owns, 1);
}

/* Commits that wait */

Test(shared_log, no_room_stalls_with_the_logs_words_and_goes_on)
{
	static struct entry v[2];
	struct broker *a = &brokers[0];

	own(a);
	faulty_shared_next(a->faults, FAULTY_NOT_DONE, FAULTY_APPEND, 1000);
	append(a, &v[0], 'a', 0);
	AWAIT(a, a->stalled);
	cr_assert_str_eq(a->why, "no space left on device");
	append(a, &v[1], 'a', 1);
	faulty_shared_next(a->faults, FAULTY_NOT_DONE, FAULTY_APPEND, 0);
	AWAIT(a, a->own == 2 && !a->stalled);
	assert_told(a, 'a', 2);
	cr_assert_eq(a->stalls, 1);
	cr_assert_eq(counts(a).unknown_found + counts(a).unknown_not, 0);
}

Test(shared_log, an_append_without_an_answer_stalls_after_a_second_while_the_call_is_under_way)
{
	static struct entry v[1];
	struct broker *a = &brokers[0];

	own(a);
	faulty_shared_stop(a->faults);
	append(a, &v[0], 'a', 0);
	AWAIT(a, a->stalled);
	cr_assert_geq(sq_log_busy_ms(a->log), 1000);
	cr_assert_eq(a->own, 0);
	faulty_shared_cont(a->faults);
	AWAIT(a, a->own == 1 && !a->stalled);
	while (sq_log_busy_ms(a->log) != 0)
		usleep(WAIT_US);
}

Test(shared_log, a_log_that_cant_be_reached_says_so_and_nobody_claims_meanwhile)
{
	static struct entry v[2];
	struct broker *a = &brokers[0], *b = &brokers[1];

	own(a);
	broker_open(b);
	sq_log_claim(b->log);
	append(a, &v[0], 'a', 0);
	AWAIT(b, b->lsn == 1);
	fake_shared_unreachable(fake, true);
	append(a, &v[1], 'a', 1);
	AWAIT(a, a->stalled);
	AWAIT_LOOK(a, !look.up && look.why[0] != '\0' && look.role == SQ_LOG_OWNS);
	AWAIT_LOOK(b, !look.up && look.caught_up && look.why[0] != '\0');
	fake_shared_unreachable(fake, false);
	AWAIT(a, a->own == 2 && !a->stalled);
	assert_same();
	AWAIT_LOOK(a, look.up && look.why[0] == '\0');
	cr_assert_eq(b->owns, 0);
	cr_assert_eq(a->owns, 1);
}

Test(shared_log, an_owner_whose_tables_are_behind_stalls_until_a_release)
{
	static struct entry v[200];
	struct broker *a = &brokers[0], *b = &brokers[1];
	struct sq_log_shared_cfg shared = shared_cfg(a);
	uint64_t max, used;

	shared.max_used = 2000;
	broker_open_as(a, &shared, (struct sq_log_mark){0});
	sq_log_claim(a->log);
	AWAIT(a, a->owns == 1);
	for (unsigned i = 0; i < 200; i++) {
		append(a, &v[i], 'a', i);
		AWAIT(a, a->own == i + 1 || a->stalled);
	}
	AWAIT(a, a->stalled);
	cr_assert_lt(a->own, 200);
	used = sq_log_used(a->log, &max);
	cr_assert_eq(max, 2000);
	cr_assert_geq(used, max);
	sq_log_release(a->log, sq_log_last(a->log));
	AWAIT(a, a->own == 200 && !a->stalled);
	/* So does a follower read no more. */
	shared = shared_cfg(b);
	shared.max_used = 1000;
	broker_open_as(b, &shared, (struct sq_log_mark){0});
	AWAIT_LOOK(b, look.lag_ms > 0 && sq_log_used(b->log, &max) >= max);
	cr_assert_lt(sq_log_last(b->log), sq_log_last(a->log));
	while (sq_log_last(b->log) < sq_log_last(a->log)) {
		cr_assert_lt(sq_log_used(b->log, &max), 2 * max, "one record more at most");
		sq_log_release(b->log, sq_log_last(b->log));
		usleep(WAIT_US);
	}
	assert_same();
	assert_told(b, 'a', 200);
}

Test(shared_log, a_close_that_cant_commit_ends_and_gives_the_entries_back)
{
	static struct entry v[3];
	struct broker *a = &brokers[0];

	own(a);
	fake_shared_unreachable(fake, true);
	append_n(a, v, 'a', 3);
	sq_log_close(&a->log);
	cr_assert_eq(a->own, 0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(sq_list_empty(&v[i].entry.node), "it is in no list");
	fake_shared_unreachable(fake, false);
}

Test(shared_log, an_owner_that_is_isolated_serves_no_more)
{
	static struct entry v[2];
	struct broker *a = &brokers[0];
	struct sq_log_shared_cfg shared = shared_cfg(a);

	shared.isolated_ms = 1500;
	broker_open_as(a, &shared, (struct sq_log_mark){0});
	sq_log_claim(a->log);
	AWAIT(a, a->owns == 1);
	fake_way_cut(a->way, true);
	faulty_shared_cut(a->faults, true);
	append_n(a, v, 'a', 2);
	AWAIT(a, a->fenced == 1);
	cr_assert_eq(a->back, 2);
	cr_assert_not(sq_log_leased(a->log));
}

/* Logs that are not what they were */

/* A record of nobody that is here, from 'ahead_s' seconds in the future. */
static void
foreign_at(uint64_t lsn, uint64_t before, unsigned format, uint32_t ahead_s, const char *text,
    struct sq_buf *rec)
{
	sq_buf_drain(rec, sq_buf_len(rec));
	(void)sq_buf_reserve(rec, SQ_SHARED_HEADER);
	sq_buf_commit(rec, SQ_SHARED_HEADER);
	sq_buf_append(rec, text, strlen(text) + 1);
	sq_shared_record_seal(
	    rec, before, lsn, format, (uint32_t)(sq_clock_wall_ms() / 1000) + ahead_s);
	fake_shared_foreign(fake, lsn, (struct sq_bytes){sq_buf_data(rec), sq_buf_len(rec)});
}

/* One that nobody says is sure; returns its chain. */
static uint64_t
foreign_unsure(uint64_t lsn, uint64_t before, struct sq_buf *rec)
{
	uint64_t chain;

	sq_buf_drain(rec, sq_buf_len(rec));
	(void)sq_buf_reserve(rec, SQ_SHARED_HEADER);
	sq_buf_commit(rec, SQ_SHARED_HEADER);
	sq_buf_append(rec, "x", 2);
	chain = sq_shared_record_seal(rec, before, lsn, 1, (uint32_t)(sq_clock_wall_ms() / 1000));
	fake_shared_foreign(fake, 0, (struct sq_bytes){sq_buf_data(rec), sq_buf_len(rec)});
	return chain;
}

static void
foreign(uint64_t lsn, uint64_t before, unsigned format, const char *text, struct sq_buf *rec)
{
	foreign_at(lsn, before, format, 0, text, rec);
}

Test(shared_log, a_record_of_a_newer_format_is_not_applied_and_keeps_it_from_owning)
{
	struct broker *a = &brokers[0];
	struct sq_buf rec = {0};

	fake_shared_usurp(fake, 4711, "");
	foreign(1, 0, 2, "a0", &rec);
	broker_open(a);
	sq_log_claim(a->log);
	AWAIT_LOOK(a, strstr(look.why, "record 1 is of format 2: needs a newer") != NULL);
	await_reads();
	cr_assert_eq(a->lsn, 0);
	cr_assert_eq(fake_shared_calls(fake, FAKE_CLAIM), 0);
	cr_assert_eq(sq_log_mark(a->log).lsn, 0);
	sq_buf_fini(&rec);
}

Test(shared_log, a_record_that_the_owner_refuses_is_offered_again)
{
	struct broker *a = &brokers[0];
	struct sq_buf rec = {0};

	fake_shared_usurp(fake, 4711, "");
	foreign(1, 0, 1, "a0", &rec);
	a->refusal = SQ_EIO;
	broker_open(a);
	sq_log_claim(a->log);
	AWAIT_LOOK(a, look.why[0] != '\0');
	cr_assert_eq(a->owns, 0);
	pthread_mutex_lock(&a->lock);
	a->refusal = SQ_OK;
	pthread_mutex_unlock(&a->lock);
	AWAIT(a, a->owns == 1);
	assert_told(a, 'a', 1);
	AWAIT_LOOK(a, look.why[0] == '\0');
	sq_buf_fini(&rec);
}

Test(shared_log, a_damaged_record_is_not_applied)
{
	struct broker *a = &brokers[0];
	struct sq_buf rec = {0};

	fake_shared_usurp(fake, 4711, "");
	foreign(1, 0, 1, "a0", &rec);
	sq_buf_data(&rec)[SQ_SHARED_HEADER] ^= 1;
	fake_shared_foreign(fake, 2, (struct sq_bytes){sq_buf_data(&rec), sq_buf_len(&rec)});
	broker_open(a);
	sq_log_claim(a->log);
	AWAIT_LOOK(a, look.applied == 1 && look.why[0] != '\0');
	cr_assert_eq(a->lsn, 1);
	cr_assert_eq(a->owns, 0);
	sq_buf_fini(&rec);
}

Test(shared_log, a_record_that_does_not_follow_the_one_before_it_is_not_applied)
{
	struct broker *a = &brokers[0];
	struct sq_buf rec = {0};

	fake_shared_usurp(fake, 4711, "");
	foreign(1, 0, 1, "a0", &rec);
	foreign(2, 4712, 1, "a1", &rec);
	broker_open(a);
	sq_log_claim(a->log);
	AWAIT_LOOK(a, look.applied == 1 && look.why[0] != '\0');
	await_reads();
	cr_assert_eq(a->lsn, 1);
	cr_assert_eq(a->owns, 0);
	sq_buf_fini(&rec);
}

Test(shared_log, a_log_that_is_shorter_or_other_than_the_mark_is_not_followed)
{
	static struct entry v[3];
	struct broker *a = &brokers[0], *b = &brokers[1];
	struct sq_log_shared_cfg shared = shared_cfg(b);
	struct sq_log_mark mark;

	own(a);
	for (unsigned i = 0; i < 3; i++) {
		append(a, &v[i], 'a', i);
		AWAIT(a, a->own == i + 1);
	}
	mark = sq_log_mark(a->log);
	cr_assert_eq(mark.lsn, 3);
	mark.chain ^= 1;
	broker_open_as(b, &shared, mark);
	AWAIT_LOOK(b, look.why[0] != '\0');
	cr_assert_eq(b->lsn, 2, "what follows from nothing was not applied");
	sq_log_close(&b->log);
	sq_buf_fini(&b->told);
	b->lsn = 0;
	mark.lsn = 4;
	broker_open_as(b, &shared, mark);
	AWAIT_LOOK(b, look.why[0] != '\0');
	cr_assert_eq(b->lsn, 0);
	cr_assert_eq(b->fenced, 0);
}

Test(shared_log, a_broker_whose_records_were_dropped_says_that_it_needs_a_snapshot)
{
	struct broker *a = &brokers[0];
	struct sq_shared_head head;
	struct sq_buf rec = {0};

	fake_shared_usurp(fake, 4711, "other");
	foreign(1, 0, 1, "a0", &rec);
	foreign(2, 5, 1, "a1", &rec);
	fake_shared_head(fake, &head);
	head.first = 2;
	fake_shared_set(fake, &head);
	broker_open(a);
	AWAIT(a, a->fenced == 1);
	AWAIT_LOOK(a, strstr(look.why, "snapshot") != NULL);
	sq_buf_fini(&rec);
}

Test(shared_log, a_clock_that_is_far_from_the_owners_keeps_it_from_owning)
{
	struct broker *a = &brokers[0];
	struct sq_buf rec = {0};
	struct sq_shared_head head;

	fake_shared_usurp(fake, 4711, "other");
	broker_open(a);
	sq_log_claim(a->log);
	AWAIT_LOOK(a, strcmp(look.owner, "other") == 0);
	foreign_at(1, 0, 1, 60, "a0", &rec);
	AWAIT_LOOK(a, look.clock_ms > 50000 && look.clock_ms < 63000);
	AWAIT_LOOK(a, strstr(look.why, "clock") != NULL);
	fake_shared_head(fake, &head);
	head.holder[0] = '\0';
	fake_shared_set(fake, &head);
	AWAIT_LOOK(a, look.owner[0] == '\0' && look.applied == 1);
	await_reads();
	cr_assert_eq(a->owns, 0);
	cr_assert_eq(fake_shared_calls(fake, FAKE_CLAIM), 0);
	sq_buf_fini(&rec);
}

/* A broker that only the test knows says that it lives, and what it has, until 'cond'. */
#define ANNOUNCE_UNTIL(conn, peer, cond) \
	do { \
		for (unsigned wait_ = 0; wait_ < WAITS / 10 && !(cond); wait_++) { \
			(peer)->beats++; \
			cr_assert_eq(fake_shared_ops.announce(conn, peer, see_nothing, NULL), \
			    SQ_SHARED_DONE); \
			usleep(10 * WAIT_US); \
		} \
		cr_assert(cond); \
	} while (0)

static void
see_nothing(void *arg, const struct sq_shared_peer *peer)
{
	(void)arg;
	(void)peer;
}

static struct sq_log_shared_look
look_at(struct broker *b)
{
	struct sq_log_shared_look look;

	sq_log_shared_look(b->log, &look);
	return look;
}

Test(shared_log, one_that_is_far_behind_leaves_the_log_to_one_that_has_more)
{
	struct broker *a = &brokers[0];
	struct sq_log_shared_cfg shared = shared_cfg(a);
	struct sq_shared_peer peer = {.id = "peer", .format_min = 1, .format_max = 1, .applied = 3};
	struct sq_buf rec = {0}, err = {0};
	struct sq_shared *conn;

	cr_assert_eq(fake_shared_ops.dial(&conn, brokers[1].way, 1000, &err), SQ_OK);
	fake_shared_usurp(fake, 4711, "");
	for (uint64_t lsn = 1, chain = 0; lsn <= 3; lsn++)
		chain = foreign_unsure(lsn, chain, &rec);
	shared.max_behind = 1;
	broker_open_as(a, &shared, (struct sq_log_mark){0});
	ANNOUNCE_UNTIL(conn, &peer, look_at(a).peers == 2);
	cr_assert_not(look_at(a).caught_up);
	sq_log_claim(a->log);
	await_reads();
	cr_assert_eq(fake_shared_calls(fake, FAKE_CLAIM), 0);
	cr_assert_eq(a->lsn, 0);
	peer.applied = 0;
	ANNOUNCE_UNTIL(conn, &peer, look_at(a).role == SQ_LOG_OWNS);
	AWAIT(a, a->lsn == 3);
	fake_shared_ops.hang_up(&conn);
	sq_buf_fini(&rec);
}

Test(shared_log, segments_begin_by_bytes)
{
	static struct entry v[60];
	struct broker *a = &brokers[0], *b = &brokers[1];
	struct sq_log_shared_cfg shared = shared_cfg(a);
	unsigned before = fake_shared_segments(fake);

	shared.segment_bytes = 400;
	broker_open_as(a, &shared, (struct sq_log_mark){0});
	broker_open(b);
	sq_log_claim(a->log);
	AWAIT(a, a->owns == 1);
	for (unsigned i = 0; i < 60; i++) {
		append(a, &v[i], 'a', i);
		AWAIT(a, a->own == i + 1);
	}
	assert_told(a, 'a', 60);
	assert_same();
	cr_assert_geq(counts(a).segments, 3);
	cr_assert_eq(fake_shared_segments(fake), before + counts(a).segments);
	cr_assert_eq(a->owns, 1);
}

static unsigned
segments_by_age(uint64_t segment_bytes)
{
	static struct entry v[60];
	struct broker *a = &brokers[0];
	struct sq_log_shared_cfg shared = shared_cfg(a);

	shared.segment_bytes = segment_bytes;
	shared.segment_ms = 1;
	broker_open_as(a, &shared, (struct sq_log_mark){0});
	sq_log_claim(a->log);
	AWAIT(a, a->owns == 1);
	for (unsigned i = 0; i < 60; i++) {
		append(a, &v[i], 'a', i);
		AWAIT(a, a->own == i + 1);
	}
	assert_told(a, 'a', 60);
	return (unsigned)counts(a).segments;
}

Test(shared_log, segments_begin_by_age)
{
	cr_assert_geq(segments_by_age(25600), 3);
}

Test(shared_log, a_segment_with_little_has_no_age)
{
	cr_assert_eq(segments_by_age(1 << 30), 0);
}

static void
snapshot_at(struct sq_shared *conn, uint64_t lsn)
{
	struct sq_shared_snapshot snap = {.lsn = lsn};

	cr_assert_eq(fake_shared_ops.snap_begin(conn, &snap), SQ_SHARED_DONE);
	snap.lsn = lsn;
	cr_assert_eq(fake_shared_ops.snap_done(conn, &snap), SQ_SHARED_DONE);
}

Test(shared_log, upkeep_drops_segments_that_two_snapshots_and_all_brokers_have)
{
	static struct entry v[60];
	struct broker *a = &brokers[0];
	struct sq_log_shared_cfg shared = shared_cfg(a);
	struct sq_shared_head head;
	struct sq_shared *conn;
	struct sq_upkeep *upkeep;
	struct sq_buf err = {0};

	shared.segment_bytes = 400;
	broker_open_as(a, &shared, (struct sq_log_mark){0});
	sq_log_claim(a->log);
	AWAIT(a, a->owns == 1);
	for (unsigned i = 0; i < 60; i++) {
		append(a, &v[i], 'a', i);
		AWAIT(a, a->own == i + 1);
	}
	cr_assert_eq(fake_shared_ops.dial(&conn, a->way, 1000, &err), SQ_OK);
	upkeep = sq_upkeep_new(&fake_shared_ops, a->way);
	snapshot_at(conn, 30);
	sq_upkeep_drop(upkeep, 60);
	while (fake_shared_calls(fake, FAKE_SNAP) < 3)
		usleep(WAIT_US);
	fake_shared_head(fake, &head);
	cr_assert_eq(head.first, 1, "one snapshot alone may be damaged");
	snapshot_at(conn, 55);
	for (unsigned i = 0; i < WAITS && head.first == 1; i++) {
		sq_upkeep_drop(upkeep, 60);
		usleep(WAIT_US);
		fake_shared_head(fake, &head);
	}
	cr_assert_gt(head.first, 1);
	cr_assert_leq(head.first, 31);
	sq_upkeep_free(&upkeep);
	fake_shared_ops.hang_up(&conn);
	cr_assert_eq(a->fenced, 0);
}

/* All of it */

enum { THREADS = 4, EACH = 2500, WINDOW = 50 };

static _Atomic unsigned appended;

static struct entry many[THREADS][EACH];

static void *
appender(void *arg)
{
	unsigned which = *(unsigned *)arg;

	for (unsigned i = 0; i < EACH; i++) {
		append(&brokers[0], &many[which][i], (char)('a' + which), i);
		appended++;
		AWAIT(&brokers[0], brokers[0].own + WINDOW > appended);
	}
	return NULL;
}

Test(shared_log, what_many_threads_append_is_applied_once_whatever_fails)
{
	struct broker *a = &brokers[0], *b = &brokers[1];
	pthread_t threads[THREADS];
	unsigned which[THREADS];

	appended = 0;
	own(a);
	broker_open(b);
	faulty_shared_chance(a->faults, 20, 1);
	faulty_shared_chance(b->faults, 20, 2);
	for (unsigned i = 0; i < THREADS; i++) {
		which[i] = i;
		cr_assert_eq(pthread_create(&threads[i], NULL, appender, &which[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	AWAIT(a, a->own == THREADS * EACH);
	faulty_shared_chance(a->faults, 0, 0);
	faulty_shared_chance(b->faults, 0, 0);
	assert_same();
	for (unsigned i = 0; i < THREADS; i++)
		assert_told(b, (char)('a' + i), EACH);
	cr_assert_gt(counts(a).unknown_found, 0);
	cr_assert_gt(counts(a).unknown_not, 0);
	cr_assert_eq(a->owns, 1);
}
