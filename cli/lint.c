/* lint: of manifests (-f), or of files that a broker reads, which its own program checks. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/print.h"
#include "cli/verbs.h"
#include "core/mem.h"

static const char program[] = "sqmqos-broker";

/* The broker's program beside this one, if it is there, for the caller to free; else its name, for which the
 * search path is looked through. */
static char *
lint_program(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct sq_buf path = {0};
	char *text, *slash;

	if (n <= 0)
		return sq_xstrdup(program);
	self[n] = '\0';
	slash = strrchr(self, '/');
	sq_buf_printf(&path, "%.*s/%s", (int)(slash != NULL ? slash - self : 0), self, program);
	text = sq_buf_take_text(&path);
	if (access(text, X_OK) == 0)
		return text;
	free(text);
	return sq_xstrdup(program);
}

/* Becomes the broker's program; returns only where there is none. */
static int
lint_broker(const struct sq_run *r)
{
	char **argv = sq_xcalloc(r->n_more + 4, sizeof *argv), flag[] = "--lint";
	char *path = lint_program();

	argv[0] = path;
	argv[1] = flag;
	argv[2] = (char *)(uintptr_t)r->operand;
	for (size_t i = 0; i < r->n_more; i++)
		argv[3 + i] = r->more[i];
	execvp(path, argv);
	fprintf(stderr, "sqmqos: %s checks these files, and can't be run: %s\n", program,
	    strerror(errno));
	free(path);
	free(argv);
	return SQ_EXIT_USAGE;
}

int
sq_run_lint(const struct sq_run *r)
{
	const struct sq_options *o = r->options;

	if (r->operand == NULL && o->n_files == 0) {
		sq_say_usage("missing: FILE of a broker, or -f FILE of manifests", "");
		return SQ_EXIT_USAGE;
	}
	if (r->operand == NULL)
		return sq_run_manifests(r);
	if (o->n_files > 0 || sq_option_given(o, SQ_OPTION_VALUES) ||
	    sq_option_given(o, SQ_OPTION_BUNDLE) || sq_option_given(o, SQ_OPTION_NAMESPACE)) {
		sq_say_usage("manifests are given by -f, and alone; what is this: ", r->operand);
		return SQ_EXIT_USAGE;
	}
	return lint_broker(r);
}
