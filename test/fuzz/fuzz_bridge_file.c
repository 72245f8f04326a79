/* Any text as a file of bridges.dir: it is refused with a place for each fault, or its bridges are good, and
 * each is equal to itself alone. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "broker/bridge/cfg.h"
#include "broker/bridge/kinds/checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sq_bridge_cfg *
bridge(const struct sq_bridge_cfgs *c, size_t i)
{
	return &((const struct sq_bridge_cfg *)c->bridges.v)[i];
}

static void
good(const struct sq_bridge_cfgs *c, struct sq_buf *err)
{
	for (size_t i = 0; i < c->bridges.n; i++) {
		const struct sq_bridge_cfg *b = bridge(c, i);

		assert(b->out.n + b->in.n > 0 && b->space != NULL && b->dedup_for_ms > 0);
		assert(strlen(b->record.name) <= SQ_BRIDGE_NAME_MAX);
		assert(
		    sq_bridge_cfg_check(b, err) == SQ_OK && sq_bridge_kind_check(b, err) == SQ_OK);
		for (size_t k = 0; k < c->bridges.n; k++)
			assert(sq_bridge_cfg_equal(b, bridge(c, k)) == (i == k)); /* by its name */
	}
	assert(sq_buf_len(err) == 0);
}

/* Each line names a place. */
static void
bad(const struct sq_buf *err)
{
	const unsigned char *p = sq_buf_data(err), *end = p + sq_buf_len(err);

	assert(p < end);
	while (p < end) {
		const unsigned char *line = memchr(p, '\n', (size_t)(end - p));

		assert(end - p > 7 && memcmp(p, "f.yaml:", 7) == 0);
		p = line != NULL ? line + 1 : end;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_bridge_cfgs c;
	struct sq_buf err = {0};

	if (sq_bridge_cfgs_read(
		"f.yaml", (struct sq_bytes){data, size}, sq_bridge_kind_check, &c, &err) == SQ_OK)
		good(&c, &err);
	else
		bad(&err);
	sq_bridge_cfgs_fini(&c);
	sq_buf_fini(&err);
	return 0;
}
