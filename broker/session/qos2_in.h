/* Inbound packet ids of QoS 2 that await their release (MQTT 5.0 §4.3.3). */
#ifndef SQ_BROKER_SESSION_QOS2_IN_H
#define SQ_BROKER_SESSION_QOS2_IN_H

#include <stdbool.h>
#include <stdint.h>

struct sq_qos2_id {
	uint16_t id;
	bool stored; /* it has a record */
};

struct sq_qos2_in {
	struct sq_qos2_id *ids; /* ascending */
	uint32_t n, cap;
};

/* NULL: it is not held.  Valid until the next change. */
struct sq_qos2_id *sq_qos2_in_find(struct sq_qos2_in *, uint16_t packet_id);
bool sq_qos2_in_add(struct sq_qos2_in *, uint16_t packet_id);
bool sq_qos2_in_remove(struct sq_qos2_in *, uint16_t packet_id);
/* Their ids, for the caller to free. */
uint16_t *sq_qos2_in_ids(const struct sq_qos2_in *);

#endif
