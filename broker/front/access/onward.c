#include "broker/front/access/onward.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/percent.h"
#include "core/thread.h"
#include "net/curl/once.h"

enum {
	WAITING_MAX = 16,
	WITHIN_MS = SQ_ADMIN_ASK_MS - 100, /* the endpoint gives up behind that */
	CONNECT_MS = 500,
	BODY_MAX = 8 << 20,
};

struct sq_onward {
	const struct sq_place_source *place;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct sq_list waiting; /* struct onward_ask */
	unsigned n;
	bool end;
};

struct onward_ask {
	struct sq_list node;
	struct sq_admin_ask *ask;
	uint64_t since_ms;
	char to[SQ_PLACE_ADDRESS];
};

/* Answers with a problem; takes over 'why'. */
static void
onward_problem(struct sq_admin_ask *ask, struct sq_buf *why)
{
	struct sq_admin_answer answer = {.status = 503, .retry_after_s = 1};

	sq_buf_u8(why, '\0');
	answer.detail = (const char *)sq_buf_data(why);
	sq_admin_answer(ask, &answer);
	sq_buf_fini(why);
}

static void
onward_answered(struct onward_ask *a, struct sq_once_answer *from)
{
	struct sq_admin_answer answer = {.status = from->status, .retry_after_s = from->after_s};
	struct sq_buf why = {0};

	if (from->status >= 200) {
		answer.body = from->body;
		answer.type = from->status < 400 ? NULL : "application/problem+json";
		sq_admin_answer(a->ask, &answer);
		return;
	}
	sq_buf_fini(&from->body);
	sq_buf_printf(
	    &why, "the broker that owns the state, at %s, does not answer: %s", a->to, from->why);
	onward_problem(a->ask, &why);
}

static int
onward_headers(struct sq_once *once, const struct sq_admin_ask *ask)
{
	int rc = sq_once_header(once, "Authorization", (const char *)ask->token.p);

	return rc == SQ_OK ? sq_once_header(once, SQ_ADMIN_PASSED, "1") : rc;
}

static void
onward_send(const struct onward_ask *a, struct sq_once *once, struct sq_once_answer *answer)
{
	uint64_t age_ms = sq_clock_ms() - a->since_ms;
	struct sq_buf path = {0};
	struct sq_once_request request = {.method = a->ask->method,
	    .content_type = a->ask->body.len > 0 ? "application/json" : NULL,
	    .body = a->ask->body,
	    .timeout_ms = age_ms < WITHIN_MS ? WITHIN_MS - age_ms : 1};

	for (const char *p = a->ask->path; *p != '\0';) {
		size_t len = strcspn(p, "/");

		sq_percent_put_bytes(&path, (struct sq_bytes){(const unsigned char *)p, len});
		p += len;
		if (*p == '/')
			sq_buf_u8(&path, (uint8_t)*p++);
	}
	if (a->ask->query[0] != '\0')
		sq_buf_printf(&path, "?%s", a->ask->query);
	sq_buf_u8(&path, '\0');
	request.path = (const char *)sq_buf_data(&path);
	if (sq_once_do(once, &request, answer) != SQ_ONCE_ANSWERED)
		answer->status = 0;
	sq_buf_fini(&path);
}

/* Asks the owner, and answers. */
static void
onward_carry(struct onward_ask *a)
{
	struct sq_once_answer answer = {0};
	struct sq_buf base = {0}, why = {0};
	struct sq_once_cfg cfg = {.connect_ms = CONNECT_MS, .max_body = BODY_MAX};
	struct sq_once *once;

	sq_buf_printf(&base, "http://%s%c", a->to, 0);
	cfg.base = (const char *)sq_buf_data(&base);
	once = sq_once_new(&cfg, &why);
	if (once == NULL || onward_headers(once, a->ask) != SQ_OK) {
		if (once != NULL)
			sq_buf_printf(&why, "a credential has characters that none may have");
		onward_problem(a->ask, &why);
	} else {
		onward_send(a, once, &answer);
		onward_answered(a, &answer);
	}
	sq_once_free(&once);
	sq_buf_fini(&base);
	sq_buf_fini(&why);
}

static void *
onward_main(void *arg)
{
	struct sq_onward *o = arg;
	struct onward_ask *a;

	pthread_mutex_lock(&o->lock);
	while (!o->end || o->n > 0) {
		a = SQ_LIST_FIRST(&o->waiting, struct onward_ask, node);
		if (a == NULL) {
			(void)pthread_cond_wait(&o->more, &o->lock);
			continue;
		}
		sq_list_remove(&a->node);
		o->n--;
		pthread_mutex_unlock(&o->lock);
		onward_carry(a);
		free(a);
		pthread_mutex_lock(&o->lock);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

struct sq_onward *
sq_onward_new(const struct sq_place_source *place)
{
	struct sq_onward *o = sq_xcalloc(1, sizeof *o);

	o->place = place;
	sq_list_init(&o->waiting);
	pthread_mutex_init(&o->lock, NULL);
	sq_cond_init(&o->more);
	sq_thread_start(&o->thread, onward_main, o);
	return o;
}

/* Whether the ask stays here, which is said. */
static bool
onward_stays(const struct sq_admin_ask *ask, const struct sq_place *place, struct sq_buf *why)
{
	if (place->here)
		sq_buf_printf(why, "the broker is starting");
	else if (place->owner_admin[0] == '\0')
		sq_buf_printf(why, "which broker owns the state is not known yet");
	else if (ask->passed)
		sq_buf_printf(why, "another broker owns the state");
	else if (ask->token.len == 0)
		sq_buf_printf(why,
		    "the broker at %s owns the state: ask there, or with a token, which is passed "
		    "on",
		    place->owner_admin);
	else
		return false;
	return true;
}

void
sq_onward_take(struct sq_onward *o, struct sq_admin_ask *ask)
{
	struct sq_buf why = {0};
	struct onward_ask *a;
	struct sq_place place;
	bool taken = false;

	o->place->get(o->place, &place);
	if (onward_stays(ask, &place, &why)) {
		onward_problem(ask, &why);
		return;
	}
	a = sq_xcalloc(1, sizeof *a);
	a->ask = ask;
	a->since_ms = sq_clock_ms();
	memcpy(a->to, place.owner_admin, sizeof a->to);
	pthread_mutex_lock(&o->lock);
	if (o->n < WAITING_MAX) {
		sq_list_push_back(&o->waiting, &a->node);
		o->n++;
		taken = true;
		pthread_cond_signal(&o->more);
	}
	pthread_mutex_unlock(&o->lock);
	if (taken)
		return;
	free(a);
	sq_buf_printf(&why, "too many requests wait for the broker that owns the state");
	onward_problem(ask, &why);
}

void
sq_onward_free(struct sq_onward **op)
{
	struct sq_onward *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	pthread_mutex_lock(&o->lock);
	o->end = true;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->lock);
	(void)pthread_join(o->thread, NULL);
	pthread_cond_destroy(&o->more);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
