#include "net/curl/shared.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/mem.h"

struct sq_out_shared {
	struct sq_out_cfg cfg;
	char *user_agent, *proxy;
	pthread_mutex_t lock; /* of 'out' */
	struct sq_out *out;
};

struct sq_out_shared *
sq_out_shared_new(const struct sq_out_cfg *cfg)
{
	struct sq_out_shared *s = sq_xcalloc(1, sizeof *s);

	s->cfg = *cfg;
	s->user_agent = sq_xstrdup(cfg->user_agent);
	s->proxy = cfg->proxy != NULL ? sq_xstrdup(cfg->proxy) : NULL;
	s->cfg.user_agent = s->user_agent;
	s->cfg.proxy = s->proxy;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

struct sq_out *
sq_out_shared_get(struct sq_out_shared *s, struct sq_buf *err)
{
	struct sq_out *out;

	pthread_mutex_lock(&s->lock);
	if (s->out == NULL)
		s->out = sq_out_new(&s->cfg, err);
	out = s->out;
	pthread_mutex_unlock(&s->lock);
	return out;
}

struct sq_out_counts
sq_out_shared_count(struct sq_out_shared *s)
{
	struct sq_out_counts n = {0};

	pthread_mutex_lock(&s->lock);
	if (s->out != NULL)
		n = sq_out_count(s->out);
	pthread_mutex_unlock(&s->lock);
	return n;
}

void
sq_out_shared_free(struct sq_out_shared **sp)
{
	struct sq_out_shared *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	sq_out_free(&s->out);
	pthread_mutex_destroy(&s->lock);
	free(s->user_agent);
	free(s->proxy);
	free(s);
}
