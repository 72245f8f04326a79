/* The contract of store/log.h, on every log that there is. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/counting_log.h"
#include "../support/fake_shared.h"
#include "../support/temp_dir.h"
#include "core/mem.h"
#include "store/journal/log_file.h"
#include "store/shared/log_shared.h"

/* A new log plugs in here. */
static const struct sq_log_ops *const logs[] = {&sq_log_file, &counting_log, &sq_log_shared};

enum { STORE = 7, ENTRIES = 64, THREADS = 3, TEXT_MAX = 16, WAIT_US = 1000, WAITS = 20000 };

struct entry {
	struct sq_log_entry entry;
	char text[TEXT_MAX];
};

static const struct sq_log_ops *ops;
static struct sq_log *log_;
static char *dir;
static struct fake_shared *fake;
static uint64_t boots;

/* What the callbacks were told. */
static struct sq_buf told; /* texts, each with its NUL */
static _Atomic unsigned n_told;
static uint64_t last_lsn;
static unsigned replayed;
static int refusal;      /* what applied() returns for a record that is found */
static atomic_bool hold; /* applied() stays */
static enum sq_log_role role;
static uint64_t epoch;
static unsigned roles;

static void log_case(const struct sq_log_ops *, void (*run)(void));

#define CONTRACT(name) \
	static void contract_##name(void); \
	Test(log, name) \
	{ \
		for (size_t i = 0; i < SQ_ARRAY_LEN(logs); i++) \
			log_case(logs[i], contract_##name); \
	} \
	static void contract_##name(void)

/* Of a log whose open() reads records, and can say no. */
#define CONTRACT_OF_FILES(name) \
	static void contract_##name(void); \
	Test(log, name) \
	{ \
		for (size_t i = 0; i < SQ_ARRAY_LEN(logs); i++) { \
			if (logs[i] != &sq_log_shared) \
				log_case(logs[i], contract_##name); \
		} \
	} \
	static void contract_##name(void)

static int
on_applied(void *owner, uint64_t lsn, struct sq_bytes data, struct sq_list *entries)
{
	cr_assert_eq(owner, &told);
	cr_assert_gt(lsn, last_lsn);
	last_lsn = lsn;
	if (entries == NULL) {
		sq_buf_append(&told, data.p, data.len);
		replayed++;
		return refusal;
	}
	cr_assert_eq(data.len, 0);
	while (hold)
		usleep(WAIT_US);
	SQ_LIST_FOR_EACH_SAFE(e, entries, struct sq_log_entry, node) {
		sq_list_remove(&e->node);
		sq_buf_append(&told, e->data.p, e->data.len);
		n_told++;
	}
	return SQ_OK;
}

static void
on_role(void *owner, enum sq_log_role which, uint64_t its_epoch, struct sq_list *back)
{
	cr_assert_eq(owner, &told);
	cr_assert(back == NULL || sq_list_empty(back));
	role = which;
	epoch = its_epoch;
	roles++;
}

static void
on_stalled(void *owner, const char *why)
{
	cr_assert_eq(owner, &told);
	cr_assert_null(why, "it stalls: %s", why);
}

static int
try_open(uint64_t store, uint64_t from)
{
	const struct sq_log_shared_cfg shared = {
	    .driver = &fake_shared_ops, .driver_cfg = fake_shared_way(fake), .me = {.id = "one"}};
	const struct sq_log_cfg cfg = {
	    .dir = dir,
	    .store = store,
	    .from = from,
	    .file = {.segment_bytes = 64 << 10, .max_segments = 4, .boots = ++boots},
	    .shared = &shared,
	    .format = 1,
	    .applied = on_applied,
	    .role = on_role,
	    .stalled = on_stalled,
	    .owner = &told,
	};
	struct sq_buf err = {0};
	int rc = sq_log_open(&log_, ops, &cfg, &err);

	cr_assert_eq(sq_buf_len(&err) != 0, rc != SQ_OK, "a line where it fails, and only there");
	sq_buf_fini(&err);
	return rc;
}

static void
forget(uint64_t from)
{
	sq_buf_fini(&told);
	n_told = replayed = roles = 0;
	last_lsn = from;
}

static void
log_open(uint64_t from)
{
	forget(from);
	cr_assert_eq(try_open(STORE, from), SQ_OK);
	cr_assert_eq(roles, 0, "nobody has claimed it");
	sq_log_claim(log_);
	for (unsigned i = 0; i < WAITS && roles == 0; i++)
		usleep(WAIT_US);
	cr_assert_eq(roles, 1);
	cr_assert_eq(role, SQ_LOG_OWNS);
}

static void
log_begin(const struct sq_log_ops *which)
{
	ops = which;
	dir = temp_dir_new();
	fake = fake_shared_new(STORE);
	boots = 0;
	refusal = SQ_OK;
	log_open(0);
}

static void
log_end(void)
{
	sq_log_close(&log_);
	cr_assert_null(log_);
	sq_buf_fini(&told);
	temp_dir_free(&dir);
	fake_shared_free(&fake);
}

static void
log_case(const struct sq_log_ops *which, void (*run)(void))
{
	log_begin(which);
	run();
	log_end();
}

static void
append(struct entry *e, const char *who, unsigned i)
{
	snprintf(e->text, sizeof e->text, "%s%u", who, i);
	e->entry = (struct sq_log_entry){
	    .data = {(const unsigned char *)e->text, strlen(e->text) + 1}};
	sq_log_append(log_, &e->entry);
}

static void
append_all(struct entry *v, const char *who, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		append(&v[i], who, i);
}

static void
wait_told(unsigned n)
{
	for (unsigned i = 0; i < WAITS && n_told < n; i++)
		usleep(WAIT_US);
	cr_assert_eq(n_told, n);
}

/* The texts of 'who' that were told, which are 0 to n - 1 in order. */
static void
assert_told(const char *who, unsigned n)
{
	const char *p = (const char *)sq_buf_data(&told), *end = p + sq_buf_len(&told);
	char want[TEXT_MAX];
	unsigned i = 0;

	for (; p < end; p += strlen(p) + 1) {
		if (strncmp(p, who, strlen(who)) != 0)
			continue;
		snprintf(want, sizeof want, "%s%u", who, i++);
		cr_assert_str_eq(p, want);
	}
	cr_assert_eq(i, n);
}

CONTRACT(what_was_appended_is_applied_in_order)
{
	static struct entry v[ENTRIES];

	cr_assert_eq(sq_log_last(log_), 0);
	append_all(v, "a", ENTRIES);
	wait_told(ENTRIES);
	assert_told("a", ENTRIES);
	cr_assert_eq(sq_log_last(log_), last_lsn);
}

/* Awaits that a commit has been under way for more than 'ms', or that none is. */
static void
wait_busy(bool busy, uint64_t ms)
{
	for (unsigned i = 0; i < WAITS && (sq_log_busy_ms(log_) > ms) != busy; i++)
		usleep(WAIT_US);
	cr_assert_eq(sq_log_busy_ms(log_) > ms, busy);
}

CONTRACT(the_time_of_a_commit_is_told_while_it_is_under_way)
{
	static struct entry v[2];

	cr_assert_eq(sq_log_busy_ms(log_), 0);
	hold = true;
	append(&v[0], "a", 0);
	wait_busy(true, 50);
	cr_assert_eq(n_told, 0);
	hold = false;
	wait_told(1);
	wait_busy(false, 0);
	append(&v[1], "a", 1);
	wait_told(2);
	assert_told("a", 2);
}

CONTRACT(it_is_there_after_a_restart)
{
	static struct entry v[ENTRIES];

	append_all(v, "a", ENTRIES);
	wait_told(ENTRIES);
	sq_log_close(&log_);
	log_open(0);
	cr_assert_gt(replayed, 0);
	assert_told("a", ENTRIES);
	cr_assert_eq(sq_log_last(log_), last_lsn);
}

CONTRACT(a_close_commits_what_was_appended)
{
	static struct entry v[ENTRIES];

	append_all(v, "a", ENTRIES);
	sq_log_close(&log_);
	cr_assert_eq(n_told, ENTRIES);
	log_open(0);
	assert_told("a", ENTRIES);
}

CONTRACT(a_restart_begins_behind_what_the_owner_has)
{
	static struct entry first[ENTRIES], second[ENTRIES];
	uint64_t from;

	append_all(first, "a", ENTRIES);
	wait_told(ENTRIES);
	from = last_lsn;
	append_all(second, "b", ENTRIES);
	wait_told(2 * ENTRIES);
	sq_log_close(&log_);
	log_open(from);
	assert_told("a", 0);
	assert_told("b", ENTRIES);
	sq_log_close(&log_);
	log_open(last_lsn);
	cr_assert_eq(replayed, 0);
	cr_assert_eq(sq_log_last(log_), last_lsn);
}

CONTRACT(records_go_on_behind_those_of_another_life)
{
	static struct entry v[2];
	uint64_t before;

	append(&v[0], "a", 0);
	wait_told(1);
	before = last_lsn;
	sq_log_close(&log_);
	log_open(before);
	append(&v[1], "a", 1);
	wait_told(1);
	cr_assert_gt(last_lsn, before);
	sq_log_close(&log_);
	log_open(0);
	assert_told("a", 2);
}

static void *
appender(void *arg)
{
	static struct entry v[THREADS][ENTRIES];
	unsigned which = *(unsigned *)arg;
	const char who[2] = {(char)('a' + which), '\0'};

	append_all(v[which], who, ENTRIES);
	return NULL;
}

CONTRACT(entries_of_each_thread_are_in_its_order)
{
	pthread_t threads[THREADS];
	unsigned which[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		which[i] = i;
		cr_assert_eq(pthread_create(&threads[i], NULL, appender, &which[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	wait_told(THREADS * ENTRIES);
	assert_told("a", ENTRIES);
	assert_told("b", ENTRIES);
	assert_told("c", ENTRIES);
}

CONTRACT(each_claim_has_a_higher_epoch)
{
	uint64_t first = epoch;

	sq_log_close(&log_);
	log_open(0);
	cr_assert_gt(epoch, first);
}

CONTRACT(what_is_released_is_used_no_longer)
{
	static struct entry v[ENTRIES];
	uint64_t max = 0, used;

	append_all(v, "a", ENTRIES);
	wait_told(ENTRIES);
	used = sq_log_used(log_, &max);
	cr_assert_gt(used, 0);
	cr_assert_leq(used, max);
	sq_log_release(log_, last_lsn);
	cr_assert_lt(sq_log_used(log_, &max), used);
}

CONTRACT_OF_FILES(a_record_that_the_owner_refuses_ends_the_open)
{
	static struct entry e;

	append(&e, "a", 0);
	wait_told(1);
	sq_log_close(&log_);
	forget(0);
	refusal = SQ_ETOOBIG;
	cr_assert_eq(try_open(STORE, 0), SQ_ETOOBIG);
	cr_assert_null(log_);
	refusal = SQ_OK;
	log_open(0);
	assert_told("a", 1);
}

CONTRACT_OF_FILES(the_log_of_another_store_is_refused)
{
	static struct entry e;

	append(&e, "a", 0);
	wait_told(1);
	sq_log_close(&log_);
	forget(0);
	cr_assert_eq(try_open(STORE + 1, 0), SQ_EINVAL);
	cr_assert_eq(replayed, 0);
	log_open(0);
	assert_told("a", 1);
}
