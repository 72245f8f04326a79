/* Where notes stand in a file, and which text a document is. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../k8s/cli/input.h"

static struct sq_input
parse(const char *text)
{
	struct sq_buf b = {0};
	struct sq_input in;

	sq_buf_append(&b, text, strlen(text));
	in = sq_input_parse("f", &b);
	cr_assert_not(in.malformed, "%s", in.error.text);
	return in;
}

#define KEY "/m/k~1e"

static const struct {
	const char *what, *text;
	unsigned line, column; /* within the value */
	unsigned at_line, at_column;
	bool exact;
} cases[] = {
    {"a block", "m:\n  k/e: |\n    - one\n    - two\n", 2, 3, 4, 7, true},
    {"a block with blank lines", "m:\n  k/e: |\n\n\n    - one\n", 3, 3, 5, 7, true},
    {"a block with a comment", "m:\n  k/e: |  # why\n    - one\n", 1, 1, 3, 5, true},
    {"a block that says its indent", "m:\n  k/e: |2\n      x\n", 1, 3, 3, 7, true},
    {"a block of CR LF", "m:\r\n  k/e: |\r\n    - one\r\n    - two\r\n", 2, 3, 4, 7, true},
    {"wide characters before", "m:\n  k/e: |\n    \xc3\xa4\xe2\x82\xac xy\n", 1, 4, 3, 8, true},
    {"a folded one", "m:\n  k/e: >\n    - one\n    - two\n", 1, 3, 2, 3, false},
    {"plain", "m: {k/e: a/b}\n", 1, 3, 1, 12, true},
    {"in quotes", "m: {'k/e': 'a/b'}\n", 1, 3, 1, 15, true},
    {"in double quotes", "m:\n  k/e: \"a/b\"\n", 1, 1, 2, 9, true},
    {"with an escape", "m:\n  k/e: \"a\\tb/#\"\n", 1, 3, 2, 3, false},
    {"in quotes, of two lines", "m:\n  k/e: \"a\\nb\"\n", 2, 1, 2, 3, false},
    {"plain, of two lines", "m:\n  k/e: a\n    b\n", 1, 3, 2, 3, false},
    {"an anchor before", "m:\n  k/e: &x |\n    a\n", 1, 1, 2, 3, false},
    {"the key alone", "m:\n  k/e: abc\n", 0, 0, 2, 3, false},
    {"JSON", "{\"m\": {\"k/e\": \"a/b\"}}", 1, 3, 1, 18, true},
    {"JSON with an escape", "{\"m\":\n {\"k/e\": \"a\\nb\"}}", 2, 1, 2, 3, false},
    {"JSON that is no YAML", "{\"m\": {\"k/e\": \"\\ud83d\\ude00\"}}", 1, 1, 1, 1, false},
    {"not there", "m:\n  other: x\n", 1, 1, 1, 1, false},
};

Test(cli_spot, table)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sq_input in = parse(cases[i].text);
		char path[] = KEY, text[] = "x";
		struct sq_note note = {
		    .path = path, .text = text, .line = cases[i].line, .column = cases[i].column};
		struct sq_spot s = sq_input_spot(&in, 0, &note);

		cr_assert(s.line == cases[i].at_line && s.column == cases[i].at_column &&
			s.exact == cases[i].exact,
		    "%s: %u:%u %d", cases[i].what, s.line, s.column, s.exact);
		sq_input_free(&in);
	}
}

static void
document_is(const struct sq_input *in, size_t i, const char *text)
{
	struct sq_bytes b = sq_input_document(in, i);

	cr_assert(b.len == strlen(text) && memcmp(b.p, text, b.len) == 0, "%.*s", (int)b.len,
	    (const char *)b.p);
}

Test(cli_spot, documents_are_parted_where_they_are_written)
{
	struct sq_input in = parse("# c\na: 1\n# d\n---\nb: \xe2\x80\xa8 2\n\n--- {c: 3}\n");

	cr_assert_eq(in.documents.n, 3u);
	document_is(&in, 0, "# c\na: 1\n# d\n");
	document_is(&in, 1, "---\nb: \xe2\x80\xa8 2\n\n");
	document_is(&in, 2, "--- {c: 3}\n");
	sq_input_free(&in);
}
