#include "temp_file.h"

#include <criterion/criterion.h>
#include <stdio.h>

void
temp_file_put(const char *path, const void *p, size_t len)
{
	char fresh[256];
	FILE *f;

	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	f = fopen(fresh, "w");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(p, 1, len, f), len);
	fclose(f);
	cr_assert_eq(rename(fresh, path), 0);
}
