#include "broker/publish/assured.h"

#include "broker/publish/dead_letters.h"
#include "broker/publish/letter.h"
#include "broker/shard/source.h"

/* The receipt that a QoS 3 message asks for, if it does. */
static struct sq_msg
assured_receipt(const struct sq_msg *m, const char *target, const char *outcome)
{
	struct sq_publish_options asked;

	if (sq_publish_options_parse(m->image, &asked) && asked.receipt.len > 0)
		return sq_letter_receipt(m, &asked, target, outcome);
	return (struct sq_msg){0};
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
