/* What a control group gives; see core/memory.h.
 *
 * /proc/self/cgroup says which group the process is in, /proc/self/mountinfo where the
 * hierarchies are mounted and which group each mount begins at: in a container with a
 * namespace of its own that is "/" in both, without one it is the container's path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/memory.h"

enum {
	PATH_LEN = 4096,
	VALUE_LEN = 64,
};

/* One hierarchy that can limit memory. */
struct hierarchy {
	const char *type;       /* of its mount */
	const char *controller; /* among its options; NULL: all are in it */
	const char *file;       /* the limit */
};

static const struct hierarchy hierarchies[] = {
    {"cgroup2", NULL, "memory.max"},
    {"cgroup", "memory", "memory.limit_in_bytes"},
};

/* Whether the comma-separated 'list' has 'word'. */
static bool
room_listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list != NULL) {
		if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return true;
		list = strchr(list, ',');
		if (list != NULL)
			list++;
	}
	return false;
}

static FILE *
room_open(const char *root, const char *path)
{
	char whole[PATH_LEN];

	if (snprintf(whole, sizeof whole, "%s%s", root, path) >= (int)sizeof whole)
		return NULL;
	return fopen(whole, "re");
}

/* The group of the process in 'h': "N:CONTROLLERS:PATH", of version 2 "0::PATH". */
static bool
room_group(const char *root, const struct hierarchy *h, char *out)
{
	FILE *f = room_open(root, "/proc/self/cgroup");
	char line[PATH_LEN + VALUE_LEN];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
		char *list = strchr(line, ':'), *path = list != NULL ? strchr(list + 1, ':') : NULL;

		if (path == NULL)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		found = h->controller != NULL ? room_listed(list + 1, h->controller)
					      : list[1] == '\0';
		if (found)
			snprintf(out, PATH_LEN, "%s", path);
	}
	if (f != NULL)
		fclose(f);
	return found;
}

/* Undoes \040 and the like, in place. */
static void
room_unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] != '\0' && s[3] != '\0') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* Where 'h' is mounted, and which group that begins at.  The fields of a line: id, parent,
 * device, root, mount point, options, ... "-", type, source, options of the file system. */
static bool
room_mount(const char *root, const struct hierarchy *h, char *begin, char *point)
{
	FILE *f = room_open(root, "/proc/self/mountinfo");
	char line[3 * PATH_LEN], type[VALUE_LEN], options[PATH_LEN];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
		const char *rest = strstr(line, " - ");

		if (rest == NULL || sscanf(rest, " - %63s %*s %4095s", type, options) != 2 ||
		    strcmp(type, h->type) != 0 ||
		    (h->controller != NULL && !room_listed(options, h->controller)))
			continue;
		found = sscanf(line, "%*s %*s %*s %4095s %4095s", begin, point) == 2;
	}
	if (f != NULL)
		fclose(f);
	if (found) {
		room_unescape(begin);
		room_unescape(point);
	}
	return found;
}

/* The limit in 'dir' if it is one and less than '*least'. */
static bool
room_limit(const char *root, const char *dir, const char *file, uint64_t *least)
{
	char path[PATH_LEN + VALUE_LEN], text[VALUE_LEN];
	uint64_t v = 0;
	FILE *f;
	bool is;

	if (snprintf(path, sizeof path, "%s/%s", dir, file) >= PATH_LEN)
		return false;
	f = room_open(root, path);
	if (f == NULL)
		return false;
	is = fgets(text, sizeof text, f) != NULL && text[0] >= '0' && text[0] <= '9';
	fclose(f);
	if (is)
		v = strtoull(text, NULL, 10);
	if (!is || v >= *least)
		return false;
	*least = v;
	return true;
}

/* The least limit of the group and of those above it, up to the mount point. */
static bool
room_hierarchy(const char *root, const struct hierarchy *h, uint64_t *least)
{
	char group[PATH_LEN], begin[PATH_LEN], dir[2 * PATH_LEN], *below;
	size_t len;
	bool found = false;

	if (!room_group(root, h, group) || !room_mount(root, h, begin, dir))
		return false;
	len = strlen(begin);
	if (strcmp(begin, "/") == 0)
		below = group;
	else if (strncmp(group, begin, len) == 0 && (group[len] == '/' || group[len] == '\0'))
		below = group + len;
	else
		below = NULL; /* seen from elsewhere: the mount is what there is */
	len = strlen(dir);
	if (below != NULL && strstr(below, "..") == NULL && strcmp(below, "/") != 0)
		snprintf(dir + len, sizeof dir - len, "%s", below);
	for (;;) {
		char *slash = strrchr(dir, '/');

		found |= room_limit(root, dir, h->file, least);
		if (strlen(dir) <= len || slash == NULL)
			return found;
		*slash = '\0';
	}
}

static uint64_t
room_physical(const char *root)
{
	FILE *f = room_open(root, "/proc/meminfo");
	unsigned long long kib = 0;
	char line[256];

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
	for (size_t i = 0; i < sizeof hierarchies / sizeof hierarchies[0]; i++)
		room.cgroup |= room_hierarchy(root, &hierarchies[i], &room.bytes);
	return room;
}
