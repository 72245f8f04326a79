/* The form of a PUBLISH: what is written by it is what the encoder writes. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/bytes.h"
#include "sidecar/mqtt/form.h"

static const char payload_text[] = "what is said";

static struct sq_bytes
payload(void)
{
	return (struct sq_bytes){(const unsigned char *)payload_text, sizeof payload_text - 1};
}

static struct sq_mqtt_publish_out
publish(uint8_t version, uint8_t qos, uint16_t alias)
{
	static const unsigned char props[] = {0x26, 0, 1, 'k', 0, 1, 'v'};

	return (struct sq_mqtt_publish_out){.version = version,
	    .qos = qos,
	    .dup = qos == 2,
	    .retain = qos == 1,
	    .packet_id = qos > 0 ? 1 : 0,
	    .topic_alias = alias,
	    .expiry_s = 60,
	    .topic = alias != 0 ? (struct sq_bytes){0} : sq_bytes_of("a/topic"),
	    .props = {props, sizeof props},
	    .payload_len = sizeof payload_text - 1};
}

/* The packet with that id, by the encoder alone. */
static size_t
encode(unsigned char *to, size_t cap, struct sq_mqtt_publish_out out, uint16_t id)
{
	size_t head;

	out.packet_id = out.qos > 0 ? id : 0;
	head = sq_mqtt_publish_head(to, cap, &out);
	cr_assert_gt(head, 0);
	memcpy(to + head, payload_text, out.payload_len);
	return head + out.payload_len;
}

Test(form, each_target_gets_what_the_encoder_writes)
{
	static const uint16_t ids[] = {1, 2, 255, 256, 65535};
	struct sq_form form = {0};
	uint64_t frame = 0;

	for (unsigned i = 0; i < 2 * 3 * 2; i++) {
		uint8_t version = i % 2 == 0 ? SQ_MQTT_V311 : SQ_MQTT_V5;
		uint8_t qos = (uint8_t)(i / 2 % 3);
		uint16_t alias = i / 6 == 1 && version == SQ_MQTT_V5 ? 7 : 0;
		struct sq_mqtt_publish_out out = publish(version, qos, alias);
		const struct sq_form_kind kind = {
		    .frame = ++frame, .client = sq_form_client(version, qos, alias)};

		cr_assert(sq_form_make(&form, &kind, &out, payload()));
		cr_assert(sq_form_is(&form, &kind));
		for (size_t n = 0; n < sizeof ids / sizeof *ids; n++) {
			unsigned char want[256], got[256];
			size_t len = encode(want, sizeof want, out, ids[n]);

			cr_assert_eq(sq_buf_len(&form.bytes), len);
			sq_form_write(&form, ids[n], got);
			cr_assert_arr_eq(got, want, len, "version %u, QoS %u, alias %u, id %u",
			    version, qos, alias, ids[n]);
		}
	}
	sq_form_fini(&form);
}

/* A payload that is sent from another place is in the packet's length, not in its bytes. */
Test(form, the_payload_may_be_apart)
{
	struct sq_mqtt_publish_out out = publish(SQ_MQTT_V5, 1, 0);
	const struct sq_form_kind kind = {.frame = 1, .client = sq_form_client(SQ_MQTT_V5, 1, 0)};
	unsigned char want[256], got[256];
	struct sq_form form = {0};
	size_t len;

	cr_assert(sq_form_make(&form, &kind, &out, (struct sq_bytes){0}));
	len = encode(want, sizeof want, out, 9) - out.payload_len;
	cr_assert_eq(sq_buf_len(&form.bytes), len);
	sq_form_write(&form, 9, got);
	cr_assert_arr_eq(got, want, len);
	sq_form_fini(&form);
}

Test(form, it_is_of_one_message_and_one_kind_of_client)
{
	const struct sq_form_kind kind = {.frame = 5, .client = sq_form_client(SQ_MQTT_V5, 1, 1)};
	struct sq_mqtt_publish_out out = publish(SQ_MQTT_V5, 1, 1);
	struct sq_form_kind other[] = {kind, kind, kind, kind};
	struct sq_form form = {0};

	cr_assert_not(sq_form_is(&form, &kind), "there is none at first");
	cr_assert(sq_form_make(&form, &kind, &out, payload()));
	other[0].frame = 6;
	other[1].client = sq_form_client(SQ_MQTT_V5, 1, 0);
	other[2].client = sq_form_client(SQ_MQTT_V311, 1, 1);
	other[3].client = sq_form_client(SQ_MQTT_V5, 2, 1);
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		cr_assert_not(sq_form_is(&form, &other[i]), "kind %zu", i);
	cr_assert(sq_form_is(&form, &kind));
	out.payload_len = SIZE_MAX;
	cr_assert_not(sq_form_make(&form, &other[0], &out, payload()));
	cr_assert_not(sq_form_is(&form, &kind), "one that can't be encoded is no form");
	cr_assert_not(sq_form_is(&form, &other[0]));
	sq_form_fini(&form);
}
