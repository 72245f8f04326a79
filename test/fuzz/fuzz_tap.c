/* Fuzzes sq_tap_json_read(): what is taken has a filter of its own, shared with nobody; what is
 * refused has a reason, and leaves nothing behind. */
#include <stdlib.h>
#include <string.h>

#include "broker/front/tap/tap_json.h"
#include "proto/topic/topic.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_topic_filter parsed;
	struct sq_tap_cfg cfg = {0};
	const char *why = NULL;
	json_t *root = NULL;

	if (!sq_tap_json_read((struct sq_bytes){data, size}, &cfg, &root, &why)) {
		if (why == NULL || *why == '\0')
			abort();
		return 0;
	}
	if (cfg.filter == NULL || (cfg.space != NULL && *cfg.space == '\0') ||
	    sq_topic_filter_parse(sq_bytes_of(cfg.filter), &parsed, NULL) != 0 ||
	    parsed.share.len > 0)
		abort();
	json_decref(root);
	return 0;
}
