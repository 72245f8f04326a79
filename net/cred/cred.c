/* The life of credentials: opened, looked at, closed. */
#include "net/cred/cred.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "net/cred/cred_priv.h"
#include "net/curl/shared.h"

static const char *
cred_getenv(const char *name)
{
	return getenv(name);
}

struct sq_creds *
sq_creds_new(const struct sq_creds_cfg *cfg)
{
	struct sq_creds *all = sq_xcalloc(1, sizeof *all);

	all->cfg = *cfg;
	if (all->cfg.env == NULL)
		all->cfg.env = cred_getenv;
	if (all->cfg.ms == NULL)
		all->cfg.ms = sq_clock_ms;
	if (all->cfg.wall_ms == NULL)
		all->cfg.wall_ms = sq_clock_wall_ms;
	pthread_mutex_init(&all->lock, NULL);
	sq_list_init(&all->open);
	return all;
}

void
sq_creds_free(struct sq_creds **ap)
{
	struct sq_creds *all = *ap;

	*ap = NULL;
	if (all == NULL)
		return;
	assert(all->n == 0);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

static char *
cred_copy(const char *s)
{
	return s != NULL ? sq_xstrdup(s) : NULL;
}

struct sq_cred *
sq_cred_open(struct sq_creds *all, const struct sq_cred_cfg *cfg)
{
	struct sq_cred *c = sq_xcalloc(1, sizeof *c);

	c->all = all;
	c->scope = sq_xstrdup(cfg->scope);
	c->ca_file = cred_copy(cfg->ca_file);
	c->refs = 1;
	c->due_ms = c->due_wall_ms = UINT64_MAX;
	sq_cred_source_find(&c->source, cfg, all->cfg.env);
	pthread_mutex_lock(&all->lock);
	sq_list_push_back(&all->open, &c->node);
	all->n++;
	switch (c->source.from) {
	case SQ_CRED_NOWHERE:
		sq_cred_ended(c, NULL, sq_xstrdup(c->source.why));
		break;
	case SQ_CRED_FILES:
		break; /* as soon as they were read */
	case SQ_CRED_ENVIRONMENT:
		atomic_fetch_add(&c->source.value->refs, 1);
		if (c->source.role == NULL) {
			sq_cred_ended(c, c->source.value, NULL);
		} else {
			c->base = c->source.value;
			c->due_ms = 0;
		}
		break;
	default:
		c->due_ms = 0;
		break;
	}
	pthread_mutex_unlock(&all->lock);
	return c;
}

void
sq_cred_close(struct sq_cred **cp)
{
	struct sq_cred *c = *cp;
	struct sq_creds *all;

	*cp = NULL;
	if (c == NULL)
		return;
	all = c->all;
	pthread_mutex_lock(&all->lock);
	sq_list_remove(&c->node);
	c->closed = true;
	sq_cred_ask_cancel(c);
	sq_cred_unref(c);
	pthread_mutex_unlock(&all->lock);
}

int
sq_cred_get(struct sq_cred *c, const struct sq_cred_value **out, struct sq_buf *why)
{
	int rc = SQ_OK;

	*out = NULL;
	pthread_mutex_lock(&c->all->lock);
	if (sq_cred_good(c)) {
		atomic_fetch_add(&c->value->refs, 1);
		*out = &c->value->value;
	} else if (c->why != NULL) {
		sq_buf_printf(why, "no AWS credentials: %s", c->why);
		rc = SQ_ENOTFOUND;
	} else {
		rc = SQ_EAGAIN;
	}
	pthread_mutex_unlock(&c->all->lock);
	return rc;
}

/* The look. */

/* Takes what was read of the files. */
static void
cred_read(struct sq_cred *c, struct sq_cred_kept *v, struct sq_buf *why)
{
	uint64_t due_ms = c->due_ms, due_wall_ms = c->due_wall_ms;

	if (v == NULL) {
		sq_cred_ended(c, NULL, sq_buf_take_text(why));
		c->due_ms = due_ms;
		c->due_wall_ms =
		    due_wall_ms; /* that is not the files', which are looked at in any case */
	} else if (c->source.role == NULL) {
		sq_cred_ended(c, v, NULL);
	} else {
		sq_cred_kept_unref(c->base);
		c->base = v;
		c->due_ms = 0;
		c->rebased = c->ask.step != SQ_CRED_IDLE;
	}
}

/* Whether it is time to fetch it.  Under the lock. */
static bool
cred_due(const struct sq_cred *c)
{
	bool due = c->due_ms <= c->all->cfg.ms() || c->due_wall_ms <= c->all->cfg.wall_ms();

	return due && c->ask.step == SQ_CRED_IDLE && !c->closed;
}

/* Has sq_out, from the first request on. */
static char *
cred_out(struct sq_creds *all)
{
	struct sq_buf err = {0};
	struct sq_out *out = sq_out_shared_get(all->cfg.out, &err);

	if (out == NULL)
		return sq_buf_take_text(&err);
	pthread_mutex_lock(&all->lock);
	all->out = out;
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

/* Without the lock: a volume may hang. */
static void
cred_look(struct sq_cred *c)
{
	struct sq_creds *all = c->all;
	struct sq_cred_kept *v;
	struct sq_buf why = {0};
	bool due,
	    is_new = c->source.from == SQ_CRED_FILES &&
	    sq_cred_files_look(&c->files, c->source.files, all->cfg.ms(), &v, &why);
	char *failed;

	pthread_mutex_lock(&all->lock);
	if (is_new)
		cred_read(c, v, &why);
	due = cred_due(c);
	pthread_mutex_unlock(&all->lock);
	sq_buf_fini(&why);
	if (!due)
		return;
	failed = cred_out(all);
	if (failed == NULL)
		failed = sq_cred_ask_begin(c);
	if (failed == NULL)
		return;
	pthread_mutex_lock(&all->lock);
	sq_cred_ended(c, NULL, failed);
	pthread_mutex_unlock(&all->lock);
}

void
sq_creds_look(struct sq_creds *all)
{
	pthread_mutex_lock(&all->lock);
	for (size_t left = all->n; left > 0 && !sq_list_empty(&all->open); left--) {
		struct sq_cred *c = SQ_CONTAINER_OF(all->open.next, struct sq_cred, node);

		sq_list_remove(&c->node);
		sq_list_push_back(&all->open, &c->node);
		c->refs++;
		pthread_mutex_unlock(&all->lock);
		cred_look(c);
		pthread_mutex_lock(&all->lock);
		sq_cred_unref(c);
	}
	pthread_mutex_unlock(&all->lock);
}
