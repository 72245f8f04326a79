#include "broker/front/access/pages.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static void
page_end(struct sq_page *p, struct sq_admin_answer *answer)
{
	sq_admin_answer(p->caller.ask, answer);
	if (p->pages->fini != NULL)
		p->pages->fini(p);
	sq_caller_fini(&p->caller);
	free(p);
}

void
sq_page_answer(struct sq_page *p, struct sq_buf *body)
{
	struct sq_admin_answer answer = {.status = 200, .body = *body};

	*body = (struct sq_buf){0};
	page_end(p, &answer);
}

void
sq_page_refuse(struct sq_page *p, unsigned status, const char *detail)
{
	struct sq_admin_answer answer = {.status = status, .detail = detail};

	if (status == 429 || status == 503)
		answer.retry_after_s = 1;
	page_end(p, &answer);
}

/* Thread: admin, or one of broker/auth. */
static void
page_judged(struct sq_caller *c)
{
	struct sq_page *p = SQ_CONTAINER_OF(c, struct sq_page, caller);

	if (c->status == 200)
		p->pages->known(p);
	else
		sq_page_refuse(p, c->status, c->why);
}

static void
pages_asked(void *owner, struct sq_admin_ask *ask)
{
	struct sq_pages *pages = owner;
	struct sq_page *p;

	if (sq_callers_pass_on(pages->callers, ask))
		return;
	p = sq_xcalloc(1, pages->page_size);
	p->pages = pages;
	p->caller.ask = ask;
	p->caller.judged = page_judged;
	sq_caller_judge(pages->callers, &p->caller);
}

void *
sq_pages_new(size_t size, const struct sq_pages *as)
{
	struct sq_pages *p = sq_xcalloc(1, size);

	*p = *as;
	p->admin.asked = pages_asked;
	p->admin.owner = p;
	return p;
}

void
sq_pages_free(struct sq_pages **pp)
{
	free(*pp);
	*pp = NULL;
}
