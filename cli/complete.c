/* Completion for bash. */
#include <string.h>

#include "cli/help.h"
#include "cli/print.h"

/* Whether an earlier verb has the same noun. */
static bool
complete_seen(const struct sq_verb *verbs, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(verbs[k].noun, verbs[i].noun) == 0)
			return true;
	return false;
}

/* Appends the options as words. */
static void
complete_options(struct sq_buf *out, uint64_t options)
{
	for (unsigned i = 0; i < SQ_OPTION_COUNT; i++)
		if ((options & SQ_OPTION_BIT(i)) != 0)
			sq_buf_printf(out, " --%s", sq_option_table[i].name);
}

/* Appends the branch of one noun: the second words, or options. */
static void
complete_noun(struct sq_buf *out, const struct sq_verb *verbs, size_t n, size_t at)
{
	uint64_t options = 0;

	sq_buf_printf(out, "\t%s) seconds=\"", verbs[at].noun);
	for (size_t i = at; i < n; i++) {
		const struct sq_verb *v = &verbs[i];

		if (strcmp(v->noun, verbs[at].noun) != 0)
			continue;
		options |= v->options;
		if (v->verb[0] != '\0')
			sq_buf_printf(out, "%s%s", i > at ? " " : "", v->verb);
	}
	sq_buf_printf(out, "\" options=\"");
	complete_options(out, options);
	sq_buf_printf(out, "\" ;;\n");
}

/* Appends the branch of options that take a file, or another value. */
static void
complete_values(struct sq_buf *out, bool files)
{
	const char *separator = "";

	sq_buf_printf(out, "\t");
	for (unsigned i = 0; i < SQ_OPTION_COUNT; i++) {
		const struct sq_option *o = &sq_option_table[i];

		if (o->argument == NULL || (strcmp(o->argument, "FILE") == 0) != files)
			continue;
		sq_buf_printf(out, "%s--%s", separator, o->name);
		separator = " | ";
		if (o->letter != 0)
			sq_buf_printf(out, " | -%c", o->letter);
	}
	sq_buf_printf(out, ")\n%s\t\treturn ;;\n",
	    files ? "\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n" : "");
}

void
sq_completion_text(struct sq_buf *out, const struct sq_verb *verbs, size_t n)
{
	sq_buf_printf(out,
	    "# Completion of sqmqos for bash: . <(sqmqos completion bash)\n_sqmqos()\n{\n"
	    "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} "
	    "seconds= options=\n"
	    "\tCOMPREPLY=()\n\tcase $before in\n");
	complete_values(out, true);
	complete_values(out, false);
	sq_buf_printf(
	    out, "\tesac\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	for (size_t i = 0; i < n; i++)
		if (!complete_seen(verbs, i))
			sq_buf_printf(out, "%s%s", i > 0 ? " " : "", verbs[i].noun);
	complete_options(out, SQ_OPTION_BIT(SQ_OPTION_HELP) | SQ_OPTION_BIT(SQ_OPTION_VERSION));
	sq_buf_printf(out, "\" -- \"$word\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < n; i++)
		if (!complete_seen(verbs, i))
			complete_noun(out, verbs, n, i);
	sq_buf_printf(out,
	    "\tesac\n\t[ \"$COMP_CWORD\" = 2 ] && [ -n \"$seconds\" ] && options=$seconds\n"
	    "\tCOMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n}\n"
	    "complete -F _sqmqos sqmqos\n");
}

int
sq_run_completion(const struct sq_run *r)
{
	struct sq_buf out = {0}, err = {0};

	sq_completion_text(&out, r->verbs, r->n_verbs);
	return sq_print(&out, &err, SQ_EXIT_GOOD, SQ_EXIT_ERROR);
}
