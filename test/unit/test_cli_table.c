/* What the command line makes of the view for a terminal: escapes, words for values, columns. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../cli/view/cell.h"
#include "../../cli/view/safe.h"
#include "../../cli/view/table.h"

/* The buffer's text, which is then freed. */
static void
is(struct sq_buf *b, const char *want)
{
	sq_buf_u8(b, 0);
	cr_assert_str_eq((const char *)sq_buf_data(b), want);
	sq_buf_fini(b);
}

static void
safe(const char *text, const char *want)
{
	struct sq_buf b = {0};

	sq_safe(&b, text, strlen(text));
	is(&b, want);
}

Test(cli_safe, a_terminal_gets_no_controls)
{
	safe("plain ~ text", "plain ~ text");
	safe("\x1b[31mred\x1b]0;title\x07", "\\u001b[31mred\\u001b]0;title\\u0007");
	safe("a\nb\tc\x7f", "a\\u000ab\\u0009c\\u007f");
	safe("\xc2\x9b"
	     "31m",
	    "\\u009b31m"); /* CSI as one character */
	safe("x\xe2\x80\xae"
	     "y\xe2\x81\xa6",
	    "x\\u202ey\\u2066"); /* marks of direction */
	safe("\xff\x9b"
	     "a",
	    "\\xff\\x9ba");                         /* no UTF-8 */
	safe("\xf3\xa0\x80\x81", "\\udb40\\udc01"); /* a tag */
	safe("gr\xc3\xbc\xc3\x9f \xe8\xa8\x8a \xf0\x9f\x90\x87",
	    "gr\xc3\xbc\xc3\x9f \xe8\xa8\x8a \xf0\x9f\x90\x87");
}

Test(cli_safe, json_stays_the_same)
{
	json_t *v = json_pack("{s:s}", "k", "a\x1b\xc2\x9b\xe2\x80\xae\x7f\xf3\xa0\x80\x81z"),
	       *again;
	char *text = json_dumps(v, 0);
	struct sq_buf b = {0};

	sq_safe(&b, text, strlen(text));
	again = json_loadb((const char *)sq_buf_data(&b), sq_buf_len(&b), 0, NULL);
	cr_assert(json_equal(v, again));
	for (size_t i = 0; i < sq_buf_len(&b); i++)
		cr_assert(sq_buf_data(&b)[i] >= ' ' && sq_buf_data(&b)[i] < 0x7f);
	json_decref(v);
	json_decref(again);
	free(text);
	sq_buf_fini(&b);
}

static void
cell(const char *json, const char *type, const char *unit, const char *want)
{
	json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);
	struct sq_buf b = {0};

	sq_cell(&b, v, type, unit, 1000000000);
	is(&b, want);
	json_decref(v);
}

Test(cli_cell, values_in_words)
{
	cell("null", "number", "", "-");
	cell("1.5", "number", "", "-");
	cell("true", "truth", "", "yes");
	cell("false", "truth", "", "no");
	cell("7", "number", "", "7");
	cell("0", "number", "bytes", "0 B");
	cell("1023", "number", "bytes", "1023 B");
	cell("1536", "number", "bytes", "1.5 KiB");
	cell("1048575", "number", "bytes", "1.0 MiB");
	cell("67108864", "number", "bytes", "64.0 MiB");
	cell("9223372036854775807", "number", "bytes", "8.0 EiB");
	cell("0", "span", "ms", "0s");
	cell("250", "span", "ms", "250ms");
	cell("3999", "span", "ms", "3s");
	cell("60000", "span", "ms", "1m");
	cell("125000", "span", "ms", "2m 5s");
	cell("604800", "number", "s", "7d");
	cell("90000", "number", "s", "1d 1h");
	cell("9223372036854775807", "number", "s", "213503982334d 14h");
	cell("999940000", "time", "ms", "1m ago");
	cell("1000060000", "time", "ms", "in 1m");
	cell("{\"full\": 3, \"denied\": 1}", "counts", "", "full 3, denied 1");
	cell("{}", "counts", "", "none");
	cell("[\"a\\u001b\", \"b\", 3]", "texts", "", "a\\u001b, b, ");
	cell("[]", "texts", "", "none");
}

static void
cells(struct sq_table *t, const char *text)
{
	sq_table_cell(t, text, strlen(text));
}

Test(cli_table, columns_are_aligned)
{
	struct sq_buf b = {0};
	struct sq_table t;

	sq_table_init(&t, 3, 0);
	t.right[1] = true;
	for (const char *const *c = (const char *const[]){"NAME", "N", "LAST", "a", "1000", "",
		 "\xe8\xa8\x8a\xe6\x81\xaf", "5", "x", "\xc3\xbc", "12", "y", NULL};
	     *c != NULL; c++)
		cells(&t, *c);
	sq_table_print(&t, &b);
	is(&b,
	    "NAME     N  LAST\n"
	    "a     1000\n"
	    "\xe8\xa8\x8a\xe6\x81\xaf     5  x\n"
	    "\xc3\xbc       12  y\n");
	sq_table_fini(&t);
}

Test(cli_table, long_cells_are_cut_between_characters)
{
	struct sq_buf b = {0};
	struct sq_table t;

	sq_table_init(&t, 1, 6);
	cells(&t, "123456");
	cells(&t, "1234567");
	cells(&t, "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc");
	cells(&t, "\xe8\xa8\x8a\xe8\xa8\x8a\xe8\xa8\x8a\xe8\xa8\x8a");
	sq_table_print(&t, &b);
	is(&b, "123456\n123...\n\xc3\xbc\xc3\xbc\xc3\xbc...\n\xe8\xa8\x8a...\n");
	sq_table_fini(&t);
}
