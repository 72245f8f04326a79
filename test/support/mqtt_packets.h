/* For tests of the MQTT codec: packets written as text, decoders fed in every
 * split, and packets compared field by field. */
#ifndef SQ_TEST_SUPPORT_MQTT_PACKETS_H
#define SQ_TEST_SUPPORT_MQTT_PACKETS_H

#include "core/buf.h"
#include "proto/mqtt/mqtt.h"

/* Appends bytes written as pairs of hex digits, or as text in single quotes:
 * "c0 00", "0004 'MQTT' 05".  Ends the process on anything else. */
void packet_bytes(struct sq_buf *, const char *text);

/* Decodes the bytes whole, then from each truncation, then growing by one byte
 * at a time, each in a block of its exact size so that reading past the end is
 * seen.  All must agree, and truncations must ask for more (or name the same
 * error early), with 'need' within what the packet has.  Returns the outcome of
 * the whole, with views into 'p'; '*d' is left as that decode left it.  On
 * disagreement returns 1 and names it in '*why'. */
int packet_decode_splits(struct sq_mqtt_decoder *d, const unsigned char *p, size_t len,
    struct sq_mqtt_packet *out, size_t *used, const char **why);

/* Whether two packets say the same; order among different properties aside. */
bool packet_equal(const struct sq_mqtt_packet *, const struct sq_mqtt_packet *);
bool packet_props_equal(const struct sq_mqtt_props *, const struct sq_mqtt_props *);

#endif
