/* The service of a request, by its path. */
#ifndef SQ_BROKER_FRONT_DOOR_PICK_H
#define SQ_BROKER_FRONT_DOOR_PICK_H

#include "core/msg.h"

struct sq_door_cfg;
struct sq_service;

/* The first service that takes the path, else the last one. */
struct sq_service *sq_pick_service(const struct sq_door_cfg *, struct sq_bytes path);

#endif
