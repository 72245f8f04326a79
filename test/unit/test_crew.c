/* web/crew.h and web/slot.h: threads, slots and their calls, tasks, and the end. */
#include <criterion/criterion.h>

#include <sched.h>
#include <stdatomic.h>

#include "../support/gate.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/crew.h"
#include "web/slot.h"
#include "web/worker.h"

enum { WORKERS = 3 };

struct part {
	struct sq_crew_slot slot;
	atomic_uint opened, ticks, turns;
};

static struct sq_crew *crew;

static void
end(void)
{
	gate_open();
	if (crew == NULL)
		return;
	sq_crew_stop(crew);
	sq_crew_free(&crew);
}

TestSuite(crew, .fini = end);

static struct part *
part_of(struct sq_crew_slot *s)
{
	cr_assert_eq(sq_worker_self(), s->worker);
	return SQ_CONTAINER_OF(s, struct part, slot);
}

static void
opened(struct sq_crew_slot *s)
{
	cr_assert_eq(part_of(s)->ticks, 0);
	part_of(s)->opened++;
}

static void
tick(struct sq_crew_slot *s, uint64_t now_ms)
{
	cr_assert_eq(now_ms, sq_worker_now_ms(s->worker));
	part_of(s)->ticks++;
}

static void
turned(struct sq_crew_slot *s)
{
	cr_assert(part_of(s)->ticks > 0);
	part_of(s)->turns++;
}

static const struct sq_crew_slot_user user = {opened, tick, turned};

Test(crew, a_slot_ticks_and_turns_on_its_worker_until_the_end)
{
	struct part parts[WORKERS] = {0};
	unsigned ticks;

	crew = sq_crew_new(WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		sq_crew_slot_open(&parts[i].slot, sq_crew_workers(crew)[i], &user, NULL);
		cr_assert_eq(sq_worker_index(parts[i].slot.worker), i);
		cr_assert_eq(parts[i].opened, 1);
		cr_assert_eq(parts[i].ticks, 1, "at once");
	}
	while (parts[WORKERS - 1].ticks < 3)
		sq_crew_settle(crew);
	cr_assert(parts[0].turns > 0);
	sq_crew_stop(crew);
	ticks = parts[0].ticks;
	cr_assert_not(sq_list_empty(&parts[0].slot.node));
	sq_crew_free(&crew);
	cr_assert_eq(parts[0].ticks, ticks);
	for (unsigned i = 0; i < WORKERS; i++)
		cr_assert(sq_list_empty(&parts[i].slot.node));
}

/* A task that passes on to the next worker until it is at its end. */
struct runner {
	struct sq_task task;
	unsigned left;
	atomic_uint *over;
};

static void
run_on(struct sq_task *t)
{
	struct runner *r = SQ_CONTAINER_OF(t, struct runner, task);
	unsigned next = (sq_worker_index(sq_worker_self()) + 1) % WORKERS;

	if (r->left-- > 0)
		sq_worker_post(sq_crew_workers(crew)[next], t);
	else
		atomic_fetch_add(r->over, 1);
}

Test(crew, it_settles_once_tasks_have_passed_from_worker_to_worker)
{
	atomic_uint over = 0;
	struct runner runners[100];

	crew = sq_crew_new(WORKERS);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(runners); i++) {
		runners[i] = (struct runner){{.run = run_on}, 3, &over};
		sq_worker_post(sq_crew_workers(crew)[i % WORKERS], &runners[i].task);
	}
	sq_crew_settle(crew);
	cr_assert_eq(over, SQ_ARRAY_LEN(runners));
}

static void
count_run(struct sq_task *t)
{
	struct runner *r = SQ_CONTAINER_OF(t, struct runner, task);

	atomic_fetch_add(r->over, 1);
}

Test(crew, workers_that_are_held_run_nothing_and_count_as_turning)
{
	atomic_uint over = 0;
	struct runner runners[WORKERS];
	struct sq_buf why = {0};
	uint64_t from_ms;

	crew = sq_crew_new(WORKERS);
	sq_crew_hold(crew);
	for (unsigned i = 0; i < WORKERS; i++) {
		runners[i] = (struct runner){{.run = count_run}, 0, &over};
		sq_worker_post(sq_crew_workers(crew)[i], &runners[i].task);
	}
	for (from_ms = sq_clock_ms(); sq_clock_ms() < from_ms + 3 * 100;) /* ticks are due */
		sched_yield();
	cr_assert_eq(over, 0);
	cr_assert(sq_crew_live(crew, 0, &why));
	sq_crew_go(crew);
	sq_crew_settle(crew);
	cr_assert_eq(over, WORKERS);
	sq_crew_hold(crew); /* again */
	sq_crew_go(crew);
}

static struct sq_task by_part[SQ_TURN_PARTS];
static unsigned order[SQ_TURN_PARTS], n_order;

static void
note(struct sq_task *t)
{
	order[n_order++] = (unsigned)(t - by_part);
}

static void
post_backwards(void *arg)
{
	(void)arg;
	for (unsigned i = SQ_TURN_PARTS; i-- > 0;) {
		by_part[i].run = note;
		sq_worker_post_in(sq_worker_self(), (enum sq_turn_part)i, &by_part[i]);
	}
}

Test(crew, the_parts_of_a_turn_have_an_order)
{
	crew = sq_crew_new(1);
	sq_worker_do(sq_crew_workers(crew)[0], post_backwards, NULL);
	sq_crew_settle(crew);
	cr_assert_eq(n_order, SQ_TURN_PARTS);
	for (unsigned i = 0; i < SQ_TURN_PARTS; i++)
		cr_assert_eq(order[i], i);
}

static struct sq_task rests[3], between;
static const struct sq_task *ran[2 * SQ_ARRAY_LEN(rests)];
static unsigned n_ran;

static void
note_between(struct sq_task *t)
{
	ran[n_ran++] = t;
}

static void
note_rest(struct sq_task *t)
{
	ran[n_ran++] = t;
	if (t != &rests[SQ_ARRAY_LEN(rests) - 1])
		sq_worker_post(sq_worker_self(), &between);
}

static void
post_rests(void *arg)
{
	(void)arg;
	between.run = note_between;
	for (unsigned i = 0; i < SQ_ARRAY_LEN(rests); i++) {
		rests[i].run = note_rest;
		sq_worker_post_in(sq_worker_self(), SQ_TURN_REST, &rests[i]);
	}
}

Test(crew, a_turn_does_one_task_of_the_rest)
{
	crew = sq_crew_new(1);
	sq_worker_do(sq_crew_workers(crew)[0], post_rests, NULL);
	while (n_ran < 5)
		sq_crew_settle(crew);
	for (unsigned i = 0; i < n_ran; i++)
		cr_assert(ran[i] == (i % 2 == 0 ? &rests[i / 2] : &between), "%u", i);
}

static struct sq_alarm alarms[3];
static atomic_uint rung;
static const struct sq_alarm *rings[4];

static void
alarm_rings(struct sq_alarm *a)
{
	rings[rung] = a;
	atomic_fetch_add(&rung, 1);
	if (a == &alarms[1] && rung == 1) /* and once more */
		sq_worker_alarm(a, sq_clock_ms() + 3);
}

static void
alarms_set(void *arg)
{
	uint64_t now_ms = sq_clock_ms();

	(void)arg;
	for (size_t i = 0; i < SQ_ARRAY_LEN(alarms); i++)
		alarms[i].run = alarm_rings;
	sq_worker_alarm(&alarms[0], now_ms + 1);
	sq_worker_alarm(&alarms[1], now_ms + 2);
	sq_worker_alarm(&alarms[2], now_ms + 4);
	sq_worker_alarm(&alarms[0], now_ms + 20); /* later */
	sq_worker_alarm_off(&alarms[2]);
}

Test(crew, alarms_ring_in_their_order_once_each, .timeout = 20)
{
	crew = sq_crew_new(1);
	sq_worker_tell(sq_crew_workers(crew)[0], alarms_set, NULL);
	while (atomic_load(&rung) < 3)
		sched_yield();
	sq_crew_settle(crew);
	cr_assert_eq(rung, 3);
	cr_assert(rings[0] == &alarms[1] && rings[1] == &alarms[1] && rings[2] == &alarms[0]);
}

/* Rests that take a while, beside a task that is always there. */
static struct {
	struct sq_task work, rest;
	uint64_t begun_us[3], ended_us[3];
	unsigned n;
	atomic_bool over;
} busy;

static void
busy_work(struct sq_task *t)
{
	if (!atomic_load(&busy.over))
		sq_worker_post(sq_worker_self(), t);
}

static void
busy_rest(struct sq_task *t)
{
	busy.begun_us[busy.n] = sq_clock_us();
	while (sq_clock_us() < busy.begun_us[busy.n] + 2000)
		;
	busy.ended_us[busy.n++] = sq_clock_us();
	if (busy.n < SQ_ARRAY_LEN(busy.ended_us))
		sq_worker_post_in(sq_worker_self(), SQ_TURN_REST, t);
	else
		atomic_store(&busy.over, true);
}

static void
busy_begin(void *arg)
{
	(void)arg;
	busy.work.run = busy_work;
	busy.rest.run = busy_rest;
	sq_worker_post(sq_worker_self(), &busy.work);
	sq_worker_post_in(sq_worker_self(), SQ_TURN_REST, &busy.rest);
}

Test(crew, beside_other_work_the_rest_gets_a_tenth_of_the_time, .timeout = 20)
{
	crew = sq_crew_new(1);
	sq_worker_tell(sq_crew_workers(crew)[0], busy_begin, NULL);
	while (!atomic_load(&busy.over))
		sched_yield();
	for (unsigned i = 1; i < SQ_ARRAY_LEN(busy.ended_us); i++)
		cr_assert_geq(busy.begun_us[i] - busy.ended_us[i - 1], 9 * 2000);
}

static void
count(void *n)
{
	atomic_fetch_add((atomic_uint *)n, 1);
}

Test(crew, a_worker_that_hangs_keeps_no_other_from_what_it_is_told, .timeout = 20)
{
	atomic_uint n = 0;

	crew = sq_crew_new(WORKERS);
	sq_worker_tell(sq_crew_workers(crew)[0], gate_hang, NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		sq_worker_tell(sq_crew_workers(crew)[i], count, &n);
	while (n < WORKERS - 1 && !gate_overdue())
		sched_yield();
	cr_assert_not(gate_overdue());
	cr_assert_eq(n, WORKERS - 1);
	gate_open();
	sq_crew_settle(crew);
	cr_assert_eq(n, WORKERS);
}

Test(crew, what_is_posted_to_a_crew_that_has_stopped_runs_before_it_is_freed)
{
	atomic_uint over = 0;
	struct runner r = {{.run = run_on}, 0, &over};

	crew = sq_crew_new(WORKERS);
	cr_assert(sq_crew_live(crew, 60000, NULL));
	sq_crew_stop(crew);
	sq_worker_post(sq_crew_workers(crew)[1], &r.task);
	cr_assert_eq(over, 0);
	sq_crew_free(&crew);
	cr_assert_eq(over, 1);
	cr_assert_null(crew);
}
