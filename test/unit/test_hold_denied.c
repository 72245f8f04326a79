/* sidecar/hold: what follows from a 403 to an attach (docs/link.md): a disk outbox goes
 * on under another name, the pod's own session says why and comes again. */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_pool.h"
#include "../support/sidecar_cfg.h"
#include "../support/temp_dir.h"
#include "core/mem.h"
#include "sidecar/declared/declared.h"
#include "sidecar/app.h"
#include "sidecar/metrics/metrics.h"
#include "sidecar/outbox/outbox.h"
#include "sidecar/hold/hold.h"
#include "sidecar/outbox/writer.h"

static struct ev_loop *loop;
static struct sq_sidecar_cfg cfg;
static struct sq_app *app;
static struct sq_uplink *up;
static char *folder, file[128], outbox[128];

static void
setup(void)
{
	struct sq_buf err = {0};

	folder = temp_dir_new();
	snprintf(outbox, sizeof outbox, "%s/outbox", folder);
	snprintf(file, sizeof file, "%s/annotations", folder);
	loop = ev_loop_new(EVFLAG_AUTO);
	cfg = sidecar_cfg();
	cfg.outbox_dir = outbox;
	app = sq_app_new(loop, &cfg, &err);
	cr_assert(app);
	up = fake_link_up(app->holds->pool);
}

static void
tidy(void)
{
	sq_app_free(&app);
	ev_loop_destroy(loop);
	temp_dir_free(&folder);
}

TestSuite(hold_denied, .init = setup, .fini = tidy, .timeout = 60);

static struct sq_request *
request(const char *what)
{
	return fake_await(loop, app->holds->pool, what);
}

static void
deny(struct sq_request *r, enum sq_denied why)
{
	fake_answer(r, &(struct sq_answer){.status = 403, .denied = why});
	ev_run(loop, EVRUN_NOWAIT);
}

static void
attached(struct sq_request *r, uint64_t incarnation)
{
	struct sq_attached a = {.epoch = incarnation,
	    .incarnation = incarnation,
	    .store = 1,
	    .max_packet = 10000,
	    .limits = sq_limits_unsaid};
	struct sq_buf b = {0};

	sq_attached_encode(&b, &a, SQ_LINK_VERSION);
	fake_answer(
	    r, &(struct sq_answer){.status = 200, .body = sq_buf_data(&b), .len = sq_buf_len(&b)});
	sq_buf_fini(&b);
	ev_run(loop, EVRUN_NOWAIT);
}

static int64_t
metric(enum sq_sidecar_metric m)
{
	return atomic_load(&app->holds->metrics->values[m]);
}

/* The outbox' session: its path, without the request's own part. */
static void
path_of(const struct sq_request *r, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)strcspn(r->path + 1, "?"), r->path + 1);
}

static void
start_outbox(void)
{
	struct sq_outbox_annotation disk = {.set = true, .mode = SQ_OUTBOX_DISK, .size = 8 << 20};

	sq_outbox_annotated(app->outbox, &disk);
	sq_outbox_start(app->outbox);
}

static void
publish_one(void)
{
	struct sq_hold_params p = {.client_id = "app", .version = SQ_MQTT_V5, .receive_max = 10};
	struct sq_outbox_writer *w = sq_outbox_writer(app->outbox);
	struct sq_lane_publish m = {.qos = 1,
	    .packet_id = 1,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1}};

	p.gate = &w->gate;
	sq_outbox_writer_opened(w, sq_hold_open(app->holds, &p, NULL, NULL));
	cr_assert_eq(sq_outbox_publish(w, &m), 0);
}

static void
outbox_goes_on(enum sq_denied why)
{
	char before[512], after[512];
	struct sq_request *r;

	start_outbox();
	r = request("outbox");
	path_of(r, before, sizeof before);
	deny(r, why);
	r = request("outbox");
	path_of(r, after, sizeof after);
	cr_assert_str_neq(after, before);
	cr_assert_eq(metric(SQ_M_OUTBOX_RENEWED), 1);
	cr_assert_eq(metric(SQ_M_DENIED), 1);
	attached(r, 7);
	publish_one();
	r = request("messages");
	cr_assert_eq(strncmp(r->path + 1, after, strlen(after)), 0, "%s", r->path);
}

Test(hold_denied, an_outbox_whose_session_is_anothers_goes_on_in_a_new_one)
{
	outbox_goes_on(SQ_DENIED_OWNER);
}

/* A broker of before said no reason, and had no other. */
Test(hold_denied, an_outbox_goes_on_with_a_broker_of_before)
{
	outbox_goes_on(SQ_DENIED_NONE);
}

/* Nothing but a broker that is wrong refuses a name that was drawn just now. */
Test(hold_denied, an_outbox_draws_no_names_without_end)
{
	char before[512], after[512];
	struct sq_request *r;

	start_outbox();
	deny(request("outbox"), SQ_DENIED_OWNER);
	r = request("outbox");
	path_of(r, before, sizeof before);
	for (int i = 0; i < 4; i++) {
		deny(r, SQ_DENIED_OWNER);
		r = request("outbox"); /* it comes again, and never stops */
		path_of(r, after, sizeof after);
		cr_assert_str_eq(after, before);
	}
	cr_assert_eq(metric(SQ_M_OUTBOX_RENEWED), 1);
}

/* Another name would not help. */
Test(hold_denied, an_outbox_of_another_namespace_comes_again)
{
	char before[512], after[512];
	struct sq_request *r;

	start_outbox();
	r = request("outbox");
	path_of(r, before, sizeof before);
	deny(r, SQ_DENIED_SPACE);
	r = request("outbox");
	path_of(r, after, sizeof after);
	cr_assert_str_eq(after, before);
	cr_assert_eq(metric(SQ_M_OUTBOX_RENEWED), 0);
}

static bool
notes_say(const char *text)
{
	struct sq_buf out = {0};
	bool found;

	sq_declared_notes(app->declared, &out);
	sq_buf_u8(&out, 0);
	found = strstr((const char *)sq_buf_data(&out), text) != NULL;
	sq_buf_fini(&out);
	return found;
}

Test(hold_denied, the_pods_own_session_says_why_and_comes_again)
{
	FILE *f = fopen(file, "w");
	struct sq_buf why = {0};

	cr_assert(f);
	fputs("sqmqos.io/subscribe=\"x\"\n", f);
	fclose(f);
	cfg.annotations_file = file;
	sq_app_declare(app);
	for (int i = 0; i < 3; i++)
		deny(request("keeper"), SQ_DENIED_POD);
	cr_assert(notes_say("the token is of another pod than identity.pod"));
	cr_assert_not(sq_declared_ready(app->declared, &why));
	sq_buf_fini(&why);
	attached(request("keeper"), 7);
	cr_assert_not(notes_say("refuses"));
}
