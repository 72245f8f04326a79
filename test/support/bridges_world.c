#include "bridges_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/auth/identity/identity.h"
#include "broker/bridge/bridges.h"
#include "broker/bridge/file.h"
#include "broker/broker.h"
#include "broker/engine/engines/engines.h"
#include "core/mem.h"
#include "temp_dir.h"

static struct sq_buf answer;
static char *files; /* of the embedded engine; NULL: it is the stored one */

static const struct sq_bridge_kind *
world_kind(unsigned i)
{
	return i == 0 ? &fake_bridge_kind : NULL;
}

static const struct sq_bridges_cfg bridges = {
    .install = "here", .user_agent = "sqmqos/test", .metrics_bridges = 3, .kind = world_kind};

/* Everybody manages and consumes; "token:reader" consumes alone, "token:nobody" nothing. */
static struct sq_acl *
world_rules(void)
{
	char *all[] = {(char[]){"consume"}, (char[]){"manage"}};
	struct sq_acl_rule v[] = {
	    {.allow = {all, 2}, .where = "a:1"},
	    {.deny = {&all[1], 1}, .identity = "token:reader", .where = "a:2"},
	    {.deny = {all, 2}, .identity = "token:nobody", .where = "a:3"},
	};
	struct sq_buf err = {0};

	return sq_acl_new(v, SQ_ARRAY_LEN(v), false, &err);
}

void
bridges_world_init(unsigned n_workers)
{
	fake_peers_reset();
	queue_world_init_stored(world_rules, n_workers);
	w.cfg.bridges = &bridges;
	queue_world_begin();
}

void
bridges_world_init_on_files(unsigned n_workers, uint32_t queue_max, uint64_t max_size)
{
	fake_peers_reset();
	queue_world_init_stored(world_rules, n_workers);
	w.cfg.bridges = &bridges;
	w.cfg.engine = &sq_engine_embedded;
	w.cfg.store_dir = files = temp_dir_new();
	w.cfg.queue_max_msgs = queue_max;
	w.cfg.queue_max_bytes = max_size;
	w.cfg.journal_size = 4 << 20;
	w.cfg.store_max_size = max_size;
	w.cfg.store_cache_size = 1 << 20;
	w.cfg.store_stall_ms = 60000;
	queue_world_begin();
}

void
bridges_world_fini(void)
{
	queue_world_end();
	if (files != NULL)
		temp_dir_free(&files);
	fake_peers_reset();
	stored_engine_reset();
	sq_buf_fini(&answer);
}

void
bridges_world_restart(void)
{
	queue_world_restart();
}

static bool
are_set(void *arg)
{
	(void)arg;
	return sq_bridges_are_set(sq_broker_bridges(w.broker));
}

static void
world_set(const char *yaml, bool whole)
{
	struct sq_buf text = {0}, err = {0};
	struct sq_bridge_cfgs cfgs = {0};
	struct sq_bridge_file *file;
	int rc;

	sq_buf_printf(&text, "bridges:%s%s\n", yaml[0] != '\0' ? "\n" : " {}", yaml);
	rc = sq_bridge_cfgs_read("b.yaml", sq_buf_bytes(&text), NULL, &cfgs, &err);
	cr_assert_eq(rc, SQ_OK, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	file = sq_bridge_file_new(&cfgs);
	sq_bridges_set(sq_broker_bridges(w.broker), &file, 1, whole);
	sq_bridge_file_unref(&file);
	cr_assert(fake_run_until(are_set, NULL));
	fake_self(0);
	world_pass(&w, 300); /* the installation's id is made durable first */
	sq_buf_fini(&text);
	sq_buf_fini(&err);
}

void
bridges_set(const char *yaml)
{
	world_set(yaml, true);
}

void
bridges_set_partly(const char *yaml)
{
	world_set(yaml, false);
}

const char *
bridges_out(const char *name, const char *more)
{
	static char texts[4][1024];
	static unsigned at;
	char *text = texts[at++ % 4];

	(void)snprintf(text, sizeof texts[0],
	    "  %s: {space: s, kind: amqp, url: [amqp://peer], %s%s"
	    "out: [{filter: t/#, to: {exchange: x}}]}\n",
	    name, more, more[0] != '\0' ? ", " : "");
	return text;
}

void
bridges_publish(const char *topic, const char *payload)
{
	const struct entry e = {.topic = topic, .payload = payload, .qos = 1};

	cr_assert_eq(publisher_send(&http, &e).how, SQ_PUBLISHED_STORED);
}

uint64_t
bridges_left(const char *name)
{
	struct fake_queue *q;
	const struct sq_queue_info *info;
	char queue[100];
	uint64_t n;

	(void)snprintf(queue, sizeof queue, "bridge.%s", name);
	q = queue_get(&api, queue);
	info = queue_info(q, 0);
	n = info->ready + info->leased + info->parked;
	queue_free(&q);
	return n;
}

struct bridge_call {
	struct sq_call call;
	bool done;
};

static void
call_done(struct sq_call *c)
{
	SQ_CONTAINER_OF(c, struct bridge_call, call)->done = true;
}

const char *
bridges_call_by(
    const struct sq_identity *who, enum sq_bridge_op op, const char *name, enum sq_bridge_how how)
{
	struct bridge_call c = {.call = {.kind = SQ_CALL_BRIDGE,
				    .done = call_done,
				    .in.bridge = {.who = who, .op = op, .name = name}}};
	struct sq_bridge_answer *a = &c.call.out.bridge;

	sq_broker_call(w.broker, &c.call);
	world_run();
	cr_assert(c.done);
	cr_assert_eq((int)c.call.verdict, (int)SQ_VERDICT_OK);
	cr_assert_eq((int)a->how, (int)how, "%.*s", (int)sq_buf_len(&a->detail),
	    (const char *)sq_buf_data(&a->detail));
	sq_buf_fini(&answer);
	answer = (struct sq_buf){0};
	sq_buf_printf(
	    &answer, "%.*s", (int)sq_buf_len(&a->json), (const char *)sq_buf_data(&a->json));
	sq_buf_u8(&answer, '\0');
	sq_bridge_answer_fini(a);
	return (const char *)sq_buf_data(&answer);
}

const char *
bridges_call(enum sq_bridge_op op, const char *name, enum sq_bridge_how how)
{
	return bridges_call_by(api.who, op, name, how);
}

uint64_t
bridges_metric(const char *begins)
{
	struct sq_buf text = {0};
	uint64_t value = UINT64_MAX;
	char *line, *save = NULL;

	sq_bridges_write_metrics(sq_broker_bridges(w.broker), &text);
	sq_buf_u8(&text, '\0');
	for (line = strtok_r((char *)sq_buf_data(&text), "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, begins, strlen(begins)) == 0)
			value = strtoull(strrchr(line, ' '), NULL, 10);
	}
	sq_buf_fini(&text);
	return value;
}
