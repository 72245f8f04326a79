/* Rows of a view's page: values in memory, made on workers and read by who renders the page.  One
 * thread at a time. */
#ifndef SQ_BROKER_VIEW_ROWS_H
#define SQ_BROKER_VIEW_ROWS_H

#include "broker/view/table.h"
#include "core/buf.h"

/* Bytes of text after which a page ends, whatever its limit: names are its clients' to choose. */
enum { SQ_VIEW_PAGE_TEXT = 256 << 10 };

/* A value.  The text of texts is NUL behind each; that of counts "name\0" and 8 bytes each. */
struct sq_view_cell {
	bool known;
	uint32_t len; /* of a text */
	union {
		uint64_t n;  /* number, time, span, truth */
		uint64_t at; /* of a text: where it is in 'text' */
	};
};

struct sq_view_rows {
	const struct sq_view_table *table;
	struct sq_view_cell *cells; /* n × columns */
	size_t n, cap;              /* rows */
	struct sq_buf text;
};

void sq_view_rows_fini(struct sq_view_rows *);

static inline const struct sq_view_cell *
sq_view_cell(const struct sq_view_rows *rows, size_t row, size_t column)
{
	return &rows->cells[row * rows->table->n_columns + column];
}

/* The text of a cell. */
static inline struct sq_bytes
sq_view_cell_text(const struct sq_view_rows *rows, const struct sq_view_cell *c)
{
	return (struct sq_bytes){c->len > 0 ? sq_buf_data(&rows->text) + c->at : NULL, c->len};
}

#endif
