/* sqmqos: the command line.  What the injector would do with manifests, without a cluster. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "k8s/cli/cli.h"

static const char usage[] =
    "usage: sqmqos COMMAND -f FILE [OPTION...]\n"
    "\n"
    "commands, each on manifests of pods or of what makes pods:\n"
    "  inject    print them as the injector would make their pods\n"
    "  lint      print what is wrong, as file:line:column: reason\n"
    "  explain   say which queues, bindings, limits and rules there would be\n"
    "\n"
    "  -f, --filename FILE      a file in YAML or JSON, a folder of such, or - for standard\n"
    "                           input; may be given several times\n"
    "      --values FILE        the installation's settings.yaml (in the ConfigMap of the "
    "injector)\n"
    "      --trust-bundle FILE  certificates in PEM that the sidecars trust (inject)\n"
    "  -n, --namespace NAME     where the manifests go to, if they don't say it (explain)\n"
    "  -h, --help\n"
    "      --version\n"
    "\n"
    "exit code: 0 all is good, perhaps with warnings; 1 the manifests have problems; 2 the\n"
    "command can't be carried out\n";

enum { OPT_VALUES = 256, OPT_BUNDLE, OPT_VERSION, FILES_MAX = 1000, BUNDLE_MAX = 128 << 10 };

struct options {
	const char *files[FILES_MAX];
	size_t n_files;
	const char *values, *bundle, *space;
};

static const struct {
	const char *name;
	enum sq_cli_exit (*run)(struct sq_cli *);
} commands[] = {{"inject", sq_cli_inject}, {"lint", sq_cli_lint}, {"explain", sq_cli_explain}};

static int
usage_error(const char *what, const char *detail)
{
	fprintf(stderr, "sqmqos: %s%s; try sqmqos --help\n", what, detail);
	return SQ_CLI_USAGE;
}

/* -1: go on; else the exit code. */
static int
options_read(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"filename", required_argument, NULL, 'f'},
	    {"values", required_argument, NULL, OPT_VALUES},
	    {"trust-bundle", required_argument, NULL, OPT_BUNDLE},
	    {"namespace", required_argument, NULL, 'n'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, OPT_VERSION},
	    {0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":f:n:h", longs, NULL)) != -1) {
		if (c == 'f' && o->n_files == FILES_MAX)
			return usage_error("too many files", "");
		if (c == 'f')
			o->files[o->n_files++] = optarg;
		else if (c == OPT_VALUES)
			o->values = optarg;
		else if (c == OPT_BUNDLE)
			o->bundle = optarg;
		else if (c == 'n')
			o->space = optarg;
		else if (c == 'h')
			return fputs(usage, stdout) < 0;
		else if (c == OPT_VERSION)
			return printf("sqmqos %s\n", SQ_VERSION) < 0;
		else if (c == ':')
			return usage_error("a value is missing for ", argv[optind - 1]);
		else
			return usage_error("unknown option ", argv[optind - 1]);
	}
	return -1;
}

/* A whole file, with a NUL behind it; NULL: 'err' has a line. */
static char *
file_text(const char *path, size_t max, size_t *len, struct sq_buf *err)
{
	FILE *f = fopen(path, "re");
	char *text;

	if (f == NULL) {
		sq_buf_printf(err, "%s: %s", path, strerror(errno));
		return NULL;
	}
	text = sq_xmalloc(max + 2);
	*len = fread(text, 1, max + 1, f);
	text[*len] = '\0';
	if (ferror(f) || *len > max) {
		sq_buf_printf(
		    err, "%s: %s", path, ferror(f) ? "it can't be read" : "it is too large");
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

static int
cli_settings(struct sq_cli *c, const char *path, struct sq_buf *err)
{
	size_t len = 0;
	char *text;
	int rc;

	if (path == NULL) {
		sq_settings_init(&c->settings);
		return 0;
	}
	if ((text = file_text(path, SQ_SETTINGS_SIZE_MAX, &len, err)) == NULL)
		return SQ_EIO;
	rc = sq_settings_parse(path, text, len, &c->settings, err);
	free(text);
	return rc;
}

static int
cli_bundle(struct sq_cli *c, const char *path, struct sq_buf *err)
{
	size_t len = 0;

	if (path == NULL)
		return 0;
	if ((c->trust_bundle = file_text(path, BUNDLE_MAX, &len, err)) == NULL)
		return SQ_EIO;
	if (strlen(c->trust_bundle) == len &&
	    strstr(c->trust_bundle, "-----BEGIN CERTIFICATE-----") != NULL)
		return 0;
	sq_buf_printf(err, "%s: no certificate in PEM format in it", path);
	return SQ_EINVAL;
}

/* Reads all that the options name. */
static int
cli_open(struct sq_cli *c, const struct options *o, struct sq_buf *err)
{
	int rc = cli_settings(c, o->values, err);

	if (rc == 0)
		rc = cli_bundle(c, o->bundle, err);
	for (size_t i = 0; rc == 0 && i < o->n_files; i++)
		rc = sq_inputs_add(&c->inputs, o->files[i], err);
	c->space = o->space;
	return rc;
}

static bool
print(FILE *to, const struct sq_buf *text)
{
	size_t len = sq_buf_len(text);

	return (len == 0 || fwrite(sq_buf_data(text), 1, len, to) == len) && fflush(to) == 0;
}

static int
cli_run(enum sq_cli_exit (*run)(struct sq_cli *), const struct options *o)
{
	struct sq_cli c = {0};
	struct sq_buf err = {0};
	int code = SQ_CLI_USAGE;

	if (cli_open(&c, o, &err) == 0) {
		code = run(&c);
		print(stderr, &c.err);
		if (!print(stdout, &c.out)) {
			sq_buf_printf(&err, "standard output: %s", strerror(errno));
			code = SQ_CLI_USAGE;
		}
	}
	if (sq_buf_len(&err) > 0)
		fprintf(stderr, "sqmqos: %.*s\n", (int)sq_buf_len(&err),
		    (const char *)sq_buf_data(&err));
	sq_inputs_free(&c.inputs);
	sq_settings_free(&c.settings);
	free(c.trust_bundle);
	sq_buf_fini(&c.out);
	sq_buf_fini(&c.err);
	sq_buf_fini(&err);
	return code;
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	int code = options_read(&o, argc, argv);

	if (code >= 0)
		return code;
	if (optind == argc)
		return usage_error("a command is missing", "");
	if (optind + 1 < argc)
		return usage_error("files are given by -f; what is this: ", argv[optind + 1]);
	for (size_t i = 0; i < SQ_ARRAY_LEN(commands); i++) {
		if (strcmp(argv[optind], commands[i].name) != 0)
			continue;
		if (o.n_files == 0)
			return usage_error("-f FILE is missing", "");
		return cli_run(commands[i].run, &o);
	}
	return usage_error("unknown command ", argv[optind]);
}
