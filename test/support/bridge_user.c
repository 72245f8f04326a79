#include "bridge_user.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/heap.h"
#include "core/task.h"
#include "web/worker.h"

enum { UNTIL_MS = 60000, LOOK_NS = 20000000 };

/* Alarms of kinds: web/worker.h, with the test's thread as the worker. */
static struct sq_heap alarms;

void
sq_worker_alarm(struct sq_alarm *a, uint64_t at_ms)
{
	a->at.owner = a;
	sq_heap_set(&alarms, &a->at, at_ms);
}

void
sq_worker_alarm_off(struct sq_alarm *a)
{
	sq_heap_remove(&alarms, &a->at);
}

static void
user_post(void *owner, struct sq_task *t)
{
	struct bridge_user *u = owner;

	pthread_mutex_lock(&u->lock);
	sq_list_push_back(&u->tasks, &t->node);
	pthread_cond_signal(&u->cond);
	pthread_mutex_unlock(&u->lock);
}

static struct sq_out *
user_http(void *owner, struct sq_buf *err)
{
	struct bridge_user *u = owner;

	if (u->http != NULL)
		return u->http(owner, err);
	sq_buf_printf(err, "there is no libcurl in this test");
	return NULL;
}

static void
user_room(void *owner)
{
	((struct bridge_user *)owner)->rooms++;
}

static void
user_offered(void *owner, struct sq_offered *o, const struct sq_offer_end *end)
{
	struct bridge_user *u = owner;
	struct user_offer *mine = SQ_CONTAINER_OF(o, struct user_offer, offered);

	cr_assert(mine >= u->offers && mine < u->offers + u->n_offers, "not an offer of the user");
	cr_assert_not(u->closed, "an offer ends after the forwarder has closed");
	mine->ends++;
	mine->end = *end;
	(void)snprintf(mine->why, sizeof mine->why, "%s", end->why != NULL ? end->why : "");
	mine->end.why = mine->why;
	mine->ended_at = u->n_ended++;
}

static void
user_arrived(void *owner, struct sq_arrived *const *items, size_t n)
{
	struct bridge_user *u = owner;

	cr_assert_leq(u->n_arrived + n, (size_t)BRIDGE_USER_MAX);
	cr_assert_not(u->closed, "a message comes after the inlet has closed");
	for (size_t i = 0; i < n; i++)
		u->arrived[u->n_arrived++] = items[i];
	u->n_unsettled += n;
}

static void
user_state(void *owner, enum sq_bridge_half half, bool up, const char *why)
{
	struct bridge_user *u = owner;

	(void)half;
	u->states++;
	u->up = up;
	(void)snprintf(u->why, sizeof u->why, "%s", why != NULL ? why : "");
}

void
bridge_user_init(struct bridge_user *u, const struct sq_bridge_kind *kind)
{
	*u = (struct bridge_user){.kind = kind};
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->cond, NULL);
	sq_list_init(&u->tasks);
	u->env = (struct sq_bridge_env){.scope = "bridge/b",
	    .space = "s",
	    .queue = "bridge.b",
	    .install = "here-0011223344556677",
	    .user_agent = "sqmqos/test",
	    .max_packet = 1 << 20,
	    .post = user_post,
	    .http = user_http,
	    .room = user_room,
	    .offered = user_offered,
	    .arrived = user_arrived,
	    .state = user_state,
	    .owner = u};
}

void
bridge_user_fini(struct bridge_user *u)
{
	cr_assert(u->forwarder == NULL && u->inlet == NULL);
	for (size_t i = 0; i < u->n_offers; i++)
		sq_msg_unref(&u->offers[i].msg);
	pthread_cond_destroy(&u->cond);
	pthread_mutex_destroy(&u->lock);
	cr_assert_eq(alarms.n, 0U, "an alarm is left");
	sq_heap_fini(&alarms);
	alarms = (struct sq_heap){0};
}

void
bridge_user_open(struct bridge_user *u, enum sq_bridge_half half, const struct sq_bridge_cfg *cfg)
{
	struct sq_buf err = {0};
	bool good;

	u->closed = false;
	if (half == SQ_BRIDGE_OUT)
		good = (u->forwarder = u->kind->out->open(&u->env, cfg, &err)) != NULL;
	else
		good = (u->inlet = u->kind->in->open(&u->env, cfg, &err)) != NULL;
	cr_assert(good, "it can't be opened: %.*s", (int)sq_buf_len(&err),
	    (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

static struct sq_task *
user_next(struct bridge_user *u)
{
	struct sq_task *t = NULL;

	pthread_mutex_lock(&u->lock);
	if (!sq_list_empty(&u->tasks)) {
		t = SQ_LIST_FIRST(&u->tasks, struct sq_task, node);
		sq_list_remove(&t->node);
	}
	pthread_mutex_unlock(&u->lock);
	return t;
}

void
bridge_user_run(struct bridge_user *u)
{
	struct sq_heap_node *due;
	struct sq_task *t;

	while ((t = user_next(u)) != NULL)
		t->run(t);
	while ((due = sq_heap_pop(&alarms, sq_clock_ms())) != NULL) {
		struct sq_alarm *a = due->owner;

		a->run(a);
	}
}

/* Until a task is there, or some time is over: the peer has no way to post. */
static void
user_wait(struct bridge_user *u)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += LOOK_NS;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_mutex_lock(&u->lock);
	if (sq_list_empty(&u->tasks))
		pthread_cond_timedwait(&u->cond, &u->lock, &at);
	pthread_mutex_unlock(&u->lock);
}

bool
bridge_user_until(struct bridge_user *u, bool (*over)(struct bridge_user *))
{
	uint64_t end_ms = sq_clock_ms() + UNTIL_MS;

	for (;;) {
		bridge_user_run(u);
		if (over(u))
			return true;
		if (sq_clock_ms() > end_ms)
			return false;
		user_wait(u);
	}
}

static void
user_closed(void *arg)
{
	((struct bridge_user *)arg)->closed = true;
}

static bool
user_is_closed(struct bridge_user *u)
{
	return u->closed;
}

void
bridge_user_close(struct bridge_user *u, enum sq_bridge_half half, unsigned within_ms)
{
	if (half == SQ_BRIDGE_OUT)
		u->forwarder->ops->close(u->forwarder, within_ms, user_closed, u);
	else
		u->inlet->ops->close(u->inlet, within_ms, user_closed, u);
	cr_assert(bridge_user_until(u, user_is_closed), "it does not close");
	if (half == SQ_BRIDGE_OUT)
		u->forwarder = NULL;
	else
		u->inlet = NULL;
}

struct user_offer *
bridge_user_offer(struct bridge_user *u, const char *topic, const char *payload, uint64_t lane)
{
	struct user_offer *o = &u->offers[u->n_offers];

	cr_assert_lt(u->n_offers, (size_t)BRIDGE_USER_MAX);
	o->msg = sq_msg_new(1, false, sq_bytes_of(topic), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY,
	    sq_bytes_of(payload));
	(void)snprintf(o->origin, sizeof o->origin, "0011223344556677-%032zx", u->n_offers);
	o->offered = (struct sq_offered){.msg = &o->msg,
	    .origin = o->origin,
	    .hops = "here-0011223344556677/b",
	    .lane = lane,
	    .arrived_ms = sq_clock_wall_ms(),
	    .attempt = 1,
	    .qos = 1};
	u->n_offers++;
	return o;
}

void
bridge_user_again(struct bridge_user *u, struct user_offer *o)
{
	cr_assert_eq(o->ends, 1U);
	cr_assert(o->end.how == SQ_OFFER_LATER || o->end.how == SQ_OFFER_FAILED);
	o->offered.again |= o->end.uncertain;
	o->offered.attempt += o->end.how == SQ_OFFER_FAILED;
	o->ends = 0;
	(void)u;
}

static bool
user_has_room(struct bridge_user *u)
{
	return u->forwarder->ops->room(u->forwarder) > 0;
}

void
bridge_user_hand(struct bridge_user *u, struct user_offer *first, size_t n)
{
	struct sq_offered *items[BRIDGE_USER_MAX];

	while (n > 0) {
		size_t room, some;

		cr_assert(bridge_user_until(u, user_has_room), "it has no room");
		room = u->forwarder->ops->room(u->forwarder);
		some = n < room ? n : room;
		for (size_t i = 0; i < some; i++)
			items[i] = &first[i].offered;
		u->forwarder->ops->offer(u->forwarder, items, some);
		first += some;
		n -= some;
	}
}

void
bridge_user_settle(struct bridge_user *u, size_t i, enum sq_arrival how)
{
	struct sq_arrived *a = u->arrived[i];

	cr_assert_not_null(a, "it is settled");
	u->arrived[i] = NULL;
	u->n_unsettled--;
	u->inlet->ops->settled(u->inlet, a, how);
}
