/* inject, lint, explain and scale: what the injector would do with manifests, without a cluster. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "cli/verbs.h"
#include "core/mem.h"
#include "k8s/cli/cli.h"

enum { BUNDLE_MAX = 128 << 10 };

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
cli_open(struct sq_cli *c, const struct sq_options *o, struct sq_buf *err)
{
	int rc = cli_settings(c, o->value[SQ_OPTION_VALUES], err);

	if (rc == 0)
		rc = cli_bundle(c, o->value[SQ_OPTION_BUNDLE], err);
	for (size_t i = 0; rc == 0 && i < o->n_files; i++)
		rc = sq_inputs_add(&c->inputs, o->files[i], err);
	c->space = o->value[SQ_OPTION_NAMESPACE];
	return rc;
}

static const struct {
	const char *name;
	enum sq_cli_exit (*run)(struct sq_cli *);
} manifest_verbs[] = {{"inject", sq_cli_inject}, {"lint", sq_cli_lint}, {"explain", sq_cli_explain},
    {"scale", sq_cli_scale}};

static enum sq_cli_exit
manifests_do(const char *name, struct sq_cli *c)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(manifest_verbs); i++)
		if (strcmp(name, manifest_verbs[i].name) == 0)
			return manifest_verbs[i].run(c);
	abort(); /* the table of verbs has another one */
}

int
sq_run_manifests(const struct sq_run *r)
{
	struct sq_cli c = {0};
	struct sq_buf err = {0};
	int code = SQ_EXIT_USAGE;

	if (r->operand != NULL) {
		sq_say_usage("files are given by -f; what is this: ", r->operand);
		return SQ_EXIT_USAGE;
	}
	if (cli_open(&c, r->options, &err) == 0) {
		code = (int)manifests_do(r->verb->noun, &c);
		fprintf(stderr, "%.*s", (int)sq_buf_len(&c.err),
		    sq_buf_len(&c.err) > 0 ? (const char *)sq_buf_data(&c.err) : "");
	}
	code = sq_print(&c.out, &err, code, SQ_EXIT_USAGE);
	sq_inputs_free(&c.inputs);
	sq_settings_free(&c.settings);
	free(c.trust_bundle);
	sq_buf_fini(&c.err);
	return code;
}
