/* Tables for people: aligned columns of text. */
#ifndef SQ_CLI_VIEW_TABLE_H
#define SQ_CLI_VIEW_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

enum { SQ_TABLE_COLUMNS_MAX = 64 };

struct sq_table {
	struct sq_buf text; /* of the cells, a NUL behind each */
	size_t n_columns, n_cells;
	bool right[SQ_TABLE_COLUMNS_MAX]; /* of numbers */
	size_t width[SQ_TABLE_COLUMNS_MAX];
	size_t width_max; /* columns of a cell; longer ones are cut, and end with "..." */
};

/* 'width_max' 0: no cell is cut. */
void sq_table_init(struct sq_table *, size_t n_columns, size_t width_max);
void sq_table_fini(struct sq_table *);
/* Adds the next cell, row by row; its text is safe (safe.h) and has no NUL. */
void sq_table_cell(struct sq_table *, const char *text, size_t len);
/* Appends the rows, the columns two spaces apart, no spaces at the ends of lines. */
void sq_table_print(const struct sq_table *, struct sq_buf *out);

#endif
