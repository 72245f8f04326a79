/* The kind "amqp": RabbitMQ, and other peers that speak AMQP 0.9.1 with RabbitMQ's extensions.
 *
 *   worker                 half.h            line.h: a thread each         peer.h
 *   forwarder.c ──inbox──▶ lock, task ──▶ out_line.c ─▶ map_out.c ──▶ basic.publish ─▶ confirms
 *   inlet.c     ◀──brought──    …     ◀── in_line.c  ◀─ map_in.c  ◀── basic.deliver
 *
 * Both directions have connections of their own, as RabbitMQ wants it: one that is blocked for publishing
 * goes on consuming. */
#ifndef SQ_BROKER_BRIDGE_AMQP_AMQP_H
#define SQ_BROKER_BRIDGE_AMQP_AMQP_H

#include "broker/bridge/bridge.h"

extern const struct sq_bridge_kind sq_bridge_amqp;

#endif
