#include "broker/bridge/amqp/topology.h"

#include <stdlib.h>

#include "proto/mapping/mapping.h"

/* Puts what it is about before the peer's words. */
static int
topology_named(int rc, const char *what, const char *name, struct sq_buf *said, struct sq_buf *why)
{
	if (rc != SQ_OK)
		sq_buf_printf(why, "%s %s: %.*s", what, name, (int)sq_buf_len(said),
		    (const char *)sq_buf_data(said));
	sq_buf_fini(said);
	return rc;
}

static int
topology_exchange(
    struct sq_amqp_peer *p, const char *name, const char *type, bool declare, struct sq_buf *why)
{
	amqp_exchange_declare_t m = {.exchange = amqp_cstring_bytes(name),
	    .type = amqp_cstring_bytes(sq_config_is_set(type) ? type : "topic"),
	    .passive = !declare,
	    .durable = 1};
	struct sq_buf said = {0};
	int rc = sq_amqp_peer_ask(p, AMQP_EXCHANGE_DECLARE_METHOD, &m,
	    AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL, SQ_AMQP_TOPOLOGY, &said);

	sq_amqp_peer_done(p);
	return topology_named(rc, "exchange", name, &said, why);
}

/* 'type' is the room of its argument. */
static amqp_queue_declare_t
topology_declare(const struct sq_bridge_in *in, bool declare, amqp_table_entry_t *type)
{
	*type = (amqp_table_entry_t){.key = amqp_cstring_bytes("x-queue-type"),
	    .value = {.kind = AMQP_FIELD_KIND_UTF8,
		.value.bytes = amqp_cstring_bytes(
		    sq_config_is_set(in->type) ? in->type : "quorum")}};
	return (amqp_queue_declare_t){.queue = amqp_cstring_bytes(in->queue),
	    .passive = !declare,
	    .durable = 1,
	    .arguments = {1, type}};
}

static amqp_queue_bind_t
topology_binding(const struct sq_bridge_in *in)
{
	return (amqp_queue_bind_t){.queue = amqp_cstring_bytes(in->queue),
	    .exchange = amqp_cstring_bytes(in->exchange),
	    .routing_key = amqp_cstring_bytes(sq_config_is_set(in->bind) ? in->bind : "#")};
}

static int
topology_queue(
    struct sq_amqp_peer *p, const struct sq_bridge_in *in, bool declare, struct sq_buf *why)
{
	amqp_table_entry_t type;
	amqp_queue_declare_t m = topology_declare(in, declare, &type);
	struct sq_buf said = {0};
	int rc = sq_amqp_peer_ask(p, AMQP_QUEUE_DECLARE_METHOD, &m, AMQP_QUEUE_DECLARE_OK_METHOD,
	    NULL, SQ_AMQP_TOPOLOGY, &said);

	sq_amqp_peer_done(p);
	return topology_named(rc, "queue", in->queue, &said, why);
}

static int
topology_bind(struct sq_amqp_peer *p, const struct sq_bridge_in *in, struct sq_buf *why)
{
	amqp_queue_bind_t m = topology_binding(in);
	struct sq_buf said = {0};
	int rc = sq_amqp_peer_ask(p, AMQP_QUEUE_BIND_METHOD, &m, AMQP_QUEUE_BIND_OK_METHOD, NULL,
	    SQ_AMQP_TOPOLOGY, &said);

	sq_amqp_peer_done(p);
	return topology_named(rc, "binding of queue", in->queue, &said, why);
}

bool
sq_amqp_has_exchange(const struct sq_bridge_out *out)
{
	return sq_config_is_set(out->exchange);
}

int
sq_amqp_topology_out(
    struct sq_amqp_peer *p, const struct sq_bridge_cfg *cfg, const char *queue, struct sq_buf *why)
{
	struct sq_buf name = {0}, ignored = {0};
	int rc = SQ_OK;

	for (size_t i = 0; i < cfg->out.n && rc == SQ_OK; i++) {
		const struct sq_bridge_out *out = sq_bridge_cfg_out(cfg, i);
		const struct sq_mapping_from from = {.space = cfg->space, .queue = queue};
		char *text;

		if (!sq_amqp_has_exchange(out) ||
		    sq_mapping_fill(out->exchange, SQ_MAPPING_TEXT, &from, &name, &ignored) !=
			SQ_OK)
			continue;
		text = sq_buf_take_text(&name);
		rc = topology_exchange(p, text, out->type, cfg->declare, why);
		free(text);
	}
	sq_buf_fini(&name);
	sq_buf_fini(&ignored);
	return rc;
}

bool
sq_amqp_topology_binds(const struct sq_bridge_cfg *cfg, size_t i)
{
	return cfg->declare && sq_config_is_set(sq_bridge_cfg_in(cfg, i)->exchange);
}

int
sq_amqp_topology_in(
    struct sq_amqp_peer *p, const struct sq_bridge_cfg *cfg, size_t i, struct sq_buf *why)
{
	const struct sq_bridge_in *in = sq_bridge_cfg_in(cfg, i);
	int rc = topology_queue(p, in, cfg->declare, why);

	return rc == SQ_OK && sq_amqp_topology_binds(cfg, i) ? topology_bind(p, in, why) : rc;
}

int
sq_amqp_topology_look(
    struct sq_amqp_peer *p, const struct sq_bridge_cfg *cfg, size_t i, struct sq_buf *why)
{
	amqp_table_entry_t type;
	amqp_queue_declare_t m = topology_declare(sq_bridge_cfg_in(cfg, i), cfg->declare, &type);

	return sq_amqp_peer_look(p, AMQP_QUEUE_DECLARE_METHOD, &m, why);
}

int
sq_amqp_topology_look_bind(
    struct sq_amqp_peer *p, const struct sq_bridge_cfg *cfg, size_t i, struct sq_buf *why)
{
	amqp_queue_bind_t m = topology_binding(sq_bridge_cfg_in(cfg, i));

	return sq_amqp_peer_look(p, AMQP_QUEUE_BIND_METHOD, &m, why);
}
