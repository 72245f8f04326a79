/* Pages at the admin endpoint that are for who may: what is alike in the folders that answer there.
 *
 *   request -> sq_caller_judge() ~~> refused, or sq_pages.known() ... sq_page_answer(), sq_page_refuse()
 *
 * A folder's own struct begins with a struct sq_pages, and what it keeps of a request with a struct
 * sq_page. */
#ifndef SQ_BROKER_FRONT_ACCESS_PAGES_H
#define SQ_BROKER_FRONT_ACCESS_PAGES_H

#include "broker/front/access/callers.h"
#include "web/admin_ask.h"

struct sq_page;

struct sq_pages {
	struct sq_admin_pages admin; /* of which the folder fills in 'below' and 'methods' */
	struct sq_callers *callers;  /* who outlive the pages */
	size_t page_size;            /* of what is kept of a request, zeroed at first */
	/* Who asks is known and let in.  Thread: admin, or one of broker/auth. */
	void (*known)(struct sq_page *);
	/* Frees what the folder keeps beside; NULL: nothing. */
	void (*fini)(struct sq_page *);
};

/* A request on its way; ends with its answer, once. */
struct sq_page {
	struct sq_pages *pages;
	struct sq_caller caller;
};

/* Makes pages of 'size' bytes that begin as 'as', zeroed behind it. */
void *sq_pages_new(size_t size, const struct sq_pages *as);
/* Frees them, after the endpoint has stopped; nulls the pointer, which may be NULL. */
void sq_pages_free(struct sq_pages **);

/* Answers with JSON, which is taken over, and ends the request.  Thread: any, as the next one. */
void sq_page_answer(struct sq_page *, struct sq_buf *body);
/* Answers with a problem; 'detail' is static, or stays until the return, also if it is the page's. */
void sq_page_refuse(struct sq_page *, unsigned status, const char *detail);

#endif
