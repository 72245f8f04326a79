#include "proto/annotations/table.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/suggest.h"
#include "proto/annotations/quantity.h"
#include "proto/annotations/values.h"

enum { MEMORY_LIMIT_MIN = 4 << 20 }; /* bytes, below which no sidecar runs */

/* --- takers of what is one word --- */

static char **
word_field(struct sq_annotation_value *value, struct sq_annotations *out)
{
	return (char **)((char *)out + sq_annotation_find(value->key)->offset);
}

static void
word_keep(struct sq_annotation_value *value, struct sq_bytes word, struct sq_annotations *out)
{
	char **to = word_field(value, out);

	free(*to);
	*to = sq_xmemdup0(word.p, word.len);
}

static void
take_port(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_position at;
	struct sq_bytes word = sq_value_word(value, &at);
	char *text = sq_xmemdup0(word.p, word.len);
	uint32_t port;

	if (sq_value_count(text, 1, &port) != 0 || port > 65535)
		sq_value_wrong(value, at, "a port is a number from 1 to 65535");
	else
		out->port = (uint16_t)port;
	free(text);
}

static void
take_workload(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_position at;
	struct sq_bytes word = sq_value_word(value, &at);
	const char *why = sq_value_not_a_group(word, SQ_WORKLOAD_MAX);

	if (why != NULL)
		sq_value_wrong(value, at, "a workload's name %s", why);
	else
		word_keep(value, word, out);
}

static void
take_claim(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_position at;
	struct sq_bytes word = sq_value_word(value, &at);

	if (sq_value_subdomain(word))
		word_keep(value, word, out);
	else
		sq_value_wrong(value, at,
		    "the name of a PersistentVolumeClaim has lower-case letters, digits, - and "
		    ".; it begins and ends with a letter or digit and has at most 253 bytes");
}

static void
take_cpu(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_position at;
	struct sq_bytes word = sq_value_word(value, &at);
	const char *why;
	uint64_t milli;

	if (sq_quantity_parse((const char *)word.p, word.len, &milli, &why) != 0)
		sq_value_wrong(value, at, "'%.*s' %s", word.len < 64 ? (int)word.len : 64,
		    (const char *)word.p, why);
	else
		word_keep(value, word, out);
}

static void
take_memory(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_position at;
	struct sq_bytes word = sq_value_word(value, &at);
	const char *why = NULL;
	uint64_t milli = 0;

	if (sq_quantity_parse((const char *)word.p, word.len, &milli, &why) == 0) {
		bool limit = word_field(value, out) == &out->sidecar.memory_limit;

		why = NULL;
		if (milli % 1000 != 0)
			why = "is a fraction of a byte: m stands for thousandths, Mi for mebibytes";
		else if (limit && milli != 0 && milli / 1000 < MEMORY_LIMIT_MIN)
			why = "is less than 4Mi, in which no sidecar runs";
	}
	if (why != NULL)
		sq_value_wrong(value, at, "'%.*s' %s", word.len < 64 ? (int)word.len : 64,
		    (const char *)word.p, why);
	else
		word_keep(value, word, out);
}

static void
take_image(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_position at;
	struct sq_bytes word = sq_value_word(value, &at);
	const char *why = sq_value_not_an_image(word);

	if (why != NULL)
		sq_value_wrong(value, at, "no reference of an image: %s", why);
	else
		word_keep(value, word, out);
}

static void
take_log_level(struct sq_annotation_value *value, struct sq_annotations *out)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	struct sq_position at;
	struct sq_bytes word = sq_value_word(value, &at);

	for (size_t i = 0; i < SQ_ARRAY_LEN(levels); i++) {
		if (sq_bytes_are(word, levels[i])) {
			word_keep(value, word, out);
			return;
		}
	}
	sq_value_wrong(value, at, "a log level is debug, info, warn or error");
}

/* --- the table --- */

#define KEY(name) SQ_ANNOTATION_PREFIX name
#define FIELD(field) offsetof(struct sq_annotations, field)
#define QUANTITY "a quantity, as "

const struct sq_annotation_def sq_annotation_defs[] = {
    {SQ_ANNOTATION_SUBSCRIBE,
	"a filter, a comma list of filters, a YAML list, or a map of `strict`, `allow` and "
	"`subscriptions`",
	"none",
	"What the pod receives without a SUBSCRIBE, and what its clients may subscribe to: see "
	"[Subscriptions from annotations](user-guide.md#subscriptions-from-annotations).",
	true, true, 0, sq_take_subscribe},
    {SQ_ANNOTATION_PUBLISH, "a YAML list of rules, or a map of `strict` and `rules`", "none",
	"Rules for what the pod publishes: see [Publish rules](user-guide.md#publish-rules).", true,
	true, 0, sq_take_publish},
    {SQ_ANNOTATION_CLIENT_ID, "a glob, a comma list of globs, or a YAML list",
	"the sidecar chooses",
	"Which of the pod's MQTT clients gets the declared messages: the first of these that is "
	"there.",
	true, true, 0, sq_take_client_id},
    {SQ_ANNOTATION_OUTBOX, "`memory` or `disk`, with a size: `disk: 1Gi`", "`memory: 8Mi`",
	"Where publishes wait for a broker: see [The outbox](user-guide.md#outbox). `disk` "
	"needs `sqmqos.io/outbox-claim`.",
	false, true, 0, sq_take_outbox},
    {SQ_ANNOTATION_OUTBOX_CLAIM, "the name of a PersistentVolumeClaim", "none",
	"The volume of a disk outbox, in the pod's namespace. Only the sidecar mounts it.", false,
	false, FIELD(outbox_claim), take_claim},
    {SQ_ANNOTATION_PORT, "1 to 65535", "`1883`", "Where the app finds MQTT, on localhost.", false,
	false, 0, take_port},
    {SQ_ANNOTATION_WORKLOAD, "a name without `/ + # :`", "the name of the pod's owner",
	"The name of the workload, which is the default group of what it declares.", false, false,
	FIELD(workload), take_workload},
    {SQ_ANNOTATION_SCALE, "a map of `min`, `max` and `per`", "none",
	"How many pods the workload has, by what waits for them: see [Scale by "
	"backlog](kubernetes.md#scale-by-backlog).",
	false, false, 0, sq_take_scale},
    {KEY("sidecar-cpu-request"), QUANTITY "`5m` or `0.1`", "the chart's",
	"CPU that is reserved for the sidecar.", false, false, FIELD(sidecar.cpu_request),
	take_cpu},
    {KEY("sidecar-cpu-limit"), QUANTITY "`500m` or `1`", "the chart's",
	"CPU that the sidecar may use.", false, false, FIELD(sidecar.cpu_limit), take_cpu},
    {KEY("sidecar-memory-request"), QUANTITY "`8Mi`", "the chart's",
	"Memory that is reserved for the sidecar.", false, false, FIELD(sidecar.memory_request),
	take_memory},
    {KEY("sidecar-memory-limit"), QUANTITY "`64Mi`; at least `4Mi`", "the chart's",
	"Memory that the sidecar may use, an outbox in memory included.", false, false,
	FIELD(sidecar.memory_limit), take_memory},
    {KEY("sidecar-image"), "a reference, as `registry.example/sqmqos/sidecar:0.1.0`", "the chart's",
	"The sidecar's image.", false, false, FIELD(sidecar.image), take_image},
    {KEY("sidecar-log-level"), "`debug`, `info`, `warn` or `error`", "the chart's",
	"Least severe lines that the sidecar logs.", false, false, FIELD(sidecar.log_level),
	take_log_level},
};
const size_t sq_annotation_defs_n = SQ_ARRAY_LEN(sq_annotation_defs);

const struct sq_annotation_def *
sq_annotation_find(const char *key)
{
	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		if (strcmp(key, sq_annotation_defs[i].key) == 0)
			return &sq_annotation_defs[i];
	}
	return NULL;
}

const struct sq_annotation_def *
sq_annotation_nearest(const char *key)
{
	/* The prefix, which they all have, must not make them near. */
	size_t skip = sizeof SQ_ANNOTATION_PREFIX - 1;
	struct sq_suggest s;

	if (strncmp(key, SQ_ANNOTATION_PREFIX, skip) != 0)
		return NULL;
	s = sq_suggest_start(key + skip, strlen(key + skip));
	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		const char *word = sq_annotation_defs[i].key;

		sq_suggest_offer(&s, word + skip, strlen(word + skip), word, strlen(word));
	}
	return s.best != NULL ? sq_annotation_find(s.best) : NULL;
}

void
sq_annotations_markdown(struct sq_buf *out)
{
	sq_buf_printf(
	    out, "| annotation | value | default | an edit counts | |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		const struct sq_annotation_def *d = &sq_annotation_defs[i];

		sq_buf_printf(out, "| `%s` | %s | %s | %s | %s |\n", d->key, d->type, d->def,
		    d->live ? "in the running pod" : "in the next pod", d->help);
	}
}
