#include "proto/topic/queue.h"

#include <string.h>

bool
sq_topic_queue_name(struct sq_bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '.' || c == '_' || c == '-'))
			return false;
	}
	/* Clients take segments of dots out of paths. */
	return name.len > 0 && name.len <= SQ_TOPIC_QUEUE_NAME_MAX && !sq_bytes_are(name, ".") &&
	    !sq_bytes_are(name, "..");
}

bool
sq_topic_queue_filter(struct sq_bytes filter, struct sq_bytes *name)
{
	const size_t n = sizeof SQ_TOPIC_QUEUE_PREFIX - 1;

	if (filter.len < n || memcmp(filter.p, SQ_TOPIC_QUEUE_PREFIX, n) != 0)
		return false;
	*name = (struct sq_bytes){filter.p + n, filter.len - n};
	return true;
}
