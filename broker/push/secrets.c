/* See broker/push/secrets.h. */
#include "broker/push/secrets.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/auth/watched.h"
#include "broker/push/secret_text.h"
#include "core/file.h"
#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	PAUSE_MS = 1000, /* between two looks at one file */
	SETTLED_S = 2,   /* one that is so old is not in the middle of a write */
	PART_MAX = 253,  /* bytes of a space's or a secret's name */
};

struct secret_value {
	struct sq_secret_value value;
	struct sq_buf text; /* of 'value', in it */
	_Atomic unsigned refs;
};

struct sq_secret {
	struct sq_secrets *all;
	struct sq_list node;
	enum sq_secret_kind kind;
	char *path; /* NULL: there is nothing to read, and 'why' says it */
	char *said; /* what people know it by */
	/* Under the lock. */
	unsigned refs;              /* its user's, and that of a look */
	struct secret_value *value; /* NULL: none, see 'why' */
	char *why;                  /* NULL: it was not read yet, or there is a value */
	/* The reader's. */
	struct sq_watched watched;
	uint64_t looked_ms;
};

struct sq_secrets {
	char *dir;
	void (*wake)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	struct sq_list open;
	size_t n;
};

struct sq_secrets *
sq_secrets_new(const char *dir, void (*wake)(void *), void *arg)
{
	struct sq_secrets *all = sq_xcalloc(1, sizeof *all);

	all->dir = dir != NULL ? sq_xstrdup(dir) : NULL;
	all->wake = wake;
	all->arg = arg;
	pthread_mutex_init(&all->lock, NULL);
	sq_list_init(&all->open);
	return all;
}

void
sq_secrets_free(struct sq_secrets **ap)
{
	struct sq_secrets *all = *ap;

	*ap = NULL;
	if (all == NULL)
		return;
	assert(all->n == 0);
	pthread_mutex_destroy(&all->lock);
	free(all->dir);
	free(all);
}

bool
sq_secret_name_good(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > PART_MAX || name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '/' || (unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	}
	return true;
}

/* Fills path and names; one that leads nowhere has a reason at once. */
static void
secret_place(struct sq_secret *s, const char *space, const struct sq_push_secret *of)
{
	struct sq_buf said = {0}, path = {0}, why = {0};

	if (of->file != NULL) {
		s->path = sq_xstrdup(of->file);
		s->said = sq_xstrdup(of->file);
		return;
	}
	sq_buf_printf(&said, "push.secrets-dir/%.128s/%.128s", space, of->name);
	s->said = sq_buf_take_text(&said);
	if (s->all->dir == NULL)
		sq_buf_printf(&why, "%s: the broker has no push.secrets-dir", s->said);
	else if (!sq_secret_name_good(of->name))
		sq_buf_printf(&why, "%s: a secret's name is no path", s->said);
	else if (!sq_secret_name_good(space))
		sq_buf_printf(&why, "%s: the space's name can't be a folder's", s->said);
	if (sq_buf_len(&why) > 0) {
		s->why = sq_buf_take_text(&why);
		return;
	}
	sq_buf_printf(&path, "%s/%s/%s", s->all->dir, space, of->name);
	s->path = sq_buf_take_text(&path);
}

struct sq_secret *
sq_secret_open(struct sq_secrets *all, const char *space, const struct sq_push_secret *of,
    enum sq_secret_kind kind)
{
	struct sq_secret *s = sq_xcalloc(1, sizeof *s);

	assert((of->file != NULL) != (of->name != NULL));
	s->all = all;
	s->kind = kind;
	s->refs = 1;
	secret_place(s, space, of);
	s->watched = (struct sq_watched){.file = s->path, .guarded = true};
	pthread_mutex_lock(&all->lock);
	sq_list_push_front(&all->open, &s->node);
	all->n++;
	pthread_mutex_unlock(&all->lock);
	if (s->path != NULL && all->wake != NULL)
		all->wake(all->arg);
	return s;
}

static void
secret_value_unref(struct secret_value *v)
{
	if (v == NULL || atomic_fetch_sub(&v->refs, 1) > 1)
		return;
	sq_webhook_keys_fini(&v->value.keys);
	sq_buf_wipe(&v->text);
	free(v);
}

/* Gives up a reference, under the lock; true: it was the last, and the secret is to be freed. */
static bool
secret_unref(struct sq_secret *s)
{
	assert(s->refs > 0);
	return --s->refs == 0;
}

static void
secret_free(struct sq_secret *s)
{
	secret_value_unref(s->value);
	free(s->path);
	free(s->said);
	free(s->why);
	free(s);
}

void
sq_secret_close(struct sq_secret **sp)
{
	struct sq_secret *s = *sp;
	pthread_mutex_t *lock;
	bool last;

	*sp = NULL;
	if (s == NULL)
		return;
	lock = &s->all->lock;
	pthread_mutex_lock(lock);
	sq_list_remove(&s->node);
	s->all->n--;
	last = secret_unref(s);
	pthread_mutex_unlock(lock);
	if (last)
		secret_free(s);
}

int
sq_secret_get(struct sq_secret *s, const struct sq_secret_value **out, struct sq_buf *why)
{
	int rc = SQ_OK;

	*out = NULL;
	pthread_mutex_lock(&s->all->lock);
	if (s->value != NULL) {
		atomic_fetch_add(&s->value->refs, 1);
		*out = &s->value->value;
	} else if (s->why != NULL) {
		sq_buf_printf(why, "%s", s->why);
		rc = SQ_ENOTFOUND;
	} else {
		rc = SQ_EAGAIN;
	}
	pthread_mutex_unlock(&s->all->lock);
	return rc;
}

void
sq_secret_value_put(const struct sq_secret_value **vp)
{
	const struct sq_secret_value *v = *vp;

	*vp = NULL;
	if (v != NULL)
		secret_value_unref(SQ_CONTAINER_OF(v, struct secret_value, value));
}

/* The file, if there is something new of it: as sq_watched_look(). */
static int
secret_read(struct sq_secret *s, uint64_t now_ms, struct sq_buf *out)
{
	struct sq_file_stamp stamp;

	sq_file_stamp(s->path, &stamp);
	if (s->looked_ms == 0 && time(NULL) - stamp.mtime.tv_sec >= SETTLED_S)
		return sq_watched_open(&s->watched, SQ_SECRET_MAX, out);
	return sq_watched_look(&s->watched, now_ms, SQ_SECRET_MAX, out);
}

/* What was read with 'rc' as a value; NULL with the reason in 'why'. */
static struct secret_value *
secret_parse(struct sq_secret *s, int rc, const struct sq_buf *text, struct sq_buf *why)
{
	struct secret_value *v;

	if (rc != SQ_OK) {
		sq_buf_printf(why, "%s", sq_file_reason(rc));
		return NULL;
	}
	v = sq_xcalloc(1, sizeof *v);
	v->refs = 1;
	rc = sq_secret_text_read(s->kind, sq_buf_bytes(text), &v->text, &v->value.keys, why);
	if (s->kind == SQ_SECRET_CERT)
		sq_buf_append(&v->text, s->path, strlen(s->path) + 1);
	if (s->kind != SQ_SECRET_KEYS)
		v->value.text = (const char *)sq_buf_data(&v->text);
	if (rc != SQ_OK) {
		secret_value_unref(v);
		return NULL;
	}
	return v;
}

/* From now on it is that value, or none for the reason in 'why'. */
static void
secret_set(struct sq_secret *s, struct secret_value *v, const struct sq_buf *why)
{
	struct secret_value *old = s->value;
	struct sq_buf line = {0};
	char *was = s->why, *now = NULL;
	bool is_new;

	if (v == NULL) {
		sq_buf_printf(&line, "%s: %.*s", s->said, (int)sq_buf_len(why),
		    (const char *)sq_buf_data(why));
		now = sq_buf_take_text(&line);
	}
	is_new = now != NULL && (was == NULL || strcmp(was, now) != 0);
	if (is_new)
		SQ_WARN("push", "%s: %.*s; pushes that need it wait", s->path, (int)sq_buf_len(why),
		    (const char *)sq_buf_data(why));
	else if (v != NULL && was != NULL)
		SQ_INFO("push", "%s is good now", s->path);
	pthread_mutex_lock(&s->all->lock);
	s->value = v;
	s->why = now;
	pthread_mutex_unlock(&s->all->lock);
	free(was);
	secret_value_unref(old);
}

/* Reads it if it is time and there is something new.  Without the lock: a volume may hang. */
static void
secret_look(struct sq_secret *s, uint64_t now_ms)
{
	struct sq_buf text = {0}, why = {0};
	struct secret_value *v;
	int rc = secret_read(s, now_ms, &text);

	s->looked_ms = now_ms;
	if (rc != SQ_EAGAIN) {
		v = secret_parse(s, rc, &text, &why);
		if (v == NULL)
			s->watched.done = (struct sq_file_stamp){0}; /* until it is good */
		secret_set(s, v, &why);
	}
	sq_buf_wipe(&text);
	sq_buf_fini(&why);
}

/* Whether it is time to look at its file; under the lock. */
static bool
secret_due(const struct sq_secret *s, uint64_t now_ms)
{
	bool read = s->value != NULL || s->why != NULL;

	return s->path != NULL && (!read || now_ms - s->looked_ms >= PAUSE_MS);
}

void
sq_secrets_look(struct sq_secrets *all, uint64_t now_ms)
{
	pthread_mutex_lock(&all->lock);
	for (size_t left = all->n; left > 0 && !sq_list_empty(&all->open); left--) {
		struct sq_secret *s = SQ_CONTAINER_OF(all->open.next, struct sq_secret, node);
		bool last;

		sq_list_remove(&s->node);
		sq_list_push_back(&all->open, &s->node);
		if (!secret_due(s, now_ms))
			continue;
		s->refs++;
		pthread_mutex_unlock(&all->lock);
		secret_look(s, now_ms);
		pthread_mutex_lock(&all->lock);
		last = secret_unref(s);
		if (last) {
			pthread_mutex_unlock(&all->lock);
			secret_free(s);
			pthread_mutex_lock(&all->lock);
		}
	}
	pthread_mutex_unlock(&all->lock);
}
