/* Memory that the machine or a control group gives; see core/memory.h. */
#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/cgroup.h"
#include "core/memory.h"

enum {
	VALUE_LEN = 64,
};

/* Takes the limit of a group, if it has one and that is less. */
static void
room_look(void *arg, bool unified, const char *dir)
{
	struct sq_memory_room *room = arg;
	char text[VALUE_LEN];
	uint64_t v;

	if (!sq_cgroup_read(
		dir, unified ? "memory.max" : "memory.limit_in_bytes", text, sizeof text) ||
	    text[0] < '0' || text[0] > '9')
		return;
	v = strtoull(text, NULL, 10);
	if (v >= room->bytes)
		return;
	room->bytes = v;
	room->cgroup = true;
}

static uint64_t
room_physical(const char *root)
{
	struct sq_buf path = {0};
	unsigned long long kib = 0;
	char line[256];
	FILE *f;

	sq_buf_printf(&path, "%s/proc/meminfo%c", root, 0);
	f = fopen((const char *)sq_buf_data(&path), "re");
	sq_buf_fini(&path);
	while (f != NULL && kib == 0 && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "MemTotal: %llu kB", &kib) != 1)
			kib = 0;
	if (f != NULL)
		fclose(f);
	return kib * 1024;
}

struct sq_memory_room
sq_memory_room(const char *root)
{
	struct sq_memory_room room = {room_physical(root), false};

	/* One that is not below physical memory is none: version 1 writes a huge number. */
	if (room.bytes == 0)
		room.bytes = UINT64_C(1) << 30;
	sq_cgroup_walk(root, "memory", room_look, &room);
	return room;
}
