/* What /readyz says; see k8s/injector/state.h. */
#include "k8s/injector/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"

static const char *const names[SQ_STATE_ITEMS] = {
    [SQ_STATE_SETTINGS] = "settings",
    [SQ_STATE_CA] = "authority",
    [SQ_STATE_BROKER] = "broker's certificate",
    [SQ_STATE_SERVING] = "webhook's certificate",
    [SQ_STATE_MUTATING] = "mutating webhook configuration",
    [SQ_STATE_VALIDATING] = "validating webhook configuration",
};

void
sq_state_init(struct sq_state *s)
{
	*s = (struct sq_state){0};
	pthread_mutex_init(&s->lock, NULL);
}

void
sq_state_fini(struct sq_state *s)
{
	for (size_t i = 0; i < SQ_STATE_ITEMS; i++)
		free(s->items[i].problem);
	pthread_mutex_destroy(&s->lock);
}

void
sq_state_need(struct sq_state *s, enum sq_state_item item)
{
	pthread_mutex_lock(&s->lock);
	s->items[item].needed = true;
	pthread_mutex_unlock(&s->lock);
}

/* Takes 'problem', allocated or NULL, in place of the old one; true if it is another. */
static bool
state_set(struct sq_state *s, enum sq_state_item item, bool ready, char *problem)
{
	char *was;
	bool changed;

	pthread_mutex_lock(&s->lock);
	was = s->items[item].problem;
	changed = (was == NULL) != (problem == NULL) ||
	    (was != NULL && problem != NULL && strcmp(was, problem) != 0) ||
	    ready != s->items[item].ready;
	s->items[item].problem = problem;
	s->items[item].ready = ready;
	pthread_mutex_unlock(&s->lock);
	free(was);
	return changed;
}

void
sq_state_good(struct sq_state *s, enum sq_state_item item)
{
	if (state_set(s, item, true, NULL))
		SQ_INFO("keeper", "%s: good", names[item]);
}

static bool
state_is_ready(struct sq_state *s, enum sq_state_item item)
{
	bool ready;

	pthread_mutex_lock(&s->lock);
	ready = s->items[item].ready;
	pthread_mutex_unlock(&s->lock);
	return ready;
}

static void state_problem(
    struct sq_state *, enum sq_state_item, bool ready, const char *fmt, va_list) SQ_PRINTF(4, 0);

static void
state_problem(
    struct sq_state *s, enum sq_state_item item, bool ready, const char *fmt, va_list args)
{
	char *text, *said;

	if (vasprintf(&text, fmt, args) < 0)
		abort(); /* no memory */
	said = sq_xstrdup(text);
	if (state_set(s, item, ready, text))
		SQ_WARN("keeper", "%s: %s", names[item], said);
	free(said);
}

void
sq_state_troubled(struct sq_state *s, enum sq_state_item item, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	state_problem(s, item, state_is_ready(s, item), fmt, args);
	va_end(args);
}

void
sq_state_wrong(struct sq_state *s, enum sq_state_item item, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	state_problem(s, item, false, fmt, args);
	va_end(args);
}

bool
sq_state_ready(struct sq_state *s, struct sq_buf *why)
{
	bool ready = true;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < SQ_STATE_ITEMS; i++) {
		if (!s->items[i].needed)
			continue;
		ready = ready && s->items[i].ready;
		if (s->items[i].problem != NULL)
			sq_buf_printf(why, "%s: %s\n", names[i], s->items[i].problem);
		else if (!s->items[i].ready)
			sq_buf_printf(why, "%s: not there yet\n", names[i]);
	}
	pthread_mutex_unlock(&s->lock);
	return ready;
}
