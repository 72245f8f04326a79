#include "broker/front/door/pick.h"

#include <string.h>

#include "broker/front/door/door.h"
#include "broker/front/door/service.h"

static bool
pick_takes(const struct sq_service *service, struct sq_bytes path)
{
	for (const char *const *at = service->ops->paths; *at != NULL; at++) {
		size_t n = strlen(*at);

		if (path.len >= n && memcmp(path.p, *at, n) == 0)
			return true;
	}
	return false;
}

struct sq_service *
sq_pick_service(const struct sq_door_cfg *cfg, struct sq_bytes path)
{
	struct sq_service *const *at = cfg->services;

	while (at[1] != NULL && !pick_takes(*at, path))
		at++;
	return *at;
}
