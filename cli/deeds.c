/* The verbs that change something: sessions rm, queues purge, dead-letters redrive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/endpoint.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "cli/view/cell.h"
#include "cli/view/deeds.h"
#include "cli/view/safe.h"
#include "core/utf8.h"

enum { DEEDS_MAX = 1000000000, DEEDS_LETTERS_MAX = 1000 };

/* Connects, has it done, and prints what was done by 'say' or as JSON; the exit code.  'most': so many
 * messages, 0: all.  Takes over the body. */
static int
deeds_run(const struct sq_run *r, const char *deed, json_t *body, uint64_t most,
    void (*say)(const struct sq_run *, const struct sq_deeds_done *, struct sq_buf *out))
{
	const struct sq_options *o = r->options;
	struct sq_buf out = {0}, err = {0};
	struct sq_deeds_done done;
	struct sq_tables tables;
	int code;
	struct sq_remote *remote = sq_endpoint_open(o, &tables, &code, &err);

	if (remote != NULL) {
		int rc = sq_deeds_do(remote, deed, body, most, &done, &err);

		code = rc == 0           ? SQ_EXIT_GOOD
		    : rc == SQ_ENOTFOUND ? SQ_EXIT_NOT_FOUND
					 : SQ_EXIT_ERROR;
		if (rc == 0 && sq_option_given(o, SQ_OPTION_JSON))
			sq_buf_printf(&out, "{\"done\": %llu, \"stayed\": %llu}\n",
			    (unsigned long long)done.done, (unsigned long long)done.stayed);
		else if (rc == 0)
			say(r, &done, &out);
		else if (done.done > 0)
			sq_buf_printf(&err, "; %llu done before", (unsigned long long)done.done);
	}
	sq_remote_close(&remote);
	json_decref(body);
	return sq_print(&out, &err, code, SQ_EXIT_ERROR);
}

/* Whether the texts can be in a body; false: it has been said. */
static bool
deeds_texts(const struct sq_run *r)
{
	const char *space = r->options->value[SQ_OPTION_SPACE];

	if (r->operand != NULL && !sq_utf8_valid(r->operand, strlen(r->operand)))
		return sq_say_usage("the name is not UTF-8", "");
	return space == NULL || (space[0] != '\0' && sq_utf8_valid(space, strlen(space))) ||
	    sq_say_usage("--space is no name", "");
}

static void
deeds_member(json_t *body, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(body, name, json_string(value));
}

static void
deeds_count(struct sq_buf *out, const char *did, uint64_t n, const char *what)
{
	sq_buf_printf(out, "%s %llu %s%s", did, (unsigned long long)n, what, n == 1 ? "" : "s");
}

/* ---- sessions ---- */

static void
say_removed(const struct sq_run *r, const struct sq_deeds_done *done, struct sq_buf *out)
{
	(void)done;
	sq_buf_printf(out, "removed session ");
	sq_safe(out, r->operand, strlen(r->operand));
	sq_buf_printf(out, "\n");
}

int
sq_run_remove(const struct sq_run *r)
{
	json_t *body;

	if (!deeds_texts(r))
		return SQ_EXIT_USAGE;
	body = json_object();
	deeds_member(body, "session", r->operand);
	if (sq_option_given(r->options, SQ_OPTION_FORCE))
		json_object_set_new(body, "force", json_true());
	return deeds_run(r, "sessions/remove", body, 0, say_removed);
}

/* ---- queues ---- */

static void
say_purged(const struct sq_run *r, const struct sq_deeds_done *done, struct sq_buf *out)
{
	deeds_count(out, "purged", done->done, "message");
	sq_buf_printf(out, " of queue ");
	sq_safe(out, r->operand, strlen(r->operand));
	sq_buf_printf(out, "\n");
}

/* What a purge would do. */
struct purge_look {
	const char *queue;
	struct sq_buf *err;
	bool found;
};

static bool
purge_row(void *arg, const json_t *row)
{
	struct purge_look *look = arg;
	const char *name = json_string_value(json_object_get(row, "queue"));

	if (name == NULL || strcmp(name, look->queue) != 0)
		return true;
	look->found = true;
	deeds_count(look->err, "would purge",
	    (uint64_t)json_integer_value(json_object_get(row, "depth")), "message");
	sq_buf_printf(look->err, ", ");
	sq_cell_bytes(look->err, (uint64_t)json_integer_value(json_object_get(row, "bytes")));
	sq_buf_printf(look->err, ", of queue ");
	sq_safe(look->err, name, strlen(name));
	sq_buf_printf(look->err, " for good: say --yes");
	return false;
}

/* Without --yes: says what would go. */
static int
purge_would(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	struct sq_buf out = {0}, err = {0};
	struct purge_look look = {.queue = r->operand, .err = &err};
	const struct sq_wanted w = {.table = "queues",
	    .name = r->operand,
	    .space = o->value[SQ_OPTION_SPACE],
	    .columns = "queue,depth,bytes"};
	struct sq_tables tables;
	int code;
	struct sq_remote *remote = sq_endpoint_open(o, &tables, &code, &err);

	if (remote != NULL) {
		code = tables.rows(tables.owner, &w, purge_row, &look, &err) == 0 ? SQ_EXIT_USAGE
										  : SQ_EXIT_ERROR;
		if (code == SQ_EXIT_USAGE && !look.found) {
			code = SQ_EXIT_NOT_FOUND;
			sq_buf_printf(&err, "queues: nothing there with the name ");
			sq_safe(&err, r->operand, strlen(r->operand));
		}
	}
	sq_remote_close(&remote);
	return sq_print(&out, &err, code, SQ_EXIT_ERROR);
}

int
sq_run_purge(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	uint64_t most = 0;
	json_t *body;

	if (!deeds_texts(r) || !sq_option_number(o, SQ_OPTION_MAX, 1, DEEDS_MAX, &most))
		return SQ_EXIT_USAGE;
	if (sq_option_given(o, SQ_OPTION_URL))
		return sq_run_purge_http(r);
	if (!sq_option_given(o, SQ_OPTION_YES))
		return purge_would(r);
	body = json_object();
	deeds_member(body, "queue", r->operand);
	deeds_member(body, "space", o->value[SQ_OPTION_SPACE]);
	if (sq_option_given(o, SQ_OPTION_BURY))
		json_object_set_new(body, "dead-letters", json_true());
	return deeds_run(r, "queues/purge", body, most, say_purged);
}

/* ---- dead letters ---- */

static void
say_redriven(const struct sq_run *r, const struct sq_deeds_done *done, struct sq_buf *out)
{
	(void)r;
	deeds_count(out, "published", done->done, "dead letter");
	sq_buf_printf(out, " again");
	if (done->stayed > 0)
		sq_buf_printf(out, "; %llu stay%s: nobody takes %s, or a queue is full",
		    (unsigned long long)done->stayed, done->stayed == 1 ? "s" : "",
		    done->stayed == 1 ? "it" : "them");
	sq_buf_printf(out, "\n");
}

/* The numbers of --letter, "N,N"; NULL: they are none, which has been said. */
static json_t *
redrive_letters(const char *text)
{
	json_t *list = json_array();
	char *end;

	for (const char *p = text; list != NULL; p = end + 1) {
		long long n = strtoll(p, &end, 10);

		if (*p >= '0' && *p <= '9' && n > 0 && (*end == ',' || *end == '\0') &&
		    json_array_size(list) < DEEDS_LETTERS_MAX) {
			json_array_append_new(list, json_integer(n));
			if (*end == '\0')
				return list;
			continue;
		}
		json_decref(list);
		list = NULL;
	}
	sq_say_usage("--letter has 1 to 1000 numbers, with a comma between two, not ", text);
	return NULL;
}

/* What only the HTTP API selects by; false: it has been said. */
static bool
redrive_admin_takes(const struct sq_options *o)
{
	static const enum sq_option_id http[] = {
	    SQ_OPTION_FILTER, SQ_OPTION_REASON, SQ_OPTION_TO, SQ_OPTION_CA};
	char what[64];

	for (size_t i = 0; i < sizeof http / sizeof http[0]; i++) {
		snprintf(what, sizeof what, "--%s", sq_option_table[http[i]].name);
		if (sq_option_given(o, http[i]))
			return sq_say_usage(what, " is for the HTTP API: --url is its address");
	}
	return true;
}

int
sq_run_redrive(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	const char *letters = o->value[SQ_OPTION_LETTER];
	uint64_t most = 0;
	json_t *body, *list = NULL;

	if (!deeds_texts(r) || !sq_option_number(o, SQ_OPTION_MAX, 1, DEEDS_MAX, &most))
		return SQ_EXIT_USAGE;
	if (sq_option_given(o, SQ_OPTION_URL))
		return sq_run_redrive_http(r);
	if (!redrive_admin_takes(o))
		return SQ_EXIT_USAGE;
	if (r->operand == NULL && o->value[SQ_OPTION_SPACE] == NULL) {
		sq_say_usage("a queue, or --space NAME, is missing", "");
		return SQ_EXIT_USAGE;
	}
	if (letters != NULL && r->operand == NULL) {
		sq_say_usage("--letter is a number in a queue, which is missing", "");
		return SQ_EXIT_USAGE;
	}
	if (letters != NULL && (list = redrive_letters(letters)) == NULL)
		return SQ_EXIT_USAGE;
	body = json_object();
	deeds_member(body, "queue", r->operand);
	deeds_member(body, "space", o->value[SQ_OPTION_SPACE]);
	if (list != NULL)
		json_object_set_new(body, "letters", list);
	return deeds_run(r, "dead-letters/redrive", body, most, say_redriven);
}
