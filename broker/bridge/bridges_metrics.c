#include <stdlib.h>

#include "broker/bridge/bridges_priv.h"
#include "core/mem.h"
#include "core/metrics.h"

/* Metrics of a bridge that have no label beside its name. */
enum { LOOPS, UNCERTAIN, DEDUP_EARLY, IN_FLIGHT, PAUSED, PLAIN };

/* What is told of one bridge, or of those that have no row of their own. */
struct metrics_row {
	const char *name;
	uint64_t messages[SQ_BRIDGE_HALVES][SQ_BRIDGE_OUTCOMES];
	bool has[SQ_BRIDGE_HALVES], down[SQ_BRIDGE_HALVES];
	uint64_t plain[PLAIN];
};

static void
metrics_add(const struct sq_bridge *b, struct metrics_row *row)
{
	const struct sq_bridge_told *t = &b->told;

	for (unsigned h = 0; h < SQ_BRIDGE_HALVES; h++) {
		for (unsigned o = 0; o < SQ_BRIDGE_OUTCOMES; o++)
			row->messages[h][o] += atomic_load_explicit(
			    &t->messages[h][o], memory_order_relaxed);
		row->plain[LOOPS] += atomic_load_explicit(
		    &t->messages[h][SQ_BRIDGE_LOOP], memory_order_relaxed);
		if (!atomic_load(&t->has[h]))
			continue;
		row->has[h] = true;
		row->down[h] |= !atomic_load(&t->up[h]);
		row->plain[IN_FLIGHT] += atomic_load_explicit(&t->out[h], memory_order_relaxed);
	}
	row->plain[UNCERTAIN] += atomic_load_explicit(&t->uncertain, memory_order_relaxed);
	row->plain[DEDUP_EARLY] += atomic_load_explicit(&t->dedup_early, memory_order_relaxed);
	row->plain[PAUSED] |= b->paused;
}

static void
metrics_label(struct sq_buf *out, const char *metric, const struct metrics_row *row)
{
	sq_buf_printf(out, "%s{bridge=\"", metric);
	sq_metrics_label(out, row->name);
	sq_buf_u8(out, '"');
}

static void
metrics_up(const struct metrics_row *rows, size_t n, struct sq_buf *out)
{
	sq_metrics_head(out, "sqmqos_bridge_up", SQ_GAUGE,
	    "Whether the peer of a bridge can be spoken to, by direction.");
	for (size_t i = 0; i < n; i++) {
		for (unsigned h = 0; h < SQ_BRIDGE_HALVES; h++) {
			if (!rows[i].has[h])
				continue;
			metrics_label(out, "sqmqos_bridge_up", &rows[i]);
			sq_buf_printf(out, ",direction=\"%s\"} %d\n", sq_bridge_half_name(h),
			    !rows[i].down[h]);
		}
	}
}

static void
metrics_messages(const struct metrics_row *rows, size_t n, struct sq_buf *out)
{
	sq_metrics_head(out, "sqmqos_bridge_messages_total", SQ_COUNTER,
	    "Messages of a bridge, by direction, and by what became of them.");
	for (size_t i = 0; i < n; i++) {
		for (unsigned h = 0; h < SQ_BRIDGE_HALVES; h++) {
			for (unsigned o = 0; o < SQ_BRIDGE_OUTCOMES && rows[i].has[h]; o++) {
				if (!sq_bridge_outcome_is_of(o, h))
					continue;
				metrics_label(out, "sqmqos_bridge_messages_total", &rows[i]);
				sq_buf_printf(out, ",direction=\"%s\",outcome=\"%s\"} %llu\n",
				    sq_bridge_half_name(h), sq_bridge_outcome_name(o),
				    (unsigned long long)rows[i].messages[h][o]);
			}
		}
	}
}

static void
metrics_plain(const struct metrics_row *rows, size_t n, struct sq_buf *out)
{
	static const struct {
		const char *name;
		enum sq_metric_type type;
		const char *help;
	} plain[PLAIN] = {
	    [LOOPS] = {"sqmqos_bridge_loops_total", SQ_COUNTER,
		"Messages of a bridge that had gone round, and were dropped."},
	    [UNCERTAIN] = {"sqmqos_bridge_uncertain_total", SQ_COUNTER,
		"Messages that went out, and of which it is not known whether the peer has them: "
		"they are sent again."},
	    [DEDUP_EARLY] = {"sqmqos_bridge_dedup_early_total", SQ_COUNTER,
		"Keys of what came in that were forgotten younger than dedup.for, as dedup.max "
		"says."},
	    [IN_FLIGHT] = {"sqmqos_bridge_in_flight", SQ_GAUGE,
		"Messages that the peer has not accepted yet, or that are not committed yet."},
	    [PAUSED] = {"sqmqos_bridge_paused", SQ_GAUGE, "1: it is paused."},
	};

	for (unsigned k = 0; k < PLAIN; k++) {
		sq_metrics_head(out, plain[k].name, plain[k].type, plain[k].help);
		for (size_t i = 0; i < n; i++) {
			metrics_label(out, plain[k].name, &rows[i]);
			sq_buf_printf(out, "} %llu\n", (unsigned long long)rows[i].plain[k]);
		}
	}
}

void
sq_bridges_write_metrics(struct sq_bridges *all, struct sq_buf *out)
{
	size_t max = all->cfg.metrics_bridges, n = 0;
	struct metrics_row *rows = sq_xcalloc(max + 1, sizeof *rows);

	pthread_mutex_lock(&all->lock);
	SQ_LIST_FOR_EACH(b, &all->list, struct sq_bridge, of_all) {
		struct metrics_row *row = &rows[n < max ? n++ : max];

		row->name = row == &rows[max] ? "other" : b->name;
		metrics_add(b, row);
	}
	n = rows[max].name != NULL ? max + 1 : n;
	if (n > 0) {
		metrics_up(rows, n, out);
		metrics_messages(rows, n, out);
		metrics_plain(rows, n, out);
	}
	pthread_mutex_unlock(&all->lock);
	free(rows);
}
