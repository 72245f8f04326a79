/* Inbound packet ids of QoS 2 that await their release (MQTT 5.0 §4.3.3).
 *
 * Pure: a sorted array, which a zeroed struct begins and free() of 'ids' ends. */
#ifndef SQ_BROKER_SESSION_QOS2_IN_H
#define SQ_BROKER_SESSION_QOS2_IN_H

#include <stdbool.h>
#include <stdint.h>

struct sq_qos2_id {
	uint16_t id;
	bool stored; /* it has a record; persist.c */
};

struct sq_qos2_in {
	struct sq_qos2_id *ids; /* ascending */
	uint32_t n, cap;
};

/* The entry of an id, valid until the next change; NULL: the id is not held. */
struct sq_qos2_id *sq_qos2_in_find(struct sq_qos2_in *, uint16_t packet_id);
bool sq_qos2_in_add(struct sq_qos2_in *, uint16_t packet_id);
bool sq_qos2_in_remove(struct sq_qos2_in *, uint16_t packet_id);
/* A copy of the ids, for the caller to free. */
uint16_t *sq_qos2_in_ids(const struct sq_qos2_in *);

#endif
