/* Taps at the admin endpoint; see broker/front/tap/tap.h. */
#include "broker/front/tap/tap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/front/access/callers.h"
#include "broker/front/tap/tap_json.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/admin_ask.h"

#define TAP_PATH "/v1/tap"

enum { TAP_ID_DIGITS = 16, TAP_ANSWER_BYTES = 256 << 10 /* of messages in an answer */ };

/* What rules of acl know it by. */
static const char operate_tap[] = "tap";

struct sq_tap_pages {
	struct sq_admin_pages admin;
	struct sq_callers *callers;
};

/* One request on its way. */
struct tap_ask {
	struct sq_caller caller;
};

static void
tap_refuse(struct tap_ask *a, unsigned status, const char *detail)
{
	sq_caller_refuse(&a->caller, status, detail);
}

static void
tap_answer(struct tap_ask *a, struct sq_buf *body)
{
	struct sq_admin_answer answer = {.status = 200, .body = *body};

	*body = (struct sq_buf){0};
	sq_admin_answer(a->caller.ask, &answer);
}

/* Whether the caller may have such a tap; false: it has been refused. */
static bool
tap_may(struct tap_ask *a, const struct sq_tap_cfg *cfg)
{
	struct sq_access *access = &a->caller.access;

	if (sq_access_may(access, operate_tap, cfg->space == NULL, cfg->space) &&
	    (!cfg->payloads || sq_access_may_read(access, cfg->filter, cfg->space)))
		return true;
	tap_refuse(a, 403, sq_access_denied(access));
	return false;
}

static void
tap_open(struct tap_ask *a, struct sq_taps *taps)
{
	struct sq_tap_cfg cfg = {.owner = sq_access_name(&a->caller.access)};
	struct sq_buf body = {0};
	json_t *root = NULL;
	char full[64];
	const char *why;
	uint64_t id = 0;
	int rc;

	if (!sq_tap_json_read(a->caller.ask->body, &cfg, &root, &why)) {
		tap_refuse(a, 400, why);
		return;
	}
	if (tap_may(a, &cfg)) {
		rc = sq_taps_open(taps, &cfg, sq_clock_ms(), &id);
		sq_buf_printf(&body, "{\"tap\":\"%016" PRIx64 "\"}\n", id);
		snprintf(full, sizeof full, "%d taps are open, or %d of that space", SQ_TAPS_MAX,
		    SQ_TAPS_SPACE_MAX);
		if (rc == SQ_OK)
			tap_answer(a, &body);
		else
			tap_refuse(a, rc == SQ_ENOMEM ? 429 : 400,
			    rc == SQ_ENOMEM ? full : "filter is none");
		sq_buf_fini(&body);
	}
	json_decref(root);
}

static void
tap_take(struct tap_ask *a, struct sq_taps *taps, uint64_t id, bool payloads)
{
	struct sq_buf body = {0};
	struct sq_list all;
	uint64_t lost = 0;

	sq_list_init(&all);
	if (sq_taps_take(taps, id, sq_clock_ms(), TAP_ANSWER_BYTES, &all, &lost)) {
		sq_tap_json_write(&body, &all, lost, payloads);
		tap_answer(a, &body);
	} else {
		tap_refuse(a, 404, "no such tap: it may have ended");
	}
	sq_tapped_free(&all);
}

/* The id in "/v1/tap/ID"; 0: there is none. */
static uint64_t
tap_id(const char *path)
{
	const char *p = path + sizeof TAP_PATH - 1;
	uint64_t id = 0;

	if (*p++ != '/' || strlen(p) != TAP_ID_DIGITS)
		return 0;
	for (; *p != '\0'; p++) {
		if (sq_hex_digit(*p) < 0)
			return 0;
		id = id << 4 | (uint64_t)sq_hex_digit(*p);
	}
	return id;
}

/* A tap is its opener's; for others there is none. */
static void
tap_of(struct tap_ask *a, struct sq_taps *taps, uint64_t id, bool ends)
{
	struct sq_tap_cfg cfg;
	struct sq_buf body = {0};

	if (!sq_taps_look(taps, id, &cfg)) {
		tap_refuse(a, 404, "no such tap: it may have ended");
		return;
	}
	if (strcmp(cfg.owner, sq_access_name(&a->caller.access)) != 0) {
		tap_refuse(a, 404, "no such tap: it may have ended");
	} else if (ends) {
		(void)sq_taps_close(taps, id);
		sq_buf_printf(&body, "{\"done\":1}\n");
		tap_answer(a, &body);
	} else if (tap_may(a, &cfg)) {
		tap_take(a, taps, id, cfg.payloads);
	}
	sq_tap_cfg_fini(&cfg);
}

/* The caller is known.  Thread: admin, or one of broker/auth. */
static void
tap_judged(struct sq_caller *c)
{
	struct tap_ask *a = SQ_CONTAINER_OF(c, struct tap_ask, caller);
	const struct sq_admin_ask *ask = c->ask;
	bool one = strcmp(ask->path, TAP_PATH) == 0, post = strcmp(ask->method, "POST") == 0;
	bool ends = strcmp(ask->method, "DELETE") == 0;
	struct sq_taps *taps;

	if (c->status != 200) {
		tap_refuse(a, c->status, c->why);
	} else if (ask->query[0] != '\0') {
		tap_refuse(a, 400, "a tap takes no parameters");
	} else if (one && !post) {
		tap_refuse(a, 405, "a tap is opened by POST");
	} else if (!one && (post || tap_id(ask->path) == 0)) {
		tap_refuse(a, 404, "no such tap: it may have ended");
	} else {
		taps = sq_broker_taps(c->broker);
		if (one)
			tap_open(a, taps);
		else
			tap_of(a, taps, tap_id(ask->path), ends);
	}
	sq_caller_fini(c);
	free(a);
}

static void
tap_asked(void *owner, struct sq_admin_ask *ask)
{
	struct sq_tap_pages *p = owner;
	struct tap_ask *a = sq_xcalloc(1, sizeof *a);

	a->caller.ask = ask;
	a->caller.judged = tap_judged;
	sq_caller_judge(p->callers, &a->caller);
}

struct sq_tap_pages *
sq_tap_pages_new(struct sq_callers *callers)
{
	struct sq_tap_pages *p = sq_xcalloc(1, sizeof *p);

	p->callers = callers;
	p->admin = (struct sq_admin_pages){
	    .below = TAP_PATH, .methods = "DELETE, GET, POST", .asked = tap_asked, .owner = p};
	return p;
}

const struct sq_admin_pages *
sq_tap_pages_admin(const struct sq_tap_pages *p)
{
	return &p->admin;
}

void
sq_tap_pages_free(struct sq_tap_pages **pp)
{
	free(*pp);
	*pp = NULL;
}
