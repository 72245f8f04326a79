#include "broker/publish/id.h"

#include "broker/publish/options.h"

void
sq_message_id_of(
    const struct sq_key_hash *key, const struct sq_origin *origin, unsigned char out[SQ_MESSAGE_ID])
{
	/* The run is a random number of 64 bits: its sums with numbers are of no other run. */
	sq_put64(out, key != NULL ? key->hi : origin->incarnation);
	sq_put64(out + 8, key != NULL ? key->lo : origin->run + origin->number);
}

void
sq_message_id(const char *tenant, const unsigned char *image, const struct sq_origin *origin,
    unsigned char out[SQ_MESSAGE_ID])
{
	struct sq_publish_options asked = {0};
	struct sq_key_hash key;

	if (sq_image_props(image).len > 0)
		(void)sq_publish_options_parse(image, &asked);
	if (!asked.assured || asked.key.len == 0) {
		sq_message_id_of(NULL, origin, out);
		return;
	}
	key = sq_keys_hash(tenant, asked.key);
	sq_message_id_of(&key, origin, out);
}
