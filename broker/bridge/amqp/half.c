#include "broker/bridge/amqp/half.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/json/write.h"

enum { STABLE_MS = 10000 }; /* up for this long: it is */

/* The state. */

/* Under the lock.  What is not told yet when there is too much of it is only its end. */
static void
half_news(struct sq_amqp_half *h, bool up, const char *why)
{
	unsigned at = h->n_news < SQ_AMQP_NEWS_MAX ? h->n_news++ : SQ_AMQP_NEWS_MAX - 1;
	size_t len = sq_utf8_cut(why, strlen(why), SQ_BRIDGE_DETAIL_MAX);

	free(h->news[at].why);
	h->news[at] = (struct sq_amqp_news){.up = up, .why = sq_xmemdup0(why, len)};
}

/* Under the lock: what one of the lines lacks; NULL: nothing. */
static const char *
half_lacks(const struct sq_amqp_half *h)
{
	for (unsigned i = 0; i < h->n_lines; i++)
		if (h->lacks[i] != NULL)
			return h->lacks[i];
	return NULL;
}

/* Under the lock. */
static void
half_news_up(struct sq_amqp_half *h)
{
	const char *lacks = half_lacks(h);
	struct sq_buf text = {0};
	char *s;

	sq_buf_printf(&text, "%s", h->peer);
	if (lacks != NULL)
		sq_buf_printf(&text, ", but: %s", lacks);
	s = sq_buf_take_text(&text);
	half_news(h, true, s);
	free(s);
	free(h->lacks_told);
	h->lacks_told = lacks != NULL ? sq_xstrdup(lacks) : NULL;
}

/* Under the lock.  Tells what has changed of what a half lacks that is told to be up. */
static void
half_set_lacks(struct sq_amqp_half *h, unsigned line, const char *what)
{
	const char *now, *before = h->lacks_told;

	free(h->lacks[line]);
	h->lacks[line] = what != NULL ? sq_xstrdup(what) : NULL;
	now = half_lacks(h);
	if (h->up > 0 && !h->unproved &&
	    (now == NULL || before == NULL ? now != before : strcmp(now, before) != 0))
		half_news_up(h);
}

/* Under the lock. */
static void
half_is_up(struct sq_amqp_half *h)
{
	half_news_up(h);
	h->told = 0;
	h->unproved = h->doubt = false;
	free(h->trouble);
	h->trouble = NULL;
}

/* Under the lock. */
static void
half_is_down(struct sq_amqp_half *h, enum sq_amqp_trouble trouble, const char *why)
{
	unsigned bit = 1u << trouble;

	h->doubt |= h->up_ms != 0 && sq_clock_ms() - h->up_ms < STABLE_MS;
	h->up_ms = 0;
	h->unproved = false;
	if ((h->told & bit) == 0)
		half_news(h, false, why);
	h->told |= bit;
}

void
sq_amqp_half_state(
    struct sq_amqp_half *h, unsigned line, bool up, enum sq_amqp_trouble trouble, const char *why)
{
	pthread_mutex_lock(&h->lock);
	if (up && h->up == 0) {
		h->up_ms = sq_clock_ms();
		h->unproved = h->doubt;
		free(h->peer);
		h->peer = sq_xstrdup(why);
		if (!h->doubt)
			half_is_up(h);
	}
	h->up += (unsigned)up - (unsigned)h->line_up[line];
	h->line_up[line] = up;
	if (!up) {
		half_set_lacks(h, line, NULL);
		free(h->trouble);
		h->trouble = sq_xstrdup(why);
		if (h->up == 0)
			half_is_down(h, trouble, why);
	}
	pthread_mutex_unlock(&h->lock);
	sq_amqp_half_post(h);
}

void
sq_amqp_half_lacks(struct sq_amqp_half *h, unsigned line, const char *what)
{
	pthread_mutex_lock(&h->lock);
	half_set_lacks(h, line, what);
	pthread_mutex_unlock(&h->lock);
	sq_amqp_half_post(h);
}

void
sq_amqp_half_look(struct sq_amqp_half *h, bool proof)
{
	bool news;

	pthread_mutex_lock(&h->lock);
	news = h->unproved && (proof || sq_clock_ms() - h->up_ms >= STABLE_MS);
	if (news)
		half_is_up(h);
	pthread_mutex_unlock(&h->lock);
	if (news)
		sq_amqp_half_post(h);
}

static void
half_tell(struct sq_amqp_half *h)
{
	struct sq_amqp_news news[SQ_AMQP_NEWS_MAX];
	unsigned n;

	pthread_mutex_lock(&h->lock);
	n = h->n_news;
	memcpy(news, h->news, sizeof news);
	memset(h->news, 0, sizeof h->news);
	h->n_news = 0;
	pthread_mutex_unlock(&h->lock);
	for (unsigned i = 0; i < n; i++) {
		if (h->closed == NULL)
			h->env.state(h->env.owner, h->which, news[i].up, news[i].why);
		free(news[i].why);
	}
}

/* The task. */

static void
half_run(struct sq_task *t)
{
	struct sq_amqp_half *h = SQ_CONTAINER_OF(t, struct sq_amqp_half, task);
	bool ended;

	pthread_mutex_lock(&h->lock);
	h->posted = false;
	ended = h->ended;
	pthread_mutex_unlock(&h->lock);
	half_tell(h);
	h->run(h);
	if (ended)
		h->over(h);
}

void
sq_amqp_half_post(struct sq_amqp_half *h)
{
	bool post;

	pthread_mutex_lock(&h->lock);
	post = !h->posted;
	h->posted = true;
	pthread_mutex_unlock(&h->lock);
	if (post)
		h->env.post(h->env.owner, &h->task);
}

/* Life. */

void
sq_amqp_half_init(struct sq_amqp_half *h, const struct sq_bridge_env *env,
    const struct sq_bridge_cfg *cfg, enum sq_bridge_half which)
{
	h->env = *env;
	h->cfg = cfg;
	h->which = which;
	h->task.run = half_run;
	sq_list_init(&h->task.node);
	pthread_mutex_init(&h->lock, NULL);
}

void
sq_amqp_half_fini(struct sq_amqp_half *h)
{
	for (unsigned i = 0; i < h->n_news; i++)
		free(h->news[i].why);
	for (unsigned i = 0; i < h->n_lines; i++)
		free(h->lacks[i]);
	free(h->lacks_told);
	free(h->trouble);
	free(h->peer);
	pthread_mutex_destroy(&h->lock);
}

int
sq_amqp_half_peer_cfg(
    const struct sq_amqp_half *h, struct sq_amqp_peer_cfg *out, struct sq_buf *err)
{
	const struct sq_bridge_cfg *c = h->cfg;
	struct sq_amqp_url urls[SQ_BRIDGE_URLS_MAX];
	const struct sq_amqp_peer_cfg made = {.urls = urls,
	    .n_urls = c->urls.n,
	    .files = {.user = c->user_file,
		.password = c->password_file,
		.ca = c->ca_file,
		.cert = c->cert_file,
		.key = c->key_file},
	    .heartbeat_s = (unsigned)((c->heartbeat_ms + 999) / 1000),
	    .user_agent = (char *)(uintptr_t)h->env.user_agent};

	if (c->urls.n == 0 || c->urls.n > SQ_BRIDGE_URLS_MAX) {
		sq_buf_printf(err, "url: %zu of them", c->urls.n);
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < c->urls.n; i++)
		if (sq_amqp_url_read(c->urls.v[i], &urls[i], err) != SQ_OK)
			return SQ_EINVAL;
	if (sq_amqp_files_check(&made.files, err) != SQ_OK)
		return SQ_EINVAL;
	sq_amqp_peer_cfg_copy(&made, out);
	return SQ_OK;
}

/* On the thread that has ended the lines. */
static void
half_ended(void *arg)
{
	struct sq_amqp_half *h = arg;

	pthread_mutex_lock(&h->lock);
	h->ended = true;
	pthread_mutex_unlock(&h->lock);
	sq_amqp_half_post(h);
}

void
sq_amqp_half_close(struct sq_amqp_half *h, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	h->closed = closed;
	h->closed_arg = arg;
	sq_amqp_lines_close(h->lines, h->n_lines, within_ms, half_ended, h);
}

void
sq_amqp_half_status(const struct sq_amqp_half *half, struct sq_buf *json)
{
	struct sq_amqp_half *h = (struct sq_amqp_half *)(uintptr_t)half; /* for its lock */

	pthread_mutex_lock(&h->lock);
	sq_buf_printf(json, "\"connections\":%u,\"connected\":%u", h->n_lines, h->up);
	if (h->trouble != NULL) {
		sq_buf_printf(json, ",\"trouble\":");
		sq_json_put_string(json, sq_bytes_of(h->trouble));
	}
	if (half_lacks(h) != NULL) {
		sq_buf_printf(json, ",\"lacks\":");
		sq_json_put_string(json, sq_bytes_of(half_lacks(h)));
	}
	pthread_mutex_unlock(&h->lock);
}
