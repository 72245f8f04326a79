/* The disk outbox's store on a real journal: acknowledgements after the sync,
 * numbers that survive a restart, order, refusals, the bound, held ids.  The
 * broker is played by the test. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "sidecar/outbox/store.h"

enum { TAKEN_MAX = 100000 };

static char dir[64];
static sem_t woken;
static unsigned acked, pubcomps, dropped, refused;
static struct sq_outbox_port port;
/* The broker: what it has taken, in order, and how far the lane has come. */
static unsigned taken[TAKEN_MAX], n_taken;
static uint64_t last, lane_run;

static void
on_wake(void *owner)
{
	(void)owner;
	sem_post(&woken);
}

static void
on_acked(void *owner, struct sq_outbox_port *p, const struct sq_lane_outcome *o)
{
	(void)owner;
	cr_assert_eq(p, &port);
	acked += o->kind == SQ_ENTRY_MESSAGE;
	pubcomps += o->kind == SQ_ENTRY_RELEASE;
}

static void
on_refused(
    void *owner, const char *client_id, uint8_t reason, const struct sq_note *note, bool for_good)
{
	(void)owner;
	(void)reason;
	(void)note;
	cr_assert_str_eq(client_id, "app");
	dropped += for_good;
	refused += !for_good;
}

static int
unlink_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void
set_up(void)
{
	strcpy(dir, "/tmp/sqmqos-outbox-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	sem_init(&woken, 0, 0);
	acked = pubcomps = dropped = refused = n_taken = 0;
	last = lane_run = 0;
	sq_list_init(&port.pending);
}

static void
tear_down(void)
{
	nftw(dir, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
	sem_destroy(&woken);
}

TestSuite(outbox_store, .init = set_up, .fini = tear_down, .timeout = 120);

static struct sq_outbox_store *
open_store(uint64_t size)
{
	struct sq_outbox_store_cfg cfg = {
	    .dir = dir, .size = size, .wake = on_wake, .acked = on_acked, .refused = on_refused};
	struct sq_outbox_store *st;
	struct sq_buf err = {0};
	int rc = sq_outbox_store_open(&st, &cfg, &err);

	cr_assert_eq(rc, 0, "%.*s", (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	return st;
}

/* The process is killed: nothing is written down, what was appended may be. */
static void
kill_store(struct sq_outbox_store **st)
{
	sq_outbox_port_close(&port);
	sq_outbox_store_close(st);
}

static int
publish(struct sq_outbox_store *st, unsigned n, unsigned qos, uint16_t id, size_t size)
{
	unsigned char *payload = sq_xcalloc(1, size);
	struct sq_lane_publish m = {.qos = (uint8_t)qos,
	    .packet_id = id,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1},
	    .payload = {payload, size}};
	int rc;

	sq_put32(payload, n);
	rc = sq_outbox_store_publish(st, &port, "app", &m);
	free(payload);
	return rc;
}

/* Turns until 'acked' says so. */
static void
until_acked(struct sq_outbox_store *st, unsigned n)
{
	while (acked < n) {
		sem_wait(&woken);
		(void)sq_outbox_store_turn(st);
	}
	cr_assert_eq(acked, n);
}

static void
publish_many(struct sq_outbox_store *st, unsigned from, unsigned to, size_t size)
{
	for (unsigned n = from; n < to; n++) {
		while (publish(st, n, 1, (uint16_t)(n % 60000 + 1), size) == SQ_EAGAIN) {
			sem_wait(&woken);
			(void)sq_outbox_store_turn(st);
		}
	}
}

/* The broker admits a batch as lane_in does and answers 'code' of each number. */
static void
broker_takes(const struct sq_outbox_batch *b, const uint8_t *codes)
{
	struct sq_batch head;
	struct sq_bytes rest;

	cr_assert_eq(
	    sq_batch_decode(sq_buf_data(&b->body), sq_buf_len(&b->body), SQ_LINK_VERSION, &head),
	    0);
	cr_assert_eq(head.lane, 1);
	if (head.run != lane_run) {
		cr_assert_eq(head.first, last + 1, "a new run starts behind the last number");
		lane_run = head.run;
	}
	cr_assert_leq(head.first, last + 1, "a gap");
	rest = head.entries;
	for (uint16_t i = 0; i < head.n; i++) {
		struct sq_entry e = sq_batch_next(&rest);

		cr_assert(e.kind == SQ_ENTRY_RELEASE || e.packet_id == 0);
		if (head.first + i <= last)
			continue;
		last++;
		if (e.kind == SQ_ENTRY_MESSAGE && codes[i] < 0x80) {
			cr_assert_lt(n_taken, (unsigned)TAKEN_MAX);
			taken[n_taken++] = sq_get32(sq_image_payload(e.image).p);
		}
	}
}

/* Takes and answers one batch; false: there is none. */
static bool
round_trip(struct sq_outbox_store *st, uint64_t now_ms, uint8_t code)
{
	struct sq_outbox_batch *b = sq_outbox_store_take(st, now_ms);
	uint8_t codes[8192];
	struct sq_outcomes o;

	if (b == NULL)
		return false;
	memset(codes, code, sizeof codes);
	broker_takes(b, codes);
	o = (struct sq_outcomes){.first = b->first, .n = b->n, .codes = codes};
	cr_assert_eq(sq_outbox_store_answered(st, &b, &o, now_ms), 0);
	(void)sq_outbox_store_turn(st);
	return true;
}

static void
drain(struct sq_outbox_store *st, uint64_t now_ms)
{
	struct timespec until;

	while (!sq_outbox_store_idle(st)) {
		if (round_trip(st, now_ms, 0))
			continue;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 10;
		cr_assert_eq(sem_timedwait(&woken, &until), 0, "it neither sends nor syncs");
		(void)sq_outbox_store_turn(st);
	}
}

/* All of 0 to n-1, once and in order. */
static void
check_taken(unsigned n)
{
	cr_assert_eq(n_taken, n, "%u of %u", n_taken, n);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(taken[i], i, "%u at %u", taken[i], i);
}

Test(outbox_store, is_acknowledged_when_synced_and_sent_when_attached)
{
	struct sq_outbox_store *st = open_store(64 << 20);

	cr_assert_eq(publish(st, 0, 1, 1, 100), 0);
	cr_assert_eq(acked, 0u, "acknowledged before it is synced");
	until_acked(st, 1);
	cr_assert_null(sq_outbox_store_take(st, 0), "sent without an attachment");
	sq_outbox_store_attached(st, 7, 0, 99);
	drain(st, 0);
	check_taken(1);
	cr_assert_eq(lane_run, 99u);
	sq_outbox_store_close(&st);
}

Test(outbox_store, goes_on_with_run_and_numbers_after_a_restart)
{
	struct sq_outbox_store *st = open_store(64 << 20);
	uint64_t id = sq_outbox_store_id(st);

	sq_outbox_store_attached(st, 7, 0, 99);
	publish_many(st, 0, 500, 1000);
	until_acked(st, 500);
	for (int i = 0; i < 5; i++)
		cr_assert(round_trip(st, 0, 0));
	cr_assert_gt(n_taken, 0u);
	kill_store(&st);
	st = open_store(64 << 20);
	cr_assert_eq(sq_outbox_store_id(st), id);
	cr_assert_eq(sq_outbox_store_incarnation(st), 7u);
	sq_outbox_store_attached(st, 7, last, 100);
	drain(st, 0);
	check_taken(500);
	cr_assert_eq(lane_run, 99u, "a new run without need");
	sq_outbox_store_close(&st);
}

/* Its session is another account's: what was not answered goes to another session. */
static void
renew(struct sq_outbox_store *st, bool restarts)
{
	uint64_t id = sq_outbox_store_id(st), renewed;
	struct sq_outbox_batch *b;
	struct sq_buf err = {0};
	unsigned answered;

	sq_outbox_store_attached(st, 7, 0, 99);
	publish_many(st, 0, 500, 1000);
	until_acked(st, 500);
	for (int i = 0; i < 5; i++)
		cr_assert(round_trip(st, 0, 0));
	answered = n_taken;
	b = sq_outbox_store_take(st, 0);
	cr_assert_not_null(b);
	broker_takes(b, (const uint8_t[8192]){0});
	cr_assert_gt(n_taken, answered);
	sq_outbox_store_failed(st, &b); /* the answer is lost */
	cr_assert_eq(sq_outbox_store_renew(st, &err), 0);
	renewed = sq_outbox_store_id(st);
	cr_assert_neq(renewed, id);
	cr_assert_null(sq_outbox_store_take(st, 0), "sent before the new one is attached");
	if (restarts) {
		kill_store(&st);
		st = open_store(64 << 20);
		cr_assert_eq(sq_outbox_store_id(st), renewed);
	}
	last = n_taken = 0; /* another session */
	sq_outbox_store_attached(st, 8, 0, 100);
	drain(st, 0);
	cr_assert_eq(taken[0], answered, "from the first one without an answer");
	cr_assert_eq(n_taken, 500 - answered);
	for (unsigned i = 0; i < n_taken; i++)
		cr_assert_eq(taken[i], answered + i);
	cr_assert_eq(lane_run, 100u);
	sq_outbox_store_close(&st);
}

Test(outbox_store, goes_on_in_another_session_where_its_own_is_taken)
{
	renew(open_store(64 << 20), false);
}

Test(outbox_store, goes_on_there_after_a_restart)
{
	renew(open_store(64 << 20), true);
}

Test(outbox_store, a_lost_run_repeats_nothing)
{
	struct sq_outbox_store *st = open_store(64 << 20);
	struct sq_outbox_batch *b;
	uint8_t codes[8192] = {0};

	sq_outbox_store_attached(st, 7, 0, 99);
	publish_many(st, 0, 3000, 1000); /* more than memory takes */
	until_acked(st, 3000);
	(void)sq_outbox_store_turn(st);
	while ((b = sq_outbox_store_take(st, 0)) == NULL) {
		sem_wait(&woken);
		(void)sq_outbox_store_turn(st);
	}
	broker_takes(b, codes); /* and its answer is lost */
	sq_outbox_store_failed(st, &b);
	kill_store(&st);
	st = open_store(64 << 20);
	sq_outbox_store_attached(st, 7, last, 100);
	(void)sq_outbox_store_turn(st);
	b = sq_outbox_store_take(st, 0);
	cr_assert_not_null(b);
	sq_outbox_store_run_lost(st, &b);
	cr_assert_null(sq_outbox_store_take(st, 0), "it must attach first");
	sq_outbox_store_attached(st, 7, last, 101);
	drain(st, 0);
	check_taken(3000);
	cr_assert_eq(lane_run, 101u);
	sq_outbox_store_close(&st);
}

Test(outbox_store, a_lost_session_gets_everything_again)
{
	struct sq_outbox_store *st = open_store(64 << 20);

	sq_outbox_store_attached(st, 7, 0, 99);
	publish_many(st, 0, 100, 100);
	until_acked(st, 100);
	last = 0;
	sq_outbox_store_attached(st, 8, 0, 100);
	drain(st, 0);
	check_taken(100);
	cr_assert_eq(sq_outbox_store_incarnation(st), 8u);
	sq_outbox_store_close(&st);
}

Test(outbox_store, a_refused_message_comes_before_those_behind_it)
{
	struct sq_outbox_store *st = open_store(64 << 20);
	uint64_t now = 1000;

	sq_outbox_store_attached(st, 7, 0, 99);
	publish_many(st, 0, 1000, 1000);
	until_acked(st, 1000);
	while (!round_trip(st, now, 0x97)) {
		sem_wait(&woken);
		(void)sq_outbox_store_turn(st);
	}
	cr_assert_eq(n_taken, 0u);
	cr_assert_null(sq_outbox_store_take(st, now), "no wait after a refusal");
	cr_assert_gt(sq_outbox_store_due(st), now);
	drain(st, now + 10000);
	check_taken(1000);
	cr_assert_eq(dropped, 0u);
	cr_assert_gt(refused, 0u);
	sq_outbox_store_close(&st);
}

Test(outbox_store, what_is_refused_for_good_is_counted)
{
	struct sq_outbox_store *st = open_store(64 << 20);

	sq_outbox_store_attached(st, 7, 0, 99);
	cr_assert_eq(publish(st, 0, 2, 9, 100), 0);
	until_acked(st, 1);
	while (!round_trip(st, 0, 0x87)) {
		sem_wait(&woken);
		(void)sq_outbox_store_turn(st);
	}
	cr_assert_eq(dropped, 1u);
	cr_assert(sq_outbox_store_idle(st));
	cr_assert_eq(publish(st, 0, 2, 10, 100), 0);
	until_acked(st, 2);
	while (!round_trip(st, 0, 0x83)) {
		sem_wait(&woken);
		(void)sq_outbox_store_turn(st);
	}
	cr_assert_eq(dropped, 2u, "what asks for what can't be had holds nothing up");
	cr_assert(sq_outbox_store_idle(st));
	sq_outbox_store_close(&st);
}

Test(outbox_store, what_is_too_large_uses_its_number_up)
{
	struct sq_outbox_store *st = open_store(64 << 20);
	struct sq_outbox_batch *b;

	sq_outbox_store_attached(st, 7, 0, 99);
	cr_assert_eq(publish(st, 7, 1, 9, 100000), 0);
	cr_assert_eq(publish(st, 0, 1, 10, 100), 0);
	until_acked(st, 2);
	while ((b = sq_outbox_store_take(st, 0)) == NULL) {
		sem_wait(&woken);
		(void)sq_outbox_store_turn(st);
	}
	cr_assert_eq(b->n, 1);
	sq_outbox_store_too_big(st, &b);
	drain(st, 0);
	cr_assert_eq(dropped, 1u);
	check_taken(1);
	sq_outbox_store_close(&st);
}

Test(outbox_store, is_full_at_its_size_and_has_room_again)
{
	struct sq_outbox_store *st = open_store(1 << 20);
	unsigned n = 0;
	int rc;

	for (unsigned tries = 0; tries < 1000; tries++) {
		while ((rc = publish(st, n, 1, (uint16_t)(n + 1), 10000)) == 0)
			n++;
		cr_assert_eq(rc, SQ_EAGAIN);
		until_acked(st, n);
		if (sq_outbox_store_bytes(st) + 10100 > 1 << 20)
			break;
	}
	cr_assert_leq(sq_outbox_store_bytes(st), 1u << 20);
	cr_assert_gt(n, 95u);
	sq_outbox_store_attached(st, 7, 0, 99);
	drain(st, 0);
	check_taken(n);
	cr_assert_eq(publish(st, n, 1, 1, 10000), 0, "no room after all was taken");
	until_acked(st, n + 1);
	sq_outbox_store_close(&st);
}

Test(outbox_store, runs_through_many_times_its_size)
{
	struct sq_outbox_store *st = open_store(4 << 20);

	sq_outbox_store_attached(st, 7, 0, 99);
	for (unsigned n = 0; n < 4000; n++) { /* 40 MB */
		while (publish(st, n, 1, (uint16_t)(n + 1), 10000) == SQ_EAGAIN) {
			if (!round_trip(st, 0, 0)) {
				sem_wait(&woken);
				(void)sq_outbox_store_turn(st);
			}
		}
	}
	drain(st, 0);
	check_taken(4000);
	sq_outbox_store_close(&st);
}

Test(outbox_store, holds_qos_2_ids_over_a_restart)
{
	struct sq_outbox_store *st = open_store(64 << 20);

	cr_assert_eq(publish(st, 0, 2, 9, 100), 0);
	cr_assert_eq(publish(st, 5, 2, 10, 100), 0);
	cr_assert_eq(sq_outbox_store_release(st, &port, "app", 10), 0);
	until_acked(st, 2);
	kill_store(&st);
	st = open_store(64 << 20);
	cr_assert(sq_outbox_store_holds(st, "app", 9));
	cr_assert_not(sq_outbox_store_holds(st, "app", 10));
	cr_assert_not(sq_outbox_store_holds(st, "other", 9));
	cr_assert_eq(publish(st, 0, 2, 9, 100), 0, "the same message again");
	until_acked(st, 3);
	cr_assert_eq(sq_outbox_store_release(st, &port, "app", 9), 0);
	cr_assert_eq(publish(st, 1, 2, 9, 100), 0, "the id's next message");
	until_acked(st, 4);
	cr_assert_eq(pubcomps, 2u);
	sq_outbox_store_attached(st, 7, 0, 99);
	drain(st, 0);
	cr_assert_eq(n_taken, 3u);
	cr_assert(taken[0] == 0 && taken[1] == 5 && taken[2] == 1);
	sq_outbox_store_forget(st, "app");
	cr_assert_not(sq_outbox_store_holds(st, "app", 9));
	kill_store(&st);
	st = open_store(64 << 20);
	cr_assert_not(sq_outbox_store_holds(st, "app", 9));
	sq_outbox_store_close(&st);
}

Test(outbox_store, belongs_to_one_process)
{
	struct sq_outbox_store *st = open_store(1 << 20), *other;
	struct sq_outbox_store_cfg cfg = {.dir = dir, .size = 1 << 20, .wake = on_wake};
	struct sq_buf err = {0};

	cr_assert_eq(sq_outbox_store_open(&other, &cfg, &err), SQ_EEXIST);
	cr_assert_null(other);
	cr_assert_gt(sq_buf_len(&err), 0u);
	sq_buf_fini(&err);
	sq_outbox_store_close(&st);
}

Test(outbox_store, sends_nothing_from_a_bar_on)
{
	struct sq_outbox_store *st = open_store(64 << 20);

	sq_outbox_store_attached(st, 7, 0, 99);
	cr_assert_eq(sq_outbox_store_outcomes(st), 0u);
	publish_many(st, 0, 5, 100);
	cr_assert_eq(port.last, 5u, "sequences of messages count from 1");
	sq_outbox_store_bar(st, 4);
	until_acked(st, 5); /* the app does not wait for it */
	while (round_trip(st, 0, 0))
		;
	check_taken(3);
	cr_assert_eq(sq_outbox_store_outcomes(st), 3u);
	sq_outbox_store_bar(st, 5);
	while (round_trip(st, 0, 0))
		;
	check_taken(4);
	sq_outbox_store_bar(st, UINT64_MAX);
	drain(st, 0);
	check_taken(5);
	cr_assert_eq(sq_outbox_store_outcomes(st), 5u);
	sq_outbox_store_close(&st);
}

/* What is behind is sent again under other numbers; the refused one had its outcome. */
Test(outbox_store, a_refusal_is_an_outcome)
{
	struct sq_outbox_store *st = open_store(64 << 20);

	sq_outbox_store_attached(st, 7, 0, 99);
	publish_many(st, 0, 1, 100);
	until_acked(st, 1);
	cr_assert(round_trip(st, 0, 0x97));
	cr_assert_eq(refused, 1u);
	cr_assert_eq(sq_outbox_store_outcomes(st), 1u);
	publish_many(st, 1, 3, 100);
	sq_outbox_store_bar(st, 3);
	until_acked(st, 3);
	cr_assert_eq(sq_outbox_store_outcomes(st), 1u, "the next one waits behind it");
	for (uint64_t now_ms = 0; sq_outbox_store_outcomes(st) < 2; now_ms += 1000) {
		while (round_trip(st, now_ms, 0))
			;
		(void)sq_outbox_store_turn(st);
	}
	check_taken(2);
	sq_outbox_store_bar(st, UINT64_MAX);
	drain(st, UINT64_MAX / 2);
	check_taken(3);
	sq_outbox_store_close(&st);
}

/* Those that memory does not hold are behind all that it holds. */
Test(outbox_store, outcomes_are_known_of_what_is_read_back)
{
	struct sq_outbox_store *st = open_store(64 << 20);
	uint64_t seen = 0;

	sq_outbox_store_attached(st, 7, 0, 99);
	publish_many(st, 0, 3000, 1000);
	until_acked(st, 3000);
	sq_outbox_store_bar(st, 2900);
	while (sq_outbox_store_outcomes(st) < 2899) {
		while (round_trip(st, 0, 0)) {
			cr_assert_geq(sq_outbox_store_outcomes(st), seen);
			seen = sq_outbox_store_outcomes(st);
			cr_assert_eq(n_taken, seen);
		}
		(void)sq_outbox_store_turn(st);
	}
	check_taken(2899);
	sq_outbox_store_bar(st, UINT64_MAX);
	drain(st, 0);
	check_taken(3000);
	sq_outbox_store_close(&st);
}
