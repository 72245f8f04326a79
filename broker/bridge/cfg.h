/* The configuration of bridges: files of bridges.dir, each with a map "bridges:", by name.
 *
 *   bridges:
 *     to-rabbit:
 *       space: shop
 *       kind: amqp
 *       url: [amqps://rabbit.prod:5671/vhost]
 *       credentials: {user-file: /etc/rabbit/user, password-file: /etc/rabbit/password}
 *       out: [{filter: "orders/#", to: {exchange: orders, key: "{topic.*:.}"}}]
 *       in: [{queue: replies, to: "replies/{key:/}", prefetch: 500}]
 *
 * One table (core/config.h) names them all; docs/bridges.md has it.  Immutable once it is read. */
#ifndef SQ_BROKER_BRIDGE_CFG_H
#define SQ_BROKER_BRIDGE_CFG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "core/err.h"
#include "core/msg.h"

enum {
	SQ_BRIDGE_NAME_MAX = 64,      /* bytes: A-Z a-z 0-9 _ - */
	SQ_BRIDGE_FILE_MAX = 1 << 20, /* bytes */
	SQ_BRIDGE_URLS_MAX = 16,
};

/* Values that are not given have the kind's default, unless it says NULL.
 *
 * out[]: the first one whose filter and tag a message matches says where it goes. */
struct sq_bridge_out {
	struct sq_config_record record;
	char *filter, *tag; /* as of a binding; one of them at least */
	uint64_t qos;       /* 1 or 2 */
	/* to.* */
	/* amqp: 'exchange' NULL is the default one; templates, but for 'type' (NULL: topic), which is
	 * of an exchange that is declared. */
	char *exchange, *key, *type;
	/* sqs: a URL, or a name and (or NULL) its account; 'group' is a template, NULL: the lane. */
	char *queue, *account, *group;
};

/* in[] */
struct sq_bridge_in {
	struct sq_config_record record;
	char *queue, *account;
	char *to;          /* the topic: a template */
	uint64_t qos;      /* 0, 1 or 2 */
	char *tag;         /* that each gets; NULL: those that it has */
	uint64_t prefetch; /* messages that are not settled, at most */
	char *type;        /* amqp: of a queue that is declared; NULL: quorum */
	/* amqp: which it is bound to where it is declared; NULL: none, and "#". */
	char *exchange, *bind;
	uint64_t parallel; /* sqs: calls at a time that wait for messages */
	unsigned unwrap;   /* sqs: enum sq_bridge_unwrap */
};

/* Of sq_bridge_kind_names[]. */
enum sq_bridge_kind_index { SQ_BRIDGE_KIND_AMQP, SQ_BRIDGE_KIND_SQS };
enum sq_bridge_overflow { SQ_BRIDGE_REJECT, SQ_BRIDGE_DROP_OLDEST };
enum sq_bridge_unroutable { SQ_BRIDGE_UNROUTABLE_LETTER, SQ_BRIDGE_UNROUTABLE_RETRY };
enum sq_bridge_dedup { SQ_BRIDGE_DEDUP_AUTO, SQ_BRIDGE_DEDUP_MESSAGE_ID, SQ_BRIDGE_DEDUP_NONE };
enum sq_bridge_format { SQ_BRIDGE_FORMAT_RAW, SQ_BRIDGE_FORMAT_CLOUDEVENTS };
enum sq_bridge_unwrap { SQ_BRIDGE_UNWRAP_NONE, SQ_BRIDGE_UNWRAP_SNS, SQ_BRIDGE_UNWRAP_EVENTBRIDGE };

struct sq_bridge_cfg {
	struct sq_config_record record; /* its name, and "rabbit.yaml:3" */
	char *space;
	unsigned kind;                /* index in sq_bridge_kind_names[] */
	struct sq_config_records out; /* struct sq_bridge_out */
	struct sq_config_records in;  /* struct sq_bridge_in */
	uint64_t connections;         /* amqp: of each direction */
	uint64_t window;              /* messages that are out at a time */
	uint64_t max_hops;
	/* limits.* of the queue; 0: the broker's, and any number of attempts */
	uint64_t max_messages, max_bytes, max_attempts;
	unsigned overflow; /* enum sq_bridge_overflow */
	/* dedup.* */
	unsigned dedup; /* enum sq_bridge_dedup, dedup.by */
	uint64_t dedup_for_ms, dedup_max;
	/* tls.* */
	char *ca_file, *cert_file, *key_file;
	/* credentials.* of amqp */
	char *user_file, *password_file;
	/* amqp */
	struct sq_strings urls;
	bool declare;
	unsigned unroutable; /* enum sq_bridge_unroutable */
	uint64_t heartbeat_ms;
	/* credentials.* of sqs */
	char *access_key_file, *secret_key_file, *session_token_file, *role_arn, *sts_endpoint;
	/* sqs */
	char *endpoint, *region;
	uint64_t parallel; /* calls at a time that send */
	uint64_t max_size; /* bytes of a message */
	unsigned format;   /* enum sq_bridge_format */
	uint64_t wait_ms, visibility_ms;
};

extern const char *const sq_bridge_kind_names[]; /* NULL at the end */

static inline const struct sq_bridge_out *
sq_bridge_cfg_out(const struct sq_bridge_cfg *c, size_t i)
{
	return &((const struct sq_bridge_out *)c->out.v)[i];
}

static inline const struct sq_bridge_in *
sq_bridge_cfg_in(const struct sq_bridge_cfg *c, size_t i)
{
	return &((const struct sq_bridge_in *)c->in.v)[i];
}

/* Bridges of a file. */
struct sq_bridge_cfgs {
	struct sq_config_records bridges; /* struct sq_bridge_cfg */
};

/* What a kind says of a configuration, as struct sq_bridge_kind.check. */
typedef int sq_bridge_check(const struct sq_bridge_cfg *, struct sq_buf *err);

/* Reads the text of a file, which 'source' names in errors, and checks each bridge by itself; 'check'
 * does so for its kind (NULL: nothing).  SQ_EINVAL with a line for each bridge that is not good in 'err'
 * as "rabbit.yaml:7: bridges.to-rabbit.out[0].filter: ..."; 'out' is safe to free either way. */
int sq_bridge_cfgs_read(const char *source, struct sq_bytes text, sq_bridge_check *check,
    struct sq_bridge_cfgs *out, struct sq_buf *err) SQ_MUST_CHECK;
void sq_bridge_cfgs_fini(struct sq_bridge_cfgs *);
/* Checks what holds for any kind: names, filters, templates, limits, that a kind has the keys that are
 * given, and that nothing that comes in goes out again at once.  SQ_EINVAL with a line that begins with
 * the key, as "out[0].filter: ...". */
int sq_bridge_cfg_check(const struct sq_bridge_cfg *, struct sq_buf *err) SQ_MUST_CHECK;
/* Whether both say the same, wherever they stand. */
bool sq_bridge_cfg_equal(const struct sq_bridge_cfg *, const struct sq_bridge_cfg *);
/* The table as Markdown, for docs/bridges.md. */
void sq_bridge_cfg_markdown(struct sq_buf *out);

#endif
