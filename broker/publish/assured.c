#include "broker/publish/assured.h"

#include <string.h>

#include "broker/publish/dead_letters.h"
#include "broker/publish/letter.h"
#include "broker/shard/source.h"
#include "proto/declaration/declaration.h"

#define OF_BRIDGE "~" SQ_QUEUE_OF_BRIDGES

/* The target of a queue's: of a bridge's, "queue~SPACE~bridge.NAME", it is "bridge~SPACE~NAME". */
static void
assured_target(const char *queue, struct sq_buf *out)
{
	const char *space = strncmp(queue, "queue~", 6) == 0 ? strchr(queue, '~') + 1 : NULL;
	const char *name = space != NULL ? strchr(space, '~') : NULL;

	if (name != NULL && strncmp(name, OF_BRIDGE, strlen(OF_BRIDGE)) == 0)
		sq_buf_printf(
		    out, "bridge~%.*s~%s", (int)(name - space), space, name + strlen(OF_BRIDGE));
	else
		sq_buf_printf(out, "%s", queue);
	sq_buf_u8(out, '\0');
}

/* The receipt that a QoS 3 message asks for, if it does. */
static struct sq_msg
assured_receipt(const struct sq_msg *m, const char *queue, const char *outcome)
{
	struct sq_publish_options asked;
	struct sq_msg receipt = {0};
	struct sq_buf target = {0};

	if (!sq_publish_options_parse(m->image, &asked) || asked.receipt.len == 0)
		return receipt;
	assured_target(queue, &target);
	receipt = sq_letter_receipt(m, &asked, (const char *)sq_buf_data(&target), outcome);
	sq_buf_fini(&target);
	return receipt;
}

struct sq_msg
sq_assured_settled(const struct sq_source *s, const struct sq_item *item)
{
	if (!item->assured)
		return (struct sq_msg){0};
	return assured_receipt(&item->msg, sq_source_name(s), "acknowledged");
}

struct sq_msg
sq_assured_purged(const struct sq_source *s, const struct sq_item *item)
{
	return assured_receipt(&item->msg, sq_source_name(s), "purged");
}

struct sq_msg
sq_assured_buried(void *source, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	const struct sq_source *s = source;
	bool given_up = why == SQ_DEAD_ATTEMPTS || why == SQ_DEAD_REJECTED ||
	    why == SQ_DEAD_UNFINISHED || why == SQ_DEAD_ABANDONED;
	const struct sq_death_note *note = txn->note;

	if (!item->assured && !(sq_source_durable(s) && given_up))
		return (struct sq_msg){0};
	sq_dead_letter(sq_source_broker(s), sq_source_tenant(s), txn, &item->msg, sq_source_name(s),
	    sq_death_said(why, note), note != NULL ? note->detail : NULL, item->assured);
	if (!item->assured)
		return (struct sq_msg){0};
	return assured_receipt(
	    &item->msg, sq_source_name(s), why == SQ_DEAD_EXPIRED ? "expired" : "dead-lettered");
}

struct sq_msg
sq_assured_ended(
    struct sq_source *s, struct sq_txn *txn, const struct sq_item *item, const char *reason)
{
	sq_dead_letter(sq_source_broker(s), sq_source_tenant(s), txn, &item->msg, sq_source_name(s),
	    reason, NULL, true);
	return assured_receipt(&item->msg, sq_source_name(s), "dead-lettered");
}

struct sq_msg
sq_assured_unmatched(
    struct sq_broker *b, struct sq_tenant *tenant, struct sq_txn *txn, const struct sq_msg *m)
{
	sq_dead_letter(b, tenant, txn, m, "", "unmatched", NULL, true);
	return assured_receipt(m, "", "dead-lettered");
}
