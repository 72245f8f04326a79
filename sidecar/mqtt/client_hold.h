/* A client as the user of its hold (sidecar/hold/user.h). */
#ifndef SQ_SIDECAR_MQTT_CLIENT_HOLD_H
#define SQ_SIDECAR_MQTT_CLIENT_HOLD_H

#include "sidecar/hold/user.h"

extern const struct sq_hold_user sq_client_hold_user;

#endif
