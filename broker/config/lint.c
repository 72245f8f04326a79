#include "broker/config/lint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "broker/bridge/cfg.h"
#include "broker/bridge/kinds/checks.h"
#include "broker/bridge/kinds/kinds.h"
#include "broker/config/config.h"
#include "broker/config/queue_file.h"
#include "core/file.h"
#include "core/mem.h"

enum { FILE_MAX = 1 << 20 }; /* bytes */

/* --- what a file is --- */

/* Whether the broker's configuration has a key, or a group of keys, of that name. */
static bool
is_brokers(struct sq_bytes key)
{
	for (size_t i = 0; i < sq_broker_config_n; i++) {
		const char *name = sq_broker_config_keys[i].name;

		if (strcspn(name, ".") == key.len && memcmp(name, key.p, key.len) == 0)
			return true;
	}
	return false;
}

/* Goes on by one event of the outermost map: 'depth' of those that are open.  False: the end. */
static bool
is_next(yaml_parser_t *p, yaml_event_t *e, unsigned *depth)
{
	yaml_event_delete(e);
	if (yaml_parser_parse(p, e) == 0)
		return false;
	switch (e->type) {
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		++*depth;
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		--*depth;
		break;
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return false;
	default:
		break;
	}
	return true;
}

enum sq_lint_file
sq_lint_is(struct sq_bytes text)
{
	size_t brokers = 0, others = 0;
	bool bridges = false, key = true;
	yaml_parser_t parser;
	yaml_event_t event = {0};
	unsigned depth = 0, was = 0;

	if (yaml_parser_initialize(&parser) == 0)
		abort(); /* for want of memory */
	yaml_parser_set_input_string(&parser, text.p, text.len);
	for (; is_next(&parser, &event, &depth); was = depth) {
		if (event.type == YAML_SCALAR_EVENT && depth == 1 && key) {
			struct sq_bytes name = {event.data.scalar.value, event.data.scalar.length};

			bridges |= sq_bytes_are(name, "bridges");
			*(is_brokers(name) ? &brokers : &others) += 1;
			key = false;
		} else if (depth == 1 && was >= 1) { /* the end of its value */
			key = true;
		}
	}
	yaml_event_delete(&event);
	yaml_parser_delete(&parser);
	return bridges && others + brokers == 1 ? SQ_LINT_BRIDGES
	    : brokers > others                  ? SQ_LINT_BROKER
						: SQ_LINT_SUBSCRIBERS;
}

/* --- checks --- */

/* Bridges of the files before. */
struct lint {
	struct sq_bridge_cfgs *v;
	size_t n;
};

static void
lint_counted(struct sq_buf *out, const char *path, size_t n, const char *what)
{
	sq_buf_printf(out, "%s: good, with %zu %s%s", path, n, what, n == 1 ? "" : "s");
}

static bool
lint_has_kind(const struct sq_bridge_cfgs *c, unsigned kind)
{
	for (size_t i = 0; i < c->bridges.n; i++)
		if (((const struct sq_bridge_cfg *)c->bridges.v)[i].kind == kind)
			return true;
	return false;
}

/* A good file, and the kinds in it that this program has not: another one may. */
static void
lint_good_bridges(const struct sq_bridge_cfgs *c, const char *path, struct sq_buf *out)
{
	const char *between = ", but this program is built without ";

	lint_counted(out, path, c->bridges.n, "bridge");
	for (unsigned i = 0; sq_bridge_kind_names[i] != NULL; i++) {
		if (!lint_has_kind(c, i) || sq_bridge_kind(i) != NULL)
			continue;
		sq_buf_printf(out, "%s%s", between, sq_bridge_kind_names[i]);
		between = ", ";
	}
	sq_buf_printf(out, "\n");
}

/* The bridge of that name in a file before; NULL: there is none. */
static const struct sq_bridge_cfg *
lint_named(const struct lint *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < l->v[i].bridges.n; k++) {
			const struct sq_bridge_cfg *c = &(
			    (const struct sq_bridge_cfg *)l->v[i].bridges.v)[k];

			if (strcmp(c->record.name, name) == 0)
				return c;
		}
	}
	return NULL;
}

static int
lint_bridges(
    struct lint *l, const char *path, struct sq_bytes text, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_bridge_cfgs *c = &l->v[l->n];
	int rc = sq_bridge_cfgs_read(path, text, sq_bridge_kind_check, c, err);

	for (size_t i = 0; rc == SQ_OK && i < c->bridges.n; i++) {
		const struct sq_bridge_cfg *b = &((const struct sq_bridge_cfg *)c->bridges.v)[i];
		const struct sq_bridge_cfg *first = lint_named(l, b->record.name);

		if (first == NULL)
			continue;
		sq_buf_printf(err, "%s: bridges.%s: is declared at %s, too", b->record.where,
		    b->record.name, first->record.where);
		rc = SQ_EINVAL;
	}
	if (rc == SQ_OK)
		lint_good_bridges(c, path, out);
	l->n++;
	return rc;
}

static int
lint_subscribers(const char *path, struct sq_bytes text, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_file_queues q = {0};
	int rc = sq_queue_file_read(path, text, &q, err);

	if (rc == SQ_OK) {
		lint_counted(out, path, q.n, "queue");
		sq_buf_printf(out, "\n");
	}
	sq_file_queues_fini(&q);
	return rc;
}

static int
lint_broker(const char *path, struct sq_buf *out, struct sq_buf *err)
{
	char name[] = "sqmqos-broker", flag[] = "--config", *file = sq_xstrdup(path);
	char *argv[] = {name, flag, file, NULL}, *envp[] = {NULL};
	struct sq_broker_config c = {0};
	struct sq_buf why = {0};
	int rc = sq_broker_config_load(&c, 3, argv, envp, &why);

	if (rc == SQ_OK)
		sq_buf_printf(out, "%s: good, as the configuration of a broker\n", path);
	else if (sq_buf_len(&why) > strlen(path) &&
	    memcmp(sq_buf_data(&why), path, strlen(path)) == 0)
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	else /* what depends on several keys has no line */
		sq_buf_printf(
		    err, "%s: %.*s", path, (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_broker_config_free(&c);
	sq_buf_fini(&why);
	free(file);
	return rc;
}

static int
lint_one(struct lint *l, const char *path, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_buf text = {0};
	int rc = sq_file_read(path, FILE_MAX, &text);

	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s: %s", path, sq_file_reason(rc));
		rc = SQ_EIO;
	} else {
		switch (sq_lint_is(sq_buf_bytes(&text))) {
		case SQ_LINT_BRIDGES:
			rc = lint_bridges(l, path, sq_buf_bytes(&text), out, err);
			break;
		case SQ_LINT_SUBSCRIBERS:
			rc = lint_subscribers(path, sq_buf_bytes(&text), out, err);
			break;
		case SQ_LINT_BROKER:
			rc = lint_broker(path, out, err);
			break;
		}
	}
	sq_buf_fini(&text);
	return rc;
}

int
sq_lint_files(const char *const *paths, size_t n, struct sq_buf *out)
{
	struct lint l = {.v = sq_xcalloc(n, sizeof *l.v)};
	int rc = SQ_OK;

	for (size_t i = 0; i < n; i++) {
		struct sq_buf fault = {0};
		int one = lint_one(&l, paths[i], out, &fault);

		if (one != SQ_OK)
			sq_buf_printf(out, "%.*s\n", (int)sq_buf_len(&fault),
			    (const char *)sq_buf_data(&fault));
		if (one != SQ_OK && rc != SQ_EIO)
			rc = one;
		sq_buf_fini(&fault);
	}
	for (size_t i = 0; i < l.n; i++)
		sq_bridge_cfgs_fini(&l.v[i]);
	free(l.v);
	return rc;
}

int
sq_lint_run(const char *const *paths, size_t n)
{
	enum { GOOD, BAD, UNREADABLE };
	struct sq_buf out = {0};
	int rc = n > 0 ? sq_lint_files(paths, n, &out) : SQ_EIO;
	bool written;

	if (n == 0)
		fprintf(stderr, "sqmqos-broker: --lint: which FILE?\n");
	written = fwrite(sq_buf_data(&out), 1, sq_buf_len(&out), stdout) == sq_buf_len(&out) &&
	    fflush(stdout) == 0;
	sq_buf_fini(&out);
	return rc == SQ_EIO ? UNREADABLE : rc == SQ_OK && written ? GOOD : BAD;
}
