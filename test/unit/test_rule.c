/* store/shared/rule: each rule by its name, one broker on a log that the test plays. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "store/shared/rule.h"

enum { STORE = 77, OWNER = 500, T0 = 1000000 };

/* A broker, its clock, and the head that it is shown. */
struct play {
	struct sq_rule *rule;
	struct sq_rule_wish wish;
	struct sq_rule_step step;
	struct sq_shared_head head;
	uint64_t now, drawn;
};

static uint64_t
draw(void *arg)
{
	return ++*(uint64_t *)arg;
}

static uint64_t
chain_of(uint64_t lsn)
{
	return 9000 + lsn;
}

static struct play *
begin(uint64_t applied)
{
	static struct play p;
	struct sq_rule_cfg cfg = {.store = STORE,
	    .applied = applied,
	    .needs = applied,
	    .chain = applied > 0 ? chain_of(applied) : 0,
	    .draw = draw,
	    .arg = &p.drawn,
	    .isolated_ms = 60000};

	p = (struct play){.now = T0, .drawn = 1000 * SQ_RULE_CHANCE_MS, .wish.may_claim = true};
	p.head = (struct sq_shared_head){.store = STORE,
	    .epoch = 3,
	    .nonce = OWNER,
	    .beats = 1,
	    .last = applied,
	    .first = 1,
	    .sure = applied,
	    .holder = "other"};
	p.rule = sq_rule_new(&cfg);
	return &p;
}

static enum sq_rule_what
next(struct play *p)
{
	sq_rule_next(p->rule, p->now, &p->wish, &p->step);
	return p->step.what;
}

/* The next step that is not rest; the clock goes there. */
static enum sq_rule_what
wait_next(struct play *p)
{
	while (next(p) == SQ_RULE_REST) {
		cr_assert_gt(p->step.until_ms, p->now);
		p->now = p->step.until_ms;
	}
	return p->step.what;
}

static void
dial(struct play *p)
{
	cr_assert_eq(wait_next(p), SQ_RULE_DIAL);
	sq_rule_dialled(p->rule, p->now, true);
}

static enum sq_rule_verdict
offer(struct play *p, uint64_t lsn, uint64_t sure)
{
	return sq_rule_record(p->rule, lsn, p->head.epoch, sure, chain_of(lsn), true);
}

/* Carries out a READ: records up to the head's last, each saying that the one before is sure. */
static void
do_read(struct play *p)
{
	cr_assert_eq(p->step.what, SQ_RULE_READ);
	sq_rule_head(p->rule, p->now, &p->head);
	for (uint64_t lsn = p->step.from + 1; lsn <= p->head.last; lsn++) {
		enum sq_rule_verdict v = offer(p, lsn, lsn - 1);

		if (v == SQ_RULE_APPLY || v == SQ_RULE_OURS)
			sq_rule_applied(p->rule, true);
	}
	sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
}

/* Follows until something else than a read is due, for 'ms' at most. */
static enum sq_rule_what
follow(struct play *p, uint64_t ms)
{
	uint64_t end = p->now + ms;

	while (wait_next(p) == SQ_RULE_READ && p->now <= end)
		do_read(p);
	return p->step.what;
}

static void
claimed(struct play *p, enum sq_shared_result result)
{
	cr_assert_eq(p->step.what, SQ_RULE_CLAIM);
	if (result == SQ_SHARED_DONE) {
		p->head.epoch += p->head.nonce != p->step.nonce;
		p->head.nonce = p->step.nonce;
		snprintf(p->head.holder, sizeof p->head.holder, "me");
	}
	sq_rule_claimed(p->rule, p->now, p->now, result, &p->head);
}

/* A broker that owns a log of that many records, and has beaten. */
static struct play *
owner(uint64_t applied)
{
	struct play *p = begin(applied);

	p->head.holder[0] = '\0';
	dial(p);
	cr_assert_eq(follow(p, 1000), SQ_RULE_CLAIM);
	claimed(p, SQ_SHARED_DONE);
	cr_assert_eq(follow(p, 1000), SQ_RULE_BEAT);
	sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_OWNS);
	return p;
}

static void
append(struct play *p)
{
	p->wish.append = true;
	cr_assert_eq(wait_next(p), SQ_RULE_APPEND);
	sq_rule_sealed(p->rule, chain_of(p->step.lsn));
}

static void
end(struct play *p)
{
	sq_rule_free(&p->rule);
	cr_assert_null(p->rule);
}

Test(rule, r1_one_append_in_flight_that_says_sure_of_the_one_before)
{
	struct play *p = owner(4);

	for (uint64_t lsn = 5; lsn < 8; lsn++) {
		append(p);
		cr_assert_eq(p->step.lsn, lsn);
		cr_assert_eq(p->step.sure, lsn - 1);
		cr_assert_eq(p->step.nonce, p->head.nonce);
		cr_assert_eq(p->step.epoch, 4);
		cr_assert(!p->step.again);
		cr_assert(sq_rule_in_flight(p->rule));
		sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_DONE);
		cr_assert(!sq_rule_in_flight(p->rule));
		cr_assert_eq(sq_rule_applied_lsn(p->rule), lsn);
		cr_assert_eq(sq_rule_chain(p->rule), chain_of(lsn));
	}
	end(p);
}

/* Every end that is not DONE: hang up, dial, claim one's own nonce with a new one, the same until it is
 * answered. */
static void
unknown_until_claimed(struct play *p, enum sq_shared_result result)
{
	uint64_t was = p->head.nonce, nonce;

	append(p);
	sq_rule_appended(p->rule, p->now, p->now, result);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_RECLAIMS);
	dial(p);
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	cr_assert_eq(p->step.expected, was);
	nonce = p->step.nonce;
	cr_assert_neq(nonce, was);
	for (unsigned i = 0; i < 3; i++) {
		claimed(p, SQ_SHARED_UNKNOWN);
		cr_assert(sq_rule_in_flight(p->rule));
		dial(p);
		cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
		cr_assert_eq(p->step.expected, was);
		cr_assert_eq(p->step.nonce, nonce);
	}
}

Test(rule, r2_unknown_and_there)
{
	struct play *p = owner(4);
	enum sq_rule_verdict v;

	unknown_until_claimed(p, SQ_SHARED_UNKNOWN);
	p->head.last = 5;
	claimed(p, SQ_SHARED_DONE);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_CATCHES);
	cr_assert_eq(wait_next(p), SQ_RULE_READ);
	cr_assert_eq(p->step.from, 3);
	sq_rule_head(p->rule, p->now, &p->head);
	cr_assert_eq(offer(p, 4, 3), SQ_RULE_SKIP);
	v = sq_rule_record(p->rule, 5, 4, 4, chain_of(5), true);
	cr_assert_eq(v, SQ_RULE_OURS);
	sq_rule_applied(p->rule, true);
	cr_assert(!sq_rule_in_flight(p->rule));
	sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_OWNS);
	cr_assert_eq(sq_rule_epoch(p->rule), 5);
	end(p);
}

Test(rule, r2_unknown_and_not_there)
{
	static const enum sq_shared_result ends[] = {SQ_SHARED_UNKNOWN, SQ_SHARED_REFUSED};

	for (unsigned i = 0; i < 2; i++) {
		struct play *p = owner(4);

		unknown_until_claimed(p, ends[i]);
		claimed(p, SQ_SHARED_DONE);
		cr_assert(sq_rule_in_flight(p->rule));
		cr_assert_eq(follow(p, 100), SQ_RULE_BEAT);
		cr_assert(!sq_rule_in_flight(p->rule));
		sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
		cr_assert_eq(wait_next(p), SQ_RULE_APPEND);
		cr_assert_eq(p->step.lsn, 5);
		cr_assert(!p->step.again);
		end(p);
	}
}

Test(rule, r2_a_beat_without_an_answer_is_unknown_too)
{
	struct play *p = owner(0);

	p->wish.append = false;
	cr_assert_eq(wait_next(p), SQ_RULE_BEAT);
	sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_UNKNOWN);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_RECLAIMS);
	dial(p);
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	claimed(p, SQ_SHARED_DONE); /* an empty log has nothing to read */
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_OWNS);
	sq_rule_broke(p->rule);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_RECLAIMS);
	end(p);
}

Test(rule, r2_a_new_connection_needs_a_claim_of_its_own)
{
	struct play *p = owner(4);
	uint64_t nonce;

	unknown_until_claimed(p, SQ_SHARED_UNKNOWN);
	nonce = p->step.nonce;
	claimed(p, SQ_SHARED_DONE);
	cr_assert_eq(wait_next(p), SQ_RULE_READ);
	sq_rule_read(p->rule, p->now, SQ_SHARED_UNKNOWN);
	dial(p);
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	cr_assert_eq(p->step.nonce, nonce);
	claimed(p, SQ_SHARED_DONE);
	cr_assert_eq(follow(p, 100), SQ_RULE_BEAT);
	end(p);
}

Test(rule, r3_an_owner_whose_claim_is_refused_is_fenced_for_ever)
{
	struct play *p = owner(4);

	unknown_until_claimed(p, SQ_SHARED_UNKNOWN);
	claimed(p, SQ_SHARED_REFUSED);
	for (unsigned i = 0; i < 3; i++, p->now += 100000) {
		cr_assert_eq(next(p), SQ_RULE_STOP);
		cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_FENCED);
		cr_assert(sq_rule_in_flight(p->rule), "nothing is known of it");
		cr_assert(!sq_rule_leased(p->rule, p->now));
	}
	cr_assert_str_eq(sq_rule_why(p->rule), "another broker has claimed the log after record 4");
	end(p);
}

Test(rule, r4_a_follower_applies_what_is_sure)
{
	struct play *p = begin(4);

	p->wish.may_claim = false;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	cr_assert_eq(p->step.from, 3);
	p->head.last = 7;
	do_read(p); /* 5 and 6 are made sure of by those behind them, too late in this read */
	cr_assert_eq(sq_rule_applied_lsn(p->rule), 4);
	cr_assert_eq(wait_next(p), SQ_RULE_READ);
	cr_assert_eq(p->step.from, 4);
	do_read(p);
	cr_assert_eq(sq_rule_applied_lsn(p->rule), 6);
	p->head.sure = 7; /* a beat */
	cr_assert_eq(wait_next(p), SQ_RULE_READ);
	do_read(p);
	cr_assert_eq(sq_rule_applied_lsn(p->rule), 7);
	end(p);
}

Test(rule, r4_one_looked_ahead_is_read_once)
{
	struct play *p = begin(0);

	p->head.last = 3;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	sq_rule_head(p->rule, p->now, &p->head);
	sq_rule_sure(p->rule, 2);
	for (uint64_t lsn = 1; lsn <= 2; lsn++) {
		cr_assert_eq(offer(p, lsn, lsn - 1), SQ_RULE_APPLY);
		sq_rule_applied(p->rule, true);
	}
	cr_assert_eq(offer(p, 3, 2), SQ_RULE_LATER);
	sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
	end(p);
}

Test(rule, r4_sure_counts_on_its_connection_alone)
{
	struct play *p = begin(0);

	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	sq_rule_head(p->rule, p->now, &p->head);
	sq_rule_sure(p->rule, 1);
	sq_rule_read(p->rule, p->now, SQ_SHARED_UNKNOWN);
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	p->head.last = 1;
	sq_rule_head(p->rule, p->now, &p->head);
	cr_assert_eq(offer(p, 1, 0), SQ_RULE_LATER);
	sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
	end(p);
}

Test(rule, r5_a_candidate_owns_once_it_has_all_of_the_log)
{
	struct play *p = begin(4);

	p->head.last = 6;
	p->head.sure = 5;
	dial(p);
	cr_assert_eq(follow(p, 10000), SQ_RULE_CLAIM);
	cr_assert_eq(p->step.expected, OWNER);
	cr_assert_eq(sq_rule_applied_lsn(p->rule), 5);
	p->head.last = 7;
	claimed(p, SQ_SHARED_DONE);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_CATCHES);
	cr_assert(!sq_rule_leased(p->rule, p->now));
	p->head.last = 8; /* another has claimed since, and appended */
	cr_assert_eq(wait_next(p), SQ_RULE_READ);
	do_read(p);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_OWNS);
	cr_assert_eq(sq_rule_applied_lsn(p->rule), 7);
	end(p);
}

Test(rule, r5_only_an_answered_claim_makes_an_owner)
{
	struct play *p = begin(0);
	uint64_t nonce;

	dial(p);
	cr_assert_eq(follow(p, 10000), SQ_RULE_CLAIM);
	nonce = p->step.nonce;
	claimed(p, SQ_SHARED_UNKNOWN);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_CLAIMS);
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_CLAIM);
	cr_assert_eq(p->step.nonce, nonce);
	claimed(p, SQ_SHARED_REFUSED);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_FOLLOWS);
	cr_assert_eq(follow(p, SQ_RULE_SILENCE_MS - 100), SQ_RULE_READ);
	end(p);
}

Test(rule, r6_a_shorter_log_is_diverged_until_it_is_good_again)
{
	struct play *p = begin(4);

	p->head.last = p->head.sure = 3;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	do_read(p);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_DIVERGED);
	cr_assert_str_eq(
	    sq_rule_why(p->rule), "the log ends at record 3, and records up to 4 were applied");
	for (unsigned i = 0; i < 20; i++) { /* it looks, and never claims */
		dial(p);
		cr_assert_eq(next(p), SQ_RULE_READ);
		do_read(p);
		cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_DIVERGED);
	}
	p->head.last = 5;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	do_read(p);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_FOLLOWS);
	cr_assert_str_empty(sq_rule_why(p->rule));
	end(p);
}

Test(rule, r6_what_was_made_durable_counts_too)
{
	struct play *p;
	struct sq_rule_cfg cfg;

	p = begin(4);
	cfg = (struct sq_rule_cfg){.store = STORE,
	    .applied = 4,
	    .chain = chain_of(4),
	    .needs = 6,
	    .draw = draw,
	    .arg = &p->drawn};
	sq_rule_free(&p->rule);
	p->rule = sq_rule_new(&cfg);
	p->head.last = 5;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	do_read(p);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_DIVERGED);
	end(p);
}

Test(rule, r6_another_chain_or_store_is_diverged)
{
	for (unsigned i = 0; i < 4; i++) {
		struct play *p = begin(4);
		enum sq_rule_verdict v = SQ_RULE_BAD;

		p->head.last = 5;
		p->head.sure = 5;
		p->head.store += i == 3;
		dial(p);
		cr_assert_eq(next(p), SQ_RULE_READ);
		sq_rule_head(p->rule, p->now, &p->head);
		if (i == 0) {
			v = sq_rule_record(p->rule, 4, 3, 3, 1, true);
		} else if (i < 3) {
			cr_assert_eq(sq_rule_record(p->rule, 4, 3, 3, chain_of(4), i != 1),
			    i == 1 ? SQ_RULE_BAD : SQ_RULE_SKIP);
			if (i == 2)
				v = sq_rule_record(p->rule, 5, 3, 4, chain_of(5), false);
		}
		cr_assert_eq(v, SQ_RULE_BAD);
		cr_assert_eq(offer(p, 5, 5), SQ_RULE_LATER, "nothing more is applied");
		sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
		cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_DIVERGED);
		cr_assert_str_not_empty(sq_rule_why(p->rule));
		end(p);
	}
}

/* Another's record where the owner's own would be: the log broke its promise. */
Test(rule, r6_an_owner_that_diverges_stops)
{
	struct play *p = owner(4);

	unknown_until_claimed(p, SQ_SHARED_UNKNOWN);
	p->head.last = 5;
	claimed(p, SQ_SHARED_DONE);
	cr_assert_eq(wait_next(p), SQ_RULE_READ);
	sq_rule_head(p->rule, p->now, &p->head);
	cr_assert_eq(offer(p, 4, 3), SQ_RULE_SKIP);
	cr_assert_eq(sq_rule_record(p->rule, 5, 5, 4, 1, true), SQ_RULE_BAD);
	sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
	cr_assert_eq(next(p), SQ_RULE_STOP);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_DIVERGED);
	end(p);
}

/* A server that was left behind is dialled away from; after a time it is all there is. */
Test(rule, stale_server)
{
	struct play *p = begin(4);
	uint64_t since;

	p->head.epoch = 9;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	do_read(p);
	sq_rule_broke(p->rule);
	p->head.epoch = 8;
	p->head.last = p->head.sure = 2;
	dial(p);
	since = p->now;
	while (sq_rule_state(p->rule) == SQ_RULE_FOLLOWS) {
		cr_assert_eq(next(p), SQ_RULE_READ);
		do_read(p);
		if (sq_rule_state(p->rule) == SQ_RULE_FOLLOWS)
			dial(p);
	}
	cr_assert_geq(p->now - since, SQ_RULE_STALE_MS);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_DIVERGED);
	end(p);
}

Test(rule, dropped_records_need_a_snapshot)
{
	struct play *p = begin(4);

	p->head.first = 6;
	p->head.last = 9;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	do_read(p);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_LOST);
	cr_assert_eq(next(p), SQ_RULE_STOP);
	cr_assert_str_eq(sq_rule_why(p->rule),
	    "the log begins at record 6, and records up to 4 were applied: needs a snapshot");
	end(p);
}

Test(rule, the_last_applied_record_may_have_been_dropped)
{
	struct play *p = begin(4);

	p->head.first = 5;
	p->head.last = p->head.sure = 6;
	dial(p);
	cr_assert_eq(next(p), SQ_RULE_READ);
	sq_rule_head(p->rule, p->now, &p->head);
	cr_assert_eq(offer(p, 5, 4), SQ_RULE_APPLY);
	sq_rule_applied(p->rule, true);
	sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
	end(p);
}

Test(rule, silence_is_the_same_head_in_answered_reads)
{
	struct play *p = begin(4);
	uint64_t since;

	dial(p);
	since = p->now;
	cr_assert_eq(follow(p, 10000), SQ_RULE_CLAIM);
	cr_assert_geq(p->now - since, SQ_RULE_SILENCE_MS);
	cr_assert_leq(p->now - since, SQ_RULE_SILENCE_MS + SQ_RULE_CHANCE_MS + SQ_RULE_REST_MS);
	end(p);
}

/* A log that answers readers, and no writer: the owner's next claim is there before a follower's. */
Test(rule, an_owner_whose_beat_hangs_claims_before_others)
{
	struct play *p = owner(4), follower;
	uint64_t beat = p->now, claims;

	cr_assert_eq(wait_next(p), SQ_RULE_BEAT);
	p->now += 2000; /* the deadline */
	sq_rule_beaten(p->rule, p->now - 2000, p->now, SQ_SHARED_UNKNOWN);
	dial(p);
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	claims = p->now - beat;
	end(p);
	follower = *begin(4);
	dial(&follower);
	cr_assert_eq(follow(&follower, 10000), SQ_RULE_CLAIM);
	cr_assert_gt(follower.now - T0, claims + SQ_RULE_DIAL_MS);
	end(&follower);
}

/* Each sign of life, a lost connection, and a pause, in which reads say nothing. */
Test(rule, silence_begins_anew)
{
	for (unsigned i = 0; i < 6; i++) {
		struct play *p = begin(4);

		dial(p);
		cr_assert_eq(follow(p, SQ_RULE_SILENCE_MS - 100), SQ_RULE_READ);
		p->head.beats += i == 0;
		p->head.last += i == 1;
		p->head.nonce += i == 2;
		if (i == 3) {
			sq_rule_read(p->rule, p->now, SQ_SHARED_UNKNOWN);
			dial(p);
		}
		p->now += i == 4 ? 60000 : 0;
		cr_assert_eq(
		    follow(p, SQ_RULE_SILENCE_MS - 100), i == 5 ? SQ_RULE_CLAIM : SQ_RULE_READ);
		cr_assert_eq(follow(p, 10000), SQ_RULE_CLAIM);
		end(p);
	}
}

Test(rule, chance_keeps_candidates_apart)
{
	uint64_t waits[2];

	for (unsigned i = 0; i < 2; i++) {
		struct play *p = begin(4);

		p->drawn += i * 200;
		dial(p);
		cr_assert_eq(follow(p, 10000), SQ_RULE_CLAIM);
		waits[i] = p->now - T0;
		end(p);
	}
	cr_assert_geq(waits[1], waits[0] + 150);
}

Test(rule, the_standby_comes_first)
{
	uint64_t waits[2];

	for (unsigned i = 0; i < 2; i++) {
		struct play *p = begin(4);

		p->drawn += 250;
		p->wish.next = i == 1;
		dial(p);
		cr_assert_eq(follow(p, 10000), SQ_RULE_CLAIM);
		waits[i] = p->now - T0;
		end(p);
	}
	cr_assert_geq(waits[0], waits[1] + 150);
	cr_assert_geq(waits[1], SQ_RULE_SILENCE_MS);
}

Test(rule, a_log_that_nobody_holds_is_claimed_at_once)
{
	for (unsigned i = 0; i < 2; i++) {
		struct play *p = begin(0);

		if (i == 0)
			p->head.holder[0] = '\0';
		else
			p->head.nonce = p->head.epoch = 0;
		dial(p);
		cr_assert_eq(follow(p, 1000), SQ_RULE_CLAIM);
		cr_assert_leq(p->now - T0, SQ_RULE_HURRY_MS + SQ_RULE_REST_MS);
		cr_assert_eq(p->step.expected, p->head.nonce);
		end(p);
	}
}

Test(rule, nobody_claims_who_may_not)
{
	for (unsigned i = 0; i < 3; i++) {
		struct play *p = begin(0);

		p->wish.may_claim = i != 0;
		p->head.moved = i == 1;
		p->head.holder[0] = '\0';
		dial(p);
		if (i == 2) { /* a format that is not known */
			cr_assert_eq(next(p), SQ_RULE_READ);
			p->head.last = p->head.sure = 1;
			sq_rule_head(p->rule, p->now, &p->head);
			cr_assert_eq(offer(p, 1, 0), SQ_RULE_APPLY);
			sq_rule_applied(p->rule, false);
			sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
		}
		for (unsigned n = 0; n < 200; n++) {
			cr_assert_eq(wait_next(p), SQ_RULE_READ);
			sq_rule_head(p->rule, p->now, &p->head);
			if (i == 2) {
				cr_assert_eq(offer(p, 1, 0), SQ_RULE_APPLY);
				sq_rule_applied(p->rule, false);
			}
			sq_rule_read(p->rule, p->now, SQ_SHARED_DONE);
		}
		cr_assert_gt(p->now - T0, SQ_RULE_SILENCE_MS);
		cr_assert_eq(sq_rule_applied_lsn(p->rule), 0);
		end(p);
	}
}

Test(rule, lease_is_of_calls_that_were_sent_lately)
{
	struct play *p = owner(4);
	uint64_t sent;

	append(p);
	sent = p->now += 100;
	p->now += 400; /* a slow answer */
	sq_rule_appended(p->rule, sent, p->now, SQ_SHARED_DONE);
	cr_assert(sq_rule_leased(p->rule, sent + SQ_RULE_LEASE_MS - 1));
	cr_assert(!sq_rule_leased(p->rule, sent + SQ_RULE_LEASE_MS));
	append(p); /* that it could not be done says nothing of who owns */
	p->now = sent + SQ_RULE_LEASE_MS;
	sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_NOT_DONE);
	cr_assert(!sq_rule_leased(p->rule, p->now));
	end(p);
}

Test(rule, not_done_is_the_same_record_again)
{
	struct play *p = owner(4);
	uint64_t at;

	append(p);
	for (unsigned i = 0; i < 50; i++) {
		at = p->now;
		sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_NOT_DONE);
		cr_assert(sq_rule_in_flight(p->rule));
		while (wait_next(p) == SQ_RULE_BEAT)
			sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
		cr_assert_eq(p->step.what, SQ_RULE_APPEND);
		cr_assert(p->step.again);
		cr_assert_eq(p->step.lsn, 5);
		cr_assert_geq(p->now - at, SQ_RULE_RETRY_MS);
	}
	sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_DONE);
	cr_assert_eq(sq_rule_applied_lsn(p->rule), 5);
	end(p);
}

Test(rule, an_isolated_owner_stops)
{
	struct play *p = owner(4);
	uint64_t at = p->now;

	append(p);
	sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_UNKNOWN);
	while (wait_next(p) == SQ_RULE_DIAL)
		sq_rule_dialled(p->rule, p->now, false);
	cr_assert_eq(p->step.what, SQ_RULE_STOP);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_FENCED);
	cr_assert_geq(p->now - at, 60000);
	cr_assert_str_not_empty(sq_rule_why(p->rule));
	end(p);
}

Test(rule, yield_lets_go_once_all_is_appended)
{
	struct play *p = owner(4);

	p->wish.yield = true;
	append(p);
	sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_DONE);
	p->wish.append = false;
	cr_assert_eq(wait_next(p), SQ_RULE_BEAT);
	cr_assert(p->step.yields);
	cr_assert_eq(p->step.sure, 5);
	sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_UNKNOWN); /* it tries until it knows */
	dial(p);
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	p->head.last = 5;
	claimed(p, SQ_SHARED_DONE);
	while (follow(p, 1000) == SQ_RULE_BEAT && !p->step.yields)
		sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
	cr_assert(p->step.yields);
	sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
	cr_assert_eq(next(p), SQ_RULE_STOP);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_YIELDED);
	cr_assert(!sq_rule_leased(p->rule, p->now));
	end(p);
}

Test(rule, a_follower_yields_at_once)
{
	struct play *p = begin(4);

	p->wish.yield = true;
	cr_assert_eq(next(p), SQ_RULE_STOP);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_YIELDED);
	end(p);
}

Test(rule, roll_is_a_claim_between_records)
{
	struct play *p = owner(4);
	uint64_t was = p->head.nonce;

	append(p);
	p->wish.roll = true;
	sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_NOT_DONE);
	while (wait_next(p) == SQ_RULE_BEAT)
		sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
	cr_assert_eq(p->step.what, SQ_RULE_APPEND, "the record that is in flight goes first");
	sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_DONE);
	p->head.last = 5;
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	cr_assert(p->step.roll);
	cr_assert_eq(p->step.expected, was);
	claimed(p, SQ_SHARED_NOT_DONE); /* no room for a segment: it goes on in this one */
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	cr_assert(!p->step.roll);
	claimed(p, SQ_SHARED_DONE);
	while (wait_next(p) == SQ_RULE_BEAT || p->step.what == SQ_RULE_READ) {
		if (p->step.what == SQ_RULE_READ)
			do_read(p);
		else
			sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
	}
	cr_assert_eq(p->step.what, SQ_RULE_APPEND);
	sq_rule_sealed(p->rule, chain_of(6));
	sq_rule_appended(p->rule, p->now, p->now, SQ_SHARED_DONE);
	p->head.last = 6;
	for (unsigned i = 0; i < 2; i++) {
		p->now += SQ_RULE_ROLL_MS / 2;
		cr_assert_eq(wait_next(p), SQ_RULE_BEAT);
		sq_rule_beaten(p->rule, p->now, p->now, SQ_SHARED_DONE);
	}
	cr_assert_eq(wait_next(p), SQ_RULE_CLAIM);
	cr_assert(p->step.roll);
	claimed(p, SQ_SHARED_DONE);
	p->wish.roll = p->wish.append = false;
	cr_assert_eq(follow(p, 1000), SQ_RULE_BEAT);
	cr_assert_eq(sq_rule_state(p->rule), SQ_RULE_OWNS);
	end(p);
}

Test(rule, dials_are_apart)
{
	struct play *p = begin(4);
	unsigned dials = 0;

	while (p->now < T0 + 1000) {
		cr_assert_eq(wait_next(p), SQ_RULE_DIAL);
		sq_rule_dialled(p->rule, p->now, dials++ % 2);
		if (dials % 2 == 0) {
			cr_assert_eq(next(p), SQ_RULE_READ);
			sq_rule_read(p->rule, p->now, SQ_SHARED_UNKNOWN);
		}
	}
	cr_assert_leq(dials, 11);
	end(p);
}
