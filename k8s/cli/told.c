/* Annotations in words; see told.h. */
#include "k8s/cli/told.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
told_seconds(struct sq_buf *out, uint32_t s)
{
	static const struct {
		uint32_t seconds;
		const char *one, *many;
	} units[] = {{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"},
	    {1, "second", "seconds"}};
	size_t i = 0;

	while (s % units[i].seconds != 0)
		i++;
	s /= units[i].seconds;
	sq_buf_printf(out, "%u %s", s, s == 1 ? units[i].one : units[i].many);
}

static void
told_bytes(struct sq_buf *out, uint64_t n)
{
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
	size_t i = 0;

	while (i < 4 && n >= 1024 && n % 1024 == 0) {
		n /= 1024;
		i++;
	}
	sq_buf_printf(out, "%llu%s", (unsigned long long)n, units[i]);
}

/* --- queues --- */

static const char *
group_of(const struct sq_declaration *d, const char *workload)
{
	return d->group != NULL ? d->group : workload;
}

static bool
same_queue(const struct sq_declaration *a, const struct sq_declaration *b, const char *workload)
{
	if (a->pod || b->pod)
		return a->pod && b->pod;
	if (a->queue == NULL || b->queue == NULL)
		return a->queue == b->queue &&
		    strcmp(group_of(a, workload), group_of(b, workload)) == 0;
	return strcmp(group_of(a, workload), group_of(b, workload)) == 0;
}

static void
told_overflow(const struct sq_declaration *d, struct sq_buf *out)
{
	const char *name = d->overflow != 0 ? sq_overflow_name(d->overflow) : NULL;

	if (name == NULL && d->durable)
		sq_buf_printf(out,
		    "; when it is full publishes are refused while a pod takes from it, else the "
		    "oldest become dead letters\n");
	else if (name == NULL)
		sq_buf_printf(out, "\n");
	else if (strcmp(name, "drop-oldest") == 0)
		sq_buf_printf(out, "; when it is full the oldest ones make room\n");
	else if (strcmp(name, "drop-new") == 0)
		sq_buf_printf(out, "; when it is full new ones are dropped\n");
	else
		sq_buf_printf(out, "; when it is full publishes are refused\n");
}

static void
told_keeping(const struct sq_declaration *d, struct sq_buf *out)
{
	if (d->pod) {
		sq_buf_printf(out, "    ends with its pod\n");
		return;
	}
	if (!d->durable) {
		sq_buf_printf(out, "    is not kept: it ends when no pod is there\n");
		return;
	}
	sq_buf_printf(out, "    is kept while no pod is there, for ");
	if (d->expiry_s == 0)
		sq_buf_printf(
		    out, "as long as the broker's queue.expiry says (a week, unless it is set)");
	else
		told_seconds(out, d->expiry_s);
	sq_buf_printf(out, "\n");
}

static void
told_limits(const struct sq_declaration *d, struct sq_buf *out)
{
	if (d->max_length != 0)
		sq_buf_printf(out, "    at most %u messages wait", d->max_length);
	else
		sq_buf_printf(
		    out, "    as many messages wait as the broker's queue.max-messages says");
	told_overflow(d, out);
	if (d->max_attempts != 0)
		sq_buf_printf(out,
		    "    a message with which the app fails %u time%s goes to the dead letters\n",
		    d->max_attempts, d->max_attempts == 1 ? "" : "s");
	else
		sq_buf_printf(
		    out, "    a message with which the app fails comes again, without an end\n");
}

static void
told_binding(const struct sq_declaration *d, struct sq_buf *out)
{
	sq_buf_printf(out, "    takes ");
	if (d->tag != NULL)
		sq_buf_printf(out, "messages with the tag %s of ", d->tag);
	sq_buf_printf(out, "%s, delivered at QoS %u at most", d->filter, d->qos);
	if (d->concurrency != 0)
		sq_buf_printf(out, ", %u unfinished at a pod at once", d->concurrency);
	sq_buf_printf(out, "\n");
}

/* A named queue, which is declared elsewhere. */
static void
told_joined(const struct sq_declaration *d, struct sq_buf *out)
{
	sq_buf_printf(out,
	    "  the named queue %s: each message goes to one of those that take from it\n"
	    "    what comes into it, and how it is kept, is said where it is declared\n",
	    d->queue);
	if (d->concurrency != 0)
		sq_buf_printf(out, "    %u unfinished at a pod at once\n", d->concurrency);
}

/* The queue of entry 'first', and all entries that share it. */
static void
told_queue(const struct sq_declarations *ds, size_t first, const char *workload, struct sq_buf *out)
{
	const struct sq_declaration *d = &ds->v[first];

	if (d->queue != NULL) {
		told_joined(d, out);
		return;
	}
	if (d->pod)
		sq_buf_printf(out, "  a queue of each pod's own: every pod gets a copy\n");
	else
		sq_buf_printf(out, "  queue %s, shared: each message goes to one of its pods\n",
		    group_of(d, workload));
	for (size_t i = first; i < ds->n; i++) {
		if (same_queue(d, &ds->v[i], workload))
			told_binding(&ds->v[i], out);
	}
	told_keeping(d, out);
	told_limits(d, out);
}

static void
told_client(const struct sq_client_ids *ids, struct sq_buf *out)
{
	sq_buf_printf(out, "  to the pod's MQTT client ");
	if (ids->n == 0)
		sq_buf_printf(
		    out, "that the sidecar chooses (better name it: " SQ_ANNOTATION_CLIENT_ID ")");
	for (size_t i = 0; i < ids->n; i++)
		sq_buf_printf(out, "%s%s", i > 0 ? ", or " : "with the client id ", ids->v[i]);
	sq_buf_printf(out, "\n");
}

/* What the app may subscribe to itself, where that is not everything. */
static void
told_rights(const struct sq_subscribe_rights *rights, bool declared, struct sq_buf *out)
{
	if (!rights->strict)
		return;
	for (size_t i = 0; i < rights->n; i++)
		sq_buf_printf(out,
		    "  %s: the app may subscribe to it, or to a part of it, itself\n",
		    rights->allow[i]);
	sq_buf_printf(out, "  nothing else: other subscriptions of the app%s are refused\n",
	    declared ? ", but to these filters," : "");
}

void
sq_told_subscriptions(const struct sq_annotations *a, const char *workload, struct sq_buf *out)
{
	const struct sq_declarations *ds = &a->subscribe;
	size_t k;

	if (ds->n == 0 && a->rights.strict && a->rights.n == 0) {
		sq_buf_printf(out, "  nothing: all subscriptions of the app are refused\n");
		return;
	}
	if (ds->n == 0)
		sq_buf_printf(out, "  nothing but what the app subscribes to itself\n");
	for (size_t i = 0; i < ds->n; i++) {
		for (k = 0; k < i && !same_queue(&ds->v[k], &ds->v[i], workload);)
			k++;
		if (k == i)
			told_queue(ds, i, workload, out);
	}
	if (ds->n > 0)
		told_client(&a->client_ids, out);
	told_rights(&a->rights, ds->n > 0, out);
}

/* --- rules --- */

/* One more thing that a rule does; the first stands behind its filter. */
static void SQ_PRINTF(3, 4) told_part(struct sq_buf *out, unsigned *parts, const char *fmt, ...)
{
	char text[SQ_RULE_RECEIPT_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	sq_buf_printf(out, "%s%s", (*parts)++ == 0 ? ": " : ", ", text);
}

static void
told_qos(const struct sq_publish_rule *r, unsigned *parts, struct sq_buf *out)
{
	if (r->qos >= 0)
		told_part(out, parts, "QoS %d at least", r->qos);
	if (r->key_property != NULL)
		told_part(out, parts, "once for each value of its property %s", r->key_property);
	else if (r->key_generated)
		told_part(out, parts, "with a key that is drawn");
	if (r->receipt != NULL)
		told_part(out, parts, "receipts to %s", r->receipt);
}

static void
told_rule(const struct sq_publish_rule *r, struct sq_buf *out)
{
	unsigned parts = 0;

	sq_buf_printf(out, "  %s", r->filter);
	told_qos(r, &parts, out);
	if (r->order_property != NULL)
		told_part(
		    out, &parts, "in order for each value of its property %s", r->order_property);
	if (r->retain >= 0)
		told_part(out, &parts, "%s", r->retain ? "retained" : "not retained");
	for (size_t i = 0; i < r->n_tags; i++) {
		if (i == 0)
			told_part(out, &parts, "with the tags");
		sq_buf_printf(out, " %s", r->tags[i]);
	}
	if (r->ttl_s != 0) {
		told_part(out, &parts, "expires after ");
		told_seconds(out, r->ttl_s);
	}
	if (r->delay_s != 0) {
		told_part(out, &parts, "delivered after ");
		told_seconds(out, r->delay_s);
	}
	if (parts == 0)
		told_part(out, &parts, "allowed as it is");
	sq_buf_printf(out, "\n");
}

void
sq_told_publish(const struct sq_annotations *a, struct sq_buf *out)
{
	const struct sq_publish_rules *rules = &a->publish;

	if (rules->n == 0 && !rules->strict)
		sq_buf_printf(out, "  everything, as the app publishes it\n");
	for (size_t i = 0; i < rules->n; i++)
		told_rule(&rules->v[i], out);
	if (rules->strict)
		sq_buf_printf(out, "  nothing else: other topics are refused\n");
	else if (rules->n > 0)
		sq_buf_printf(out, "  everything else as the app publishes it\n");
}

void
sq_told_scale(const struct sq_annotations *a, struct sq_buf *out)
{
	const struct sq_scale *s = &a->scale;

	if (!s->set)
		return;
	sq_buf_printf(out,
	    "Scaled by KEDA, with the ScaledObject that inject and scale print:\n"
	    "  %u to %u pods, one for each %u message%s in the fullest of its shared queues\n",
	    s->min, s->max, s->per, s->per == 1 ? "" : "s");
}

void
sq_told_outbox(const struct sq_annotations *a, struct sq_buf *out)
{
	const struct sq_outbox_annotation *o = &a->outbox;

	if (o->set && o->mode == SQ_OUTBOX_DISK)
		sq_buf_printf(out,
		    "  on the claim %s, acknowledged as soon as they are synced there",
		    a->outbox_claim != NULL ? a->outbox_claim : "?");
	else
		sq_buf_printf(out, "  unacknowledged, in the sidecar's memory");
	if (o->set && o->size != 0) {
		sq_buf_printf(out, ", at most ");
		told_bytes(out, o->size);
	}
	sq_buf_printf(out, "\n");
}
