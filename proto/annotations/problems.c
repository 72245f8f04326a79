#include "proto/annotations/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"

/* Control characters and what is no UTF-8 become '?'. */
static char *
text_clean(const char *text, size_t len)
{
	struct sq_buf out = {0};
	char *clean;

	for (size_t i = 0, n; i < len; i += n) {
		n = sq_utf8_first(&text[i], len - i);
		if (n == 0 || (n == 1 && ((unsigned char)text[i] < 0x20 || text[i] == 0x7f))) {
			sq_buf_u8(&out, '?');
			n = 1;
		} else {
			sq_buf_append(&out, &text[i], n);
		}
	}
	len = sq_utf8_cut(sq_buf_data(&out), sq_buf_len(&out), SQ_ANNOTATION_PROBLEM_TEXT_MAX);
	clean = sq_xmemdup0(len > 0 ? (const char *)sq_buf_data(&out) : "", len);
	sq_buf_fini(&out);
	return clean;
}

void
sq_annotation_problems_add(struct sq_annotation_problems *ps, const char *key, size_t pair,
    struct sq_position at, bool warning, const char *fmt, ...)
{
	char text[2 * SQ_ANNOTATION_PROBLEM_TEXT_MAX];
	va_list ap;

	++*(warning ? &ps->warnings : &ps->errors);
	if (ps->n == SQ_ANNOTATION_PROBLEMS_MAX)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (ps->v == NULL)
		ps->v = sq_xcalloc(SQ_ANNOTATION_PROBLEMS_MAX, sizeof *ps->v);
	ps->v[ps->n++] = (struct sq_annotation_problem){
	    .key = key != NULL ? text_clean(key, strlen(key)) : NULL,
	    .pair = pair,
	    .at = at,
	    .text = text_clean(text, strlen(text)),
	    .warning = warning,
	};
}

/* Whether 'a' comes after 'b'. */
static bool
problem_after(const struct sq_annotation_problem *a, const struct sq_annotation_problem *b)
{
	if (a->pair != b->pair)
		return a->pair > b->pair;
	if (a->at.line != b->at.line)
		return a->at.line > b->at.line;
	return a->at.column > b->at.column;
}

void
sq_annotation_problems_sort(struct sq_annotation_problems *ps, size_t from)
{
	for (size_t i = from; i < ps->n; i++) {
		struct sq_annotation_problem p = ps->v[i];
		size_t k = i;

		for (; k > from && problem_after(&ps->v[k - 1], &p); k--)
			ps->v[k] = ps->v[k - 1];
		ps->v[k] = p;
	}
}

void
sq_annotation_problems_free(struct sq_annotation_problems *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->v[i].key);
		free(ps->v[i].text);
	}
	free(ps->v);
	*ps = (struct sq_annotation_problems){0};
}

void
sq_annotation_problem_print(const struct sq_annotation_problem *p, struct sq_buf *out)
{
	if (p->key != NULL)
		sq_buf_printf(out, "%s: ", p->key);
	sq_buf_printf(out, "line %u, column %u: %s", p->at.line, p->at.column, p->text);
}

void
sq_annotation_problems_print(
    const struct sq_annotation_problems *ps, bool warnings, struct sq_buf *out)
{
	size_t left = warnings ? ps->warnings : ps->errors;
	const char *between = "";

	for (size_t i = 0; i < ps->n; i++) {
		if (ps->v[i].warning != warnings)
			continue;
		sq_buf_printf(out, "%s", between);
		sq_annotation_problem_print(&ps->v[i], out);
		between = "\n";
		left--;
	}
	if (left > 0)
		sq_buf_printf(out, "%sand %zu more", between, left);
}

struct sq_position
sq_position_of(const char *value, size_t offset)
{
	struct sq_position at = {1, 1};

	for (size_t i = 0; i < offset; i++) {
		if (value[i] == '\n')
			at = (struct sq_position){at.line + 1, 1};
		else if (((unsigned char)value[i] & 0xc0) != 0x80)
			at.column++;
	}
	return at;
}
