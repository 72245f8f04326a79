/* The contract of store/shared/driver.h, by its promises, on every driver: the fake of the tests, and
 * PostgreSQL, whose hosts are in SQMQOS_TEST_POSTGRES (test/e2e/test_log_driver.py starts one and runs
 * this). */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_shared.h"
#include "core/clock.h"
#include "store/postgres/cfg.h"
#include "store/shared/driver.h"

enum { DEADLINE_MS = 5000, CONNECTIONS = 3, NONCE = 11, OTHER = 22, THIRD = 33 };

static const struct sq_shared_ops *ops;
static const void *cfg;
static struct sq_shared *conns[CONNECTIONS]; /* a broker each */
static struct sq_shared_head head;           /* of the last claim or read */
static char records[4096];                   /* of the last read: "LSN:EPOCH:SURE:TEXT " each */

/* ---- the drivers */

static struct fake_shared *fake;

static bool
fake_begin(void)
{
	fake = fake_shared_new(7);
	ops = &fake_shared_ops;
	cfg = fake_shared_way(fake);
	return true;
}

static void
fake_end(void)
{
	fake_shared_free(&fake);
}

static struct sq_log_postgres_cfg postgres_cfg;

/* Each case has a schema of its own. */
static bool
postgres_begin(void)
{
	static char schema[48];
	static unsigned made;
	const struct sq_shared_module *module;
	void *loaded;

	postgres_cfg = (struct sq_log_postgres_cfg){
	    .hosts = getenv("SQMQOS_TEST_POSTGRES"),
	    .schema = schema,
	    .id = "contract",
	    .make = true,
	};
	if (postgres_cfg.hosts == NULL)
		return false;
	(void)snprintf(schema, sizeof schema, "t_%d_%u", (int)getpid(), ++made);
	loaded = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
	cr_assert_not_null(loaded, "%s", dlerror());
	module = dlsym(loaded, SQ_SHARED_MODULE_SYMBOL);
	cr_assert_not_null(module);
	cr_assert_eq(module->version, SQ_SHARED_MODULE_VERSION);
	ops = module->ops;
	cfg = &postgres_cfg;
	return true;
}

static void
postgres_end(void)
{
}

static const struct {
	bool (*begin)(void);
	void (*end)(void);
} drivers[] = {{fake_begin, fake_end}, {postgres_begin, postgres_end}};

static void
dial(size_t i)
{
	struct sq_buf err = {0};
	int e = ops->dial(&conns[i], cfg, DEADLINE_MS, &err);

	cr_assert_eq(e, SQ_OK, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

#define CONTRACT(name) \
	static void contract_##name(void); \
	Test(shared_driver, name) \
	{ \
		for (size_t d = 0; d < sizeof drivers / sizeof drivers[0]; d++) { \
			if (!drivers[d].begin()) \
				continue; \
			for (size_t i = 0; i < CONNECTIONS; i++) \
				dial(i); \
			contract_##name(); \
			for (size_t i = 0; i < CONNECTIONS; i++) \
				ops->hang_up(&conns[i]); \
			drivers[d].end(); \
		} \
	} \
	static void contract_##name(void)

/* ---- what the cases do */

#define ends(result, wanted) \
	do { \
		enum sq_shared_result is = (result); \
		cr_assert_eq(is, wanted, "%s: %d", ops->name, (int)is); \
	} while (0)

static enum sq_shared_result
claim(size_t i, uint64_t expected, uint64_t nonce, bool roll)
{
	struct sq_shared_claim c = {
	    .expected = expected,
	    .nonce = nonce,
	    .holder = "holder",
	    .link = "link:1",
	    .admin = "admin:2",
	    .roll = roll,
	};

	return ops->claim(conns[i], &c, &head);
}

static enum sq_shared_result
append(size_t i, uint64_t nonce, uint64_t lsn, const char *text)
{
	return ops->append(conns[i], nonce, head.epoch, lsn, lsn - 1, sq_bytes_of(text));
}

static bool
record_read(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	size_t n = strlen(records);

	(void)arg;
	if (data.len > 64)
		(void)snprintf(records + n, sizeof records - n, "%" PRIu64 "*%zu ", lsn, data.len);
	else
		(void)snprintf(records + n, sizeof records - n,
		    "%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%.*s ", lsn, epoch, sure, (int)data.len,
		    (const char *)data.p);
	return true;
}

static const char *
read_from(size_t i, uint64_t from, size_t max)
{
	records[0] = '\0';
	ends(ops->read(conns[i], from, max, &head, record_read, NULL), SQ_SHARED_DONE);
	return records;
}

#define reads(i, from, max, wanted) \
	cr_assert_str_eq(read_from(i, from, max), wanted, "%s", ops->name)

/* ---- L1 and L2 */

CONTRACT(a_new_log_is_nobodys)
{
	uint64_t store;

	reads(0, 0, 1000, "");
	store = head.store;
	cr_assert_neq(store, 0);
	cr_assert_eq(head.epoch, 0);
	cr_assert_eq(head.nonce, 0);
	cr_assert_eq(head.last, 0);
	cr_assert_eq(head.first, 1);
	cr_assert_eq(head.sure, 0);
	cr_assert_str_eq(head.holder, "");
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_REFUSED);
	ends(ops->beat(conns[0], NONCE, 0, false), SQ_SHARED_REFUSED);
	reads(1, 0, 1000, "");
	cr_assert_eq(head.store, store);
}

CONTRACT(L2_a_claim_is_for_who_knows_the_nonce)
{
	ends(claim(0, OTHER, NONCE, false), SQ_SHARED_REFUSED);
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	cr_assert_eq(head.epoch, 1);
	cr_assert_eq(head.nonce, NONCE);
	cr_assert_str_eq(head.holder, "holder");
	cr_assert_str_eq(head.link, "link:1");
	cr_assert_str_eq(head.admin, "admin:2");
	ends(claim(1, 0, OTHER, false), SQ_SHARED_REFUSED);
	ends(claim(1, THIRD, OTHER, false), SQ_SHARED_REFUSED);
	reads(2, 0, 1000, "");
	cr_assert_eq(head.nonce, NONCE);
	cr_assert_eq(head.epoch, 1);
	ends(claim(1, NONCE, OTHER, false), SQ_SHARED_DONE);
	cr_assert_eq(head.epoch, 2);
}

CONTRACT(L1_the_same_claim_again_is_one_claim)
{
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	ends(claim(1, 0, NONCE, false), SQ_SHARED_DONE);
	cr_assert_eq(head.epoch, 1);
	cr_assert_eq(head.last, 1);
}

CONTRACT(an_owner_that_claims_again_is_the_same_owner)
{
	struct sq_shared_claim c = {
	    .expected = NONCE, .nonce = OTHER, .holder = "holder", .again = true};

	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	cr_assert_eq(head.boot, 1);
	ends(ops->claim(conns[0], &c, &head), SQ_SHARED_DONE);
	cr_assert_eq(head.epoch, 2);
	cr_assert_eq(head.boot, 1);
	ends(claim(1, OTHER, THIRD, false), SQ_SHARED_DONE);
	cr_assert_eq(head.boot, 3);
	ends(claim(1, OTHER, THIRD, false), SQ_SHARED_DONE);
	cr_assert_eq(head.boot, 3, "the same claim");
}

CONTRACT(L2_a_record_is_for_the_owner)
{
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	ends(
	    append(1, NONCE, 2, "two"), SQ_SHARED_DONE); /* the nonce says it, not the connection */
	ends(claim(1, NONCE, OTHER, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 3, "late"), SQ_SHARED_REFUSED);
	ends(ops->beat(conns[0], NONCE, 2, false), SQ_SHARED_REFUSED);
	ends(append(1, OTHER, 3, "three"), SQ_SHARED_DONE);
	reads(1, 0, 1000, "1:1:0:one 2:1:1:two 3:2:2:three ");
}

CONTRACT(L2_a_record_is_the_next_one)
{
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 2, "two"), SQ_SHARED_REFUSED);
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	ends(append(0, NONCE, 1, "again"), SQ_SHARED_REFUSED);
	ends(append(0, NONCE, 3, "three"), SQ_SHARED_REFUSED);
	ends(append(0, NONCE, 2, "two"), SQ_SHARED_DONE);
	reads(0, 0, 1000, "1:1:0:one 2:1:1:two ");
}

/* Several candidates that have seen the same nonce. */
CONTRACT(L1_one_of_several_claims)
{
	unsigned won = 0;

	for (size_t i = 0; i < CONNECTIONS; i++)
		won += claim(i, 0, 100 + i, false) == SQ_SHARED_DONE;
	cr_assert_eq(won, 1);
}

/* ---- L3 and L4 */

CONTRACT(L3_a_claim_tells_the_last_record)
{
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	cr_assert_eq(head.last, 0);
	for (uint64_t lsn = 1; lsn <= 5; lsn++)
		ends(append(0, NONCE, lsn, "x"), SQ_SHARED_DONE);
	ends(claim(1, NONCE, OTHER, false), SQ_SHARED_DONE);
	cr_assert_eq(head.last, 5);
	/* From now on that connection is given all of it. */
	reads(1, 3, 1000, "4:1:3:x 5:1:4:x ");
}

CONTRACT(L4_records_come_in_order_a_page_at_a_time)
{
	static char big[300];

	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	memset(big, 'b', sizeof big - 1);
	for (uint64_t lsn = 1; lsn <= 6; lsn++)
		ends(append(0, NONCE, lsn, big), SQ_SHARED_DONE);
	reads(0, 0, 100000, "1*299 2*299 3*299 4*299 5*299 6*299 ");
	cr_assert_eq(strncmp(read_from(0, 2, 600), "3*299 ", 6), 0);
	cr_assert_lt(strlen(records), strlen("3*299 ") * 4);
	cr_assert_eq(strncmp(read_from(0, 4, 1), "5*299 ", 6), 0); /* at least one */
	reads(0, 6, 1000, "");
	cr_assert_eq(head.last, 6);
}

CONTRACT(L4_sure_is_what_an_owner_has_said)
{
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	ends(append(0, NONCE, 2, "two"), SQ_SHARED_DONE);
	cr_assert_eq(strncmp(read_from(1, 0, 1000), "1:1:0:one ", 10), 0);
	cr_assert_leq(head.sure, 1);
	cr_assert_eq(head.last, 2);
	ends(ops->beat(conns[0], NONCE, 2, false), SQ_SHARED_DONE);
	reads(1, 0, 1000, "1:1:0:one 2:1:1:two ");
	cr_assert_eq(head.sure, 2);
}

CONTRACT(a_large_record_is_whole)
{
	struct sq_bytes data = {calloc(1, 5 << 20), 5 << 20};

	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(ops->append(conns[0], NONCE, 1, 1, 0, data), SQ_SHARED_DONE);
	reads(0, 0, 1000, "1*5242880 ");
	free((void *)data.p);
}

/* ---- beats */

CONTRACT(a_beat_is_a_sign_of_life)
{
	uint64_t beats;

	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	beats = head.beats;
	ends(ops->beat(conns[0], NONCE, 1, false), SQ_SHARED_DONE);
	(void)read_from(1, 0, 1000);
	cr_assert_gt(head.beats, beats);
	cr_assert_str_eq(head.holder, "holder");
	ends(ops->beat(conns[0], NONCE, 1, true), SQ_SHARED_DONE);
	(void)read_from(1, 0, 1000);
	cr_assert_str_eq(head.holder, "");
	cr_assert_eq(head.nonce, NONCE);
	ends(claim(1, NONCE, OTHER, false), SQ_SHARED_DONE);
	cr_assert_str_eq(head.holder, "holder");
}

/* ---- segments */

CONTRACT(segments_follow_each_other)
{
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	ends(append(0, NONCE, 2, "two"), SQ_SHARED_DONE);
	ends(claim(0, NONCE, OTHER, true), SQ_SHARED_DONE);
	cr_assert_eq(head.last, 2);
	cr_assert_eq(head.epoch, 2);
	ends(append(0, NONCE, 3, "late"), SQ_SHARED_REFUSED);
	ends(append(0, OTHER, 4, "gap"), SQ_SHARED_REFUSED);
	ends(append(0, OTHER, 2, "again"), SQ_SHARED_REFUSED);
	ends(append(0, OTHER, 3, "three"), SQ_SHARED_DONE);
	/* A connection that has not heard of the new one does nothing wrong. */
	ends(append(1, NONCE, 3, "late"), SQ_SHARED_REFUSED);
	(void)append(1, OTHER, 3, "again");
	(void)read_from(2, 0, 1000);
	cr_assert_eq(head.last, 3);
	cr_assert_eq(head.first, 1);
	ends(ops->beat(conns[0], OTHER, 3, false), SQ_SHARED_DONE);
	reads(2, 2, 1000, "3:2:2:three ");
	/* The claim of who owns already begins none. */
	ends(claim(1, NONCE, OTHER, true), SQ_SHARED_DONE);
	cr_assert_eq(head.last, 3);
	ends(append(1, OTHER, 4, "four"), SQ_SHARED_DONE);
	ends(append(0, OTHER, 5, "five"), SQ_SHARED_DONE);
	ends(claim(2, OTHER, THIRD, false), SQ_SHARED_DONE);
	cr_assert_eq(head.last, 5);
}

CONTRACT(old_segments_are_dropped)
{
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	ends(append(0, NONCE, 2, "two"), SQ_SHARED_DONE);
	ends(claim(0, NONCE, OTHER, true), SQ_SHARED_DONE);
	ends(append(0, OTHER, 3, "three"), SQ_SHARED_DONE);
	ends(ops->drop(conns[1], 1), SQ_SHARED_DONE);
	(void)read_from(2, 0, 1000);
	cr_assert_eq(head.first, 1);
	ends(ops->drop(conns[1], 2), SQ_SHARED_DONE);
	(void)read_from(2, 2, 1000);
	cr_assert_eq(head.first, 3);
	cr_assert_eq(head.last, 3);
	ends(ops->drop(conns[1], 3), SQ_SHARED_DONE); /* the last one stays */
	ends(append(0, OTHER, 4, "four"), SQ_SHARED_DONE);
	reads(0, 2, 1000, "3:2:2:three 4:2:3:four ");
}

/* ---- brokers */

static void
peer_read(void *arg, const struct sq_shared_peer *p)
{
	size_t n = strlen(records);

	(void)arg;
	(void)snprintf(records + n, sizeof records - n,
	    "%s %s %s %s %u-%u %" PRIu64 " %" PRIu64 "; ", p->id, p->link, p->admin, p->version,
	    p->format_min, p->format_max, p->applied, p->kept);
}

CONTRACT(brokers_see_each_other)
{
	struct sq_shared_peer me = {.id = "a",
	    .link = "l:1",
	    .admin = "m:1",
	    .version = "1",
	    .format_min = 1,
	    .format_max = 2,
	    .applied = 5,
	    .kept = 3};

	records[0] = '\0';
	ends(ops->announce(conns[0], &me, peer_read, NULL), SQ_SHARED_DONE);
	cr_assert_str_eq(records, "a l:1 m:1 1 1-2 5 3; ");
	strcpy(me.id, "b");
	me.applied = 9;
	records[0] = '\0';
	ends(ops->announce(conns[1], &me, peer_read, NULL), SQ_SHARED_DONE);
	cr_assert_str_eq(records, "a l:1 m:1 1 1-2 5 3; b l:1 m:1 1 1-2 9 3; ");
	me.applied = 10;
	records[0] = '\0';
	ends(ops->announce(conns[1], &me, peer_read, NULL), SQ_SHARED_DONE);
	cr_assert_str_eq(records, "a l:1 m:1 1 1-2 5 3; b l:1 m:1 1 1-2 10 3; ");
}

/* ---- snapshots */

static uint64_t
snapshot(size_t i, uint64_t lsn, const char *text)
{
	struct sq_shared_snapshot s = {.lsn = lsn, .format = 1};

	ends(ops->snap_begin(conns[i], &s), SQ_SHARED_DONE);
	ends(ops->snap_put(conns[i], s.n, 0, sq_bytes_of(text)), SQ_SHARED_DONE);
	s.bytes = strlen(text);
	memset(s.sha256, 0x5a, sizeof s.sha256);
	ends(ops->snap_done(conns[i], &s), SQ_SHARED_DONE);
	return s.n;
}

CONTRACT(snapshots_are_kept_by_twos)
{
	struct sq_shared_snapshot newest, older;
	struct sq_buf row = {0};
	uint64_t n[3];

	ends(ops->snap_newest(conns[0], &newest, &older), SQ_SHARED_DONE);
	cr_assert_eq(newest.n, 0);
	n[0] = snapshot(0, 10, "ten");
	ends(ops->snap_newest(conns[1], &newest, &older), SQ_SHARED_DONE);
	cr_assert_eq(newest.n, n[0]);
	cr_assert_eq(newest.lsn, 10);
	cr_assert_eq(newest.bytes, 3);
	cr_assert_eq(newest.sha256[31], 0x5a);
	cr_assert_eq(older.n, 0);
	n[1] = snapshot(1, 20, "twenty");
	n[2] = snapshot(2, 30, "thirty");
	cr_assert_lt(n[0], n[1]);
	cr_assert_lt(n[1], n[2]);
	ends(ops->snap_newest(conns[0], &newest, &older), SQ_SHARED_DONE);
	cr_assert_eq(newest.n, n[2]);
	cr_assert_eq(older.lsn, 20);
	ends(ops->snap_get(conns[0], n[2], 0, &row), SQ_SHARED_DONE);
	cr_assert(sq_bytes_are(sq_buf_bytes(&row), "thirty"));
	ends(ops->snap_get(conns[0], n[2], 1, &row), SQ_SHARED_NOT_DONE);
	ends(ops->snap_get(conns[0], n[0], 0, &row), SQ_SHARED_NOT_DONE);
	sq_buf_fini(&row);
}

CONTRACT(a_torn_snapshot_is_none)
{
	struct sq_shared_snapshot torn = {.lsn = 10, .format = 1}, newest;

	ends(ops->snap_begin(conns[0], &torn), SQ_SHARED_DONE);
	ends(ops->snap_put(conns[0], torn.n, 0, sq_bytes_of("half")), SQ_SHARED_DONE);
	ends(ops->snap_put(conns[0], torn.n, 0, sq_bytes_of("again")), SQ_SHARED_DONE);
	ends(ops->snap_newest(conns[1], &newest, NULL), SQ_SHARED_DONE);
	cr_assert_eq(newest.n, 0);
	cr_assert_gt(snapshot(1, 20, "whole"), torn.n);
	/* Who comes late with the first one harms nothing. */
	(void)ops->snap_put(conns[0], torn.n, 1, sq_bytes_of("late"));
	(void)ops->snap_done(conns[0], &torn);
	ends(ops->snap_newest(conns[1], &newest, NULL), SQ_SHARED_DONE);
	cr_assert_eq(newest.lsn, 20);
}

/* ---- what people ask for; a driver may leave it out */

static struct sq_shared_snapshot
put_aside(uint64_t lsn)
{
	struct sq_shared_snapshot s = {.lsn = lsn, .format = 1, .bytes = 4};

	ends(ops->snap_begin(conns[0], &s), SQ_SHARED_DONE);
	ends(ops->snap_put(conns[0], s.n, 0, sq_bytes_of("rows")), SQ_SHARED_DONE);
	memset(s.sha256, 0x5a, sizeof s.sha256);
	return s;
}

CONTRACT(import_makes_a_snapshot_the_log)
{
	struct sq_shared_snapshot s, none = {.n = 77, .lsn = 10, .format = 1}, newest;

	if (ops->import == NULL)
		return;
	ends(ops->import(conns[0], 99, 5, &none), SQ_SHARED_REFUSED);
	s = put_aside(10);
	for (int again = 0; again < 2; again++) {
		ends(ops->import(conns[0], 99, 5, &s), SQ_SHARED_DONE);
		reads(1, 0, 1000, "");
		cr_assert_eq(head.store, 99);
		cr_assert_eq(head.epoch, 5);
		cr_assert_eq(head.nonce, 0);
		cr_assert_eq(head.last, 10);
		cr_assert_eq(head.first, 11);
		cr_assert_eq(head.sure, 10);
	}
	ends(ops->snap_newest(conns[2], &newest, NULL), SQ_SHARED_DONE);
	cr_assert_eq(newest.n, s.n);
	cr_assert_eq(newest.lsn, 10);
	cr_assert_eq(newest.sha256[31], 0x5a);
	ends(claim(1, 0, NONCE, false), SQ_SHARED_DONE);
	cr_assert_eq(head.epoch, 6);
	ends(append(1, NONCE, 1, "one"), SQ_SHARED_REFUSED);
	ends(append(1, NONCE, 11, "next"), SQ_SHARED_DONE);
	ends(ops->import(conns[0], 99, 5, &s), SQ_SHARED_REFUSED);
	reads(1, 10, 1000, "11:6:10:next ");
	cr_assert_eq(head.nonce, NONCE);
}

CONTRACT(import_leaves_a_log_that_is_owned)
{
	struct sq_shared_snapshot s;
	uint64_t store;

	if (ops->import == NULL)
		return;
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	store = head.store;
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	s = put_aside(10);
	ends(ops->import(conns[1], 99, 5, &s), SQ_SHARED_REFUSED);
	ends(ops->import(conns[1], store, 5, &s), SQ_SHARED_REFUSED);
	ends(ops->beat(conns[0], NONCE, 1, true), SQ_SHARED_DONE);
	ends(ops->import(conns[1], store, 5, &s), SQ_SHARED_REFUSED);
	reads(2, 0, 1000, "1:1:0:one ");
	cr_assert_eq(head.store, store);
	cr_assert_eq(head.nonce, NONCE);
	ends(claim(1, NONCE, OTHER, false), SQ_SHARED_DONE);
}

CONTRACT(move_is_for_who_has_let_go)
{
	struct sq_shared_snapshot s;
	uint64_t store;

	if (ops->move == NULL)
		return;
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	store = head.store;
	ends(append(0, NONCE, 1, "one"), SQ_SHARED_DONE);
	ends(ops->move(conns[0], NONCE, "a"), SQ_SHARED_REFUSED);
	ends(ops->beat(conns[0], NONCE, 1, true), SQ_SHARED_DONE);
	ends(ops->move(conns[0], OTHER, "a"), SQ_SHARED_REFUSED);
	reads(1, 0, 1000, "1:1:0:one ");
	cr_assert_not(head.moved);
	ends(ops->move(conns[0], NONCE, "a"), SQ_SHARED_DONE);
	ends(ops->move(conns[0], NONCE, "a"), SQ_SHARED_DONE);
	ends(ops->move(conns[0], NONCE, "b"), SQ_SHARED_REFUSED);
	ends(claim(1, NONCE, OTHER, false), SQ_SHARED_REFUSED);
	ends(append(1, NONCE, 2, "late"), SQ_SHARED_REFUSED);
	reads(1, 0, 1000, "1:1:0:one ");
	cr_assert(head.moved);
	cr_assert_str_eq(head.holder, "a");
	s = put_aside(20);
	ends(ops->import(conns[1], store + 1, 9, &s), SQ_SHARED_REFUSED);
	ends(ops->import(conns[1], store, 9, &s), SQ_SHARED_DONE);
	ends(claim(1, 0, OTHER, false), SQ_SHARED_DONE);
	cr_assert_eq(head.epoch, 10);
	cr_assert_eq(head.last, 20);
	cr_assert_not(head.moved);
}

CONTRACT(skip_lifts_the_epochs_to_come)
{
	struct sq_shared_head seen;

	if (ops->skip == NULL)
		return;
	ends(claim(0, 0, NONCE, false), SQ_SHARED_DONE);
	ends(ops->beat(conns[0], NONCE, 0, true), SQ_SHARED_DONE);
	(void)read_from(1, 0, 1000);
	seen = head;
	ends(ops->skip(conns[1], &seen, 40), SQ_SHARED_DONE);
	ends(ops->skip(conns[1], &seen, 30), SQ_SHARED_DONE);
	ends(claim(0, NONCE, OTHER, false), SQ_SHARED_DONE);
	cr_assert_eq(head.epoch, 41, "and never lower");
	ends(ops->skip(conns[1], &seen, 80), SQ_SHARED_REFUSED);
	seen = head;
	ends(ops->beat(conns[0], OTHER, 0, false), SQ_SHARED_DONE);
	ends(ops->skip(conns[1], &seen, 80), SQ_SHARED_REFUSED);
	(void)read_from(1, 0, 1000);
	cr_assert_eq(head.epoch, 41);
}
