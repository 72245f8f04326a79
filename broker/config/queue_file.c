#include "broker/config/queue_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/config.h"
#include "core/mem.h"
#include "core/suggest.h"
#include "core/yaml_event.h"
#include "proto/link/key.h"

enum { PATH_MAX_LEN = 384, FILE_LIST_MAX = 1024 /* bytes of a list of values */ };

/* A file that is read; stops at its first fault. */
struct file {
	yaml_parser_t parser;
	yaml_event_t event; /* the present one */
	bool has_event;
	size_t key_line;  /* of the last key, from 0 */
	size_t push_line; /* of the queue's push, from 1; 0: it has none yet */
	const char *source;
	char path[PATH_MAX_LEN]; /* of what is read, "shop.billing.retry" */
	struct sq_file_queues *out;
	struct sq_buf *err;
};

/* Faults. */

static int file_fault(struct file *f, const char *fmt, ...) SQ_PRINTF(2, 3);

static int
file_fault(struct file *f, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	sq_buf_printf(f->err, "%s:%zu: %s%s%s", f->source, f->event.start_mark.line + 1, f->path,
	    f->path[0] != '\0' ? ": " : "", why);
	return SQ_EINVAL;
}

/* The same of a fault that names its own member behind the path. */
static int
file_fault_in(struct file *f, const struct sq_buf *why)
{
	sq_buf_printf(f->err, "%s:%zu: %s.%.*s", f->source, f->event.start_mark.line + 1, f->path,
	    (int)sq_buf_len(why), (const char *)sq_buf_data(why));
	return SQ_EINVAL;
}

/* The same of a queue as a whole, which has been read: at its push, or where it begins. */
static int
file_fault_of_queue(struct file *f, const struct sq_file_queue *q, const struct sq_buf *why)
{
	static const char push[] = "push.";
	bool is_push = f->push_line > 0 && sq_buf_len(why) >= strlen(push) &&
	    memcmp(sq_buf_data(why), push, strlen(push)) == 0;

	if (is_push)
		sq_buf_printf(f->err, "%s:%zu", f->source, f->push_line);
	else
		sq_buf_printf(f->err, "%s", q->where);
	sq_buf_printf(
	    f->err, ": %s.%.*s", f->path, (int)sq_buf_len(why), (const char *)sq_buf_data(why));
	return SQ_EINVAL;
}

static void
file_path(struct file *f, const char *name)
{
	size_t was = strlen(f->path);

	(void)snprintf(f->path + was, sizeof f->path - was, "%s%.128s", was > 0 ? "." : "", name);
}

/* Events. */

static int
file_next(struct file *f)
{
	if (f->has_event)
		yaml_event_delete(&f->event);
	f->has_event = yaml_parser_parse(&f->parser, &f->event) != 0;
	if (!f->has_event) {
		sq_buf_printf(f->err, "%s:%zu: is not YAML: %s", f->source,
		    f->parser.problem_mark.line + 1,
		    f->parser.problem != NULL ? f->parser.problem : "it does not read");
		return SQ_EINVAL;
	}
	if (f->event.type == YAML_ALIAS_EVENT || sq_yaml_anchor(&f->event) != NULL ||
	    sq_yaml_tag(&f->event) != NULL)
		return file_fault(f, "anchors, aliases and tags are not allowed");
	return SQ_OK;
}

/* The text of a scalar, into a copy; NULL: the fault is reported. */
static char *
file_text(struct file *f, const char *what)
{
	const yaml_event_t *e = &f->event;

	if (e->type != YAML_SCALAR_EVENT) {
		(void)file_fault(f, "%s is not a text", what);
		return NULL;
	}
	if (memchr(e->data.scalar.value, '\0', e->data.scalar.length) != NULL) {
		(void)file_fault(f, "%s has a NUL", what);
		return NULL;
	}
	return sq_xmemdup0(e->data.scalar.value, e->data.scalar.length);
}

/* Takes a map's key, which is the present event, and adds it to 'seen', who has it; NULL: the fault is
 * reported. */
static const char *
file_key(struct file *f, struct sq_strings *seen)
{
	char *key = file_text(f, "a key");

	f->key_line = f->event.start_mark.line;
	for (size_t i = 0; key != NULL && i < seen->n; i++) {
		if (strcmp(seen->v[i], key) == 0) {
			(void)file_fault(f, "%.64s is there twice", key);
			free(key);
			return NULL;
		}
	}
	if (key == NULL)
		return NULL;
	seen->v = sq_xrealloc(seen->v, (seen->n + 1) * sizeof *seen->v);
	return seen->v[seen->n++] = key;
}

/* Reads a map, whose event is the present one, up to its end: 'entry' gets each key, with the first
 * event of its value as the present one, and goes on to its last.  Nothing is an empty one. */
static int
file_map(struct file *f, int (*entry)(struct file *, const char *key, void *arg), void *arg)
{
	struct sq_strings seen = {0};
	size_t was = strlen(f->path);
	int rc = SQ_OK;

	if (f->event.type == YAML_SCALAR_EVENT && f->event.data.scalar.length == 0)
		return SQ_OK;
	if (f->event.type != YAML_MAPPING_START_EVENT)
		return file_fault(f, "is not a map");
	rc = file_next(f);
	while (rc == SQ_OK && f->event.type != YAML_MAPPING_END_EVENT) {
		const char *key = file_key(f, &seen);

		rc = key != NULL ? SQ_OK : SQ_EINVAL;
		if (rc == SQ_OK) {
			file_path(f, key);
			rc = file_next(f);
		}
		if (rc == SQ_OK)
			rc = entry(f, key, arg);
		f->path[was] = '\0';
		if (rc == SQ_OK)
			rc = file_next(f);
	}
	for (size_t i = 0; i < seen.n; i++)
		free(seen.v[i]);
	free(seen.v);
	return rc;
}

/* Bindings. */

static int
file_binding_member(struct file *f, const char *key, void *arg)
{
	static const char *const names[] = {"id", "filter", "tag", "qos"};
	struct sq_declared_binding *b = arg;
	char **const texts[] = {&b->id, &b->filter, &b->tag};
	struct sq_suggest near = sq_suggest_start(key, strlen(key));
	char *text;

	for (size_t i = 0; i < SQ_ARRAY_LEN(names); i++) {
		if (strcmp(key, names[i]) != 0) {
			sq_suggest_offer(
			    &near, names[i], strlen(names[i]), names[i], strlen(names[i]));
			continue;
		}
		text = file_text(f, "it");
		if (text == NULL)
			return SQ_EINVAL;
		if (i < SQ_ARRAY_LEN(texts)) {
			*texts[i] = text;
			return SQ_OK;
		}
		b->qos = strcmp(text, "1") == 0 ? 1 : strcmp(text, "2") == 0 ? 2 : 0;
		free(text);
		return b->qos != 0 ? SQ_OK : file_fault(f, "is not 1 or 2");
	}
	if (near.best != NULL)
		return file_fault(
		    f, "unknown key, did you mean %.*s?", (int)near.best_len, near.best);
	return file_fault(f, "unknown key");
}

static int
file_binding(struct file *f, struct sq_declaration *d)
{
	struct sq_declared_binding b = {.qos = 1};
	struct sq_buf why = {0};
	int rc = file_map(f, file_binding_member, &b);

	if (rc == SQ_OK && sq_declaration_bind(d, &b, &why) != SQ_OK)
		rc = file_fault_in(f, &why);
	sq_buf_fini(&why);
	sq_declared_binding_fini(&b);
	return rc;
}

static int
file_bindings(struct file *f, struct sq_declaration *d)
{
	size_t was = strlen(f->path), k = 0;
	int rc;

	if (f->event.type != YAML_SEQUENCE_START_EVENT)
		return file_fault(f, "is not a list");
	rc = file_next(f);
	while (rc == SQ_OK && f->event.type != YAML_SEQUENCE_END_EVENT) {
		(void)snprintf(f->path + was, sizeof f->path - was, "[%zu]", k++);
		rc = file_binding(f, d);
		if (rc == SQ_OK)
			rc = file_next(f);
		f->path[was] = '\0';
	}
	return rc;
}

/* Settings. */

/* The settings of a queue, or of a group of them ("push.retry."). */
struct settings {
	struct sq_declaration *decl;
	const char *prefix;
	size_t queue; /* length of the queue's path */
};

/* Whether the present event is of nothing: an empty value, null. */
static bool
file_null(const struct file *f)
{
	const yaml_event_t *e = &f->event;
	const char *text = (const char *)e->data.scalar.value;

	return e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int
file_set(struct file *f, const struct settings *in, const char *name, const char *text)
{
	struct sq_buf why = {0};
	char path[PATH_MAX_LEN];
	int rc = sq_declaration_set(in->decl, sq_bytes_of(name), sq_bytes_of(text), &why);

	if (rc != SQ_OK) {
		memcpy(path, f->path, sizeof path);
		f->path[in->queue] = '\0'; /* the fault says the rest */
		rc = file_fault_in(f, &why);
		memcpy(f->path, path, sizeof path);
	}
	sq_buf_fini(&why);
	return rc;
}

static int
file_set_value(
    struct file *f, const struct settings *in, const char *name, enum sq_declared_shape shape)
{
	char *text;
	int rc;

	if (f->event.type != YAML_SCALAR_EVENT && shape != SQ_DECLARED_NOTHING)
		return file_fault(f, "is a list or a map");
	if (f->event.type != YAML_SCALAR_EVENT || file_null(f))
		return file_set(f, in, name, "");
	text = file_text(f, "it");
	rc = text != NULL ? file_set(f, in, name, text) : SQ_EINVAL;
	free(text);
	return rc;
}

/* A list of values as one text, with commas between them. */
static int
file_set_list(struct file *f, const struct settings *in, const char *name)
{
	struct sq_buf list = {0};
	char *text;
	int rc;

	if (f->event.type != YAML_SEQUENCE_START_EVENT)
		return file_fault(f, "is not a list");
	rc = file_next(f);
	while (rc == SQ_OK && f->event.type != YAML_SEQUENCE_END_EVENT) {
		text = file_text(f, "a value");
		if (text == NULL || text[0] == '\0' || strchr(text, ',') != NULL)
			rc = text != NULL ? file_fault(f, "has something that is no value")
					  : SQ_EINVAL;
		else if (sq_buf_len(&list) > FILE_LIST_MAX)
			rc = file_fault(f, "has too many values");
		else
			sq_buf_printf(&list, "%s%s", sq_buf_len(&list) > 0 ? "," : "", text);
		free(text);
		if (rc == SQ_OK)
			rc = file_next(f);
	}
	if (rc == SQ_OK) {
		sq_buf_u8(&list, '\0');
		rc = file_set(f, in, name, (const char *)sq_buf_data(&list));
	}
	sq_buf_fini(&list);
	return rc;
}

static int file_setting(struct file *f, const char *key, void *arg);

static int
file_set_group(struct file *f, const struct settings *in, const char *name)
{
	struct sq_buf prefix = {0};
	int rc;

	if (file_null(f))
		return SQ_OK;
	sq_buf_printf(&prefix, "%s.%c", name, '\0');
	rc = file_map(f, file_setting,
	    &(struct settings){in->decl, (const char *)sq_buf_data(&prefix), in->queue});
	sq_buf_fini(&prefix);
	return rc;
}

static int
file_setting(struct file *f, const char *key, void *arg)
{
	const struct settings *in = arg;
	enum sq_declared_shape shape;
	struct sq_buf full = {0};
	const char *name;
	int rc;

	if (in->prefix[0] == '\0' && strcmp(key, "bindings") == 0)
		return file_bindings(f, in->decl);
	if (in->prefix[0] == '\0' && strcmp(key, "push") == 0)
		f->push_line = f->key_line + 1;
	sq_buf_printf(&full, "%s%s%c", in->prefix, key, '\0');
	name = (const char *)sq_buf_data(&full);
	shape = sq_declaration_shape(sq_bytes_of(name));
	if (shape == SQ_DECLARED_GROUP ||
	    (shape == SQ_DECLARED_EITHER &&
		(f->event.type == YAML_MAPPING_START_EVENT || file_null(f))))
		rc = file_set_group(f, in, name);
	else if (shape == SQ_DECLARED_LIST)
		rc = file_set_list(f, in, name);
	else
		rc = file_set_value(f, in, name, shape);
	sq_buf_fini(&full);
	return rc;
}

/* Queues. */

static int
file_queue(struct file *f, const char *key, void *arg)
{
	const char *space = arg;
	struct sq_file_queues *out = f->out;
	struct sq_file_queue *q;
	struct sq_buf where = {0}, why = {0};
	struct settings in = {.prefix = "", .queue = strlen(f->path)};
	int rc;

	if (!sq_queue_name_good(sq_bytes_of(key)))
		return file_fault(f, "the name of a queue must be 1 to 128 of A-Z a-z 0-9 . _ -");
	if (strncmp(key, SQ_QUEUE_OF_BRIDGES, strlen(SQ_QUEUE_OF_BRIDGES)) == 0)
		return file_fault(f,
		    "names that begin with " SQ_QUEUE_OF_BRIDGES
		    " are those of the queues of bridges");
	if (out->n == SQ_QUEUE_FILE_QUEUES_MAX)
		return file_fault(f, "there are more than 10000 queues");
	if (out->n == out->room) {
		out->room = out->room > 0 ? 2 * out->room : 16;
		out->v = sq_xrealloc(out->v, out->room * sizeof *out->v);
	}
	q = &out->v[out->n++];
	f->push_line = 0;
	sq_buf_printf(&where, "%s:%zu", f->source, f->key_line + 1);
	*q = (struct sq_file_queue){
	    .space = sq_xstrdup(space), .name = sq_xstrdup(key), .where = sq_buf_take_text(&where)};
	sq_declaration_init(&q->decl);
	in.decl = &q->decl;
	if (f->event.type == YAML_SEQUENCE_START_EVENT ||
	    (f->event.type == YAML_SCALAR_EVENT && f->event.data.scalar.length > 0))
		return file_fault(f,
		    "is not a map of settings: a file has spaces, these queues, "
		    "and these settings");
	rc = file_map(f, file_setting, &in);
	if (rc == SQ_OK &&
	    (sq_declaration_check(&q->decl, &why) != SQ_OK ||
		sq_declaration_check_reply(&q->decl, q->space, q->name, &why) != SQ_OK))
		rc = file_fault_of_queue(f, q, &why);
	sq_buf_fini(&why);
	return rc;
}

static int
file_space(struct file *f, const char *key, void *arg)
{
	(void)arg;
	if (key[0] == '\0' || strlen(key) > SQ_KEY_PART_MAX)
		return file_fault(f, "is no name of a space");
	return file_map(f, file_queue, (void *)(uintptr_t)key);
}

/* The document of a file; an empty one declares nothing. */
static int
file_document(struct file *f)
{
	int rc = file_next(f); /* the stream's start */

	if (rc == SQ_OK)
		rc = file_next(f);
	if (rc != SQ_OK || f->event.type == YAML_STREAM_END_EVENT)
		return rc;
	rc = file_next(f);
	if (rc != SQ_OK)
		return rc;
	rc = file_map(f, file_space, NULL);
	if (rc == SQ_OK)
		rc = file_next(f); /* the document's end */
	if (rc == SQ_OK)
		rc = file_next(f);
	if (rc == SQ_OK && f->event.type != YAML_STREAM_END_EVENT)
		rc = file_fault(f, "there is a second document");
	return rc;
}

int
sq_queue_file_read(
    const char *source, struct sq_bytes text, struct sq_file_queues *out, struct sq_buf *err)
{
	struct file f = {.source = source, .out = out, .err = err};
	int rc;

	if (!yaml_parser_initialize(&f.parser))
		abort(); /* for want of memory */
	yaml_parser_set_input_string(&f.parser, text.p, text.len);
	rc = file_document(&f);
	if (f.has_event)
		yaml_event_delete(&f.event);
	yaml_parser_delete(&f.parser);
	return rc;
}

void
sq_file_queues_fini(struct sq_file_queues *q)
{
	for (size_t i = 0; i < q->n; i++) {
		free(q->v[i].space);
		free(q->v[i].name);
		free(q->v[i].where);
		sq_declaration_fini(&q->v[i].decl);
	}
	free(q->v);
	*q = (struct sq_file_queues){0};
}
