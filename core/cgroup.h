/* The control groups that the process is in, of version 1 and 2.  A limit of a group bounds those below
 * it, so who reads one looks at the process's own group and at each above it. */
#ifndef SQ_CORE_CGROUP_H
#define SQ_CORE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/* Calls 'look' with the folder of the process's group of 'controller', then with that of each group above
 * it, as far up as the process sees: in the hierarchy of version 2 ('unified'), then in that of version 1;
 * those that are mounted.  'root' is ""; in tests, a folder with proc/self/cgroup,
 * proc/self/mountinfo and what is mounted. */
void sq_cgroup_walk(const char *root, const char *controller,
    void (*look)(void *arg, bool unified, const char *dir), void *arg);
/* The first line of a file of a group, without its end; false: there is none. */
bool sq_cgroup_read(const char *dir, const char *file, char *line, size_t room);

#endif
