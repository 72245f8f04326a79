/* Findings as tables: when a row of the view is so, then that is said, and that mends it.
 *
 * A text has the row's values in braces: {queue}, and {bytes|bytes}, {age|span}, {since|time},
 * {refused|counts}, {count|times}, {code|code} in words; {*topic} is what was asked, or what the caller has put beside the row. */
#ifndef SQ_CLI_VIEW_WHY_RULE_H
#define SQ_CLI_VIEW_WHY_RULE_H

#include "cli/view/why_say.h"

enum sq_why_test {
	SQ_WHY_ALWAYS, /* also with an empty column */
	SQ_WHY_TRUE,
	SQ_WHY_FALSE,
	SQ_WHY_KNOWN,   /* not null */
	SQ_WHY_UNKNOWN, /* null, or the view does not tell */
	SQ_WHY_SOME,    /* a number above 0; counts or texts that are not empty */
	SQ_WHY_ZERO,    /* a number, which is 0 */
	SQ_WHY_IS,      /* the text 'value' */
	SQ_WHY_IS_NOT,
	SQ_WHY_PAST,   /* a time that is over */
	SQ_WHY_LATELY, /* a time in the last ten minutes */
	SQ_WHY_ASKED,  /* '{*column}' is known */
};

struct sq_why_when {
	const char *column;
	enum sq_why_test test;
	const char *value;
};

#define SQ_WHEN(a_column, a_test) \
	{ \
		.column = a_column, .test = SQ_WHY_##a_test \
	}
#define SQ_WHEN_IS(a_column, text) \
	{ \
		.column = a_column, .test = SQ_WHY_IS, .value = text \
	}
#define SQ_WHEN_IS_NOT(a_column, text) \
	{ \
		.column = a_column, .test = SQ_WHY_IS_NOT, .value = text \
	}

enum { SQ_WHY_WHENS = 4 };

struct sq_why_rule {
	struct sq_why_when when[SQ_WHY_WHENS]; /* all of them hold */
	enum { SQ_WHY_FACT, SQ_WHY_TROUBLE } is;
	const char *says; /* NULL: nothing */
	const char *mend; /* NULL: nothing */
	/* Of rules with the same number, other than 0, which stand together, the first that holds
	 * speaks. */
	unsigned one_of;
};

/* Says what the rules find in the row, in their order. */
void
sq_why_judge(struct sq_why_told *, const struct sq_why_rule *, size_t n_rules, const json_t *row);
#define SQ_WHY_JUDGE(told, rules, row) sq_why_judge(told, rules, SQ_ARRAY_LEN(rules), row)

#endif
