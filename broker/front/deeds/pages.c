#include "broker/front/deeds/pages.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "broker/deed/find.h"
#include "broker/front/access/pages.h"
#include "broker/deed/answer.h"
#include "broker/deed/gate.h"
#include "broker/front/deeds/request.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/utf8.h"

enum {
	RUNNING_MAX = 4, /* deeds under way */
	TIME_MS = 600,   /* of a deed, in the second that its answer has */
	SHOWN_MAX = 256, /* bytes of a name in the log */
};

struct sq_deed_pages {
	struct sq_pages pages;
	atomic_uint running;
	struct sq_deed_gate *redrives;
};

/* One request on its way. */
struct deed_ask {
	struct sq_page page;
	struct sq_deed_request request;
	struct sq_deed deed;
};

static struct sq_deed_pages *
deed_pages(const struct deed_ask *a)
{
	return SQ_CONTAINER_OF(a->page.pages, struct sq_deed_pages, pages);
}

static void
deed_fini(struct sq_page *p)
{
	sq_deed_request_fini(&SQ_CONTAINER_OF(p, struct deed_ask, page)->request);
}

/* Who has done what, to what, and how often. */
static void
deed_log(const struct deed_ask *a)
{
	const struct sq_deed *d = &a->deed;
	const char *name = d->name != NULL ? d->name : d->space;

	SQ_INFO("deed", "%s %.*s: %llu%s, by %s", a->request.what,
	    (int)sq_utf8_cut(name, strlen(name), SHOWN_MAX), name, (unsigned long long)d->n,
	    d->more ? " so far" : "", sq_access_name(&a->page.caller.access));
}

/* Thread: a worker, or the admin thread. */
static void
deed_done(struct sq_deed *d)
{
	struct deed_ask *a = SQ_CONTAINER_OF(d, struct deed_ask, deed);
	struct sq_buf body = {0};
	const char *why, *denied = sq_access_denied(&a->page.caller.access);
	unsigned status = sq_deed_answer_status(d, &why);

	if (d->kind == SQ_DEED_REDRIVE)
		sq_deed_gate_end(deed_pages(a)->redrives, d->until_ms - TIME_MS, d->n);
	atomic_fetch_sub(&deed_pages(a)->running, 1);
	if (status != 200) {
		sq_page_refuse(&a->page, status, status == 403 && denied[0] != '\0' ? denied : why);
		return;
	}
	deed_log(a);
	sq_deed_answer(d, &body);
	sq_page_answer(&a->page, &body);
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
	struct sq_deed_pages *p = deed_pages(a);
	struct sq_deed *d = &a->deed;
	char full[128];

	if (atomic_fetch_add(&p->running, 1) >= RUNNING_MAX) {
		atomic_fetch_sub(&p->running, 1);
		snprintf(full, sizeof full, "%d deeds are under way", RUNNING_MAX);
		sq_page_refuse(&a->page, 429, full);
		return;
	}
	if (d->kind == SQ_DEED_REDRIVE &&
	    !sq_deed_gate_begin(p->redrives, deed_space(d), sq_clock_ms())) {
		atomic_fetch_sub(&p->running, 1);
		snprintf(full, sizeof full,
		    "dead letters are published again at %d a second at most, of one space after "
		    "the other",
		    SQ_DEED_GATE_RATE);
		sq_page_refuse(&a->page, 429, full);
		return;
	}
	if (d->kind == SQ_DEED_REDRIVE && d->most > SQ_DEED_GATE_RATE)
		d->most = SQ_DEED_GATE_RATE;
	d->until_ms = sq_clock_ms() + TIME_MS;
	d->may = deed_may;
	d->arg = &a->page.caller.access;
	d->done = deed_done;
	sq_deed_ask(a->page.caller.broker, d);
}

static void
deed_known(struct sq_page *p)
{
	struct deed_ask *a = SQ_CONTAINER_OF(p, struct deed_ask, page);
	struct sq_access *access = &p->caller.access;
	const struct sq_admin_ask *ask = p->caller.ask;
	struct sq_buf why = {0};
	unsigned status = sq_deed_request_read(&a->request, ask->path, ask->body, &a->deed, &why);

	sq_buf_u8(&why, '\0');
	if (status != 200)
		sq_page_refuse(p, status, (const char *)sq_buf_data(&why));
	else if (!sq_access_manages(access, a->deed.space))
		sq_page_refuse(p, 403, sq_access_denied(access));
	else
		deed_begin(a);
	sq_buf_fini(&why);
}

struct sq_pages *
sq_deed_pages_new(struct sq_callers *callers, struct sq_deed_gate *redrives)
{
	struct sq_deed_pages *p = sq_pages_new(sizeof *p,
	    &(struct sq_pages){.admin = {.below = SQ_DEEDS_PATH, .methods = "POST"},
		.callers = callers,
		.page_size = sizeof(struct deed_ask),
		.known = deed_known,
		.fini = deed_fini});

	p->redrives = redrives;
	return &p->pages;
}
