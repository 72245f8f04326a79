/* sidecar/hold and sidecar/outbox: the brokers have no session of a client, so the disk outbox
 * holds no QoS 2 id of it, even if the client has left before its attach was answered.  Else
 * a later message of that id would be taken for a second copy. */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_pool.h"
#include "../support/sidecar_cfg.h"
#include "../support/temp_dir.h"
#include "core/mem.h"
#include "sidecar/app.h"
#include "sidecar/hold/hold.h"
#include "sidecar/outbox/outbox.h"
#include "sidecar/outbox/writer.h"

#define CLIENT_ID "gone-client"

enum { PACKET_ID = 5, EXPIRY_S = 600 };

static struct ev_loop *loop;
static struct sq_sidecar_cfg cfg;
static struct sq_app *app;
static char *folder;

static void
setup(void)
{
	struct sq_outbox_annotation disk = {.set = true, .mode = SQ_OUTBOX_DISK, .size = 8 << 20};
	struct sq_buf err = {0};

	folder = temp_dir_new();
	loop = ev_loop_new(EVFLAG_AUTO);
	cfg = sidecar_cfg();
	cfg.outbox_dir = folder;
	app = sq_app_new(loop, &cfg, &err);
	cr_assert(app);
	(void)fake_link_up(app->holds->pool);
	sq_outbox_annotated(app->outbox, &disk);
	sq_outbox_start(app->outbox);
}

static void
tidy(void)
{
	sq_app_free(&app);
	ev_loop_destroy(loop);
	temp_dir_free(&folder);
}

TestSuite(hold_gone, .init = setup, .fini = tidy, .timeout = 60);

/* A connection whose client hears of nothing. */
static struct sq_outbox_writer *
connection(bool durable)
{
	struct sq_hold_params p = {.client_id = CLIENT_ID,
	    .version = SQ_MQTT_V5,
	    .durable = durable,
	    .expiry_s = durable ? EXPIRY_S : 0,
	    .receive_max = 10};
	struct sq_outbox_writer *w = sq_outbox_writer(app->outbox);

	p.gate = &w->gate;
	sq_outbox_writer_opened(w, sq_hold_open(app->holds, &p, NULL, NULL));
	return w;
}

/* The attach of the connection, once it is sent. */
static struct sq_request *
attach(void)
{
	struct sq_request *r = fake_await(loop, app->holds->pool, CLIENT_ID);

	cr_assert_eq(r->method, SQ_PUT);
	return r;
}

static void
answer(struct sq_request *r, bool present)
{
	struct sq_attached a = {.epoch = 7,
	    .incarnation = 7,
	    .store = 1,
	    .present = present,
	    .max_packet = 10000,
	    .limits = sq_limits_unsaid};
	struct sq_buf b = {0};

	sq_attached_encode(&b, &a, SQ_LINK_VERSION);
	fake_answer(
	    r, &(struct sq_answer){.status = 200, .body = sq_buf_data(&b), .len = sq_buf_len(&b)});
	sq_buf_fini(&b);
}

/* Whether an id that was held before is held after an attach. */
static bool
holds_after(bool durable, bool leaves, bool present)
{
	struct sq_outbox_writer *w = connection(durable);
	struct sq_lane_publish m = {.qos = 2,
	    .packet_id = PACKET_ID,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1}};
	struct sq_request *r;

	cr_assert_eq(sq_outbox_publish(w, &m), 0);
	r = attach();
	if (leaves)
		sq_hold_leave(w->hold, 0, EXPIRY_S);
	cr_assert(sq_outbox_holds(w, PACKET_ID));
	answer(r, present);
	return sq_outbox_holds(w, PACKET_ID);
}

Test(hold_gone, no_id_is_held_of_a_session_that_is_gone)
{
	cr_assert_not(holds_after(true, false, false));
}

Test(hold_gone, no_id_is_held_even_if_the_client_left_before_the_answer)
{
	cr_assert_not(holds_after(true, true, false));
}

Test(hold_gone, ids_of_a_session_that_is_there_are_held)
{
	cr_assert(holds_after(true, true, true));
}

/* It has none at a broker; what it held itself was forgotten when it began. */
Test(hold_gone, ids_of_a_transient_connection_are_held)
{
	cr_assert(holds_after(false, false, false));
}
