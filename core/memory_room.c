/* What a control group gives; see core/memory.h.
 *
 * /proc/self/cgroup says which group the process is in, /proc/self/mountinfo where the
 * hierarchies are mounted and which group each mount begins at: in a container with a
 * namespace of its own that is "/" in both, without one it is the container's path.
 *
 * Nothing large is on the stack: what a start has touched of it stays for good. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "core/memory.h"

enum {
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
	struct sq_buf whole = {0};
	FILE *f;

	sq_buf_printf(&whole, "%s%s%c", root, path, 0);
	f = fopen((const char *)sq_buf_data(&whole), "re");
	sq_buf_fini(&whole);
	return f;
}

/* Calls 'fn' with each line of a file until it returns what is not NULL, and returns that. */
static void *
room_lines(const char *root, const char *path, const struct hierarchy *h,
    void *(*fn)(const struct hierarchy *, char *line))
{
	FILE *f = room_open(root, path);
	char *line = NULL;
	size_t room = 0;
	void *found = NULL;

	while (f != NULL && found == NULL && getline(&line, &room, f) >= 0)
		found = fn(h, line);
	if (f != NULL)
		fclose(f);
	free(line);
	return found;
}

/* The group of the process in 'h', by a line "N:CONTROLLERS:PATH", of version 2 "0::PATH".
 * The caller frees it. */
static void *
group_of_line(const struct hierarchy *h, char *line)
{
	char *list = strchr(line, ':'), *path = list != NULL ? strchr(list + 1, ':') : NULL;

	if (path == NULL)
		return NULL;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	if (h->controller != NULL ? !room_listed(list + 1, h->controller) : list[1] != '\0')
		return NULL;
	return sq_xstrdup(path);
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

/* Where a hierarchy is mounted, and which group that begins at. */
struct mount {
	char *begin, *point;
};

static void
mount_free(struct mount *m)
{
	if (m == NULL)
		return;
	free(m->begin);
	free(m->point);
	free(m);
}

/* Whether 'rest' of a line, " - TYPE SOURCE OPTIONS", is a mount of 'h'. */
static bool
mount_is(const struct hierarchy *h, const char *rest)
{
	char *type = NULL, *options = NULL;
	bool is = sscanf(rest, " - %ms %*s %ms", &type, &options) == 2 &&
	    strcmp(type, h->type) == 0 &&
	    (h->controller == NULL || room_listed(options, h->controller));

	free(type);
	free(options);
	return is;
}

/* The mount of 'h' in a line, if it is one.  Its fields: id, parent, device, root, mount point,
 * options, ... "-", type, source, options of the file system. */
static void *
mount_of_line(const struct hierarchy *h, char *line)
{
	const char *rest = strstr(line, " - ");
	struct mount *m;

	if (rest == NULL || !mount_is(h, rest))
		return NULL;
	m = sq_xcalloc(1, sizeof *m);
	if (sscanf(line, "%*s %*s %*s %ms %ms", &m->begin, &m->point) != 2) {
		mount_free(m);
		return NULL;
	}
	room_unescape(m->begin);
	room_unescape(m->point);
	return m;
}

/* The limit in 'dir' if it is one and less than '*least'. */
static bool
room_limit(const char *root, const char *dir, const char *file, uint64_t *least)
{
	struct sq_buf path = {0};
	char text[VALUE_LEN];
	uint64_t v = 0;
	FILE *f;
	bool is;

	sq_buf_printf(&path, "%s/%s%c", dir, file, 0);
	f = room_open(root, (const char *)sq_buf_data(&path));
	sq_buf_fini(&path);
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

/* What of 'group' is below the mount; "" where it is seen from elsewhere: the mount is what
 * there is. */
static const char *
room_below(const char *group, const char *begin)
{
	size_t len = strcmp(begin, "/") == 0 ? 0 : strlen(begin);

	if (strncmp(group, begin, len) != 0 || (group[len] != '/' && group[len] != '\0'))
		return "";
	group += len;
	return strstr(group, "..") != NULL || strcmp(group, "/") == 0 ? "" : group;
}

/* The least limit of 'group' and of those above it, up to the mount point. */
static bool
room_least(const char *root, const struct hierarchy *h, const char *group, const struct mount *m,
    uint64_t *least)
{
	struct sq_buf text = {0};
	size_t len = strlen(m->point);
	bool found = false;
	char *dir, *slash;

	sq_buf_printf(&text, "%s%s%c", m->point, room_below(group, m->begin), 0);
	dir = (char *)sq_buf_data(&text);
	for (;;) {
		found |= room_limit(root, dir, h->file, least);
		slash = strrchr(dir, '/');
		if (strlen(dir) <= len || slash == NULL)
			break;
		*slash = '\0';
	}
	sq_buf_fini(&text);
	return found;
}

static bool
room_hierarchy(const char *root, const struct hierarchy *h, uint64_t *least)
{
	char *group = room_lines(root, "/proc/self/cgroup", h, group_of_line);
	struct mount *m = NULL;
	bool found = false;

	if (group != NULL)
		m = room_lines(root, "/proc/self/mountinfo", h, mount_of_line);
	if (m != NULL)
		found = room_least(root, h, group, m, least);
	mount_free(m);
	free(group);
	return found;
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
