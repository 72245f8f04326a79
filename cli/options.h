/* The options of the command line: one table, from which they are read, explained and completed. */
#ifndef SQ_CLI_OPTIONS_H
#define SQ_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SQ_OPTION_FILES_MAX = 1000, SQ_OPTION_REPEATED_MAX = 64 };

/* X(symbol, long name, letter or 0, argument or NULL, help) */
#define SQ_OPTIONS(X) \
	X(FILE, "filename", 'f', "FILE", \
	    "a file in YAML or JSON, a folder of such, or - for standard input; may be given " \
	    "several times") \
	X(VALUES, "values", 0, "FILE", \
	    "the installation's settings.yaml (in the ConfigMap of the injector)") \
	X(BUNDLE, "trust-bundle", 0, "FILE", \
	    "certificates in PEM that the sidecars trust (inject)") \
	X(CA, "ca", 0, "FILE", \
	    "authorities of the HTTP API in PEM; without it SQMQOS_CA_FILE, or the system's") \
	X(NAMESPACE, "namespace", 'n', "NAME", \
	    "where the manifests go to, if they don't say it (explain, inject, scale)") \
	X(ADMIN, "admin", 0, "URL", \
	    "the broker's admin.listen; without it SQMQOS_ADMIN, or http://127.0.0.1:9090") \
	X(TOKEN, "token-file", 0, "FILE", \
	    "a token whose identity may operate by the broker's acl; of the HTTP API, without it " \
	    "SQMQOS_TOKEN_FILE") \
	X(KUBE_CONTEXT, "kube-context", 0, "CONTEXT", \
	    "a context of the kubeconfig: the broker is asked through its API server") \
	X(KUBE_NAMESPACE, "kube-namespace", 0, "NAME", \
	    "the broker's namespace, sqmqos-system without it") \
	X(POD, "pod", 0, "NAME[:PORT]", \
	    "the broker's pod; without it the one with the labels of the chart") \
	X(KUBECONFIG, "kubeconfig", 0, "FILE", "without it KUBECONFIG, or ~/.kube/config") \
	X(SPACE, "space", 0, "NAME", "only of that space; on Kubernetes a namespace") \
	X(NAME, "name", 0, "TEXT", "only rows with that name") \
	X(PREFIX, "prefix", 0, "TEXT", "only rows whose name begins with it") \
	X(LIMIT, "limit", 0, "N", "so many rows at most") \
	X(JSON, "json", 0, NULL, "an array in JSON; of tail, top and sub a line of JSON each") \
	X(WIDE, "wide", 0, NULL, "all columns, none cut") \
	X(TOPIC, "topic", 0, "TOPIC", "the topic of the message (why)") \
	X(CLIENT, "client", 0, "ID", \
	    "the client id, or session, that it should come to (why); the own one (pub, sub)") \
	X(TAG, "tag", 0, "TAG", \
	    "a tag of the message, as its property tag has it; of pub several times") \
	X(URL, "url", 0, "URL", \
	    "where MQTT is spoken, mqtt://localhost:1883 (pub, sub), or a broker's HTTP API, as " \
	    "https://HOST:7443; without it SQMQOS_URL") \
	X(WITH_QOS, "qos", 'q', "N", \
	    "quality of service: pub 0 to 3, 1 without it, and 3 with --key or --receipt; sub 0 " \
	    "to 2, 1 without it; bind 1 or 2") \
	X(MESSAGE, "message", 'm', "TEXT", \
	    "the payload (pub); the key of a message, or its origin (why)") \
	X(STDIN, "stdin", 0, NULL, "standard input is the payload (pub)") \
	X(LINES, "lines", 'l', NULL, "each line of standard input is a message (pub)") \
	X(WITH_RETAIN, "retain", 'r', NULL, "the message is kept for later subscribers (pub)") \
	X(KEY, "key", 0, "KEY", \
	    "of QoS 3: the same key is stored once (pub); the key of the message (why)") \
	X(TTL, "ttl", 0, "DURATION", "when the message expires, as 90s, 10m, 24h (pub, HTTP)") \
	X(DELAY, "delay", 0, "DURATION", \
	    "until the message is delivered (pub, HTTP), or is free again (nack)") \
	X(ORDER_KEY, "order-key", 0, "KEY", \
	    "a queue of order: key hands out what has one key in order (pub, HTTP)") \
	X(TYPE, "content-type", 0, "TYPE", "the payload's type, as application/json (pub, HTTP)") \
	X(WAIT, "wait", 0, "DURATION", \
	    "how long messages are waited for, 20s without it (receive)") \
	X(LEASE, "lease", 0, "DURATION", \
	    "how long messages are the receiver's: the queue's lease without it, with --exec 30s " \
	    "(receive); how long the lease is from now on (extend)") \
	X(ACK, "ack", 0, "WHEN", \
	    "manual: by sqmqos ack; receive: as they are handed out (receive)") \
	X(EXEC, "exec", 0, "COMMAND", \
	    "run by sh for each message, its payload as standard input, until a signal or " \
	    "--count: " \
	    "exit code 0 acknowledges it, another gives it back (receive)") \
	X(FILTER, "filter", 0, "FILTER", \
	    "topics that come into the queue, of declare several times (queues); dead letters " \
	    "whose topic was of it (redrive, HTTP)") \
	X(SET, "set", 0, "SETTING=VALUE", \
	    "a setting, as order=key or retry.first=1s; may be given several times (declare)") \
	X(ID, "id", 0, "TEXT", \
	    "the binding's name; without it made of filter and tag (bind, unbind)") \
	X(REASON, "reason", 0, "REASON", \
	    "dead letters of that reason, as rejected (redrive, HTTP)") \
	X(TO, "to", 0, "TOPIC", \
	    "where dead letters go; without it to the topic that they had (redrive, HTTP)") \
	X(WITH_MESSAGES, "with-messages", 0, NULL, "also a queue in which messages wait (delete)") \
	X(RECEIPT, "receipt", 0, "TOPIC", "of QoS 3: where receipts go to (pub)") \
	X(PROPERTY, "property", 'D', "NAME=VALUE", \
	    "a user property; may be given several times (pub)") \
	X(MESSAGES, "count", 'C', "N", \
	    "so many messages (sub, tail, receive --exec), or refreshes (top), then it ends") \
	X(PAYLOAD, "payload", 0, NULL, "payloads, too; the broker logs who sees them (tail)") \
	X(INTERVAL, "interval", 0, "SECONDS", "between two refreshes, 2 without it (top)") \
	X(BY, "by", 0, "ORDER", "the order of queues: depth, or change, of depth (top)") \
	X(TIMEOUT, "timeout", 0, "SECONDS", \
	    "how long an acknowledgement is waited for, 30 without it (pub), or a reply, 5 " \
	    "without " \
	    "it (request); when it ends (sub)") \
	X(YES, "yes", 0, NULL, "do it; without it purge says what would go") \
	X(FORCE, "force", 0, NULL, "also a sidecar's own session, which it makes anew (rm)") \
	X(BURY, "dead-letters", 0, NULL, "messages of QoS 3 become dead letters (purge)") \
	X(LETTER, "letter", 0, "N[,N...]", "only letters with these numbers in the queue") \
	X(MAX, "max", 0, "N", "so many messages at most (purge, redrive, receive, peek)") \
	X(HELP, "help", 'h', NULL, "say what there is, or, behind a command, what it takes") \
	X(VERSION, "version", 0, NULL, "print the version")

#define SQ_OPTION_ENUM(symbol, name, letter, argument, help) SQ_OPTION_##symbol,
enum sq_option_id { SQ_OPTIONS(SQ_OPTION_ENUM) SQ_OPTION_COUNT };
#undef SQ_OPTION_ENUM

/* A set of options has a bit for each. */
#define SQ_OPTION_BIT(id) (UINT64_C(1) << (id))
_Static_assert(SQ_OPTION_COUNT <= 64, "a set of options has 64 bits");

struct sq_option {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* NULL: takes none */
	const char *help;
};

extern const struct sq_option sq_option_table[SQ_OPTION_COUNT];

/* What was given. */
struct sq_options {
	const char *value[SQ_OPTION_COUNT]; /* NULL: not given; "": given, without an argument */
	const char *files[SQ_OPTION_FILES_MAX];
	size_t n_files;
	/* Options that may be given several times, in their order. */
	struct sq_option_repeated {
		unsigned
		    id; /* SQ_OPTION_TAG, SQ_OPTION_PROPERTY, SQ_OPTION_FILTER, SQ_OPTION_SET */
		const char *value;
	} repeated[SQ_OPTION_REPEATED_MAX];
	size_t n_repeated;
	char **words; /* the rest of the arguments, in their order */
	size_t n_words;
};

/* Reads the arguments, whose order it may change.  False: what is wrong has been said on stderr. */
bool sq_options_read(struct sq_options *, int argc, char **argv);
static inline bool
sq_option_given(const struct sq_options *o, enum sq_option_id id)
{
	return o->value[id] != NULL;
}

/* Reads the number of an option, which leaves '*out' alone where it is not given.  False: it is none,
 * or not of that range, which has been said on stderr.  'greatest' is below UINT64_MAX / 10. */
bool sq_option_number(
    const struct sq_options *, enum sq_option_id, uint64_t least, uint64_t greatest, uint64_t *out);

#endif
