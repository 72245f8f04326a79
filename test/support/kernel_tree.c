#include "kernel_tree.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "temp_dir.h"

static char *tree;

void
kernel_tree_new(void)
{
	tree = temp_dir_new();
}

void
kernel_tree_free(void)
{
	temp_dir_free(&tree);
}

const char *
kernel_tree(void)
{
	return tree;
}

void
kernel_tree_put(const char *path, const char *text)
{
	char whole[1024];
	FILE *f;

	snprintf(whole, sizeof whole, "%s%s", tree, path);
	for (char *at = whole + strlen(tree) + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
		*at = '\0';
		mkdir(whole, 0700);
	}
	f = fopen(whole, "w");
	cr_assert_not_null(f, "%s", whole);
	fputs(text, f);
	fclose(f);
}
