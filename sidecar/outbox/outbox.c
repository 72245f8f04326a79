/* The outbox between clients and its store; see outbox.h. */
#include "sidecar/outbox/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "sidecar/hold/table.h"
#include "sidecar/outbox/disk.h"
#include "sidecar/outbox/folders.h"
#include "sidecar/outbox/places.h"
#include "proto/props/names.h"
#include "sidecar/hold/hold.h"
#include "sidecar/outbox/writer.h"

enum {
	MEMORY_DEFAULT = 8 << 20,
	DISK_DEFAULT = 1 << 30,
};

struct sq_outbox {
	struct sq_holds *holds;
	enum sq_outbox_mode mode;
	struct sq_outbox_annotation said;
	bool started, stopping;
	uint64_t shown; /* bytes on disk, as the metric has them */
	uint64_t disk_max;
	struct sq_outbox_disk *disk;     /* NULL: not open */
	struct sq_outbox_places *places; /* NULL: subscriptions have none */
	bool stalled;
	struct sq_buf problem; /* why it is not open */
	struct sq_refusals refusals, drops;
	/* where outbox.dir is shared */
	struct sq_outbox_folders *folders; /* NULL: it is not */
	struct sq_outbox_disk *left;       /* one that was left behind, while it is emptied */
	uint64_t look_ms;                  /* for the next one */
};

static const char *const mode_names[] = {"memory", "disk"};

/* Brings the metric of waiting bytes up to date; holds add those in memory. */
static void
outbox_show(struct sq_outbox *o)
{
	uint64_t bytes = 0;

	if (o->disk != NULL)
		bytes += sq_outbox_store_bytes(sq_outbox_disk_store(o->disk));
	if (o->left != NULL)
		bytes += sq_outbox_store_bytes(sq_outbox_disk_store(o->left));
	sq_holds_count(o->holds, SQ_M_OUTBOX_BYTES, (int64_t)bytes - (int64_t)o->shown);
	o->shown = bytes;
}

/* --- disk: events of the store --- */

static void
outbox_on_refused(
    void *owner, const char *client_id, uint8_t reason, const struct sq_note *note, bool for_good)
{
	struct sq_outbox *o = owner;
	struct sq_refusal_seen r = {.client = client_id,
	    .what = "publish from the outbox",
	    .then = for_good ? "and dropped" : "and tried again",
	    .code = reason,
	    .refusal = note->refusal,
	    .text = note->text};

	sq_refusals_note(o->holds, for_good ? &o->drops : &o->refusals, &r);
	if (for_good)
		sq_holds_count(o->holds, SQ_M_OUTBOX_DROPPED, 1);
}

/* The store of the pod's own disk, or NULL. */
static struct sq_outbox_store *
outbox_store(const struct sq_outbox *o)
{
	return o->disk != NULL ? sq_outbox_disk_store(o->disk) : NULL;
}

/* The pod's own disk: whether it takes something. */
static void
outbox_turned(struct sq_outbox *o, bool room)
{
	const char *why = sq_outbox_store_stalled(outbox_store(o));
	bool was = o->stalled;

	o->stalled = why != NULL;
	if (o->stalled && !was)
		SQ_WARN("outbox", "nothing more is acknowledged: %s", why);
	if (was && !o->stalled)
		SQ_INFO("outbox", "the disk takes messages again");
	if (room || (was && !o->stalled))
		sq_budget_resume(&o->holds->budget);
	sq_metric_set(o->holds->metrics, SQ_M_OUTBOX_STALLED, o->stalled);
}

static void
outbox_on_turned(void *owner, struct sq_outbox_disk *d, bool room)
{
	struct sq_outbox *o = owner;

	if (d == o->disk) {
		outbox_turned(o, room);
		sq_outbox_places_turned(o->places);
	}
	outbox_show(o);
}

static void
outbox_on_acked(void *owner, struct sq_outbox_port *port, const struct sq_lane_outcome *outcome)
{
	const struct sq_outbox_writer *w = port->user;

	(void)owner;
	sq_hold_acked(w->hold, outcome);
}

static void
outbox_on_linked(void *owner, struct sq_outbox_disk *d, bool is)
{
	struct sq_outbox *o = owner;

	if (d == o->disk)
		sq_outbox_places_sends(o->places, is);
}

static const struct sq_outbox_disk_user disk_user = {
    .acked = outbox_on_acked,
    .linked = outbox_on_linked,
    .turned = outbox_on_turned,
    .refused = outbox_on_refused,
};

/* --- disk: life --- */

/* Opens the pod's own disk: outbox.dir, or, where that is shared, a folder of its own in it. */
static int
outbox_open_own(struct sq_outbox *o, struct sq_buf *why)
{
	const struct sq_sidecar_cfg *cfg = o->holds->cfg;
	int rc = SQ_EEXIST;

	if (!cfg->outbox_shared)
		return sq_outbox_disk_open(
		    &o->disk, o->holds, cfg->outbox_dir, o->disk_max, true, &disk_user, o, why);
	if (o->folders == NULL)
		o->folders = sq_outbox_folders_open(cfg->outbox_dir, cfg->workload, cfg->pod, why);
	if (o->folders == NULL)
		return SQ_EIO;
	/* Another sidecar may be emptying a folder that this pod left behind before. */
	for (unsigned i = 0; rc == SQ_EEXIST && i < SQ_OUTBOX_FOLDERS_OWN_MAX; i++) {
		sq_buf_drain(why, sq_buf_len(why));
		rc = sq_outbox_disk_open(&o->disk, o->holds, sq_outbox_folders_own(o->folders, i),
		    o->disk_max, true, &disk_user, o, why);
	}
	return rc;
}

static void
outbox_open(struct sq_outbox *o)
{
	struct sq_buf err = {0}, why = {0};

	if (outbox_open_own(o, &why) != 0) {
		sq_buf_printf(&err, "outbox.dir: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
		sq_buf_u8(&err, 0);
		sq_buf_fini(&why);
		if (sq_buf_len(&o->problem) == 0)
			SQ_ERROR("outbox", "%s", (const char *)sq_buf_data(&err));
		sq_buf_fini(&o->problem);
		o->problem = err;
		return;
	}
	sq_buf_fini(&why);
	sq_buf_fini(&o->problem);
	SQ_INFO("outbox", "%s: %llu bytes wait for a broker", sq_outbox_disk_dir(o->disk),
	    (unsigned long long)sq_outbox_store_bytes(outbox_store(o)));
	sq_outbox_places_open(o->places, o->disk);
	sq_outbox_disk_turn(o->disk);
	sq_budget_resume(&o->holds->budget);
}

/* --- disk: folders that others left behind --- */

/* Takes up a folder that a pod left behind, if there is one. */
static void
outbox_take_up(struct sq_outbox *o)
{
	const char *dir = sq_outbox_folders_left(o->folders, sq_outbox_disk_dir(o->disk));
	struct sq_buf why = {0};
	int rc;

	if (dir == NULL)
		return;
	rc = sq_outbox_disk_open(&o->left, o->holds, dir, o->disk_max, false, &disk_user, o, &why);
	if (rc == 0) {
		sq_holds_count(o->holds, SQ_M_OUTBOX_TAKEN_UP, 1);
		SQ_INFO("outbox", "%s was left behind: %llu bytes of it go to a broker",
		    sq_outbox_disk_dir(o->left),
		    (unsigned long long)sq_outbox_store_bytes(sq_outbox_disk_store(o->left)));
		sq_outbox_disk_finish(o->left, true);
	} else if (rc != SQ_EEXIST) {
		SQ_ERROR("outbox", "what was left behind can't be taken up: %.*s",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		sq_outbox_folders_refuse(o->folders);
	}
	sq_buf_fini(&why);
}

/* Goes on with a folder that was left behind: removes it once it is empty, and looks for the next. */
static void
outbox_sweep_left(struct sq_outbox *o)
{
	uint64_t now = sq_holds_now(o->holds);

	if (o->left != NULL) {
		sq_outbox_store_rest(sq_outbox_disk_store(o->left));
		if (!sq_outbox_disk_over(o->left))
			return;
		SQ_INFO("outbox", "%s has been emptied", sq_outbox_disk_dir(o->left));
		sq_outbox_disk_free(&o->left, true);
	}
	if (now < o->look_ms)
		return;
	o->look_ms = now + o->holds->cfg->outbox_take_up_ms;
	outbox_take_up(o);
}

struct sq_outbox *
sq_outbox_new(struct sq_holds *h)
{
	struct sq_outbox *o = sq_xcalloc(1, sizeof *o);

	o->holds = h;
	o->mode = (enum sq_outbox_mode)h->cfg->outbox_mode;
	o->disk_max = DISK_DEFAULT;
	return o;
}

void
sq_outbox_free(struct sq_outbox **op)
{
	struct sq_outbox *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	sq_outbox_places_free(&o->places);
	sq_outbox_disk_free(&o->left, true);
	sq_outbox_disk_free(&o->disk, o->folders != NULL); /* no pod comes back to it */
	sq_outbox_folders_close(&o->folders);
	sq_buf_fini(&o->problem);
	free(o);
}

/* The size from the annotation, else from a configuration that means this mode. */
static void
outbox_size(struct sq_outbox *o)
{
	const struct sq_sidecar_cfg *cfg = o->holds->cfg;
	uint64_t size = cfg->outbox_mode == (unsigned)o->mode ? cfg->outbox_size : 0;

	if (o->said.set && o->said.mode == o->mode && o->said.size != 0)
		size = o->said.size;
	if (o->mode == SQ_OUTBOX_MEMORY)
		sq_budget_resize(&o->holds->budget, size != 0 ? size : MEMORY_DEFAULT);
	else
		o->disk_max = size != 0 ? size : DISK_DEFAULT;
	if (o->disk != NULL)
		sq_outbox_store_resize(outbox_store(o), o->disk_max);
	sq_budget_resume(&o->holds->budget);
}

void
sq_outbox_annotated(struct sq_outbox *o, const struct sq_outbox_annotation *a)
{
	enum sq_outbox_mode mode = a->set ? a->mode
					  : (enum sq_outbox_mode)o->holds->cfg->outbox_mode;

	o->said = *a;
	if (!o->started) {
		o->mode = mode;
		return;
	}
	if (mode != o->mode)
		SQ_WARN("outbox", "the annotation says %s: that needs a restart, %s stays in force",
		    mode_names[mode], mode_names[o->mode]);
	outbox_size(o);
}

void
sq_outbox_start(struct sq_outbox *o)
{
	const char *dir = o->holds->cfg->outbox_dir;

	o->started = true;
	if (o->mode == SQ_OUTBOX_DISK && (dir == NULL || dir[0] == '\0')) {
		/* Nothing is acknowledged before a broker has it; but that isn't what was
		 * asked for, and the pod is not ready. */
		static const char text[] = "the annotation asks for an outbox on disk, and "
					   "outbox.dir is not configured";

		SQ_ERROR("outbox", "%s", text);
		sq_buf_append(&o->problem, text, sizeof text);
		o->mode = SQ_OUTBOX_MEMORY;
	}
	outbox_size(o);
	if (o->mode != SQ_OUTBOX_DISK)
		return;
	sq_budget_drop_qos0(
	    &o->holds->budget); /* it must not stop messages that the disk would take */
	o->look_ms = sq_holds_now(o->holds);
	o->places = sq_outbox_places_new(o->holds);
	outbox_open(o);
}

void
sq_outbox_stop(struct sq_outbox *o)
{
	o->stopping = true;
	if (o->left != NULL)
		sq_outbox_disk_let_go(o->left); /* the next one goes on with it */
	if (o->disk != NULL)
		sq_outbox_disk_finish(o->disk, o->folders != NULL);
}

void
sq_outbox_sweep(struct sq_outbox *o)
{
	if (!o->started || o->mode != SQ_OUTBOX_DISK)
		return;
	if (o->disk != NULL) {
		sq_outbox_store_rest(outbox_store(o));
		outbox_turned(o, false); /* a disk that hangs has no turns */
	} else if (!o->stopping) {
		outbox_open(o);
	}
	if (o->folders != NULL && o->disk != NULL && !o->stopping)
		outbox_sweep_left(o);
}

bool
sq_outbox_ready(const struct sq_outbox *o, struct sq_buf *why)
{
	const char *stalled = o->disk != NULL ? sq_outbox_store_stalled(outbox_store(o)) : NULL;

	if (sq_buf_len(&o->problem) != 0)
		stalled = (const char *)sq_buf_data(&o->problem);
	if (stalled != NULL)
		sq_buf_printf(why, "outbox: %s\n", stalled);
	return stalled == NULL;
}

/* --- disk: from clients --- */

/* Whether the app needs the broker's answer to the publish: it is of QoS 3, or has a sqmqos-
 * property that a broker may refuse for good.  Others have a delay, or no option. */
static bool
publish_asks(const struct sq_lane_publish *m)
{
	static const char *const plain[] = {SQ_PROP_DELAY, SQ_PROPS_WRITTEN, NULL};
	const size_t prefix = sizeof SQ_PROP_PREFIX - 1;
	struct sq_bytes rest = m->props, name, value;

	while (sq_props_user_next(&rest, &name, &value)) {
		const char *const *p = plain;

		if (name.len < prefix || memcmp(name.p, SQ_PROP_PREFIX, prefix) != 0)
			continue;
		while (*p != NULL && !sq_bytes_are(name, *p))
			p++;
		if (*p == NULL)
			return true;
	}
	return false;
}

struct sq_outbox_writer *
sq_outbox_writer(struct sq_outbox *o)
{
	return o->mode == SQ_OUTBOX_DISK ? sq_outbox_writer_new(o, &o->disk, o->places) : NULL;
}

bool
sq_outbox_takes(const struct sq_outbox_writer *w, const struct sq_lane_publish *m)
{
	if (w == NULL || m->qos == 0)
		return false;
	return !publish_asks(m) || (m->qos == 2 && sq_outbox_holds(w, m->packet_id));
}

int
sq_outbox_publish(struct sq_outbox_writer *w, const struct sq_lane_publish *m)
{
	struct sq_outbox *o = w->outbox;
	int rc = o->disk != NULL
	    ? sq_outbox_store_publish(outbox_store(o), &w->port, sq_hold_client_id(w->hold), m)
	    : SQ_EAGAIN;

	if (rc == SQ_EAGAIN)
		sq_hold_pause(w->hold);
	sq_outbox_places_entered(o->places, w);
	return rc;
}

bool
sq_outbox_holds(const struct sq_outbox_writer *w, uint16_t packet_id)
{
	return w != NULL && w->outbox->disk != NULL &&
	    sq_outbox_store_holds(outbox_store(w->outbox), sq_hold_client_id(w->hold), packet_id);
}

int
sq_outbox_release(struct sq_outbox_writer *w, uint16_t packet_id)
{
	return sq_outbox_store_release(
	    outbox_store(w->outbox), &w->port, sq_hold_client_id(w->hold), packet_id);
}
