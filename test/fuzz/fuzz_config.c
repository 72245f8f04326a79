/* Fuzzes the YAML layer of core/config: any text is a configuration or one
 * error line, never both and never neither. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/mem.h"

struct cfg {
	char *s;
	struct sq_strings list;
	bool b;
	uint64_t u, size, ms;
	unsigned e;
};

static const char *const choices[] = {"one", "two", NULL};

/* Rows leave out members that are zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const struct sq_config_key keys[] = {
    {"a", SQ_CFG_STRING, offsetof(struct cfg, s), NULL, 0, 0, NULL, ""},
    {"g.list", SQ_CFG_LIST, offsetof(struct cfg, list), NULL, 0, 0, NULL, ""},
    {"g.b", SQ_CFG_BOOL, offsetof(struct cfg, b), NULL, 0, 0, NULL, ""},
    {"g.h.u", SQ_CFG_UINT, offsetof(struct cfg, u), NULL, 1, 10, NULL, ""},
    {"size", SQ_CFG_SIZE, offsetof(struct cfg, size), NULL, 0, 0, NULL, ""},
    {"ms", SQ_CFG_DURATION, offsetof(struct cfg, ms), NULL, 0, 0, NULL, ""},
    {"e", SQ_CFG_ENUM, offsetof(struct cfg, e), NULL, 0, 0, choices, ""},
};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct cfg cfg = {0};
	struct sq_buf err = {0};
	int rc = sq_config_yaml(&cfg, keys, SQ_ARRAY_LEN(keys), "f", data, size, &err);

	if ((rc == 0) != (sq_buf_len(&err) == 0))
		abort();
	if (rc != 0 && memchr(sq_buf_data(&err), '\n', sq_buf_len(&err)) != NULL)
		abort();
	if (cfg.u > 10 || cfg.e > 1)
		abort();
	sq_config_free(&cfg, keys, SQ_ARRAY_LEN(keys));
	sq_buf_fini(&err);
	return 0;
}
