#include "broker/front/deeds/pages.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/deed/find.h"
#include "broker/front/access/callers.h"
#include "broker/front/deeds/answer.h"
#include "broker/front/deeds/gate.h"
#include "broker/front/deeds/request.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "web/admin_ask.h"

enum {
	RUNNING_MAX = 4, /* deeds under way */
	TIME_MS = 600,   /* of a deed, in the second that its answer has */
	SHOWN_MAX = 256, /* bytes of a name in the log */
};

struct sq_deed_pages {
	struct sq_admin_pages admin;
	struct sq_callers *callers;
	atomic_uint running;
	struct sq_deed_gate redrives;
};

/* One request on its way. */
struct deed_ask {
	struct sq_deed_pages *pages;
	struct sq_caller caller;
	struct sq_deed_request request;
	struct sq_deed deed;
};

static void
deed_free(struct deed_ask *a)
{
	sq_deed_request_fini(&a->request);
	sq_caller_fini(&a->caller);
	free(a);
}

static void
deed_refuse(struct deed_ask *a, unsigned status, const char *detail)
{
	sq_caller_refuse(&a->caller, status, detail);
	deed_free(a);
}

/* Who has done what, to what, and how often. */
static void
deed_log(const struct deed_ask *a)
{
	const struct sq_deed *d = &a->deed;
	const char *name = d->name != NULL ? d->name : d->space;

	SQ_INFO("deed", "%s %.*s: %llu%s, by %s", a->request.what,
	    (int)sq_utf8_cut(name, strlen(name), SHOWN_MAX), name, (unsigned long long)d->n,
	    d->more ? " so far" : "", sq_access_name(&a->caller.access));
}

/* Thread: a worker, or the admin thread. */
static void
deed_done(struct sq_deed *d)
{
	struct deed_ask *a = SQ_CONTAINER_OF(d, struct deed_ask, deed);
	struct sq_admin_answer answer = {0};
	const char *why, *denied = sq_access_denied(&a->caller.access);
	unsigned status = sq_deed_answer_status(d, &why);

	if (d->kind == SQ_DEED_REDRIVE)
		sq_deed_gate_end(&a->pages->redrives, d->until_ms - TIME_MS, d->n);
	atomic_fetch_sub(&a->pages->running, 1);
	if (status != 200) {
		deed_refuse(a, status, status == 403 && denied[0] != '\0' ? denied : why);
		return;
	}
	deed_log(a);
	answer.status = 200;
	sq_deed_answer(d, &answer.body);
	sq_admin_answer(a->caller.ask, &answer);
	deed_free(a);
}

/* The space of dead letters that are to be published again. */
static const char *
deed_space(const struct sq_deed *d)
{
	const char *space = d->space;

	if (d->name != NULL)
		(void)sq_deed_dead_name(d->name, &space);
	return space != NULL ? space : "";
}

/* On a worker. */
static enum sq_deed_right
deed_may(void *arg, const char *space, struct sq_bytes object)
{
	if (sq_access_may_manage(arg, object, space))
		return SQ_DEED_MAY;
	return sq_access_has_space(arg, space) ? SQ_DEED_MAY_NOT : SQ_DEED_FOREIGN;
}

static void
deed_begin(struct deed_ask *a)
{
	struct sq_deed_pages *p = a->pages;
	struct sq_deed *d = &a->deed;
	char full[128];

	if (atomic_fetch_add(&p->running, 1) >= RUNNING_MAX) {
		atomic_fetch_sub(&p->running, 1);
		snprintf(full, sizeof full, "%d deeds are under way", RUNNING_MAX);
		deed_refuse(a, 429, full);
		return;
	}
	if (d->kind == SQ_DEED_REDRIVE &&
	    !sq_deed_gate_begin(&p->redrives, deed_space(d), sq_clock_ms())) {
		atomic_fetch_sub(&p->running, 1);
		snprintf(full, sizeof full,
		    "dead letters are published again at %d a second at most, of one space after "
		    "the other",
		    SQ_DEED_GATE_RATE);
		deed_refuse(a, 429, full);
		return;
	}
	if (d->kind == SQ_DEED_REDRIVE && d->most > SQ_DEED_GATE_RATE)
		d->most = SQ_DEED_GATE_RATE;
	d->until_ms = sq_clock_ms() + TIME_MS;
	d->may = deed_may;
	d->arg = &a->caller.access;
	d->done = deed_done;
	sq_deed_ask(a->caller.broker, d);
}

static void
deed_judged(struct sq_caller *c)
{
	struct deed_ask *a = SQ_CONTAINER_OF(c, struct deed_ask, caller);
	struct sq_buf why = {0};
	unsigned status = c->status;

	if (status != 200) {
		deed_refuse(a, status, c->why);
		return;
	}
	status = sq_deed_request_read(&a->request, c->ask->path, c->ask->body, &a->deed, &why);
	sq_buf_u8(&why, '\0');
	if (status != 200)
		deed_refuse(a, status, (const char *)sq_buf_data(&why));
	else if (!sq_access_manages(&c->access, a->deed.space))
		deed_refuse(a, 403, sq_access_denied(&c->access));
	else
		deed_begin(a);
	sq_buf_fini(&why);
}

static void
deed_asked(void *owner, struct sq_admin_ask *ask)
{
	struct sq_deed_pages *p = owner;
	struct deed_ask *a = sq_xcalloc(1, sizeof *a);

	a->pages = p;
	a->caller.ask = ask;
	a->caller.judged = deed_judged;
	sq_caller_judge(p->callers, &a->caller);
}

struct sq_deed_pages *
sq_deed_pages_new(struct sq_callers *callers)
{
	struct sq_deed_pages *p = sq_xcalloc(1, sizeof *p);

	p->callers = callers;
	sq_deed_gate_init(&p->redrives);
	p->admin = (struct sq_admin_pages){
	    .below = SQ_DEEDS_PATH, .methods = "POST", .asked = deed_asked, .owner = p};
	return p;
}

const struct sq_admin_pages *
sq_deed_pages_admin(const struct sq_deed_pages *p)
{
	return &p->admin;
}

void
sq_deed_pages_free(struct sq_deed_pages **pp)
{
	free(*pp);
	*pp = NULL;
}
