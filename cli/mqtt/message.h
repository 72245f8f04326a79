/* A message that was received, as a line for people or as a JSON object in a line. */
#ifndef SQ_CLI_MQTT_MESSAGE_H
#define SQ_CLI_MQTT_MESSAGE_H

#include <jansson.h>

#include "core/buf.h"
#include "proto/mqtt/mqtt.h"

/* Appends "TOPIC PAYLOAD" and a line feed, safe for terminals (cli/view/safe.h). */
void sq_message_text(struct sq_buf *, const struct sq_mqtt_packet *);
/* Appends all of the message: "payload" where it is UTF-8, else "payload_base64". */
void sq_message_json(struct sq_buf *, const struct sq_mqtt_packet *, uint64_t now_ms);

#endif
