#include "temp_dir.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"

char *
temp_dir_new(void)
{
	char *dir = sq_xstrdup("/tmp/sqmqos-test-XXXXXX");
	char *made = mkdtemp(dir);

	assert(made != NULL);
	return made;
}

static int
temp_dir_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void
temp_dir_free(char **dir)
{
	(void)nftw(*dir, temp_dir_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(*dir);
	*dir = NULL;
}
