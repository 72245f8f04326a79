#include "broker/group/declared_depth.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/metrics.h"

enum { FIRST_ROOM = 16 };

static void
depths_add_other(struct sq_declared_depths *d, const struct sq_queue_state *state, uint64_t age_ms)
{
	d->n_others++;
	d->others.depth += state->n;
	d->others.members += state->takers;
	if (age_ms > d->others.age_ms)
		d->others.age_ms = age_ms;
}

void
sq_declared_depths_add(struct sq_declared_depths *d, size_t max, const char *name,
    const struct sq_queue_state *state, uint64_t age_ms)
{
	if (d->n >= max) {
		depths_add_other(d, state, age_ms);
		return;
	}
	if (d->n == d->room) {
		d->room = d->room > 0 ? 2 * d->room : FIRST_ROOM;
		d->rows = sq_xrealloc(d->rows, d->room * sizeof(*d->rows));
	}
	d->rows[d->n++] = (struct sq_declared_row){
	    sq_xstrdup(name), state->n, age_ms, state->takers};
}

void
sq_declared_depths_clear(struct sq_declared_depths *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->rows[i].name);
	free(d->rows);
	*d = (struct sq_declared_depths){0};
}

static void
depths_line(
    const char *family, size_t column, const struct sq_declared_row *row, struct sq_buf *out)
{
	uint64_t values[] = {row->depth, row->age_ms / 1000, row->members};

	sq_buf_printf(out, "%s{queue=\"", family);
	sq_metrics_label(out, row->name != NULL ? row->name : "other");
	sq_buf_printf(out, "\"} %llu\n", (unsigned long long)values[column]);
}

void
sq_declared_depths_write(const struct sq_declared_depths *d, struct sq_buf *out)
{
	static const struct {
		const char *name, *help;
	} families[] = {
	    {"sqmqos_declared_queue_depth",
		"Messages that wait in a declared queue; those above metrics.queues are other."},
	    {"sqmqos_declared_queue_age_seconds",
		"How long the oldest of them has been seen waiting; 0: nothing waits."},
	    {"sqmqos_declared_queue_members",
		"Sessions that are there to take from a declared queue."},
	};

	for (size_t f = 0; f < SQ_ARRAY_LEN(families); f++) {
		sq_metrics_head(out, families[f].name, SQ_GAUGE, families[f].help);
		for (size_t i = 0; i < d->n; i++)
			depths_line(families[f].name, f, &d->rows[i], out);
		if (d->n_others > 0)
			depths_line(families[f].name, f, &d->others, out);
	}
}
