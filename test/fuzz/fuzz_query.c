/* Fuzzes sq_view_query_read(): what is taken keeps to its bounds and is what was said; what is
 * refused has a reason.
 *
 * The input is "PATH?QUERY", as the endpoint has taken it apart. */
#include <stdlib.h>
#include <string.h>

#include "broker/front/view/query.h"
#include "core/mem.h"
#include "core/utf8.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static bool
nothing(void *owner, unsigned worker, struct sq_view_slice *s)
{
	(void)owner, (void)worker, (void)s;
	return true;
}

static const struct sq_view_column columns[] = {
    {"queue", SQ_VIEW_TEXT, "", ""}, {"depth", SQ_VIEW_NUMBER, "", ""}};
static const struct sq_view_table tables[] = {
    {.name = "queues", .named = "queue", .columns = columns, .n_columns = 2},
    {.name = "messages", .named = "queue", .columns = columns, .n_columns = 2, .queues = true},
};

static struct sq_view *
view_new(void)
{
	struct sq_view *v = sq_view_new(NULL, 0);

	for (size_t i = 0; i < SQ_ARRAY_LEN(tables); i++)
		sq_view_add(v, &(struct sq_view_source){.table = &tables[i], .walk = nothing});
	return v;
}

static void
require(bool so)
{
	if (!so)
		abort();
}

static void
check_text(const char *text)
{
	require(text == NULL || sq_utf8_valid(text, strlen(text)));
}

/* A page of a table. */
static void
check_page(const struct sq_view_query *q)
{
	const struct sq_view_filter *f = &q->filter;
	size_t shown = 0;

	require(q->limit >= 1 && q->limit <= SQ_VIEW_PAGE_MAX);
	for (size_t i = 0; i < SQ_VIEW_COLUMNS_MAX; i++) {
		require(!q->shown[i] || i < q->table->n_columns);
		shown += q->shown[i];
	}
	require(shown > 0);
	require(f->name != NULL ? f->name_len == strlen(f->name) : !f->prefix);
	require(f->queue == NULL || q->table->queues);
	check_text(f->name);
	check_text(f->space);
	check_text(f->queue);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct sq_view *v;
	char *path = sq_xmemdup0(data, size), *query = strchr(path, '?');
	struct sq_view_query q = {0};
	struct sq_buf why = {0};
	unsigned status;

	if (v == NULL)
		v = view_new();
	if (query != NULL)
		*query++ = '\0';
	status = sq_view_query_read(v, path, query != NULL ? query : "", &q, &why);
	require(status == 200 || ((status == 400 || status == 404) && sq_buf_len(&why) > 0));
	if (status == 200 && q.table != NULL)
		check_page(&q);
	sq_view_query_fini(&q);
	sq_buf_fini(&why);
	free(path);
	return 0;
}
