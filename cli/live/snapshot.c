/* Snapshots of a broker; see cli/live/snapshot.h. */
#include "cli/live/snapshot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"

#define SNAPSHOT_QUEUE_COLUMNS "queue,kind,depth,bytes,age,members,full,refused,left"
#define SNAPSHOT_LINK_COLUMNS "link,peer,identity,sessions,waiting,slow"
#define SNAPSHOT_SPACE_COLUMNS "space,full"

static int64_t
snapshot_number(const json_t *row, const char *column)
{
	return json_integer_value(json_object_get(row, column));
}

static bool
snapshot_queue(void *arg, const json_t *row)
{
	struct sq_snapshot *s = arg;
	const char *name = json_string_value(json_object_get(row, "queue"));

	if (name == NULL)
		return true;
	if (s->n_queues == SQ_SNAPSHOT_QUEUES_MAX) {
		s->more_queues = true;
		return false;
	}
	if (s->n_queues == s->room) {
		s->room = s->room > 0 ? 2 * s->room : 256;
		s->queues = sq_xrealloc(s->queues, s->room * sizeof *s->queues);
	}
	s->queues[s->n_queues++] = (struct sq_snapshot_queue){
	    .row = json_incref((json_t *)row),
	    .name = name,
	    .depth = snapshot_number(row, "depth"),
	    .is_new = true,
	};
	s->depth += snapshot_number(row, "depth");
	s->bytes += snapshot_number(row, "bytes");
	return true;
}

/* Rows of a table that are worth a line. */
struct snapshot_picked {
	json_t *rows;
	bool (*worth)(const json_t *row);
};

static bool
snapshot_pick(void *arg, const json_t *row)
{
	struct snapshot_picked *p = arg;

	if (p->worth(row))
		json_array_append(p->rows, (json_t *)row);
	return json_array_size(p->rows) < SQ_SNAPSHOT_OTHERS_MAX;
}

static bool
snapshot_is_slow(const json_t *row)
{
	return json_is_true(json_object_get(row, "slow"));
}

static bool
snapshot_is_full(const json_t *row)
{
	return json_array_size(json_object_get(row, "full")) > 0;
}

static bool
snapshot_any(const json_t *row)
{
	(void)row;
	return true;
}

/* Takes rows of a table, which the caller need not be allowed to see: '*out' is NULL then. */
static int
snapshot_others(struct sq_tables *t, const struct sq_wanted *w, bool (*worth)(const json_t *),
    json_t **out, struct sq_buf *err)
{
	struct snapshot_picked p = {json_array(), worth};
	struct sq_buf why = {0};
	int rc = t->rows(t->owner, w, snapshot_pick, &p, &why);

	*out = p.rows;
	if (rc != 0) {
		json_decref(p.rows);
		*out = NULL;
	}
	if (rc != 0 && rc != SQ_EDENIED)
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	sq_buf_fini(&why);
	return rc == SQ_EDENIED ? 0 : rc;
}

static int
snapshot_by_name(const void *a, const void *b)
{
	return strcmp(((const struct sq_snapshot_queue *)a)->name,
	    ((const struct sq_snapshot_queue *)b)->name);
}

/* What has changed since. */
static void
snapshot_compare(struct sq_snapshot *s, const struct sq_snapshot *last)
{
	double seconds;

	s->commits = -1;
	s->since_ms = last != NULL ? s->mono_ms - last->mono_ms : 0;
	if (s->since_ms == 0)
		return;
	seconds = (double)s->since_ms / 1000;
	s->change = (double)(s->depth - last->depth) / seconds;
	if (s->store != NULL && last->store != NULL)
		s->commits = (double)(snapshot_number(s->store, "commits") -
				 snapshot_number(last->store, "commits")) /
		    seconds;
	for (size_t i = 0; i < s->n_queues; i++) {
		struct sq_snapshot_queue *q = &s->queues[i];
		const struct sq_snapshot_queue *was = last->n_queues == 0
		    ? NULL
		    : bsearch(q, last->queues, last->n_queues, sizeof *q, snapshot_by_name);

		q->is_new = was == NULL;
		q->change = was != NULL ? (double)(q->depth - was->depth) / seconds : 0;
	}
}

int
sq_snapshot_take(struct sq_tables *t, const char *space, const struct sq_snapshot *last,
    struct sq_snapshot *s, struct sq_buf *err)
{
	struct sq_wanted queues = {
	    .table = "queues", .space = space, .columns = SNAPSHOT_QUEUE_COLUMNS};
	struct sq_wanted links = {.table = "links", .columns = SNAPSHOT_LINK_COLUMNS};
	struct sq_wanted spaces = {
	    .table = "spaces", .space = space, .columns = SNAPSHOT_SPACE_COLUMNS};
	struct sq_wanted store = {.table = "store"};
	json_t *rows = NULL;
	int rc;

	*s = (struct sq_snapshot){.wall_ms = sq_clock_wall_ms(), .mono_ms = sq_clock_ms()};
	rc = t->rows(t->owner, &queues, snapshot_queue, s, err);
	if (rc == 0)
		rc = snapshot_others(t, &spaces, snapshot_is_full, &s->spaces, err);
	if (rc == 0 && space == NULL)
		rc = snapshot_others(t, &links, snapshot_is_slow, &s->links, err);
	if (rc == 0 && space == NULL)
		rc = snapshot_others(t, &store, snapshot_any, &rows, err);
	s->store = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	if (rc != 0) {
		sq_snapshot_fini(s);
		return rc;
	}
	if (s->n_queues > 0)
		qsort(s->queues, s->n_queues, sizeof *s->queues, snapshot_by_name);
	snapshot_compare(s, last);
	return 0;
}

void
sq_snapshot_fini(struct sq_snapshot *s)
{
	for (size_t i = 0; i < s->n_queues; i++)
		json_decref(s->queues[i].row);
	free(s->queues);
	json_decref(s->links);
	json_decref(s->spaces);
	json_decref(s->store);
	*s = (struct sq_snapshot){0};
}

/* ---- ranks ---- */

static int
snapshot_sign(double more)
{
	return more > 0 ? -1 : more < 0 ? 1 : 0;
}

static int
snapshot_by_depth(const void *a, const void *b)
{
	const struct sq_snapshot_queue *p = *(const struct sq_snapshot_queue *const *)a;
	const struct sq_snapshot_queue *q = *(const struct sq_snapshot_queue *const *)b;
	int order = snapshot_sign((double)p->depth - (double)q->depth);

	if (order == 0)
		order = snapshot_sign(fabs(p->change) - fabs(q->change));
	return order != 0 ? order : strcmp(p->name, q->name);
}

static int
snapshot_by_change(const void *a, const void *b)
{
	const struct sq_snapshot_queue *p = *(const struct sq_snapshot_queue *const *)a;
	const struct sq_snapshot_queue *q = *(const struct sq_snapshot_queue *const *)b;
	int order = snapshot_sign(fabs(p->change) - fabs(q->change));

	return order != 0 ? order : snapshot_by_depth(a, b);
}

void
sq_snapshot_rank(const struct sq_snapshot *s, bool by_change, const struct sq_snapshot_queue **out)
{
	for (size_t i = 0; i < s->n_queues; i++)
		out[i] = &s->queues[i];
	if (s->n_queues > 0)
		qsort(out, s->n_queues, sizeof *out,
		    by_change ? snapshot_by_change : snapshot_by_depth);
}
