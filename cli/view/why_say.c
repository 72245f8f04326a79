#include "cli/view/why_say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/view/safe.h"

__attribute__((format(printf, 3, 0))) static void
why_line(struct sq_why_told *w, const char *before, const char *fmt, va_list args)
{
	char *text = NULL;
	int len = vasprintf(&text, fmt, args);

	sq_buf_printf(w->out, "%s", before);
	if (len > 0)
		sq_safe(w->out, text, (size_t)len);
	sq_buf_printf(w->out, "\n");
	free(text);
}

void
sq_why_fact(struct sq_why_told *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	why_line(w, "  ", fmt, args);
	va_end(args);
}

void
sq_why_trouble(struct sq_why_told *w, const char *fmt, ...)
{
	va_list args;

	w->troubles++;
	va_start(args, fmt);
	why_line(w, "! ", fmt, args);
	va_end(args);
}

void
sq_why_mend(struct sq_why_told *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	why_line(w, "  -> ", fmt, args);
	va_end(args);
}

void
sq_why_beside(struct sq_why_told *w, const char *name, const char *text)
{
	if (text != NULL)
		json_object_set_new(w->beside, name, json_string(text));
	else
		json_object_del(w->beside, name);
}

/* ---- rows ---- */

const char *
sq_why_text(const json_t *row, const char *column)
{
	const char *text = json_string_value(json_object_get(row, column));

	return text != NULL ? text : "";
}

long long
sq_why_number(const json_t *row, const char *column)
{
	return (long long)json_integer_value(json_object_get(row, column));
}

struct why_walk {
	bool (*each)(void *arg, const json_t *row);
	void *arg;
	size_t n;
};

static bool
why_walked(void *arg, const json_t *row)
{
	struct why_walk *walk = arg;

	return walk->n++ < SQ_WHY_ROWS_MAX && walk->each(walk->arg, row);
}

bool
sq_why_rows(struct sq_why_told *w, const struct sq_wanted *wanted,
    bool (*each)(void *, const json_t *), void *arg)
{
	struct why_walk walk = {each, arg, 0};
	struct sq_buf err = {0};

	(void)!w->view->rows(w->view->owner, wanted, why_walked, &walk, &err);
	sq_buf_fini(&err);
	return walk.n <= SQ_WHY_ROWS_MAX;
}

struct why_search {
	const char *column, *is;
	json_t *found;
};

static bool
why_compare(void *arg, const json_t *row)
{
	struct why_search *s = arg;
	const json_t *v = json_object_get(row, s->column);
	char number[24];

	snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
	if (s->is == NULL || strcmp(json_is_string(v) ? json_string_value(v) : number, s->is) == 0)
		s->found = json_deep_copy(row);
	return s->found == NULL;
}

json_t *
sq_why_find(
    struct sq_why_told *w, const char *table, const char *space, const char *column, const char *is)
{
	struct why_search s = {column, is, NULL};
	struct sq_wanted wanted = {.table = table, .space = space};

	if (strcmp(column, "link") != 0 && strcmp(column, "incarnation") != 0)
		wanted.name = is;
	(void)sq_why_rows(w, &wanted, why_compare, &s);
	return s.found;
}
