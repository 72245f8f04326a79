/* broker/view: slices and pages over things that come and go between slices, cursors; and
 * broker/front/view: queries, JSON. */
#include <criterion/criterion.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/view/json.h"
#include "broker/front/view/query.h"
#include "broker/view/view.h"
#include "core/htab.h"
#include "core/mem.h"
#include "../support/fake_worker.h"

enum { WORKERS = 2, THINGS = 2000 };

enum { NAME, ODD, NUMBER, PARTS, WORDS, NEVER };

static const struct sq_view_column columns[] = {
    [NAME] = {"thing", SQ_VIEW_TEXT, "", "its name"},
    [ODD] = {"odd", SQ_VIEW_TRUTH, "", ""},
    [NUMBER] = {"number", SQ_VIEW_NUMBER, "", ""},
    [PARTS] = {"parts", SQ_VIEW_COUNTS, "", ""},
    [WORDS] = {"words", SQ_VIEW_TEXTS, "", ""},
    [NEVER] = {"never", SQ_VIEW_TIME, "ms", ""},
};

static const struct sq_view_table table = {
    "things", "Things.", "thing", false, columns, SQ_ARRAY_LEN(columns), false};
static const struct sq_view_table other = {
    "others", "Others.", "thing", false, columns, SQ_ARRAY_LEN(columns), true};

struct thing {
	struct sq_hnode node;
	unsigned i, seen;
	bool in;
	char name[24], space[8];
};

static struct thing things[THINGS];
static struct sq_htab tables[WORKERS];
static unsigned most_rows, most_visits, slices;

static void
put(unsigned i)
{
	struct thing *t = &things[i];

	snprintf(t->name, sizeof t->name, "t-%u", i);
	snprintf(t->space, sizeof t->space, "s%u", i % 3);
	t->i = i;
	t->in = true;
	sq_htab_insert(&tables[i % WORKERS], &t->node, sq_hash(t->name, strlen(t->name)));
}

static void
take(unsigned i)
{
	sq_htab_remove(&tables[i % WORKERS], &things[i].node);
	things[i].in = false;
}

static struct sq_bytes long_text; /* in place of each name, if it is not empty */

static void
thing_row(struct sq_view_slice *s, struct sq_hnode *at, void *arg)
{
	const struct thing *t = SQ_CONTAINER_OF(at, struct thing, node);

	(void)arg;
	if (!sq_view_wants(s, t->space, t->name))
		return;
	sq_view_row(s);
	if (long_text.len > 0)
		sq_view_bytes(s, NAME, long_text);
	else
		sq_view_text(s, NAME, t->name);
	sq_view_truth(s, ODD, t->i % 2 != 0);
	sq_view_number(s, NUMBER, t->i);
}

static bool
walk(void *owner, unsigned worker, struct sq_view_slice *s)
{
	size_t before = s->rows->n;
	unsigned visits = s->visits;
	bool end;

	(void)owner;
	cr_assert_eq(sq_worker_index(sq_worker_self()), worker);
	end = sq_view_walk_htab(s, &tables[worker], thing_row, NULL);
	slices++;
	if (s->rows->n - before > most_rows)
		most_rows = (unsigned)(s->rows->n - before);
	if (visits - s->visits > most_visits)
		most_visits = visits - s->visits;
	return end;
}

static struct sq_view *
start(void)
{
	struct sq_view *v;

	fake_workers_init(WORKERS);
	v = sq_view_new(fake_workers(), WORKERS);
	sq_view_add(v, &(struct sq_view_source){&other, walk, NULL, false});
	sq_view_add(v, &(struct sq_view_source){&table, walk, NULL, true});
	return v;
}

static void
page_done(struct sq_view_page *p)
{
	p->limit = 0; /* as a mark */
}

static void
gather(struct sq_view *v, struct sq_view_page *p, void (*turned)(void))
{
	p->done = page_done;
	sq_view_ask(v, p);
	while (p->limit != 0) {
		fake_run_turn();
		if (turned != NULL)
			turned();
	}
}

/* Notes what the rows have. */
static void
note(const struct sq_view_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct sq_view_cell *number = sq_view_cell(rows, i, NUMBER);

		cr_assert(number->known && number->n < THINGS);
		cr_assert_not(sq_view_cell(rows, i, NEVER)->known);
		things[number->n].seen++;
	}
}

/* Walks the table in pages of 'limit'; 'turned' runs after each turn. */
static unsigned
walk_all(struct sq_view *v, size_t limit, const struct sq_view_filter *f, void (*turned)(void))
{
	struct sq_view_cursor at = {0};
	unsigned n = 0;
	bool more = true;

	for (unsigned i = 0; i < THINGS; i++)
		things[i].seen = 0;
	while (more) {
		struct sq_view_page p = {.table = &table, .limit = limit, .at = at};

		if (f != NULL && f->name != NULL)
			p.filter = (struct sq_view_filter){.name = sq_xstrdup(f->name),
			    .name_len = f->name_len,
			    .prefix = f->prefix};
		gather(v, &p, turned);
		cr_assert_leq(p.rows.n, limit);
		note(&p.rows);
		n++;
		more = p.more;
		at = p.at;
		sq_view_page_fini(&p);
	}
	return n;
}

Test(view, pages_of_any_size_meet_everything_once)
{
	const size_t limits[] = {1, 3, 32, 33, 500, 1000};
	struct sq_view *v = start();

	for (unsigned i = 0; i < THINGS; i++)
		put(i);
	for (size_t k = 0; k < SQ_ARRAY_LEN(limits); k++) {
		(void)walk_all(v, limits[k], NULL, NULL);
		for (unsigned i = 0; i < THINGS; i++)
			cr_assert_eq(things[i].seen, 1, "limit %zu", limits[k]);
	}
	cr_assert_leq(most_rows, SQ_VIEW_SLICE_ROWS);
	cr_assert_leq(most_visits, SQ_VIEW_SLICE_VISITS);
	sq_view_free(&v);
}

static unsigned churned;

/* Between slices: of the second half some go and some come. */
static void
churn(void)
{
	for (unsigned k = 0; k < 100; k++) {
		unsigned i = THINGS / 2 + churned++ * 7 % (THINGS / 2);

		if (things[i].in)
			take(i);
		else
			put(i);
	}
}

Test(view, what_stays_is_met_once_while_others_come_and_go)
{
	struct sq_view *v = start();

	for (unsigned i = 0; i < THINGS; i++)
		put(i);
	for (size_t limit = 1; limit <= 1000; limit *= 10) {
		(void)walk_all(v, limit, NULL, churn);
		for (unsigned i = 0; i < THINGS / 2; i++)
			cr_assert_eq(things[i].seen, 1, "limit %zu: %u", limit, things[i].seen);
	}
	sq_view_free(&v);
}

Test(view, a_search_looks_at_a_bounded_number_for_a_page)
{
	struct sq_view_filter f = {.name = (char[]){"t-1999"}, .name_len = 6};
	struct sq_view *v = start();

	for (unsigned i = 0; i < THINGS; i++)
		put(i);
	(void)walk_all(v, 100, &f, NULL);
	for (unsigned i = 0; i < THINGS; i++)
		cr_assert_eq(things[i].seen, i == 1999);
	f = (struct sq_view_filter){.name = (char[]){"t-19"}, .name_len = 4, .prefix = true};
	(void)walk_all(v, 100, &f, NULL);
	for (unsigned i = 0; i < THINGS; i++)
		cr_assert_eq(things[i].seen, i == 19 || i / 10 == 19 || i / 100 == 19);
	cr_assert_leq(most_visits, SQ_VIEW_SLICE_VISITS);
	sq_view_free(&v);
}

Test(view, a_page_ends_at_its_text_and_goes_on)
{
	static unsigned char text[65535];
	struct sq_view *v = start();
	unsigned pages;

	for (unsigned i = 0; i < 200; i++)
		put(i);
	long_text = (struct sq_bytes){text, sizeof text};
	pages = walk_all(v, 1000, NULL, NULL);
	long_text.len = 0;
	cr_assert_geq(pages, 200u * sizeof text / (SQ_VIEW_PAGE_TEXT + sizeof text));
	for (unsigned i = 0; i < 200; i++)
		cr_assert_eq(things[i].seen, 1);
	sq_view_free(&v);
}

Test(view, an_empty_table_has_an_empty_page)
{
	struct sq_view *v = start();

	cr_assert_eq(walk_all(v, 10, NULL, NULL), 1);
	cr_assert_eq(slices, WORKERS);
	sq_view_free(&v);
}

static void
cursor_text(const struct sq_view *v, const struct sq_view_table *t, const struct sq_view_filter *f,
    const struct sq_view_cursor *c, char out[128])
{
	struct sq_buf text = {0};

	sq_view_cursor_put(v, t, f, c, &text);
	snprintf(out, 128, "%.*s", (int)sq_buf_len(&text), (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

Test(view, a_cursor_is_of_its_table_and_search_alone)
{
	struct sq_view *v = start(), *later = start();
	const struct sq_view_cursor at = {1, 1, {UINT64_MAX, 7}};
	struct sq_view_filter none = {0}, space = {.space = (char[]){"a"}};
	struct sq_view_filter name = {.name = (char[]){"a"}, .name_len = 1};
	struct sq_view_filter queue = {.queue = (char[]){"a"}}, longer = {.queue = (char[]){"ab"}};
	struct sq_view_filter prefix = {.name = (char[]){"a"}, .name_len = 1, .prefix = true};
	struct sq_view_cursor got;
	char text[128], wrong[129];

	cursor_text(v, &table, &none, &at, text);
	cr_assert(sq_view_cursor_read(v, &table, &none, text, &got));
	cr_assert(got.source == 1 && got.worker == 1 && got.place.of == UINT64_MAX &&
	    got.place.inner == 7);
	cr_assert_not(sq_view_cursor_read(v, &other, &none, text, &got));
	cr_assert_not(sq_view_cursor_read(later, &table, &none, text, &got));
	cr_assert_not(sq_view_cursor_read(v, &table, &space, text, &got));
	cr_assert_not(sq_view_cursor_read(v, &table, &name, text, &got));
	cr_assert_not(sq_view_cursor_read(v, &table, &queue, text, &got));
	cursor_text(v, &table, &queue, &at, text);
	cr_assert(sq_view_cursor_read(v, &table, &queue, text, &got));
	cr_assert_not(sq_view_cursor_read(v, &table, &longer, text, &got));
	cr_assert_not(sq_view_cursor_read(v, &table, &name, text, &got));
	cursor_text(v, &table, &name, &at, text);
	cr_assert(sq_view_cursor_read(v, &table, &name, text, &got));
	cr_assert_not(sq_view_cursor_read(v, &table, &prefix, text, &got));
	cr_assert_not(sq_view_cursor_read(v, &table, &space, text, &got));
	for (size_t i = 0; i < strlen(text); i++) {
		memcpy(wrong, text, sizeof text);
		wrong[i] = wrong[i] == '0' ? '1' : '0';
		cr_assert_not(sq_view_cursor_read(v, &table, &name, wrong, &got));
		wrong[i] = '\0';
		cr_assert_not(sq_view_cursor_read(v, &table, &name, wrong, &got));
	}
	snprintf(wrong, sizeof wrong, "%s0", text);
	cr_assert_not(sq_view_cursor_read(v, &table, &name, wrong, &got));
	sq_view_free(&v);
	sq_view_free(&later);
}

Test(view, tables_are_found_and_listed)
{
	struct sq_view *v = start();

	sq_view_add(v, &(struct sq_view_source){&other, walk, NULL, false});
	cr_assert_eq(sq_view_table(v, 0), &other);
	cr_assert_eq(sq_view_table(v, 1), &table);
	cr_assert_null(sq_view_table(v, 2));
	cr_assert_eq(sq_view_find(v, "things"), &table);
	cr_assert_null(sq_view_find(v, "thing"));
	sq_view_free(&v);
}

/* ---- queries ---- */

static unsigned
query(const struct sq_view *v, const char *path, const char *text, struct sq_view_query *q)
{
	struct sq_buf why = {0};
	unsigned status;

	*q = (struct sq_view_query){0};
	status = sq_view_query_read(v, path, text, q, &why);
	cr_assert_eq(status == 200, sq_buf_len(&why) == 0, "%s?%s", path, text);
	sq_buf_fini(&why);
	return status;
}

Test(query, is_read_as_it_is_meant)
{
	struct sq_view *v = start();
	struct sq_view_query q;

	cr_assert_eq(query(v, "/v1/view", "", &q), 200);
	cr_assert_null(q.table);
	cr_assert_eq(query(v, "/v1/view/things", "", &q), 200);
	cr_assert(q.table == &table && q.limit == 100 && q.shown[NAME] && q.shown[NEVER]);
	cr_assert_eq(query(v, "/v1/view/things", "limit=1000&columns=odd,thing", &q), 200);
	cr_assert(q.limit == 1000 && q.shown[NAME] && q.shown[ODD] && !q.shown[NUMBER]);
	cr_assert_eq(query(v, "/v1/view/things", "space=a%2fb&&prefix=%25+&", &q), 200);
	cr_assert_str_eq(q.filter.space, "a/b");
	cr_assert_str_eq(q.filter.name, "%+");
	cr_assert(q.filter.prefix && q.filter.name_len == 2);
	sq_view_query_fini(&q);
	cr_assert_eq(query(v, "/v1/view/things", "name=k*", &q), 200);
	cr_assert_str_eq(q.filter.name, "k*");
	cr_assert(!q.filter.prefix && q.filter.name_len == 2);
	sq_view_query_fini(&q);
	cr_assert_eq(query(v, "/v1/view/things", "name=", &q), 200);
	cr_assert(!q.filter.prefix && q.filter.name_len == 0 && q.filter.name != NULL);
	sq_view_query_fini(&q);
	cr_assert_eq(query(v, "/v1/view/others", "queue=a*&name=k", &q), 200);
	cr_assert_str_eq(q.filter.queue, "a*");
	sq_view_query_fini(&q);
	sq_view_free(&v);
}

Test(query, that_is_wrong_is_refused)
{
	static const char *const wrong[] = {"limit=0", "limit=1001", "limit=", "limit", "limit=+1",
	    "limit= 1", "limit=99999999999999999999", "x=1", "=1", "limit=1&limit=1", "name=%",
	    "name=%4", "name=%zz", "name=%ff", "name=a%00b", "columns=", "columns=thing,",
	    "columns=nothing", "after=", "after=zz", "queue=a", "name=a&prefix=a"};
	struct sq_view *v = start();
	struct sq_view_query q;

	for (size_t i = 0; i < SQ_ARRAY_LEN(wrong); i++) {
		cr_expect_eq(query(v, "/v1/view/things", wrong[i], &q), 400, "%s", wrong[i]);
		sq_view_query_fini(&q);
	}
	cr_assert_eq(query(v, "/v1/view", "limit=1", &q), 400);
	cr_assert_eq(query(v, "/v1/view/", "", &q), 404);
	cr_assert_eq(query(v, "/v1/view/things/", "", &q), 404);
	cr_assert_eq(query(v, "/v1/viewer", "", &q), 404);
	cr_assert_eq(query(v, "/v1/", "", &q), 404);
	sq_view_free(&v);
}

/* ---- JSON ---- */

/* A page, written a row at a time. */
static void
write_page(struct sq_buf *out, const struct sq_view_rows *rows, const bool *shown, const char *next)
{
	struct sq_view_json json;
	size_t parts = 1;

	sq_view_json_begin(&json, rows, shown);
	while (sq_view_json_more(&json, 1))
		parts++;
	cr_assert_eq(parts, rows->n);
	sq_view_json_end(&json, next, out);
}

Test(json, is_what_the_rows_say)
{
	static const bool shown[] = {true, true, true, true, true, true};
	struct sq_view_rows rows = {.table = &table};
	struct sq_view_filter any = {0};
	struct sq_view_slice s = {.filter = &any, .rows = &rows, .rows_max = 9, .visits = 9};
	struct sq_buf out = {0};
	json_t *page, *row;

	sq_view_row(&s);
	sq_view_text(&s, NAME, "quote\" back\\ line\n bell\a \xc3\xa9");
	sq_view_truth(&s, ODD, false);
	sq_view_number(&s, NUMBER, INT64_MAX);
	sq_view_count(&s, PARTS, "zero", 0);
	sq_view_count(&s, PARTS, "a-b", 3);
	sq_view_count(&s, PARTS, "c", 4);
	sq_view_add_text(&s, WORDS, sq_bytes_of("one"));
	sq_view_add_text(&s, WORDS, sq_bytes_of(""));
	sq_view_row(&s);
	sq_view_bytes(&s, NAME,
	    (struct sq_bytes){(const unsigned char *)"\xff"
						     "a\xc3",
		3});
	sq_view_count(&s, PARTS, "zero", 0);
	write_page(&out, &rows, shown, "next");
	page = json_loadb((const char *)sq_buf_data(&out), sq_buf_len(&out), 0, NULL);
	cr_assert_not_null(page, "%.*s", (int)sq_buf_len(&out), (const char *)sq_buf_data(&out));
	cr_assert_str_eq(json_string_value(json_object_get(page, "table")), "things");
	cr_assert_str_eq(json_string_value(json_object_get(page, "next")), "next");
	row = json_array_get(json_object_get(page, "rows"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(row, "thing")),
	    "quote\" back\\ line\n bell\a \xc3\xa9");
	cr_assert(json_is_false(json_object_get(row, "odd")));
	cr_assert_eq(json_integer_value(json_object_get(row, "number")), INT64_MAX);
	cr_assert_eq(json_object_size(json_object_get(row, "parts")), 2);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(row, "parts"), "a-b")), 3);
	cr_assert_eq(json_array_size(json_object_get(row, "words")), 2);
	cr_assert(json_is_null(json_object_get(row, "never")));
	row = json_array_get(json_object_get(page, "rows"), 1);
	cr_assert_str_eq(json_string_value(json_object_get(row, "thing")),
	    "\xef\xbf\xbd"
	    "a\xef\xbf\xbd");
	cr_assert_eq(json_object_size(json_object_get(row, "parts")), 0);
	cr_assert(json_is_null(json_object_get(row, "words")));
	json_decref(page);
	sq_buf_fini(&out);
	sq_view_rows_fini(&rows);
}

Test(json, shows_the_columns_that_are_wanted)
{
	static const bool shown[] = {false, true, false, false, false, false};
	struct sq_view_rows rows = {.table = &table};
	struct sq_view_filter any = {0};
	struct sq_view_slice s = {.filter = &any, .rows = &rows, .rows_max = 9, .visits = 9};
	struct sq_buf out = {0};
	static const char want[] = "{\"table\":\"things\",\"rows\":[\n{\"odd\":true}\n],"
				   "\"next\":null}\n";

	sq_view_row(&s);
	sq_view_truth(&s, ODD, true);
	write_page(&out, &rows, shown, NULL);
	cr_assert_eq(sq_buf_len(&out), strlen(want));
	cr_assert_arr_eq(sq_buf_data(&out), want, strlen(want));
	sq_buf_fini(&out);
	sq_view_rows_fini(&rows);
}
