/* Taps at the admin endpoint; see broker/front/tap/tap.h. */
#include "broker/front/tap/tap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/front/access/pages.h"
#include "broker/front/tap/tap_json.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/mem.h"

#define TAP_PATH "/v1/tap"

enum { TAP_ID_DIGITS = 16, TAP_ANSWER_BYTES = 256 << 10 /* of messages in an answer */ };

/* What rules of acl know it by. */
static const char operate_tap[] = "tap";

static const char no_tap[] = "no such tap: it may have ended";

/* Whether the caller may have such a tap; false: it has been refused. */
static bool
tap_may(struct sq_page *p, const struct sq_tap_cfg *cfg)
{
	struct sq_access *access = &p->caller.access;

	if (sq_access_may(access, operate_tap, cfg->space == NULL, cfg->space) &&
	    (!cfg->payloads || sq_access_may_read(access, cfg->filter, cfg->space)))
		return true;
	sq_page_refuse(p, 403, sq_access_denied(access));
	return false;
}

static void
tap_open(struct sq_page *p, struct sq_taps *taps)
{
	struct sq_tap_cfg cfg = {.owner = sq_access_name(&p->caller.access)};
	struct sq_buf body = {0};
	json_t *root = NULL;
	char full[64];
	const char *why;
	uint64_t id = 0;
	int rc;

	if (!sq_tap_json_read(p->caller.ask->body, &cfg, &root, &why)) {
		sq_page_refuse(p, 400, why);
		return;
	}
	if (tap_may(p, &cfg)) {
		rc = sq_taps_open(taps, &cfg, sq_clock_ms(), &id);
		sq_buf_printf(&body, "{\"tap\":\"%016" PRIx64 "\"}\n", id);
		snprintf(full, sizeof full, "%d taps are open, or %d of that space", SQ_TAPS_MAX,
		    SQ_TAPS_SPACE_MAX);
		if (rc == SQ_OK)
			sq_page_answer(p, &body);
		else
			sq_page_refuse(p, rc == SQ_ENOMEM ? 429 : 400,
			    rc == SQ_ENOMEM ? full : "filter is none");
		sq_buf_fini(&body);
	}
	json_decref(root);
}

static void
tap_take(struct sq_page *p, struct sq_taps *taps, uint64_t id, bool payloads)
{
	struct sq_buf body = {0};
	struct sq_list all;
	uint64_t lost = 0;

	sq_list_init(&all);
	if (sq_taps_take(taps, id, sq_clock_ms(), TAP_ANSWER_BYTES, &all, &lost)) {
		sq_tap_json_write(&body, &all, lost, payloads);
		sq_page_answer(p, &body);
	} else {
		sq_page_refuse(p, 404, no_tap);
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
tap_of(struct sq_page *p, struct sq_taps *taps, uint64_t id, bool ends)
{
	struct sq_tap_cfg cfg;
	struct sq_buf body = {0};

	if (!sq_taps_look(taps, id, &cfg)) {
		sq_page_refuse(p, 404, no_tap);
		return;
	}
	if (strcmp(cfg.owner, sq_access_name(&p->caller.access)) != 0) {
		sq_page_refuse(p, 404, no_tap);
	} else if (ends) {
		(void)sq_taps_close(taps, id);
		sq_buf_printf(&body, "{\"done\":1}\n");
		sq_page_answer(p, &body);
	} else if (tap_may(p, &cfg)) {
		tap_take(p, taps, id, cfg.payloads);
	}
	sq_tap_cfg_fini(&cfg);
}

static void
tap_known(struct sq_page *p)
{
	const struct sq_admin_ask *ask = p->caller.ask;
	struct sq_taps *taps = sq_broker_taps(p->caller.broker);
	bool one = strcmp(ask->path, TAP_PATH) == 0, post = strcmp(ask->method, "POST") == 0;
	uint64_t id = tap_id(ask->path);

	if (ask->query[0] != '\0')
		sq_page_refuse(p, 400, "a tap takes no parameters");
	else if (one && !post)
		sq_page_refuse(p, 405, "a tap is opened by POST");
	else if (!one && (post || id == 0))
		sq_page_refuse(p, 404, no_tap);
	else if (one)
		tap_open(p, taps);
	else
		tap_of(p, taps, id, strcmp(ask->method, "DELETE") == 0);
}

struct sq_pages *
sq_tap_pages_new(struct sq_callers *callers)
{
	return sq_pages_new(sizeof(struct sq_pages),
	    &(struct sq_pages){.admin = {.below = TAP_PATH, .methods = "DELETE, GET, POST"},
		.callers = callers,
		.page_size = sizeof(struct sq_page),
		.known = tap_known});
}
