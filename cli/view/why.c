#include "cli/view/why.h"

#include "cli/view/why_message.h"
#include "cli/view/why_topic.h"
#include "core/clock.h"
#include "core/msg.h"
#include "core/utf8.h"
#include "proto/topic/topic.h"

bool
sq_why_good(const struct sq_why_ask *ask, const char **why)
{
	struct sq_bytes topic = sq_bytes_of(ask->topic);

	*why = "--topic or --message is missing";
	if (ask->topic == NULL && ask->message == NULL)
		return false;
	*why = "--tag and --key are for --topic; --message has the key itself";
	if (ask->topic == NULL && (ask->tag != NULL || ask->key != NULL))
		return false;
	*why = "--topic: it is not UTF-8";
	if (ask->topic != NULL &&
	    (!sq_utf8_valid(topic.p, topic.len) || sq_topic_name_check(topic, why) != 0))
		return false;
	return ask->tag == NULL || sq_topic_tag_check(sq_bytes_of(ask->tag), why) == 0;
}

enum sq_found
sq_why(struct sq_tables *view, const struct sq_why_ask *ask, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_why_told told = {
	    .view = view, .out = out, .beside = json_object(), .now_ms = sq_clock_wall_ms()};
	enum sq_found found = SQ_FOUND, of_topic = SQ_FOUND;

	sq_why_beside(&told, "message", ask->message);
	sq_why_beside(&told, "topic", ask->topic);
	if (ask->message != NULL)
		found = sq_why_message(&told, ask, err);
	if (ask->topic != NULL && found != SQ_FOUND_ERROR)
		of_topic = sq_why_topic(&told, ask, err);
	json_decref(told.beside);
	return found == SQ_FOUND ? of_topic : found;
}
