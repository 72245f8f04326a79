#include "cli/help.h"

#include <string.h>

#include "cli/print.h"

enum { HELP_WIDTH = 88, HELP_AT = 28 }; /* columns */

/* Appends 'text' from column HELP_AT on, broken into lines. */
static void
help_wrapped(struct sq_buf *out, const char *text)
{
	size_t room = HELP_WIDTH - HELP_AT;

	while (strlen(text) > room) {
		size_t n = room;

		while (n > 0 && text[n] != ' ')
			n--;
		if (n == 0)
			break;
		sq_buf_printf(out, "%.*s\n%*s", (int)n, text, HELP_AT, "");
		text += n + 1;
	}
	sq_buf_printf(out, "%s\n", text);
}

/* Appends a line of a list: what it is, then its help. */
static void
help_line(struct sq_buf *out, const struct sq_buf *what, const char *help)
{
	int len = (int)sq_buf_len(what);

	sq_buf_printf(out, "%.*s", len, (const char *)sq_buf_data(what));
	if (len + 2 > HELP_AT)
		sq_buf_printf(out, "\n%*s", HELP_AT, "");
	else
		sq_buf_printf(out, "%*s", HELP_AT - len, "");
	help_wrapped(out, help);
}

static void
help_of_verb(struct sq_buf *out, const struct sq_verb *v)
{
	struct sq_buf what = {0};

	sq_buf_printf(&what, "  %s%s%s%s%s", v->noun, v->verb[0] != '\0' ? " " : "", v->verb,
	    v->operand != NULL ? " " : "", v->operand != NULL ? v->operand : "");
	help_line(out, &what, v->help);
	sq_buf_fini(&what);
}

static void
help_of_option(struct sq_buf *out, const struct sq_option *o)
{
	struct sq_buf what = {0};

	if (o->letter != 0)
		sq_buf_printf(&what, "  -%c, ", o->letter);
	else
		sq_buf_printf(&what, "      ");
	sq_buf_printf(&what, "--%s%s%s", o->name, o->argument != NULL ? " " : "",
	    o->argument != NULL ? o->argument : "");
	help_line(out, &what, o->help);
	sq_buf_fini(&what);
}

static void
help_options(struct sq_buf *out, uint64_t options)
{
	for (unsigned i = 0; i < SQ_OPTION_COUNT; i++)
		if ((options & SQ_OPTION_BIT(i)) != 0)
			help_of_option(out, &sq_option_table[i]);
}

void
sq_help_text(struct sq_buf *out, const struct sq_verb *verbs, size_t n)
{
	sq_buf_printf(out, "usage: sqmqos COMMAND [OPTION...]\n\ncommands:\n");
	for (size_t i = 0; i < n; i++)
		help_of_verb(out, &verbs[i]);
	sq_buf_printf(out, "\noptions; sqmqos COMMAND --help says which a command takes:\n");
	help_options(out, ~UINT64_C(0));
	sq_buf_printf(out,
	    "\nexit code: 0 all is good, perhaps with warnings; 1 manifests have problems, the\n"
	    "broker's view can't be had, or a message is refused; 2 the options are wrong, or a "
	    "file\n"
	    "can't be read; 3 there is no such thing, or nothing takes the topic\n");
}

int
sq_help_verb(const struct sq_verb *v)
{
	struct sq_buf out = {0}, err = {0};

	sq_buf_printf(&out, "usage: sqmqos");
	for (size_t i = 0; i < 3; i++) {
		const char *word = i == 0 ? v->noun : i == 1 ? v->verb : v->operand;

		if (word != NULL && word[0] != '\0')
			sq_buf_printf(&out, " %s", word);
	}
	for (unsigned i = 0; i < SQ_OPTION_COUNT; i++)
		if ((v->needs & SQ_OPTION_BIT(i)) != 0)
			sq_buf_printf(
			    &out, " --%s %s", sq_option_table[i].name, sq_option_table[i].argument);
	sq_buf_printf(&out, " [OPTION...]\n\n%s.\n\n", v->help);
	help_options(&out, v->options);
	return sq_print(&out, &err, SQ_EXIT_GOOD, SQ_EXIT_ERROR);
}

int
sq_run_help(const struct sq_run *r)
{
	struct sq_buf out = {0}, err = {0};

	sq_help_text(&out, r->verbs, r->n_verbs);
	return sq_print(&out, &err, SQ_EXIT_GOOD, SQ_EXIT_ERROR);
}
