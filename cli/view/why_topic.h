/* Who takes a topic, and what stands in the way: a part of why.h. */
#ifndef SQ_CLI_VIEW_WHY_TOPIC_H
#define SQ_CLI_VIEW_WHY_TOPIC_H

#include "cli/view/why.h"
#include "cli/view/why_say.h"

/* Says what there is to the topic, which is asked for.  SQ_FOUND_NONE: nothing takes it. */
enum sq_found
sq_why_topic(const struct sq_why_told *, const struct sq_why_ask *, struct sq_buf *err);

#endif
