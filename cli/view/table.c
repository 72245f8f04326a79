#include "cli/view/table.h"

#include <assert.h>
#include <string.h>

#include "cli/view/safe.h"

void
sq_table_init(struct sq_table *t, size_t n_columns, size_t width_max)
{
	assert(n_columns <= SQ_TABLE_COLUMNS_MAX);
	*t = (struct sq_table){.n_columns = n_columns, .width_max = width_max};
}

void
sq_table_fini(struct sq_table *t)
{
	sq_buf_fini(&t->text);
}

void
sq_table_cell(struct sq_table *t, const char *text, size_t len)
{
	size_t *width = &t->width[t->n_cells++ % t->n_columns];
	size_t has = sq_safe_width(text, len);

	if (t->width_max > 0 && has > t->width_max) {
		len = sq_safe_cut(text, len, t->width_max - 3);
		sq_buf_append(&t->text, text, len);
		sq_buf_append(&t->text, "...", 3);
		has = sq_safe_width(text, len) + 3;
	} else if (len > 0) {
		sq_buf_append(&t->text, text, len);
	}
	sq_buf_u8(&t->text, 0);
	if (has > *width)
		*width = has;
}

static void
table_spaces(struct sq_buf *out, size_t n)
{
	sq_buf_printf(out, "%*s", (int)n, "");
}

void
sq_table_print(const struct sq_table *t, struct sq_buf *out)
{
	const char *cell = (const char *)sq_buf_data(&t->text);
	size_t owed = 0; /* spaces, before the next text */

	for (size_t i = 0; i < t->n_cells; i++) {
		size_t k = i % t->n_columns, len = strlen(cell);
		size_t lacks = t->width[k] - sq_safe_width(cell, len);

		if (t->right[k])
			owed += lacks;
		if (len > 0) {
			table_spaces(out, owed);
			sq_buf_append(out, cell, len);
			owed = 0;
		}
		owed += (t->right[k] ? 0 : lacks) + 2;
		if (k + 1 == t->n_columns) {
			sq_buf_u8(out, '\n');
			owed = 0;
		}
		cell += len + 1;
	}
}
