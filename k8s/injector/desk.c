/* The desk of the server's thread; see k8s/injector/desk.h. */
#include "k8s/injector/desk.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "k8s/injector/admit.h"
#include "k8s/injector/metrics.h"
#include "web/worker.h"

struct sq_desk {
	struct sq_server *server;
	/* The server's thread's own. */
	struct sq_settings settings;
	char *bundle; /* NULL: none yet */
	bool has_settings;
};

/* Something new for the desk. */
struct delivery {
	struct sq_task task;
	struct sq_desk *desk;
	struct sq_settings settings;
	char *bundle;
};

/* Paths by what is asked, and where each outcome counts. */
static const struct window {
	enum sq_admit_kind kind;
	enum sq_injector_metric counts[SQ_MALFORMED + 1], unready;
} windows[SQ_PATHS] = {
#define COUNTS(admitted, hook) \
	{ \
	    [SQ_ADMITTED] = SQ_IM_##admitted, \
	    [SQ_PATCHED] = SQ_IM_MUTATE_PATCHED, \
	    [SQ_DENIED] = SQ_IM_##hook##_DENIED, \
	    [SQ_MALFORMED] = SQ_IM_##hook##_MALFORMED, \
	}, \
	    SQ_IM_##hook##_UNREADY
    [SQ_PATH_MUTATE] = {SQ_ADMIT_MUTATE, COUNTS(MUTATE_UNTOUCHED, MUTATE)},
    [SQ_PATH_VALIDATE] = {SQ_ADMIT_VALIDATE, COUNTS(VALIDATE_ALLOWED, VALIDATE)},
    [SQ_PATH_VALIDATE_ASKED] = {SQ_ADMIT_VALIDATE_ASKED, COUNTS(VALIDATE_ALLOWED, VALIDATE)},
    [SQ_PATH_VALIDATE_UNASKED] = {SQ_ADMIT_VALIDATE_UNASKED, COUNTS(VALIDATE_ALLOWED, VALIDATE)},
#undef COUNTS
};

struct sq_desk *
sq_desk_new(void)
{
	return sq_xcalloc(1, sizeof(struct sq_desk));
}

void
sq_desk_free(struct sq_desk **dp)
{
	struct sq_desk *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	if (d->has_settings)
		sq_settings_free(&d->settings);
	free(d->bundle);
	free(d);
}

void
sq_desk_set_server(struct sq_desk *d, struct sq_server *s)
{
	d->server = s;
}

static void
desk_settings_arrive(struct sq_task *t)
{
	struct delivery *v = SQ_CONTAINER_OF(t, struct delivery, task);

	if (v->desk->has_settings)
		sq_settings_free(&v->desk->settings);
	v->desk->settings = v->settings;
	v->desk->has_settings = true;
	free(v);
}

static void
desk_bundle_arrives(struct sq_task *t)
{
	struct delivery *v = SQ_CONTAINER_OF(t, struct delivery, task);

	free(v->desk->bundle);
	v->desk->bundle = v->bundle;
	free(v);
}

static struct delivery *
desk_delivery(struct sq_desk *d, void (*arrives)(struct sq_task *))
{
	struct delivery *v = sq_xcalloc(1, sizeof *v);

	v->task.run = arrives;
	v->desk = d;
	return v;
}

void
sq_desk_take_settings(struct sq_desk *d, struct sq_settings *settings)
{
	struct delivery *v = desk_delivery(d, desk_settings_arrive);

	v->settings = *settings;
	*settings = (struct sq_settings){0};
	sq_server_post(d->server, &v->task);
}

void
sq_desk_take_bundle(struct sq_desk *d, const struct sq_buf *bundle)
{
	struct delivery *v = desk_delivery(d, desk_bundle_arrives);

	v->bundle = sq_xmemdup0(sq_buf_data(bundle), sq_buf_len(bundle));
	sq_server_post(d->server, &v->task);
}

static void
desk_log(const struct sq_admitted *a)
{
	static struct sq_log_rate rate;

	if (a->outcome == SQ_DENIED && sq_log_allowed(&rate, "admission"))
		SQ_INFO("admission", "%.*s: denied: %s", (int)sq_buf_len(&a->subject),
		    sq_buf_data(&a->subject), (const char *)sq_buf_data(&a->message));
	else if (a->outcome != SQ_DENIED)
		SQ_DEBUG("admission", "%.*s: %s, %zu warnings", (int)sq_buf_len(&a->subject),
		    sq_buf_data(&a->subject), a->outcome == SQ_PATCHED ? "patched" : "as it is",
		    a->warnings);
}

unsigned
sq_desk_answer(
    void *desk, enum sq_server_path path, const void *body, size_t len, struct sq_buf *out)
{
	const struct window *w = &windows[path];
	const struct sq_desk *d = desk;
	uint64_t from_us = sq_clock_us();
	struct sq_admitted a;

	if (!d->has_settings || d->bundle == NULL) {
		sq_metric_add(&sq_injector_metrics, w->unready, 1);
		return 503;
	}
	sq_admit(w->kind, &d->settings, d->bundle, body, len, out, &a);
	sq_metric_add(&sq_injector_metrics, w->counts[a.outcome], 1);
	sq_metric_add(&sq_injector_metrics, SQ_IM_WARNINGS, (int64_t)a.warnings);
	sq_injector_took(sq_clock_us() - from_us);
	if (a.outcome == SQ_MALFORMED)
		SQ_WARN("admission", "400: %.*s", (int)sq_buf_len(out), sq_buf_data(out));
	else
		desk_log(&a);
	sq_admitted_fini(&a);
	return a.outcome == SQ_MALFORMED ? 400 : 200;
}
