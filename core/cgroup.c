/* The groups are found as the kernel shows them; see core/cgroup.h.
 *
 * /proc/self/cgroup says which group the process is in, /proc/self/mountinfo where the
 * hierarchies are mounted and which group each mount begins at: in a container with a
 * namespace of its own that is "/" in both, without one it is the container's path.
 *
 * Nothing large is on the stack: what a start has touched of it stays for good. */
#include "core/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

/* One hierarchy. */
struct hierarchy {
	const char *type;       /* of its mount */
	const char *controller; /* among its options; NULL: all are in it */
};

/* Whether the comma-separated 'list' has 'word'. */
static bool
cgroup_listed(const char *list, const char *word)
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
cgroup_open(const char *dir, const char *file)
{
	struct sq_buf whole = {0};
	FILE *f;

	sq_buf_printf(&whole, "%s/%s%c", dir, file, 0);
	f = fopen((const char *)sq_buf_data(&whole), "re");
	sq_buf_fini(&whole);
	return f;
}

/* Calls 'fn' with each line of a file until it returns what is not NULL, and returns that. */
static void *
cgroup_lines(const char *dir, const char *file, const struct hierarchy *h,
    void *(*fn)(const struct hierarchy *, char *line))
{
	FILE *f = cgroup_open(dir, file);
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
	if (h->controller != NULL ? !cgroup_listed(list + 1, h->controller) : list[1] != '\0')
		return NULL;
	return sq_xstrdup(path);
}

/* Undoes \040 and the like, in place. */
static void
cgroup_unescape(char *s)
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
	    (h->controller == NULL || cgroup_listed(options, h->controller));

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
	cgroup_unescape(m->begin);
	cgroup_unescape(m->point);
	return m;
}

/* What of 'group' is below the mount; "" where it is seen from elsewhere: the mount is what
 * there is. */
static const char *
cgroup_below(const char *group, const char *begin)
{
	size_t len = strcmp(begin, "/") == 0 ? 0 : strlen(begin);

	if (strncmp(group, begin, len) != 0 || (group[len] != '/' && group[len] != '\0'))
		return "";
	group += len;
	return strstr(group, "..") != NULL || strcmp(group, "/") == 0 ? "" : group;
}

/* The group and those above it, up to the mount point. */
static void
cgroup_upwards(const char *root, const char *group, const struct mount *m,
    void (*look)(void *arg, bool unified, const char *dir), void *arg, bool unified)
{
	struct sq_buf text = {0};
	size_t len = strlen(root) + strlen(m->point);
	char *dir, *slash;

	sq_buf_printf(&text, "%s%s%s%c", root, m->point, cgroup_below(group, m->begin), 0);
	dir = (char *)sq_buf_data(&text);
	for (;;) {
		look(arg, unified, dir);
		slash = strrchr(dir, '/');
		if (strlen(dir) <= len || slash == NULL)
			break;
		*slash = '\0';
	}
	sq_buf_fini(&text);
}

void
sq_cgroup_walk(const char *root, const char *controller,
    void (*look)(void *arg, bool unified, const char *dir), void *arg)
{
	const struct hierarchy hierarchies[] = {{"cgroup2", NULL}, {"cgroup", controller}};

	for (size_t i = 0; i < sizeof hierarchies / sizeof hierarchies[0]; i++) {
		const struct hierarchy *h = &hierarchies[i];
		char *group = cgroup_lines(root, "proc/self/cgroup", h, group_of_line);
		struct mount *m = NULL;

		if (group != NULL)
			m = cgroup_lines(root, "proc/self/mountinfo", h, mount_of_line);
		if (m != NULL)
			cgroup_upwards(root, group, m, look, arg, h->controller == NULL);
		mount_free(m);
		free(group);
	}
}

bool
sq_cgroup_read(const char *dir, const char *file, char *line, size_t room)
{
	FILE *f = cgroup_open(dir, file);
	bool is;

	if (f == NULL)
		return false;
	is = fgets(line, (int)room, f) != NULL;
	fclose(f);
	if (is)
		line[strcspn(line, "\n")] = '\0';
	return is;
}
