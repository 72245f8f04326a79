/* See web/admin_asks.h.
 *
 * An ask outlives its request, by a guard in the request's pool. */
#include "web/admin_asks.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/clock.h"
#include "core/mem.h"
#include "web/admin_check.h"
#include "web/reply.h"

enum { ASKS_MAX = 32 };

struct admin_guard;

struct admin_asked {
	h2o_multithread_message_t message; /* on its way back */
	struct sq_admin_ask ask;
	struct sq_list node;
	struct sq_admin_asks *asks;
	struct admin_guard *guard; /* NULL once the request is gone, or answered */
	uint64_t since_ms;
	void (*run)(struct sq_admin_ask *, void *arg); /* NULL: 'answer' is there */
	void *arg;
	struct sq_admin_answer answer;
};

/* In the request's pool. */
struct admin_guard {
	struct admin_asked *owner; /* NULL once answered */
	h2o_req_t *req;
};

static void
guard_dispose(void *p)
{
	struct admin_guard *g = p;

	if (g->owner != NULL)
		g->owner->guard = NULL;
}

/* ---- answers ---- */

static void
ask_retry_after(h2o_req_t *req, unsigned s)
{
	char *text;

	if (s == 0)
		return;
	text = h2o_mem_alloc_pool(&req->pool, 16);
	(void)snprintf(text, 16, "%u", s);
	sq_reply_header(req, H2O_TOKEN_RETRY_AFTER, text);
}

static void
ask_headers(h2o_req_t *req, const struct sq_admin_header *h)
{
	bool stored = false;

	for (; h != NULL && h->name != NULL; h++) {
		stored |= strcmp(h->name, "cache-control") == 0;
		h2o_add_header_by_str(&req->pool, &req->res.headers, h->name, strlen(h->name), 1,
		    NULL, h->value, strlen(h->value));
	}
	if (!stored)
		sq_reply_header(req, H2O_TOKEN_CACHE_CONTROL, "no-store");
}

static void
ask_send(h2o_req_t *req, const struct sq_admin_answer *a)
{
	ask_headers(req, a->headers);
	ask_retry_after(req, a->retry_after_s);
	if (a->status == 401)
		sq_reply_header(req, H2O_TOKEN_WWW_AUTHENTICATE, "Bearer");
	if (a->status == 204 || a->status == 304)
		sq_reply_empty(req, a->status);
	else if (a->status < 400 || a->detail == NULL)
		sq_reply_send(req, a->status, a->type != NULL ? a->type : "application/json",
		    sq_buf_data(&a->body), sq_buf_len(&a->body));
	else
		sq_reply_problem(req, a->status, a->detail, strlen(a->detail));
}

static void
ask_free(struct admin_asked *a)
{
	sq_list_remove(&a->node);
	a->asks->n--;
	if (a->ask.token.len > 0)
		explicit_bzero((void *)(uintptr_t)a->ask.token.p, a->ask.token.len);
	free((void *)(uintptr_t)a->ask.token.p);
	free((void *)(uintptr_t)a->ask.method);
	free((void *)(uintptr_t)a->ask.body.p);
	free((void *)(uintptr_t)a->ask.path);
	free((void *)(uintptr_t)a->ask.query);
	free((void *)(uintptr_t)a->ask.host);
	free((void *)(uintptr_t)a->answer.detail);
	sq_buf_fini(&a->answer.body);
	free(a);
}

/* Sends the answer, if somebody waits for it. */
static void
ask_answer(struct admin_asked *a, const struct sq_admin_answer *answer)
{
	struct admin_guard *g = a->guard;

	if (g == NULL)
		return;
	a->guard = NULL;
	g->owner = NULL;
	ask_send(g->req, answer);
}

static void
asks_answered(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
	(void)receiver;
	while (!h2o_linklist_is_empty(messages)) {
		h2o_multithread_message_t *m = H2O_STRUCT_FROM_MEMBER(
		    h2o_multithread_message_t, link, messages->next);
		struct admin_asked *a = SQ_CONTAINER_OF(m, struct admin_asked, message);

		h2o_linklist_unlink(&m->link);
		if (a->run != NULL) {
			a->run(&a->ask, a->arg);
			continue;
		}
		ask_answer(a, &a->answer);
		ask_free(a);
	}
}

static void
ask_post(struct admin_asked *a)
{
	a->message.link = (h2o_linklist_t){NULL, NULL};
	h2o_multithread_send_message(&a->asks->answers, &a->message);
}

void
sq_admin_continue(
    struct sq_admin_ask *ask, void (*run)(struct sq_admin_ask *, void *arg), void *arg)
{
	struct admin_asked *a = SQ_CONTAINER_OF(ask, struct admin_asked, ask);

	a->run = run;
	a->arg = arg;
	ask_post(a);
}

void
sq_admin_answer(struct sq_admin_ask *ask, struct sq_admin_answer *answer)
{
	struct admin_asked *a = SQ_CONTAINER_OF(ask, struct admin_asked, ask);

	assert(answer->status >= 200 && (answer->status >= 400 || answer->detail == NULL));
	assert(answer->status < 400 || answer->detail != NULL || answer->type != NULL);
	a->answer = *answer;
	a->answer.detail = answer->detail != NULL ? sq_xstrdup(answer->detail) : NULL;
	a->run = NULL;
	*answer = (struct sq_admin_answer){0};
	ask_post(a);
}

/* ---- requests ---- */

static bool
ask_is_loopback(h2o_conn_t *conn)
{
	static const struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}};
	struct sockaddr_storage peer = {0};
	const struct sockaddr_in6 *six = (const void *)&peer;
	const struct sockaddr_in *four = (const void *)&peer;

	if (conn->callbacks->get_peername(conn, (struct sockaddr *)&peer) == 0)
		return false;
	if (peer.ss_family == AF_INET)
		return four->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
	return peer.ss_family == AF_INET6 &&
	    (IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
		memcmp(&six->sin6_addr, &mapped, sizeof mapped) == 0);
}

/* A copy, with a NUL behind it. */
static struct sq_bytes
ask_copy(const h2o_iovec_t *v)
{
	return (struct sq_bytes){(const unsigned char *)sq_xmemdup0(v->base, v->len), v->len};
}

static struct admin_asked *
ask_new(struct sq_admin_asks *asks, h2o_req_t *req)
{
	struct admin_asked *a = sq_xcalloc(1, sizeof *a);
	const h2o_iovec_t *credential = sq_admin_credential(req);
	size_t q = req->query_at != SIZE_MAX ? req->query_at + 1 : req->path.len;

	a->asks = asks;
	a->since_ms = sq_clock_ms();
	a->ask.method = sq_xmemdup0(req->method.base, req->method.len);
	a->ask.path = sq_xmemdup0(req->path_normalized.base, req->path_normalized.len);
	a->ask.query = sq_xmemdup0(req->path.base + q, req->path.len - q);
	a->ask.host = sq_xmemdup0(req->authority.base, req->authority.len);
	if (req->entity.len > 0 && strcmp(a->ask.method, "POST") == 0)
		a->ask.body = ask_copy(&req->entity);
	if (credential != NULL)
		a->ask.token = ask_copy(credential);
	a->ask.loopback = ask_is_loopback(req->conn);
	a->ask.passed = h2o_find_header_by_str(
			    &req->headers, SQ_ADMIN_PASSED, strlen(SQ_ADMIN_PASSED), -1) >= 0;
	a->guard = h2o_mem_alloc_shared(&req->pool, sizeof *a->guard, guard_dispose);
	*a->guard = (struct admin_guard){a, req};
	sq_list_push_back(&asks->open, &a->node);
	asks->n++;
	return a;
}

void
sq_admin_asks_open(struct sq_admin_asks *asks, h2o_multithread_queue_t *queue,
    const struct sq_admin_pages *const *pages)
{
	sq_list_init(&asks->open);
	asks->pages = pages;
	h2o_multithread_register_receiver(queue, &asks->answers, asks_answered);
}

void
sq_admin_asks_close(struct sq_admin_asks *asks, h2o_multithread_queue_t *queue)
{
	assert(asks->n == 0);
	h2o_multithread_unregister_receiver(queue, &asks->answers);
}

const struct sq_admin_pages *
sq_admin_asks_find(const struct sq_admin_asks *asks, const h2o_req_t *req)
{
	const struct sq_admin_pages *found = NULL;
	h2o_iovec_t path = req->path_normalized;
	size_t longest = 0;

	for (size_t i = 0; asks->pages != NULL && asks->pages[i] != NULL; i++) {
		size_t len = strlen(asks->pages[i]->below);

		if (len <= longest || path.len < len ||
		    memcmp(path.base, asks->pages[i]->below, len) != 0)
			continue;
		found = asks->pages[i];
		longest = len;
	}
	return found;
}

void
sq_admin_asks_take(struct sq_admin_asks *asks, const struct sq_admin_pages *pages, h2o_req_t *req)
{
	static const struct sq_admin_answer busy = {
	    .status = 503, .detail = "too many requests wait for an answer", .retry_after_s = 1};
	struct sq_admin_answer no = {0};

	no.status = sq_admin_check(req, pages->methods, &no.detail);
	if (no.status == 405)
		sq_reply_header(req, H2O_TOKEN_ALLOW, pages->methods);
	if (no.status != 200)
		ask_send(req, &no);
	else if (asks->n >= ASKS_MAX)
		ask_send(req, &busy);
	else
		pages->asked(pages->owner, &ask_new(asks, req)->ask);
}

int32_t
sq_admin_asks_sweep(struct sq_admin_asks *asks, uint64_t now_ms)
{
	static const struct sq_admin_answer late = {.status = 503,
	    .detail = "the answer was not there in time: a worker is busy, or stands still",
	    .retry_after_s = 1};

	SQ_LIST_FOR_EACH(a, &asks->open, struct admin_asked, node) {
		uint64_t age_ms = now_ms - a->since_ms;

		if (age_ms < SQ_ADMIN_ASK_MS)
			return (int32_t)(SQ_ADMIN_ASK_MS - age_ms);
		ask_answer(a, &late);
	}
	return INT32_MAX;
}
