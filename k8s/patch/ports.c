/* Lists of ports; see ports.h. */
#include "k8s/patch/ports.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* "443", "4000-5000", with space around numbers; others are in no list. */
static bool
item_has(const char *item, uint16_t port)
{
	char *end;
	long low = strtol(item, &end, 10), high = low;

	if (end == item)
		return false;
	end += strspn(end, " ");
	if (*end == '-')
		high = strtol(end + 1, &end, 10);
	end += strspn(end, " ");
	return (*end == '\0' || *end == ',') && low <= port && port <= high;
}

void
sq_ports_merge(const char *list, uint16_t port, struct sq_buf *out)
{
	size_t len = strlen(list);
	bool has = false;

	for (const char *item = list; item != NULL && !has;) {
		has = item_has(item, port);
		item = strchr(item, ',');
		if (item != NULL)
			item++;
	}
	while (len > 0 && !has && (list[len - 1] == ',' || list[len - 1] == ' '))
		len--;
	sq_buf_append(out, list, len);
	if (!has)
		sq_buf_printf(out, "%s%u", len > 0 ? "," : "", port);
}
