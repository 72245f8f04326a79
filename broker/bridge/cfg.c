/* The table of bridges, and files of them. */
#include "broker/bridge/cfg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/cfg_priv.h"
#include "core/mem.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR ((uint64_t)60 * MINUTE)
#define KIB 1024
#define MIB (KIB * KIB)
#define GIB ((uint64_t)KIB * MIB)

#define OF(member) offsetof(struct sq_bridge_cfg, member)
#define OUT(member) offsetof(struct sq_bridge_out, member)
#define IN(member) offsetof(struct sq_bridge_in, member)

const char *const sq_bridge_kind_names[] = {
    [SQ_BRIDGE_KIND_AMQP] = "amqp", [SQ_BRIDGE_KIND_SQS] = "sqs", NULL};

static const char *const overflows[] = {
    [SQ_BRIDGE_REJECT] = "reject-publish", [SQ_BRIDGE_DROP_OLDEST] = "drop-oldest", NULL};
static const char *const unroutables[] = {
    [SQ_BRIDGE_UNROUTABLE_LETTER] = "dead-letter", [SQ_BRIDGE_UNROUTABLE_RETRY] = "retry", NULL};
static const char *const dedups[] = {[SQ_BRIDGE_DEDUP_AUTO] = "auto",
    [SQ_BRIDGE_DEDUP_MESSAGE_ID] = "message-id",
    [SQ_BRIDGE_DEDUP_NONE] = "none",
    NULL};
static const char *const formats[] = {
    [SQ_BRIDGE_FORMAT_RAW] = "raw", [SQ_BRIDGE_FORMAT_CLOUDEVENTS] = "cloudevents", NULL};
static const char *const unwraps[] = {[SQ_BRIDGE_UNWRAP_NONE] = "none",
    [SQ_BRIDGE_UNWRAP_SNS] = "sns",
    [SQ_BRIDGE_UNWRAP_EVENTBRIDGE] = "eventbridge",
    NULL};
static const char *const the_brokers[] = {"default", NULL},
			 *const unlimited[] = {"unlimited", NULL},
			 *const auto_word[] = {"auto", NULL};

static const char below[] = "bridges.*.";

enum { HAS_FIRST = 2 }; /* rows that a bridge must have, and an in[] */

const struct sq_config_key sq_bridge_keys[] = {
    {"bridges", SQ_CFG_NAMED, offsetof(struct sq_bridge_cfgs, bridges), NULL,
	sizeof(struct sq_bridge_cfg), HAS_FIRST, NULL,
	"the bridges of this file, by names of up to 64 of A-Z a-z 0-9 _ -, each once over all "
	"files",
	false},
    {"bridges.*.space", SQ_CFG_STRING, OF(space), NULL, 0, 0, NULL,
	"the space whose messages go out, and come in", false},
    {"bridges.*.kind", SQ_CFG_ENUM, OF(kind), NULL, 0, 0, sq_bridge_kind_names,
	"what is on the other side: RabbitMQ (AMQP 0.9.1), or Amazon SQS", false},
    {"bridges.*.out", SQ_CFG_RECORDS, OF(out), NULL, sizeof(struct sq_bridge_out), 0, NULL,
	"what goes out, and where: the first of these that a message matches counts", false},
    {"bridges.*.out[].filter", SQ_CFG_STRING, OUT(filter), NULL, 0, 0, NULL,
	"topics, as of a subscription; this, `tag`, or both", false},
    {"bridges.*.out[].tag", SQ_CFG_STRING, OUT(tag), NULL, 0, 0, NULL, "messages of that tag",
	false},
    {"bridges.*.out[].qos", SQ_CFG_UINT, OUT(qos), "1", 1, 2, NULL,
	"the most with which messages go into the bridge's queue", false},
    {"bridges.*.out[].to.exchange", SQ_CFG_STRING, OUT(exchange), NULL, 0, 0, NULL,
	"amqp: the exchange, a template of {space} and {queue}; the default one, whose keys are "
	"names of queues, where there is none",
	false},
    {"bridges.*.out[].to.key", SQ_CFG_STRING, OUT(key), NULL, 0, 0, NULL,
	"amqp: the routing key, a template; `{topic.*:.}` where there is none", false},
    {"bridges.*.out[].to.type", SQ_CFG_STRING, OUT(type), NULL, 0, 0, NULL,
	"amqp: the type of an exchange that `declare` makes; `topic` where there is none", false},
    {"bridges.*.out[].to.queue", SQ_CFG_STRING, OUT(queue), NULL, 0, 0, NULL,
	"sqs: the queue, its name or its URL", false},
    {"bridges.*.out[].to.account", SQ_CFG_STRING, OUT(account), NULL, 0, 0, NULL,
	"sqs: the account that has the queue of that name; the bridge's own where there is none",
	false},
    {"bridges.*.out[].to.group", SQ_CFG_STRING, OUT(group), NULL, 0, 0, NULL,
	"sqs: the group of a message in a FIFO queue, a template; its order key, else its topic, "
	"where "
	"there is none",
	false},
    {"bridges.*.in", SQ_CFG_RECORDS, OF(in), NULL, sizeof(struct sq_bridge_in), HAS_FIRST, NULL,
	"what comes in, and where", false},
    {"bridges.*.in[].queue", SQ_CFG_STRING, IN(queue), NULL, 0, 0, NULL,
	"the peer's queue; of sqs its name or its URL", false},
    {"bridges.*.in[].to", SQ_CFG_STRING, IN(to), NULL, 0, 0, NULL,
	"the topic that its messages are published to, a template", false},
    {"bridges.*.in[].account", SQ_CFG_STRING, IN(account), NULL, 0, 0, NULL,
	"sqs: the account that has the queue of that name; the bridge's own where there is none",
	false},
    {"bridges.*.in[].qos", SQ_CFG_UINT, IN(qos), "1", 0, 2, NULL, "with which QoS", false},
    {"bridges.*.in[].tag", SQ_CFG_STRING, IN(tag), NULL, 0, 0, NULL,
	"with that tag, in place of those that they have", false},
    {"bridges.*.in[].prefetch", SQ_CFG_UINT, IN(prefetch), "500", 1, 65535, NULL,
	"messages that may be on their way in at a time", false},
    {"bridges.*.in[].type", SQ_CFG_STRING, IN(type), NULL, 0, 0, NULL,
	"amqp: the type of a queue that `declare` makes; `quorum` where there is none", false},
    {"bridges.*.in[].exchange", SQ_CFG_STRING, IN(exchange), NULL, 0, 0, NULL,
	"amqp: the exchange that `declare` binds the queue to", false},
    {"bridges.*.in[].bind", SQ_CFG_STRING, IN(bind), NULL, 0, 0, NULL,
	"amqp: by which key; `#` where there is none", false},
    {"bridges.*.in[].parallel", SQ_CFG_UINT, IN(parallel), "4", 1, 64, NULL,
	"sqs: calls at a time that wait for messages", false},
    {"bridges.*.in[].unwrap", SQ_CFG_ENUM, IN(unwrap), "none", 0, 0, unwraps,
	"sqs: the envelope that messages have, which is taken off", false},
    {"bridges.*.connections", SQ_CFG_UINT, OF(connections), "1", 1, 16, NULL,
	"amqp: connections of each direction, over the nodes of `url`", false},
    {"bridges.*.window", SQ_CFG_UINT, OF(window), "1000", 1, 65535, NULL,
	"messages that are on their way out at a time", false},
    {"bridges.*.max-hops", SQ_CFG_UINT, OF(max_hops), "8", 1, 64, NULL,
	"bridges that a message may have passed, this one too", false},
    {"bridges.*.limits.max-messages", SQ_CFG_UINT, OF(max_messages), "default", 1, UINT32_MAX,
	the_brokers,
	"messages that may wait for the peer; at most, and by `default`, `queue.max-messages` of "
	"the "
	"broker",
	false},
    {"bridges.*.limits.max-bytes", SQ_CFG_SIZE, OF(max_bytes), "default", KIB, KIB *GIB,
	the_brokers, "bytes of these; at most, and by `default`, `queue.max-bytes` of the broker",
	false},
    {"bridges.*.limits.max-attempts", SQ_CFG_UINT, OF(max_attempts), "unlimited", 1, 65535,
	unlimited, "times that a message is sent before it becomes a dead letter", false},
    {"bridges.*.limits.overflow", SQ_CFG_ENUM, OF(overflow), "reject-publish", 0, 0, overflows,
	"what happens to a message for which there is no room", false},
    {"bridges.*.dedup.by", SQ_CFG_ENUM, OF(dedup), "auto", 0, 0, dedups,
	"by what copies are known that come in: `auto` is the origin that another SQMQOS writes, "
	"and "
	"the id that sqs itself gives; `message-id` is amqp's, too, which apps set",
	false},
    {"bridges.*.dedup.for", SQ_CFG_DURATION, OF(dedup_for_ms), "auto", SECOND, 7 * 24 * HOUR,
	auto_word,
	"how long a copy is known; `auto` is 15m, and of sqs ten times `visibility` at least",
	false},
    {"bridges.*.dedup.max", SQ_CFG_UINT, OF(dedup_max), "100000", 1, 10000000, NULL,
	"of how many messages, at most; the oldest go first", false},
    {"bridges.*.tls.ca-file", SQ_CFG_STRING, OF(ca_file), NULL, 0, 0, NULL,
	"authorities (PEM) that the peer is verified by; those of the system where there is none",
	false},
    {"bridges.*.tls.cert-file", SQ_CFG_STRING, OF(cert_file), NULL, 0, 0, NULL,
	"amqp: the certificate (PEM) that the peer is shown", false},
    {"bridges.*.tls.key-file", SQ_CFG_STRING, OF(key_file), NULL, 0, 0, NULL, "amqp: its key (PEM)",
	false},
    {"bridges.*.url", SQ_CFG_LIST, OF(urls), NULL, 0, 0, NULL,
	"amqp: the nodes of the peer, which are tried in turn: `amqps://host:5671/vhost`; 1 to 16",
	false},
    {"bridges.*.credentials.user-file", SQ_CFG_STRING, OF(user_file), NULL, 0, 0, NULL,
	"amqp: the file that has the user's name", false},
    {"bridges.*.credentials.password-file", SQ_CFG_STRING, OF(password_file), NULL, 0, 0, NULL,
	"amqp: the file that has the password", false},
    {"bridges.*.declare", SQ_CFG_BOOL, OF(declare), "false", 0, 0, NULL,
	"amqp: whether exchanges, queues and bindings that are named here are made at the peer",
	false},
    {"bridges.*.on-unroutable", SQ_CFG_ENUM, OF(unroutable), "dead-letter", 0, 0, unroutables,
	"amqp: what becomes of a message that no queue of the peer wants", false},
    {"bridges.*.heartbeat", SQ_CFG_DURATION, OF(heartbeat_ms), "10s", SECOND, 10 * MINUTE, NULL,
	"amqp: without a word for twice that long a connection is lost", false},
    {"bridges.*.credentials.access-key-file", SQ_CFG_STRING, OF(access_key_file), NULL, 0, 0, NULL,
	"sqs: the file that has the id of the access key; without it, what the environment has",
	false},
    {"bridges.*.credentials.secret-key-file", SQ_CFG_STRING, OF(secret_key_file), NULL, 0, 0, NULL,
	"sqs: the file that has the secret access key", false},
    {"bridges.*.credentials.session-token-file", SQ_CFG_STRING, OF(session_token_file), NULL, 0, 0,
	NULL, "sqs: the file that has the session token of a temporary key", false},
    {"bridges.*.credentials.role-arn", SQ_CFG_STRING, OF(role_arn), NULL, 0, 0, NULL,
	"sqs: a role that is taken on with these credentials, as of another account", false},
    {"bridges.*.credentials.sts-endpoint", SQ_CFG_STRING, OF(sts_endpoint), NULL, 0, 0, NULL,
	"sqs: the URL of STS, where it is not the region's own", false},
    {"bridges.*.endpoint", SQ_CFG_STRING, OF(endpoint), NULL, 0, 0, NULL,
	"sqs: the URL of the service, where it is not the region's own: a VPC endpoint, an "
	"emulator",
	false},
    {"bridges.*.region", SQ_CFG_STRING, OF(region), NULL, 0, 0, NULL,
	"sqs: the region; `AWS_REGION` of the environment where there is none", false},
    {"bridges.*.parallel", SQ_CFG_UINT, OF(parallel), "8", 1, 64, NULL,
	"sqs: calls at a time that send", false},
    {"bridges.*.max-size", SQ_CFG_SIZE, OF(max_size), "1Mi", KIB, MIB, NULL,
	"sqs: bytes of a message that goes out, with its attributes; queues may take fewer", false},
    {"bridges.*.format", SQ_CFG_ENUM, OF(format), "raw", 0, 0, formats,
	"sqs: what the body is: the payload, or a CloudEvent with it", false},
    {"bridges.*.wait", SQ_CFG_DURATION, OF(wait_ms), "20s", SECOND, 20 * SECOND, NULL,
	"sqs: how long a call waits for messages", false},
    {"bridges.*.visibility", SQ_CFG_DURATION, OF(visibility_ms), "30s", SECOND, 12 * HOUR, NULL,
	"sqs: how long a message that comes in is hidden from others; made longer while it is on "
	"its way",
	false},
};
const size_t sq_bridge_keys_n = SQ_ARRAY_LEN(sq_bridge_keys);

/* --- of one kind --- */

/* Keys that one kind alone has, below the bridge. */
static const struct {
	const char *name;
	enum sq_bridge_kind_index kind;
} only[] = {
    {"out[].to.exchange", SQ_BRIDGE_KIND_AMQP},
    {"out[].to.key", SQ_BRIDGE_KIND_AMQP},
    {"out[].to.type", SQ_BRIDGE_KIND_AMQP},
    {"out[].to.queue", SQ_BRIDGE_KIND_SQS},
    {"out[].to.account", SQ_BRIDGE_KIND_SQS},
    {"out[].to.group", SQ_BRIDGE_KIND_SQS},
    {"in[].account", SQ_BRIDGE_KIND_SQS},
    {"in[].type", SQ_BRIDGE_KIND_AMQP},
    {"in[].exchange", SQ_BRIDGE_KIND_AMQP},
    {"in[].bind", SQ_BRIDGE_KIND_AMQP},
    {"in[].parallel", SQ_BRIDGE_KIND_SQS},
    {"in[].unwrap", SQ_BRIDGE_KIND_SQS},
    {"connections", SQ_BRIDGE_KIND_AMQP},
    {"tls.cert-file", SQ_BRIDGE_KIND_AMQP},
    {"tls.key-file", SQ_BRIDGE_KIND_AMQP},
    {"url", SQ_BRIDGE_KIND_AMQP},
    {"credentials.user-file", SQ_BRIDGE_KIND_AMQP},
    {"credentials.password-file", SQ_BRIDGE_KIND_AMQP},
    {"declare", SQ_BRIDGE_KIND_AMQP},
    {"on-unroutable", SQ_BRIDGE_KIND_AMQP},
    {"heartbeat", SQ_BRIDGE_KIND_AMQP},
    {"credentials.access-key-file", SQ_BRIDGE_KIND_SQS},
    {"credentials.secret-key-file", SQ_BRIDGE_KIND_SQS},
    {"credentials.session-token-file", SQ_BRIDGE_KIND_SQS},
    {"credentials.role-arn", SQ_BRIDGE_KIND_SQS},
    {"credentials.sts-endpoint", SQ_BRIDGE_KIND_SQS},
    {"endpoint", SQ_BRIDGE_KIND_SQS},
    {"region", SQ_BRIDGE_KIND_SQS},
    {"parallel", SQ_BRIDGE_KIND_SQS},
    {"max-size", SQ_BRIDGE_KIND_SQS},
    {"format", SQ_BRIDGE_KIND_SQS},
    {"wait", SQ_BRIDGE_KIND_SQS},
    {"visibility", SQ_BRIDGE_KIND_SQS},
};

static const struct sq_config_key *
only_row(const char *name)
{
	for (size_t i = 0; i < sq_bridge_keys_n; i++) {
		const char *key = sq_bridge_keys[i].name;

		if (strncmp(key, below, strlen(below)) == 0 &&
		    strcmp(key + strlen(below), name) == 0)
			return &sq_bridge_keys[i];
	}
	abort(); /* the lists contradict each other */
}

static int
only_fault(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	sq_buf_printf(err, ": %s has no such thing", sq_bridge_kind_names[c->kind]);
	return SQ_EINVAL;
}

/* The same of rules, where the key stands below 'list'. */
static int
only_in_rules(const struct sq_bridge_cfg *c, const struct sq_config_records *rules, size_t size,
    const char *list, const char *name, struct sq_buf *err)
{
	const struct sq_config_key *row = only_row(name);

	for (size_t i = 0; i < rules->n; i++) {
		if (sq_config_is_default((const char *)rules->v + i * size, row))
			continue;
		sq_buf_printf(err, "%s[%zu]%s", list, i, name + strlen(list) + strlen("[]"));
		return only_fault(c, err);
	}
	return SQ_OK;
}

int
sq_bridge_cfg_check_kind(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	int rc = SQ_OK;

	for (size_t i = 0; i < SQ_ARRAY_LEN(only) && rc == SQ_OK; i++) {
		const char *name = only[i].name;

		if (only[i].kind == c->kind)
			continue;
		if (strncmp(name, "out[]", strlen("out[]")) == 0) {
			rc = only_in_rules(
			    c, &c->out, sizeof(struct sq_bridge_out), "out", name, err);
		} else if (strncmp(name, "in[]", strlen("in[]")) == 0) {
			rc = only_in_rules(c, &c->in, sizeof(struct sq_bridge_in), "in", name, err);
		} else if (!sq_config_is_default(c, only_row(name))) {
			sq_buf_printf(err, "%s", name);
			rc = only_fault(c, err);
		}
	}
	return rc;
}

/* What a kind has where a file says nothing. */
static void
only_defaults(struct sq_bridge_cfg *c)
{
	enum { DEDUP_MS = 15 * MINUTE, VISIBILITIES = 10 };
	struct sq_bridge_out *out = c->out.v;
	struct sq_bridge_in *in = c->in.v;

	for (size_t i = 0; i < c->out.n; i++) {
		if (c->kind == SQ_BRIDGE_KIND_AMQP && out[i].key == NULL && out[i].exchange != NULL)
			out[i].key = sq_xstrdup("{topic.*:.}");
	}
	for (size_t i = 0; i < c->in.n; i++) {
		if (in[i].exchange != NULL && in[i].bind == NULL)
			in[i].bind = sq_xstrdup("#");
	}
	if (c->dedup_for_ms == 0) {
		c->dedup_for_ms = DEDUP_MS;
		if (c->kind == SQ_BRIDGE_KIND_SQS &&
		    c->dedup_for_ms < VISIBILITIES * c->visibility_ms)
			c->dedup_for_ms = VISIBILITIES * c->visibility_ms;
	}
}

/* --- files --- */

/* Where the rule stands that a fault begins with, "out[3].to.key: ..."; else the bridge. */
static const char *
file_where(const struct sq_bridge_cfg *c, const char *fault)
{
	size_t out = 0, in = 0;

	if (sscanf(fault, "out[%5zu]", &out) == 1 && out < c->out.n)
		return sq_bridge_cfg_out(c, out)->record.where;
	if (sscanf(fault, "in[%5zu]", &in) == 1 && in < c->in.n)
		return sq_bridge_cfg_in(c, in)->record.where;
	return c->record.where;
}

/* Appends a line about a fault of a bridge. */
static void
file_fault(const struct sq_bridge_cfg *c, struct sq_buf *fault, struct sq_buf *err)
{
	const char *text;

	sq_buf_u8(fault, '\0');
	text = (const char *)sq_buf_data(fault);
	sq_buf_printf(err, "%s%s: bridges.%s.%s", sq_buf_len(err) > 0 ? "\n" : "",
	    file_where(c, text), c->record.name, text);
}

int
sq_bridge_cfgs_read(const char *source, struct sq_bytes text, sq_bridge_check *check,
    struct sq_bridge_cfgs *out, struct sq_buf *err)
{
	int rc;

	*out = (struct sq_bridge_cfgs){0};
	rc = sq_config_yaml(out, sq_bridge_keys, sq_bridge_keys_n, source, text.p, text.len, err);
	if (rc != SQ_OK)
		return rc;
	for (size_t i = 0; i < out->bridges.n; i++) {
		struct sq_bridge_cfg *c = &((struct sq_bridge_cfg *)out->bridges.v)[i];
		struct sq_buf fault = {0};
		int bad = sq_bridge_cfg_check_kind(c, &fault);

		only_defaults(c);
		if (bad == SQ_OK)
			bad = sq_bridge_cfg_check(c, &fault);
		if (bad == SQ_OK && check != NULL)
			bad = check(c, &fault);
		if (bad != SQ_OK) {
			file_fault(c, &fault, err);
			rc = SQ_EINVAL;
		}
		sq_buf_fini(&fault);
	}
	return rc;
}

void
sq_bridge_cfgs_fini(struct sq_bridge_cfgs *c)
{
	sq_config_free(c, sq_bridge_keys, sq_bridge_keys_n);
}

bool
sq_bridge_cfg_equal(const struct sq_bridge_cfg *a, const struct sq_bridge_cfg *b)
{
	struct sq_bridge_cfgs x = {.bridges = {(void *)(uintptr_t)a, 1}},
			      y = {.bridges = {(void *)(uintptr_t)b, 1}};
	struct sq_buf names = {0};
	bool equal = sq_config_differ(&x, &y, sq_bridge_keys, sq_bridge_keys_n, 0, &names) == 0;

	sq_buf_fini(&names);
	return equal;
}

/* Appends a row of the table without the column of what is live, which all are, and what all keys begin
 * with. */
static void
markdown_row(const char *row, size_t len, struct sq_buf *out)
{
	enum { KEY, VALUE, DEFAULT, LIVE };
	static const char between[] = " | ";
	const char *end = row + len;

	for (unsigned column = KEY; row < end; column++) {
		const char *next = memmem(row, (size_t)(end - row), between, strlen(between));
		size_t n = next != NULL ? (size_t)(next - row) + strlen(between)
					: (size_t)(end - row);
		size_t skip = strlen("| `") + strlen(below);

		if (column == KEY && n > skip &&
		    memcmp(row + strlen("| `"), below, strlen(below)) == 0)
			sq_buf_printf(out, "| `%.*s", (int)(n - skip), row + skip);
		else if (column != LIVE)
			sq_buf_append(out, row, n);
		row += n;
	}
}

void
sq_bridge_cfg_markdown(struct sq_buf *out)
{
	struct sq_buf table = {0};
	const char *at, *end;

	sq_config_markdown(sq_bridge_keys, sq_bridge_keys_n, &table);
	sq_buf_u8(&table, '\0');
	for (at = (const char *)sq_buf_data(&table); *at != '\0'; at = end + 1) {
		end = strchr(at, '\n');
		if (strncmp(at, "|---", 4) == 0)
			sq_buf_printf(out, "|---|---|---|---|");
		else
			markdown_row(at, (size_t)(end - at), out);
		sq_buf_u8(out, '\n');
	}
	sq_buf_fini(&table);
}
