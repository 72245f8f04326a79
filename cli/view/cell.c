#include "cli/view/cell.h"

#include <string.h>

#include "cli/view/safe.h"
#include "core/mem.h"

void
sq_cell_bytes(struct sq_buf *out, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double n = (double)bytes;
	size_t i = 0;

	if (bytes < 1024) {
		sq_buf_printf(out, "%llu B", (unsigned long long)bytes);
		return;
	}
	for (n /= 1024; n >= 1023.95 && i + 1 < SQ_ARRAY_LEN(units); n /= 1024)
		i++;
	sq_buf_printf(out, "%.1f %s", n, units[i]);
}

void
sq_cell_span(struct sq_buf *out, uint64_t ms)
{
	static const struct {
		uint64_t of, part;
		const char *name, *part_name;
	} units[] = {{86400, 3600, "d", "h"}, {3600, 60, "h", "m"}, {60, 1, "m", "s"}};
	uint64_t s = ms / 1000;

	if (ms == 0 || s > 0) {
		for (size_t i = 0; i < SQ_ARRAY_LEN(units); i++) {
			uint64_t part = s % units[i].of / units[i].part;

			if (s < units[i].of)
				continue;
			sq_buf_printf(
			    out, "%llu%s", (unsigned long long)(s / units[i].of), units[i].name);
			if (part > 0)
				sq_buf_printf(
				    out, " %llu%s", (unsigned long long)part, units[i].part_name);
			return;
		}
		sq_buf_printf(out, "%llus", (unsigned long long)s);
		return;
	}
	sq_buf_printf(out, "%llums", (unsigned long long)ms);
}

static void
cell_number(struct sq_buf *out, uint64_t n, const char *type, const char *unit, uint64_t now_ms)
{
	if (strcmp(type, "time") == 0) {
		sq_buf_printf(out, "%s", n > now_ms ? "in " : "");
		sq_cell_span(out, n > now_ms ? n - now_ms : now_ms - n);
		sq_buf_printf(out, "%s", n > now_ms ? "" : " ago");
	} else if (strcmp(type, "span") == 0) {
		sq_cell_span(out, n);
	} else if (strcmp(unit, "bytes") == 0) {
		sq_cell_bytes(out, n);
	} else if (strcmp(unit, "s") == 0) {
		sq_cell_span(out, n > UINT64_MAX / 1000 ? UINT64_MAX : n * 1000);
	} else {
		sq_buf_printf(out, "%llu", (unsigned long long)n);
	}
}

static void
cell_text(struct sq_buf *out, const json_t *value)
{
	sq_safe(out, json_string_value(value), json_string_length(value));
}

/* Counts by name, or texts. */
static void
cell_many(struct sq_buf *out, const json_t *value)
{
	const json_t *v;
	const char *key, *separator = "";
	size_t i;

	if (json_object_size(value) == 0 && json_array_size(value) == 0)
		sq_buf_printf(out, "none");
	json_object_foreach((json_t *)value, key, v)
	{
		sq_buf_printf(out, "%s", separator);
		sq_safe(out, key, strlen(key));
		sq_buf_printf(out, " %lld", (long long)json_integer_value(v));
		separator = ", ";
	}
	json_array_foreach(value, i, v)
	{
		sq_buf_printf(out, "%s", separator);
		if (json_is_string(v))
			cell_text(out, v);
		separator = ", ";
	}
}

void
sq_cell(
    struct sq_buf *out, const json_t *value, const char *type, const char *unit, uint64_t now_ms)
{
	if (json_is_string(value))
		cell_text(out, value);
	else if (json_is_boolean(value))
		sq_buf_printf(out, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		cell_number(out, (uint64_t)json_integer_value(value), type, unit, now_ms);
	else if (json_is_object(value) || json_is_array(value))
		cell_many(out, value);
	else
		sq_buf_printf(out, "-");
}

bool
sq_cell_right(const char *type)
{
	return strcmp(type, "number") == 0 || strcmp(type, "span") == 0;
}
