/* The table of settings. */
#include "proto/declaration/declaration_priv.h"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

static const char *const orders[] = {"none", "topic", "key", "strict", NULL};
static const char *const overflows[] = {"reject-publish", "drop-oldest", "drop-new", NULL};
static const char *const give_ups[] = {"dead-letter", "block", NULL};
static const char *const any[] = {"unlimited", NULL};
static const char *const brokers[] = {"default", NULL};
static const char *const never[] = {"never", NULL};
static const char *const formats[] = {"binary", "structured", "raw", NULL};
static const char *const validates[] = {"off", "optional", "required", NULL};
static const char *const replies[] = {"none", "from-request", NULL};
static const char *const queues[] = {"queue", NULL}; /* as the queue has it */

#define AT(member) offsetof(struct sq_declaration, member)

const struct sq_setting sq_settings[] = {
    {"order", SQ_SETTING_WORD, AT(order), "none", SQ_ORDER_NONE, 0, orders,
	"which messages wait for each other: `none`; those of one topic (`topic`), or of one order "
	"key, else topic (`key`), each of which is a lane; or all (`strict`). MQTT clients take "
	"from queues of `none` alone"},
    {"lease", SQ_SETTING_MS, AT(lease_ms), "30s", 1000, 12 * UINT64_C(3600000), NULL,
	"how long a puller has a message, where it asks for no time of its own"},
    {"exactly-once", SQ_SETTING_BOOL, AT(exactly_once), "false", 0, 0, NULL,
	"whether leases are stored, and live on over a restart of the broker"},
    {"max-attempts", SQ_SETTING_NUMBER, AT(max_attempts), "20", 1, UINT16_MAX, any,
	"how often a message is tried before it is given up"},
    {"retry.first", SQ_SETTING_MS, AT(retry.first_ms), "1s", 0, HOUR_S *UINT64_C(1000), NULL,
	"the wait before the second attempt"},
    {"retry.factor", SQ_SETTING_NUMBER, AT(retry.factor), "2", 1, 10, NULL,
	"by which each wait is longer than the one before"},
    {"retry.max", SQ_SETTING_MS, AT(retry.max_ms), "10m", 0, DAY_S *UINT64_C(1000), NULL,
	"the longest wait, at least the first"},
    {"retry.jitter", SQ_SETTING_BOOL, AT(retry.jitter), "true", 0, 0, NULL,
	"whether each wait is drawn between half of that and all"},
    {"on-give-up", SQ_SETTING_FLAG, AT(blocks), "dead-letter", 0, 0, give_ups,
	"what becomes of a message that had its attempts: a dead letter, or (`block`, with an "
	"`order`) it stays, and holds up its lane"},
    {"max-messages", SQ_SETTING_NUMBER, AT(max_messages), "default", 1, UINT32_MAX, brokers,
	"messages that may wait; at most, and by `default`, `queue.max-messages` of the broker"},
    {"max-bytes", SQ_SETTING_SIZE, AT(max_bytes), "default", 1024, UINT64_C(1) << 40, brokers,
	"bytes of these; at most, and by `default`, `queue.max-bytes` of the broker"},
    {"overflow", SQ_SETTING_WORD, AT(overflow), "reject-publish", SQ_OVERFLOW_REJECT_PUBLISH, 0,
	overflows,
	"what happens to a message for which there is no room: `reject-publish`, `drop-oldest` or "
	"`drop-new`"},
    {"ttl", SQ_SETTING_SECONDS, AT(ttl_s), "never", 1, 3650 * DAY_S, never,
	"after which a message leaves undelivered, where its own expiry is not earlier"},
    {"expiry", SQ_SETTING_SECONDS, AT(expiry_s), "never", 1, 3650 * DAY_S, never,
	"after which the queue ends if it has no messages, and nobody takes from it"},
    {"push.url", SQ_SETTING_TEXT, AT(push.url), "", 0, SQ_PUSH_URL_MAX, NULL,
	"where messages are posted to, `http://` or `https://`; its path may be a template, as "
	"`/of/{topic.1}`. Without it nothing is pushed"},
    {"push.format", SQ_SETTING_WORD, AT(push.format), "binary", SQ_PUSH_BINARY, 0, formats,
	"how a message looks: a CloudEvent with its attributes in headers (`binary`) or in the "
	"JSON of "
	"the body (`structured`), or the payload as it is (`raw`)"},
    {"push.batch.max", SQ_SETTING_NUMBER, AT(push.batch.max), "1", 1, SQ_PUSH_BATCH_MAX, NULL,
	"messages of one request; more than one are a batch of CloudEvents in JSON"},
    {"push.batch.bytes", SQ_SETTING_SIZE, AT(push.batch.bytes), "256Ki", 1024, 8 << 20, NULL,
	"bytes of these, but one of any size"},
    {"push.batch.linger", SQ_SETTING_MS, AT(push.batch.linger_ms), "20ms", 0, 10000, NULL,
	"how long the first message of a batch waits for others"},
    {"push.timeout", SQ_SETTING_MS, AT(push.timeout_ms), "30s", 1000, 600000, NULL,
	"for a request, from its connection to the end of the answer; a function's cold start is "
	"in it"},
    {"push.concurrency", SQ_SETTING_NUMBER, AT(push.concurrency), "20", 1, SQ_PUSH_CONCURRENCY_MAX,
	NULL, "requests at a time; of a lane there is one"},
    {"push.rate", SQ_SETTING_RATE, AT(push.rate), "unlimited", 1, 1000000, any,
	"requests in a second, minute or hour, as `100/s`, `600/m`, `50/h`"},
    {"push.retry.first", SQ_SETTING_MS, AT(push.retry.first_ms), "queue", 1, HOUR_S *UINT64_C(1000),
	queues, "the wait before the second attempt, in place of the queue's `retry.first`"},
    {"push.retry.factor", SQ_SETTING_NUMBER, AT(push.retry.factor), "queue", 1, 10, queues,
	"by which each wait is longer than the one before"},
    {"push.retry.max", SQ_SETTING_MS, AT(push.retry.max_ms), "queue", 1, DAY_S *UINT64_C(1000),
	queues, "the longest wait, at least the first"},
    {"push.retry.jitter", SQ_SETTING_BOOL, AT(push.retry.jitter), "true", 0, 0, NULL,
	"whether each wait is drawn between half of that and all, where `retry.jitter` says so, "
	"too"},
    {"push.retry.attempts", SQ_SETTING_NUMBER, AT(push.attempts), "queue", 1, UINT16_MAX, queues,
	"how often a message is tried before it is given up, in place of `max-attempts`"},
    {"push.retry.for", SQ_SETTING_MS, AT(push.for_ms), "unlimited", 1000,
	365 * DAY_S *UINT64_C(1000), any, "how long after its arrival a message is tried again"},
    {"push.breaker.failures", SQ_SETTING_NUMBER, AT(push.breaker.failures), "5", 1, 1000, NULL,
	"failures on end of an origin (scheme, host and port) after which nothing is posted there "
	"for "
	"a while"},
    {"push.breaker.probe", SQ_SETTING_MS, AT(push.breaker.probe_ms), "5s", 100,
	HOUR_S *UINT64_C(1000), NULL, "that while, after which one message is tried; it doubles"},
    {"push.breaker.max", SQ_SETTING_MS, AT(push.breaker.max_ms), "5m", 100, DAY_S *UINT64_C(1000),
	NULL, "the longest, at least the first"},
    {"push.http2", SQ_SETTING_BOOL, AT(push.http2), "false", 0, 0, NULL,
	"whether HTTP/2 is offered to an `https` target"},
    {"push.ca-file", SQ_SETTING_FILE, AT(push.ca_file), "", 0, SQ_PUSH_TEXT_MAX, NULL,
	"a PEM file of the authorities that the target's certificate is checked by, in place of "
	"the "
	"system's"},
    {"push.auth.bearer", SQ_SETTING_SECRET, AT(push.auth.bearer.name), "", 0, 0, NULL,
	"a token for `authorization: Bearer`"},
    {"push.auth.bearer-file", SQ_SETTING_FILE, AT(push.auth.bearer.file), "", 0, SQ_PUSH_TEXT_MAX,
	NULL, "the same, as a projected volume has it"},
    {"push.auth.oidc-file", SQ_SETTING_FILE, AT(push.auth.bearer.file), "", 0, SQ_PUSH_TEXT_MAX,
	NULL, NULL},
    {"push.auth.basic", SQ_SETTING_SECRET, AT(push.auth.basic.name), "", 0, 0, NULL,
	"`user:password` for `authorization: Basic`"},
    {"push.auth.basic-file", SQ_SETTING_FILE, AT(push.auth.basic.file), "", 0, SQ_PUSH_TEXT_MAX,
	NULL, "the same"},
    {"push.auth.client-cert", SQ_SETTING_SECRET, AT(push.auth.cert.name), "", 0, 0, NULL,
	"the broker's own certificate and key for the target, in one PEM file"},
    {"push.auth.client-cert-file", SQ_SETTING_FILE, AT(push.auth.cert.file), "", 0,
	SQ_PUSH_TEXT_MAX, NULL, "the same"},
    {"push.auth.header", SQ_SETTING_TEXT, AT(push.auth.header), "", 0, 128, NULL,
	"the name of a header for a secret, as `x-api-key`"},
    {"push.auth.value", SQ_SETTING_SECRET, AT(push.auth.value.name), "", 0, 0, NULL,
	"the secret that `push.auth.header` has"},
    {"push.auth.value-file", SQ_SETTING_FILE, AT(push.auth.value.file), "", 0, SQ_PUSH_TEXT_MAX,
	NULL, "the same"},
    {"push.sign.secret", SQ_SETTING_SECRET, AT(push.sign.name), "", 0, 0, NULL,
	"the key of Standard Webhooks signatures; of two lines both sign"},
    {"push.sign.secret-file", SQ_SETTING_FILE, AT(push.sign.file), "", 0, SQ_PUSH_TEXT_MAX, NULL,
	"the same"},
    {"push.validate", SQ_SETTING_WORD, AT(push.validate), "off", SQ_PUSH_VALIDATE_OFF, 0, validates,
	"whether the target is asked by `OPTIONS` if it wants to be posted to, and must "
	"(`required`) "
	"have said so"},
    {"push.reply", SQ_SETTING_FLAG, AT(push.reply.from_request), "none", 0, 0, replies, NULL},
    {"push.reply.topic", SQ_SETTING_TEXT, AT(push.reply.topic), "", 0, SQ_PUSH_TEXT_MAX, NULL,
	"where the body of an answer is published, a template: `invoices/{topic.2}`"},
    {"push.reply.from-request", SQ_SETTING_BOOL, AT(push.reply.from_request), "false", 0, 0, NULL,
	"whether it is published to the message's response topic; in short `reply: from-request`"},
    {"push.headers", SQ_SETTING_HEADERS, AT(push.headers), "", 0, SQ_PUSH_HEADER_MAX, NULL,
	"a map of more headers, whose values are templates: `x-tenant: \"{space}\"`"},
    {"push.on.dead-letter", SQ_SETTING_STATUSES, AT(push.on.dead_letter), "", 300, 599, NULL,
	"a list of statuses, as `404` or `4xx`, with which a message becomes a dead letter"},
    {"push.on.retry", SQ_SETTING_STATUSES, AT(push.on.retry), "", 300, 599, NULL,
	"those with which it is tried again"},
    {"push.on.pause", SQ_SETTING_STATUSES, AT(push.on.pause), "", 300, 599, NULL,
	"those with which the queue is paused; of `404` and `4xx` the former counts"},
};
const size_t sq_n_settings = SQ_ARRAY_LEN(sq_settings);
