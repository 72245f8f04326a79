/* Names by pattern. */
#include "core/glob.h"

#include <criterion/criterion.h>

#include "core/mem.h"

static const struct {
	const char *glob, *text;
	bool match;
} rows[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"app", "app", true},
    {"app", "App", false},
    {"app", "app-1", false},
    {"app-1", "app", false},
    {"*", "", true},
    {"*", "anything / at all", true},
    {"app-con-*", "app-con-", true},
    {"app-con-*", "app-con-7", true},
    {"app-con-*", "app-pub-7", false},
    {"*-con", "app-con", true},
    {"*-con", "con-con-con", true},
    {"*-con", "app-con-1", false},
    {"a*b*c", "abc", true},
    {"a*b*c", "a-bb-bc", true},
    {"a*b*c", "acb", false},
    {"**", "x", true},
    {"?", "", false},
    {"?", "x", true},
    {"?", "xy", false},
    {"??", "xy", true},
    {"a?c", "abc", true},
    {"?*", "x", true},
    {"?*", "", false},
    {"*?", "xy", true},
    {"?", "\xc3\xa4", true}, /* one character of two bytes */
    {"??", "\xc3\xa4", false},
    {"*?", "\xc3\xa4", true},
    {"b?r", "b\xc3\xa4r", true},
    {"[ab]", "a", false}, /* no sets */
    {"[ab]", "[ab]", true},
    {"\\*", "*", false}, /* nothing escapes */
    {"\\*", "\\x", true},
};

Test(glob, describes_names)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++)
		cr_assert_eq(sq_glob_match(rows[i].glob, rows[i].text), rows[i].match,
		    "'%s' on '%s'", rows[i].glob, rows[i].text);
}

/* Stars don't multiply: this would not end otherwise. */
Test(glob, many_stars_cost_little)
{
	char glob[257], text[257];

	for (size_t i = 0; i < 256; i++) {
		glob[i] = i % 2 == 0 ? '*' : 'a';
		text[i] = 'a';
	}
	glob[255] = 'b';
	glob[256] = text[256] = '\0';
	cr_assert_not(sq_glob_match(glob, text));
	text[255] = 'b';
	cr_assert(sq_glob_match(glob, text));
}
