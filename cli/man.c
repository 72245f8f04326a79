/* The manual page, in the macros of man(7). */
#include <string.h>

#include "cli/help.h"
#include "cli/print.h"

/* Appends text in which troff sees nothing of its own. */
static void
man_plain(struct sq_buf *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\')
			sq_buf_printf(out, "\\e");
		else if (*p == '-')
			sq_buf_printf(out, "\\-");
		else if ((*p == '.' || *p == '\'') && p == text)
			sq_buf_printf(out, "\\&%c", *p);
		else
			sq_buf_printf(out, "%c", *p);
	}
}

static void
man_of_verb(struct sq_buf *out, const struct sq_verb *v)
{
	bool any = false;

	sq_buf_printf(out, ".TP\n\\fBsqmqos %s", v->noun);
	if (v->verb[0] != '\0')
		sq_buf_printf(out, " %s", v->verb);
	sq_buf_printf(out, "\\fR");
	if (v->operand != NULL)
		sq_buf_printf(out, " \\fI%s\\fR", v->operand);
	sq_buf_printf(out, "\n");
	man_plain(out, v->help);
	sq_buf_printf(out, ".\n");
	for (unsigned i = 0; i < SQ_OPTION_COUNT; i++) {
		if ((v->options & SQ_OPTION_BIT(i)) == 0 || i == SQ_OPTION_HELP ||
		    i == SQ_OPTION_VERSION)
			continue;
		sq_buf_printf(out, "%s\\fB", any ? ", " : "Options: ");
		any = true;
		man_plain(out, "--");
		man_plain(out, sq_option_table[i].name);
		sq_buf_printf(out, "\\fR%s", (v->needs & SQ_OPTION_BIT(i)) != 0 ? " (needed)" : "");
	}
	sq_buf_printf(out, "%s", any ? ".\n" : "");
}

static void
man_of_option(struct sq_buf *out, const struct sq_option *o)
{
	sq_buf_printf(out, ".TP\n\\fB");
	if (o->letter != 0)
		sq_buf_printf(out, "\\-%c\\fR, \\fB", o->letter);
	man_plain(out, "--");
	man_plain(out, o->name);
	sq_buf_printf(out, "\\fR");
	if (o->argument != NULL)
		sq_buf_printf(out, " \\fI%s\\fR", o->argument);
	sq_buf_printf(out, "\n");
	man_plain(out, o->help);
	sq_buf_printf(out, ".\n");
}

void
sq_man_text(struct sq_buf *out, const struct sq_verb *verbs, size_t n)
{
	sq_buf_printf(out,
	    ".TH SQMQOS 1 \"\" \"sqmqos %s\" \"User Commands\"\n.SH NAME\nsqmqos \\- the command "
	    "line "
	    "of SQMQOS\n.SH SYNOPSIS\n\\fBsqmqos\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]\n"
	    ".SH DESCRIPTION\nChecks, explains and injects manifests without a cluster, and shows "
	    "what a broker has at this moment: its queues, sessions, subscriptions, links, spaces "
	    "and store, and why a message does not come.  Publishes and receives as an app "
	    "does.\n.SH COMMANDS\n",
	    SQ_VERSION);
	for (size_t i = 0; i < n; i++)
		man_of_verb(out, &verbs[i]);
	sq_buf_printf(out, ".SH OPTIONS\n");
	for (unsigned i = 0; i < SQ_OPTION_COUNT; i++)
		man_of_option(out, &sq_option_table[i]);
	sq_buf_printf(out,
	    ".SH ENVIRONMENT\n.TP\n\\fBSQMQOS_ADMIN\\fR\nThe address for \\fB\\-\\-admin\\fR.\n"
	    ".TP\n\\fBKUBECONFIG\\fR\nThe files for \\fB\\-\\-kubeconfig\\fR.\n"
	    ".TP\n\\fBSQMQOS_URL\\fR\nThe address for \\fB\\-\\-url\\fR.\n"
	    ".TP\n\\fBSQMQOS_TOKEN_FILE\\fR, \\fBSQMQOS_CA_FILE\\fR\nThe files for "
	    "\\fB\\-\\-token\\-file\\fR and \\fB\\-\\-ca\\fR at the HTTP API.\n"
	    ".SH EXIT STATUS\n.TP\n\\fB0\\fR\nAll is good, perhaps with warnings.\n"
	    ".TP\n\\fB1\\fR\nManifests have problems, the broker's view can't be had, or a message "
	    "is "
	    "refused.\n"
	    ".TP\n\\fB2\\fR\nThe options are wrong, or a file can't be read.\n"
	    ".TP\n\\fB3\\fR\nThere is no such thing, or nothing takes the topic.\n");
}

int
sq_run_man(const struct sq_run *r)
{
	struct sq_buf out = {0}, err = {0};

	sq_man_text(&out, r->verbs, r->n_verbs);
	return sq_print(&out, &err, SQ_EXIT_GOOD, SQ_EXIT_ERROR);
}
