#include "sidecar/declared/pod_annotations.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/msg.h"
#include "core/program.h"
#include "sidecar/declared/annotations_kept.h"
#include "sidecar/declared/annotations_watch.h"
#include "sidecar/metrics/metrics.h"

struct sq_pod_annotations {
	const struct sq_sidecar_cfg *cfg;
	const struct sq_metrics *metrics;
	struct sq_annotations_place place;
	struct sq_annotations_watch *watch; /* NULL: none are configured */
	sq_pod_annotations_fn *good;
	void *owner;
	bool in_force;          /* a good set was handed on */
	struct sq_buf error;    /* why what is there is not in force, in lines */
	struct sq_buf warnings; /* of what is in force, in lines */
	/* The set kept before this start; until the first reading. */
	struct sq_annotation_pairs kept;
	uint64_t kept_since_ms; /* 0: none */
};

/* --- lines --- */

/* Takes the next line; false: there is none. */
static bool
line_next(struct sq_bytes *lines, struct sq_bytes *line)
{
	const unsigned char *nl;

	if (lines->len == 0)
		return false;
	nl = memchr(lines->p, '\n', lines->len);
	*line = (struct sq_bytes){lines->p, nl != NULL ? (size_t)(nl - lines->p) : lines->len};
	*lines = nl != NULL ? (struct sq_bytes){nl + 1, lines->len - line->len - 1}
			    : (struct sq_bytes){0};
	return true;
}

/* Appends each line with 'before' and where they were read, and 'after'. */
static void
lines_print(const struct sq_annotations_place *place, const struct sq_buf *lines,
    const char *before, const char *after, struct sq_buf *out)
{
	struct sq_bytes rest = {sq_buf_data(lines), sq_buf_len(lines)}, line;

	while (line_next(&rest, &line))
		sq_buf_printf(out, "%s%s: %s: %.*s%s", before, place->key, place->path,
		    (int)line.len, (const char *)line.p, after);
}

static void
lines_warn(const struct sq_annotations_place *place, const struct sq_buf *lines)
{
	struct sq_bytes rest = {sq_buf_data(lines), sq_buf_len(lines)}, line;

	while (line_next(&rest, &line))
		SQ_WARN("declared", "%s: %s: %.*s", place->key, place->path, (int)line.len,
		    (const char *)line.p);
}

/* --- a set --- */

/* Checks the content that was read. 0: it is good, with its warnings; else its errors. */
static int
content_check(const struct sq_annotations_content *c, const char *workload,
    struct sq_annotations *out, struct sq_buf *lines)
{
	struct sq_annotation_problems problems = {0};
	int rc;

	*out = (struct sq_annotations){0};
	if (sq_buf_len(&c->problem) > 0) {
		sq_buf_append(lines, sq_buf_data(&c->problem), sq_buf_len(&c->problem));
		return SQ_EINVAL;
	}
	rc = sq_annotations_check(
	    c->pairs.v, c->pairs.n, SQ_ANNOTATIONS_OF_SIDECAR, workload, out, &problems);
	sq_annotation_problems_print(&problems, rc == 0, lines);
	sq_annotation_problems_free(&problems);
	return rc;
}

static bool
has_state_dir(const struct sq_pod_annotations *p)
{
	return p->cfg->state_dir != NULL && p->cfg->state_dir[0] != '\0';
}

/* Hands a good set on, and keeps it. */
static void
pod_take(struct sq_pod_annotations *p, struct sq_annotations *set,
    const struct sq_annotation_pairs *pairs, uint64_t written_ms)
{
	struct sq_buf why = {0};
	uint64_t since_ms;

	SQ_INFO("declared", "%zu subscriptions and %zu publish rules%s from %s", set->subscribe.n,
	    set->publish.n, set->publish.strict ? " (strict)" : "", p->place.path);
	since_ms = p->good(p->owner, set, written_ms);
	p->in_force = true;
	sq_annotations_free(set);
	if (has_state_dir(p) &&
	    sq_annotations_kept_write(p->cfg->state_dir, p->cfg->pod, pairs, since_ms, &why) != 0)
		SQ_WARN("declared",
		    "state.dir: %.*s; started again, this sidecar does not know its last good set",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

/* --- over a restart --- */

/* Reads the set that the pod's previous sidecar had in force. */
static void
pod_recall(struct sq_pod_annotations *p)
{
	struct sq_buf why = {0};

	if (!has_state_dir(p) ||
	    !sq_annotations_kept_read(
		p->cfg->state_dir, p->cfg->pod, &p->kept, &p->kept_since_ms, &why))
		p->kept_since_ms = 0;
	if (sq_buf_len(&why) > 0)
		SQ_WARN("declared", "state.dir: %.*s; it doesn't count", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

/* At the first reading: if the present set equals the kept one, it has the kept one's age.
 * Otherwise the kept set is in force, and the present one is a change of it. */
static void
pod_resume(
    struct sq_pod_annotations *p, const struct sq_annotations_content *now, uint64_t *written_ms)
{
	struct sq_annotations_content kept = {.pairs = p->kept, .written_ms = p->kept_since_ms};
	struct sq_annotations set;
	struct sq_buf lines = {0};

	if (p->kept_since_ms == 0)
		return;
	if (sq_annotations_content_equal(now, &kept)) {
		*written_ms = p->kept_since_ms;
	} else if (content_check(&kept, p->cfg->workload, &set, &lines) == 0) {
		SQ_INFO("declared", "going on with the annotations from before this start");
		pod_take(p, &set, &kept.pairs, kept.written_ms);
	}
	sq_buf_fini(&lines);
	sq_annotation_pairs_free(&p->kept);
	p->kept_since_ms = 0;
}

static void
pod_on_content(void *owner, const struct sq_annotations_content *c)
{
	struct sq_pod_annotations *p = owner;
	uint64_t written_ms = c->written_ms;
	struct sq_buf lines = {0};
	struct sq_annotations set;

	pod_resume(p, c, &written_ms);
	sq_buf_fini(&p->error);
	if (content_check(c, p->cfg->workload, &set, &lines) == 0) {
		sq_buf_fini(&p->warnings);
		p->warnings = lines;
		lines_warn(&p->place, &p->warnings);
		sq_metric_set(p->metrics, SQ_M_DECLARED_MALFORMED, 0);
		pod_take(p, &set, &c->pairs, written_ms);
		return;
	}
	p->error = lines;
	sq_metric_add(p->metrics, SQ_M_DECLARED_ERRORS, 1);
	sq_metric_set(p->metrics, SQ_M_DECLARED_MALFORMED, 1);
	lines_warn(&p->place, &p->error);
	if (p->in_force)
		SQ_WARN("declared", "the last good set of annotations stays in force");
}

/* --- life --- */

struct sq_pod_annotations *
sq_pod_annotations_open(struct ev_loop *loop, const struct sq_sidecar_cfg *cfg,
    const struct sq_metrics *metrics, sq_pod_annotations_fn *good, void *owner)
{
	struct sq_pod_annotations *p = sq_xcalloc(1, sizeof *p);

	p->cfg = cfg;
	p->metrics = metrics;
	p->place = sq_annotations_place(cfg);
	p->good = good;
	p->owner = owner;
	if (p->place.path == NULL) {
		p->in_force = true;
		return p;
	}
	pod_recall(p);
	p->watch = sq_annotations_watch_open(loop, &p->place, pod_on_content, p);
	return p;
}

void
sq_pod_annotations_sweep(struct sq_pod_annotations *p)
{
	if (p->watch != NULL)
		sq_annotations_watch_check(p->watch);
}

bool
sq_pod_annotations_in_force(const struct sq_pod_annotations *p)
{
	return p->in_force;
}

void
sq_pod_annotations_print(const struct sq_pod_annotations *p, struct sq_buf *out)
{
	if (sq_buf_len(&p->error) == 0) {
		lines_print(&p->place, &p->warnings, "", "\n", out);
		return;
	}
	lines_print(&p->place, &p->error, "", "\n", out);
	if (p->in_force)
		sq_buf_printf(out, "the last good set of annotations stays in force\n");
}

void
sq_pod_annotations_close(struct sq_pod_annotations **pp)
{
	struct sq_pod_annotations *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	sq_annotations_watch_close(&p->watch);
	sq_annotation_pairs_free(&p->kept);
	sq_buf_fini(&p->error);
	sq_buf_fini(&p->warnings);
	free(p);
}

struct sq_outbox_annotation
sq_pod_annotations_verify(
    const struct sq_sidecar_cfg *cfg, struct sq_buf *notes, struct sq_buf *problems)
{
	struct sq_annotations_place place = sq_annotations_place(cfg);
	struct sq_outbox_annotation outbox = {0};
	struct sq_annotations_content now;
	struct sq_annotations set;
	struct sq_buf lines = {0}, said = {0};

	if (place.path == NULL)
		return outbox;
	sq_annotations_read(&place, &now);
	if (content_check(&now, cfg->workload, &set, &lines) == 0) {
		lines_print(&place, &lines, "; ", "", notes);
		outbox = set.outbox;
		sq_annotations_free(&set);
	} else {
		lines_print(&place, &lines, "", "\n", &said);
		said.end--; /* no end of line at the last */
		sq_program_problem(problems, &said);
	}
	sq_annotations_content_free(&now);
	sq_buf_fini(&lines);
	return outbox;
}
