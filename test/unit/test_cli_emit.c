/* YAML that the command line writes: read again it is the same value. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../k8s/cli/yaml_emit.h"
#include "../../k8s/patch/yaml_json.h"

/* The text of a value, and that it is read as the value again. */
static void
written(const char *json, const char *yaml)
{
	json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);
	struct sq_yaml_documents ds;
	struct sq_yaml_error err;
	struct sq_buf out = {0};

	cr_assert_not_null(v, "%s", json);
	cr_assert_eq(sq_yaml_emit(v, &out), 0);
	sq_buf_u8(&out, 0);
	if (yaml != NULL)
		cr_assert_str_eq((const char *)sq_buf_data(&out), yaml, "%s", json);
	cr_assert_eq(
	    sq_yaml_json_read((const char *)sq_buf_data(&out), sq_buf_len(&out) - 1, &ds, &err), 0,
	    "%s: %s", sq_buf_data(&out), err.text);
	cr_assert_eq(ds.n, 1u);
	cr_assert(json_equal(ds.v[0].value, v), "%s: %s", json, sq_buf_data(&out));
	sq_yaml_documents_free(&ds);
	sq_buf_fini(&out);
	json_decref(v);
}

Test(cli_emit, as_people_write_it)
{
	written("{\"a\": [{\"b\": 1, \"c\": true}], \"d\": {}, \"e\": [], \"f\": null}",
	    "a:\n- b: 1\n  c: true\nd: {}\ne: []\nf: null\n");
	written("{\"t\": \"one\\ntwo\\n\"}", "t: |\n  one\n  two\n");
	written("{\"t\": \"plain text\"}", "t: plain text\n");
}

Test(cli_emit, texts_that_look_like_something_else)
{
	static const char *const texts[] = {"", "true", "yes", "n", "null", "~", "1", "0644", "1e3",
	    "1.5", ".5", "0x1f", "-1", "1_000", "12:30", "2001-12-14", "<<", "=", ".inf", " a",
	    "a ", "a: b", "a #b", "- a", "[a]", "{a", "*a", "&a", "!a", "%a", "@a", "`a", "'a'",
	    "|", ">", "a\\tb", "\\u0001", "\\u00e4", "\\ud83d\\ude00", "a\\n\\n b\\n", "\\na",
	    "a\\r\\nb", "  a\\nb", "---", "...", "\\u2028", "\\ufeff", "a\\n ", "\\u007f", "\\\"",
	    "\\\\"};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char json[100];

		snprintf(json, sizeof json, "{\"k\": [\"%s\"], \"%s\": 1}", texts[i], texts[i]);
		written(json, NULL);
	}
}

Test(cli_emit, numbers)
{
	written("[0, -7, 9223372036854775807, 0.5, 1.0, 1e20, 0.1, 1.7976931348623157e308, 3.0e-5]",
	    NULL);
	written("[1.0, 0.1]", "- 1.0\n- 0.1\n");
}
