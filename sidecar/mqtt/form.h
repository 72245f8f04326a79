/* A PUBLISH as it was encoded for one client, for the next ones that get the same message: all but
 * its packet id is the same for those of the same kind.  Zeroed: it has none. */
#ifndef SQ_SIDECAR_MQTT_FORM_H
#define SQ_SIDECAR_MQTT_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "proto/mqtt/encode.h"

/* What the bytes depend on. */
struct sq_form_kind {
	uint64_t frame;  /* number of the message, see struct sq_delivery */
	uint32_t client; /* sq_form_client() */
};

struct sq_form {
	struct sq_form_kind kind;
	struct sq_buf bytes; /* as they are sent, with any packet id; the payload may be apart */
	size_t id_at;
};

/* Of a client of that version that gets the message with those flags (SQ_TARGET_...); 'alias': of
 * the topic, which the client knows, or 0.  In one number, since it is compared for each target. */
static inline uint32_t
sq_form_client(uint8_t version, uint8_t flags, uint16_t alias)
{
	return (uint32_t)alias << 16 | (uint32_t)version << 8 | flags;
}

static inline bool
sq_form_is(const struct sq_form *f, const struct sq_form_kind *k)
{
	return f->kind.client == k->client && f->kind.frame == k->frame;
}

/* Makes the form of 'kind'.  'payload' comes behind the head; out->payload_len may be more than
 * that, where the payload is sent from another place.  False: it can't be encoded, and there is
 * none. */
bool sq_form_make(struct sq_form *, const struct sq_form_kind *, const struct sq_mqtt_publish_out *,
    struct sq_bytes payload);
/* Writes the packet with its id to 'to', which has room for sq_buf_len(&form->bytes) bytes. */
void sq_form_write(const struct sq_form *, uint16_t packet_id, unsigned char *to);
void sq_form_fini(struct sq_form *);

#endif
