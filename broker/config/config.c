/* The broker's table of configuration keys; see broker/config/config.h. */
#include "broker/config/config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/config/push.h"
#include "broker/engine/engines/engines.h"
#include "core/dumps.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/kube_api/kube_api.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/link/key.h"
#include "proto/topic/topic.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MIB (UINT64_C(1) << 20)
#define AT(field) offsetof(struct sq_broker_config, field)
#define RULE(field) offsetof(struct sq_broker_rule, field)
#define LIMIT(kind) offsetof(struct sq_broker_space, limits.of[SQ_SHARE_##kind])
#define ISSUER(field) offsetof(struct sq_broker_issuer, field)
#define ALLOW(field) offsetof(struct sq_broker_allow, field)
#define CERTIFICATE(field) offsetof(struct sq_broker_certificate, field)

static const char *const durabilities[] = {"always", "interval", "none", NULL};
static const char *const owners[] = {"account", "namespace", NULL};
static const char *const acl_defaults[] = {"allow", "deny", NULL};
static const char *const unknowns[] = {"refuse", "warn", NULL};
static const char *const characters[] = {"allow", "refuse", NULL};
static const char *const logs[] = {"local", "postgres", NULL};
static const char *const copies[] = {"auto", "managed", NULL};
static const char *const automatic[] = {"auto", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

/* Rows leave out members that are zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

const struct sq_config_key sq_broker_config_keys[] = {
    {"listen.address", SQ_CFG_STRING, AT(listen), "0.0.0.0:7443", 0, 0, NULL,
	"Where sidecars connect: host:port, [v6]:port, or *:port for every address."},
    {"listen.advertise", SQ_CFG_STRING, AT(log.advertise), NULL, 0, 0, NULL,
	"Of several brokers: host:port of this one that sidecars are sent to; unset: "
	"listen.address, with the machine's name where that is a wildcard."},
    {"broker.id", SQ_CFG_STRING, AT(log.id), NULL, 0, 0, NULL,
	"Of several brokers: the name of this one, which no other has; unset: the machine's."},
    {"tls.enabled", SQ_CFG_BOOL, AT(tls), "true", 0, 0, NULL,
	"TLS 1.3 on that address; false: clear text, HTTP/2 with prior knowledge."},
    {"tls.cert-file", SQ_CFG_STRING, AT(tls_cert), NULL, 0, 0, NULL,
	"PEM file with the certificate chain; it and the key are read again when they change."},
    {"tls.key-file", SQ_CFG_STRING, AT(tls_key), NULL, 0, 0, NULL,
	"PEM file with the private key."},
    {"tls.bundle-file", SQ_CFG_STRING, AT(tls_bundle), NULL, 0, 0, NULL,
	"PEM file of the authorities that sidecars are to trust from now on, in place of what "
	"they were started with; sent to them when it changes."},
    {"auth.tokens-file", SQ_CFG_STRING, AT(tokens_file), NULL, 0, 0, NULL,
	"File of who may come with a token: lines NAME SPACE[,SPACE...] SHA256:HEX, as "
	"sqmqos-broker --new-token makes them; read again when it changes; unset: no such tokens."},
    {"auth.token-file", SQ_CFG_STRING, AT(old_token_file), NULL, 0, 0, NULL,
	"Not taken any more: see auth.tokens-file."},
    {"auth.client-ca-file", SQ_CFG_STRING, AT(client_ca_file), NULL, 0, 0, NULL,
	"PEM file of the authorities whose client certificates are taken, by their one URI or DNS "
	"name "
	"in subjectAltName; read again when it changes; unset: none are asked for."},
    {"auth.client-crl-file", SQ_CFG_STRING, AT(client_crl_file), NULL, 0, 0, NULL,
	"PEM file of the lists of what they have revoked, one of each authority that signs "
	"clients; "
	"read again when it changes."},
    {"auth.certificates", SQ_CFG_RECORDS, AT(certificates), NULL,
	sizeof(struct sq_broker_certificate), 2, NULL,
	"Which certificate may name which spaces: the first item that matches; unset: one of "
	"spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT its namespace, others none."},
    {"auth.certificates[].name", SQ_CFG_STRING, CERTIFICATE(name), NULL, 0, 0, NULL,
	"A pattern of its URI or DNS name, with * and ?."},
    {"auth.certificates[].spaces", SQ_CFG_LIST, CERTIFICATE(spaces), NULL, 0, 0, NULL,
	"The spaces that it may name, at most 64."},
    {"auth.kubernetes", SQ_CFG_BOOL, AT(kubernetes), "false", 0, 0, NULL,
	"Take the tokens of this cluster's service accounts; their keys and issuer come from the "
	"API server."},
    {"auth.audience", SQ_CFG_STRING, AT(audience), "sqmqos", 0, 0, NULL,
	"The audience that signed tokens must name."},
    {"auth.api-server", SQ_CFG_STRING, AT(api_server), NULL, 0, 0, NULL,
	"Of auth.kubernetes: https://host:port; unset: as the pod's environment says."},
    {"auth.api-token-file", SQ_CFG_STRING, AT(api_token_file), SQ_KUBE_API_TOKEN_FILE, 0, 0, NULL,
	"Token that the broker itself shows there, read each time."},
    {"auth.api-ca-file", SQ_CFG_STRING, AT(api_ca_file), SQ_KUBE_API_CA_FILE, 0, 0, NULL,
	"PEM file of the authorities of that server."},
    {"auth.issuers", SQ_CFG_RECORDS, AT(issuers), NULL, sizeof(struct sq_broker_issuer), 1, NULL,
	"Others whose signed tokens (RS256, ES256) are taken; each has keys-file or keys-url."},
    {"auth.issuers[].issuer", SQ_CFG_STRING, ISSUER(issuer), NULL, 0, 0, NULL,
	"The value of iss in their tokens."},
    {"auth.issuers[].audience", SQ_CFG_STRING, ISSUER(audience), NULL, 0, 0, NULL,
	"The value of aud that their tokens must have; unset: auth.audience."},
    {"auth.issuers[].space", SQ_CFG_STRING, ISSUER(space), NULL, 0, 0, NULL,
	"The space of all of them, each an account by its sub; unset: the Kubernetes namespace "
	"and service account that each names."},
    {"auth.issuers[].keys-file", SQ_CFG_STRING, ISSUER(keys_file), NULL, 0, 0, NULL,
	"JWK Set of their public keys, read again when it changes; taken away, its links end."},
    {"auth.issuers[].keys-url", SQ_CFG_STRING, ISSUER(keys_url), NULL, 0, 0, NULL,
	"Address of the JWK Set, in place of keys-file: https://host/path."},
    {"auth.issuers[].ca-file", SQ_CFG_STRING, ISSUER(ca_file), NULL, 0, 0, NULL,
	"PEM file of the authorities of keys-url; unset: the system's."},
    {"auth.insecure", SQ_CFG_BOOL, AT(insecure), "false", 0, 0, NULL,
	"Serve other machines with neither TLS nor tokens: everybody who reaches the broker may "
	"do everything."},
    {"auth.owner", SQ_CFG_ENUM, AT(owner), "account", 0, 0, owners,
	"Whose a session is; account: the service account's that has made it; namespace: every "
	"account's of its namespace, so that another name for one locks nothing out."},
    {"auth.adopt", SQ_CFG_BOOL, AT(adopt), "true", 0, 0, NULL,
	"A session that is nobody's, as it was made while nobody was asked for a credential, goes "
	"to the first who comes for it and may name its space and pod; false: to nobody."},
    {"spaces", SQ_CFG_NAMED, AT(spaces), NULL, sizeof(struct sq_broker_space), 0, NULL,
	"Topic spaces: which tenants share one, what it may have and read; in a file only. Without "
	"tenants an entry is of the one of its name: each, on Kubernetes a namespace, has its "
	"own."},
    {"spaces.*.tenants", SQ_CFG_LIST, offsetof(struct sq_broker_space, tenants), NULL, 0, 0, NULL,
	"Who they are. Topics and retained messages are theirs together; sessions, queues, groups, "
	"client ids, dead letters and idempotency keys stay each tenant's own."},
    {"spaces.*.limits.sessions", SQ_CFG_UINT, LIMIT(SESSIONS), NULL, 1, 100000000, NULL,
	"Sessions of each of its tenants, whatever is free; unset: as its share allows. So with "
	"those that follow.",
	true},
    {"spaces.*.limits.connections", SQ_CFG_UINT, LIMIT(CONNECTIONS), NULL, 1, 100000000, NULL,
	"Connections of sidecars.", true},
    {"spaces.*.limits.groups", SQ_CFG_UINT, LIMIT(GROUPS), NULL, 1, 100000000, NULL,
	"Groups: shares and declared subscriptions with a queue in common.", true},
    {"spaces.*.limits.subscriptions", SQ_CFG_UINT, LIMIT(SUBSCRIPTIONS), NULL, 1, 100000000, NULL,
	"Subscriptions, and filters of groups.", true},
    {"spaces.*.limits.retained", SQ_CFG_UINT, LIMIT(RETAINED), NULL, 1, 100000000, NULL,
	"Retained messages, of the space's tenants together.", true},
    {"spaces.*.limits.retained-bytes", SQ_CFG_SIZE, LIMIT(RETAINED_BYTES), NULL, 1, MIB *MIB, NULL,
	"Bytes of those.", true},
    {"spaces.*.limits.delayed", SQ_CFG_UINT, LIMIT(DELAYED), NULL, 1, 100000000, NULL,
	"Messages whose time has not come.", true},
    {"spaces.*.limits.delayed-bytes", SQ_CFG_SIZE, LIMIT(DELAYED_BYTES), NULL, 1, MIB *MIB, NULL,
	"Bytes of those.", true},
    {"spaces.*.limits.dead-letters", SQ_CFG_UINT, LIMIT(DEAD_LETTERS), NULL, 1, 100000000, NULL,
	"Dead letters.", true},
    {"spaces.*.limits.dead-letters-bytes", SQ_CFG_SIZE, LIMIT(DEAD_LETTERS_BYTES), NULL, 1,
	MIB *MIB, NULL, "Bytes of those.", true},
    {"spaces.*.limits.keys", SQ_CFG_UINT, LIMIT(KEYS), NULL, 1, 100000000, NULL,
	"Idempotency keys within their window.", true},
    {"spaces.*.limits.stored-bytes", SQ_CFG_SIZE, LIMIT(STORED_BYTES), NULL, 1, MIB *MIB, NULL,
	"Bytes that wait in durable queues; 256 more for each message.", true},
    {"spaces.*.limits.memory", SQ_CFG_SIZE, LIMIT(MEMORY), NULL, 1, MIB *MIB, NULL,
	"Bytes of messages that wait in memory, or were sent and are not acknowledged; those that "
	"wait in durable queues count, too, and are never refused for it.",
	true},
    {"spaces.*.reads", SQ_CFG_RECORDS, offsetof(struct sq_broker_space, reads), NULL,
	sizeof(struct sq_broker_read), 2, NULL,
	"What its clients may subscribe to of other spaces: the only way from one to another."},
    {"spaces.*.reads[].space", SQ_CFG_STRING, offsetof(struct sq_broker_read, space), NULL, 0, 0,
	NULL, "Whose messages: the name of another space."},
    {"spaces.*.reads[].filter", SQ_CFG_STRING, offsetof(struct sq_broker_read, filter), NULL, 0, 0,
	NULL, "Which of them: those on topics that this filter selects, retained ones too."},
    {"acl", SQ_CFG_RECORDS, AT(acl), NULL, sizeof(struct sq_broker_rule), 0, NULL,
	"Rules of who may do what (docs/security.md): a denial is final, and an identity that "
	"rules "
	"allow something for a verb may do only that.",
	true},
    {"acl[].allow", SQ_CFG_LIST, RULE(allow), NULL, 0, 0, NULL, "Verbs: " SQ_ACL_VERB_NAMES "."},
    {"acl[].deny", SQ_CFG_LIST, RULE(deny), NULL, 0, 0, NULL,
	"The verbs that the rule denies, of the same names; a rule has allow or deny, not both."},
    {"acl[].identity", SQ_CFG_STRING, RULE(identity), NULL, 0, 0, NULL,
	"Pattern, with * and ?, of the identities that it is about: token:NAME, cert:NAME, "
	"kube:NAMESPACE/ACCOUNT, jwt:ISSUER#SUBJECT, bridge:SPACE/NAME; unset: everybody."},
    {"acl[].space", SQ_CFG_STRING, RULE(space), NULL, 0, 0, NULL,
	"Pattern of the spaces (on Kubernetes: namespaces) of their sessions; unset: any."},
    {"acl[].topics", SQ_CFG_LIST, RULE(topics), NULL, 0, 0, NULL,
	"Of publish and subscribe: topic filters, in which {space}, {identity} and {client} stand "
	"for those of the session; unset: all topics."},
    {"acl[].queues", SQ_CFG_LIST, RULE(queues), NULL, 0, 0, NULL,
	"Of the other verbs: patterns of the names of $share groups and of declared groups, with "
	"the same placeholders; unset: all."},
    {"acl-default", SQ_CFG_ENUM, AT(acl_default), "allow", 0, 0, acl_defaults,
	"Whether an identity may do what no rule mentions, in its own space.", true},
    {"workers", SQ_CFG_UINT, AT(workers), "auto", 1, SQ_BROKER_WORKERS_MAX, automatic,
	"Threads that serve links; auto: one for each two CPUs of the smallest limit of the "
	"process's control groups, and one where there is no limit."},
    {"engine", SQ_CFG_ENUM, AT(engine), "embedded", 0, 0, sq_engine_names,
	"Where sessions and messages live; embedded: on this broker's disk; memory: they end with "
	"the "
	"process."},
    {"log.kind", SQ_CFG_ENUM, AT(log.kind), "local", 0, 0, logs,
	"Where the embedded engine's log is; local: in store.dir; postgres: in a database, for "
	"several "
	"brokers, of which one serves; store.dir is a cache then."},
    {"log.postgres.hosts", SQ_CFG_LIST, AT(log.hosts), NULL, 0, 0, NULL,
	"Its servers, host:port, all of them: the one that can be written to is taken."},
    {"log.postgres.database", SQ_CFG_STRING, AT(log.database), "sqmqos", 0, 0, NULL,
	"Name of the database."},
    {"log.postgres.user", SQ_CFG_STRING, AT(log.user), "sqmqos", 0, 0, NULL,
	"Role of the brokers there."},
    {"log.postgres.password-file", SQ_CFG_STRING, AT(log.password_file), NULL, 0, 0, NULL,
	"File with its password, read for each connection; unset: none is shown."},
    {"log.postgres.schema", SQ_CFG_STRING, AT(log.schema), "sqmqos", 0, 0, NULL,
	"Schema of the log; brokers of one log have the same."},
    {"log.postgres.ca-file", SQ_CFG_STRING, AT(log.ca_file), NULL, 0, 0, NULL,
	"PEM file of the authorities of the servers; unset: the system's. Only loopback and Unix "
	"sockets are spoken to without TLS."},
    {"log.postgres.cert-file", SQ_CFG_STRING, AT(log.cert_file), NULL, 0, 0, NULL,
	"PEM file with the brokers' certificate for the servers; unset: none."},
    {"log.postgres.key-file", SQ_CFG_STRING, AT(log.key_file), NULL, 0, 0, NULL,
	"PEM file with its private key."},
    {"log.postgres.create", SQ_CFG_BOOL, AT(log.create), "true", 0, 0, NULL,
	"Make schema and tables where there are none; false: as sqmqos-broker --log-schema prints "
	"them, by an administrator."},
    {"log.import", SQ_CFG_BOOL, AT(log.import), "false", 0, 0, NULL,
	"Bring the store of files that store.dir has into a log that is new, at the start; a "
	"broker "
	"whose broker.id ends in -1, -2 and so on leaves a new log to the one in -0."},
    {"log.copies", SQ_CFG_ENUM, AT(log.copies), "auto", 0, 0, copies,
	"How a second copy of each commit is known; auto: by the server's "
	"synchronous_standby_names; managed: the service that runs it sees to one."},
    {"log.unsafe", SQ_CFG_BOOL, AT(log.unsafe), "false", 0, 0, NULL,
	"Take a server that can lose what it has confirmed: one copy, or no sync to disk."},
    {"log.isolated-for", SQ_CFG_DURATION, AT(log.isolated_ms), "90s", 0, DAY, NULL,
	"A broker that serves, and has had no answer of the log for so long, ends, to come back as "
	"one that follows; 0s: never."},
    {"log.segment-size", SQ_CFG_SIZE, AT(log.segment_size), "1Gi", MIB, MIB *MIB, NULL,
	"Bytes of the log after which a new segment begins, which is dropped as a whole."},
    {"log.segment-age", SQ_CFG_DURATION, AT(log.segment_age_ms), "1h", MINUTE, 365 * DAY, NULL,
	"And the time after which, of one that has a sixty-fourth of these bytes."},
    {"log.snapshot-size", SQ_CFG_SIZE, AT(log.snapshot_size), "256Mi", MIB, MIB *MIB, NULL,
	"Bytes of the log, and at least twice the last snapshot's, after which a broker writes a "
	"snapshot of the store to it: those with an empty store.dir begin with the newest."},
    {"store.dir", SQ_CFG_STRING, AT(store_dir), "/var/lib/sqmqos", 0, 0, NULL,
	"Directory of the embedded engine, for one broker alone; made when missing."},
    {"store.durability", SQ_CFG_ENUM, AT(durability), "always", 0, 0, durabilities,
	"When a publish is acknowledged: once it is synced to disk (always), or written (interval, "
	"none); docs/store.md says what each can lose."},
    {"store.sync-interval", SQ_CFG_DURATION, AT(sync_interval_ms), "100ms", 1, MINUTE, NULL,
	"Time between two syncs with store.durability interval."},
    {"store.stall-timeout", SQ_CFG_DURATION, AT(store_stall_ms), "30s", SECOND, HOUR, NULL,
	"A commit that the disk has not done for so long is a stall: the broker is not ready, and "
	"takes nothing new that is durable."},
    {"store.journal-size", SQ_CFG_SIZE, AT(journal_size), "256Mi", 8 * MIB, MIB *MIB, NULL,
	"Size of the journal; what it holds is also in memory."},
    {"store.max-size", SQ_CFG_SIZE, AT(store_max_size), "64Gi", 16 * MIB, MIB *MIB, NULL,
	"Size that the tables behind it may reach; nothing new is taken when four fifths are "
	"used."},
    {"store.cache-size", SQ_CFG_SIZE, AT(store_cache_size), "64Mi", MIB, MIB *MIB, NULL,
	"Memory for waiting messages that are in the tables, too."},
    {"admin.listen", SQ_CFG_STRING, AT(admin_listen), "127.0.0.1:9090", 0, 0, NULL,
	"Address of /livez, /readyz and /metrics, as 127.0.0.1:9090, localhost:9090, or *:9090 for "
	"every address of IPv4 and IPv6; empty: none."},
    {"admin.advertise", SQ_CFG_STRING, AT(log.admin_advertise), NULL, 0, 0, NULL,
	"Of several brokers: host:port of admin.listen, to which the others pass requests on; "
	"unset: admin.listen, with the host of listen.advertise where that is a wildcard."},
    {"admin.console", SQ_CFG_BOOL, AT(console), "false", 0, 0, NULL,
	"The console, a web page of the broker's view, at /console/ of admin.listen."},
    {"limits.max-packet", SQ_CFG_SIZE, AT(max_packet), "1088Ki", 1024, 16 * MIB, NULL,
	"Largest MQTT packet, announced to clients; a payload of 1 MiB fits the default."},
    {"limits.max-inflight", SQ_CFG_UINT, AT(max_inflight), "1000", 1, 65535, NULL,
	"QoS 1 and 2 deliveries of a session that are unfinished at a time."},
    {"limits.max-sessions", SQ_CFG_UINT, AT(max_sessions), "200000", 1, 100000000, NULL,
	"Sessions of this broker. Tenants share this total (docs/security.md), as those of "
	"connections, groups, subscriptions, retained, delayed and dead messages, keys and the "
	"store.",
	true},
    {"limits.spaces", SQ_CFG_UINT, AT(spaces_kept), "64", 1, 1000000, NULL,
	"Tenants, and spaces, for which a floor of each total is kept back; 1: nothing is divided, "
	"and the first who come may take all."},
    {"limits.max-groups", SQ_CFG_UINT, AT(max_groups), "200000", 1, 100000000, NULL,
	"Groups of this broker: shares and declared subscriptions with a queue in common.", true},
    {"limits.total-subscriptions", SQ_CFG_UINT, AT(total_subs), "2000000", 1, 1000000000, NULL,
	"Subscriptions of this broker, and filters of its groups.", true},
    {"limits.max-subscriptions", SQ_CFG_UINT, AT(max_subs), "10000", 1, 10000000, NULL,
	"Subscriptions of a session.", true},
    {"limits.subscription-bytes", SQ_CFG_SIZE, AT(max_sub_bytes), "1Mi", 4096, MIB *MIB, NULL,
	"Bytes of the filters of a session's subscriptions together.", true},
    {"limits.matches", SQ_CFG_UINT, AT(max_matches), "10000", 16, 10000000, NULL,
	"Subscriptions of a session, or filters of a group, that a message is looked up in; if "
	"more match it still comes, once, at the highest QoS, without the others' identifiers."},
    {"limits.will", SQ_CFG_SIZE, AT(max_will), "64Ki", 1024, 16 * MIB, NULL,
	"Bytes of a will: its topic, properties and payload.", true},
    {"limits.memory", SQ_CFG_SIZE, AT(memory), "auto", 16 * MIB, 0, automatic,
	"Memory of the process: publishers are slowed down from 80 % on, from 95 % on nothing is "
	"taken that needs more; auto: three quarters of the control group's, or half of the "
	"machine's.",
	true},
    {"limits.topic-levels", SQ_CFG_UINT, AT(limits.topic_levels), "128", 1, SQ_TOPIC_LEVELS_MAX,
	NULL,
	"Levels of a topic name or filter. This key, the next one and those of mqtt are told to "
	"the sidecars, which have them, too: the stricter counts."},
    {"limits.client-id", SQ_CFG_UINT, AT(limits.client_id), "256", 32, SQ_KEY_CLIENT_MAX, NULL,
	"Bytes of a client id."},
    {"mqtt.max-qos", SQ_CFG_UINT, AT(limits.max_qos), "2", 0, 2, NULL,
	"Highest QoS that clients publish with and subscribe to."},
    {"mqtt.retain", SQ_CFG_BOOL, AT(limits.retain), "true", 0, 0, NULL,
	"Clients may publish retained messages, wills included."},
    {"mqtt.wildcard-subscriptions", SQ_CFG_BOOL, AT(limits.wildcard), "true", 0, 0, NULL,
	"Clients may subscribe with + and #."},
    {"mqtt.shared-subscriptions", SQ_CFG_BOOL, AT(limits.shared), "true", 0, 0, NULL,
	"Clients may subscribe with $share."},
    {"mqtt.subscription-ids", SQ_CFG_BOOL, AT(limits.sub_ids), "true", 0, 0, NULL,
	"Clients may give subscription identifiers."},
    {"mqtt.control-characters", SQ_CFG_ENUM, AT(limits.control_refused), "allow", 0, 0, characters,
	"Control characters and non-characters of Unicode in topics, filters, client ids and user "
	"names; refuse: packets with them are malformed."},
    {"link.max-age", SQ_CFG_DURATION, AT(link_max_age_ms), "1h", 0, 365 * DAY, NULL,
	"Age, give or take a tenth, at which a link is asked to move; 0: never."},
    {"link.idle-timeout", SQ_CFG_DURATION, AT(link_idle_ms), "60s", SECOND, DAY, NULL,
	"A connection without a link or a request is closed after this."},
    {"link.stall-timeout", SQ_CFG_DURATION, AT(link_stall_ms), "30s", 5 * SECOND, HOUR, NULL,
	"A link that takes no byte of its deliveries for so long is closed."},
    {"link.max-connections", SQ_CFG_UINT, AT(max_connections), "20000", 1, 1000000, NULL,
	"Connections of sidecars; a quarter is kept for those with a link. When there is no place, "
	"the oldest stranger goes: a connection that has neither a link nor shown a good token."},
    {"link.strangers-per-address", SQ_CFG_UINT, AT(strangers_per_address), "512", 0, 1000000, NULL,
	"Strangers of one peer address; 0: any number, for where a mesh or the translation of "
	"addresses shows one for all."},
    {"http.unauthenticated-body", SQ_CFG_SIZE, AT(unauthenticated_body), "64Ki", 1024, 16 * MIB,
	NULL, "Body of a stranger's request; one that brings more is closed."},
    {"http.unauthenticated-total", SQ_CFG_SIZE, AT(unauthenticated_total), "16Mi", 64 * 1024,
	MIB *MIB, NULL,
	"Bytes that the requests of all strangers hold; above that, the one that holds most goes."},
    {"http.enabled", SQ_CFG_BOOL, AT(http), "true", 0, 0, NULL,
	"The HTTP API, below /v1 of listen.address, or of http.listen; false: sidecars alone are "
	"served."},
    {"http.listen", SQ_CFG_STRING, AT(http_listen), NULL, 0, 0, NULL,
	"Another address for the HTTP API alone, as listen.address, which then serves sidecars "
	"alone, each with link.max-connections; unset: both are served at that one."},
    {"http.read-timeout", SQ_CFG_DURATION, AT(http_read_ms), "70s", SECOND, HOUR, NULL,
	"A connection without a link ends whose request takes so long to come, however it "
	"trickles."},
    {"http.write-timeout", SQ_CFG_DURATION, AT(http_write_ms), "70s", SECOND, HOUR, NULL,
	"A connection without a link ends whose peer takes so long for an answer."},
    {"http.idle-timeout", SQ_CFG_DURATION, AT(http_idle_ms), "75s", SECOND, DAY, NULL,
	"A connection of the HTTP API without a request is closed after this."},
    {"http.max-requests", SQ_CFG_UINT, AT(http_max_requests), "90", 1, 100, NULL,
	"Requests of the HTTP API that one connection has at work; for more the answer is 429."},
    {"http.max-identity-requests", SQ_CFG_UINT, AT(http_max_identity), "4096", 1, 1000000, NULL,
	"The same of one identity, over all its connections."},
    {"http.max-identity-connections", SQ_CFG_UINT, AT(http_max_conns), "4096", 1, 1000000, NULL,
	"Connections that ask the HTTP API with one identity, at most a quarter of "
	"link.max-connections; on one more the answer is 429, and it is closed."},
    {"http.max-body", SQ_CFG_SIZE, AT(http_max_body), "auto", 1024, 64 * MIB, automatic,
	"Largest body of a request of the HTTP API; auto: limits.max-packet and 64 KiB."},
    {"http.max-wait", SQ_CFG_DURATION, AT(http_wait_ms), "60s", SECOND, HOUR, NULL,
	"Longest wait of a request for messages of a queue."},
    {"http.max-batch", SQ_CFG_UINT, AT(http_max_batch), "1000", 1, 1000, NULL,
	"Messages of one request that publishes many, and leases of one that settles."},
    {"http.rate", SQ_CFG_UINT, AT(http_rate), "0", 0, 10000000, NULL,
	"Publishes over the HTTP API of one identity in a second; 0: any number."},
    {"http.cors-origins", SQ_CFG_LIST, AT(http_origins), NULL, 0, 0, NULL,
	"Origins whose pages may ask the HTTP API (CORS), as https://app.example; * for all; "
	"unset: none."},
    {"http.events-topic", SQ_CFG_STRING, AT(http_events_topic), "events/{ce.type}", 0, 0, NULL,
	"Topic of a CloudEvent that is sent to no topic and says none; {ce.type}, {ce.source} and "
	"{ce.subject} become the event's."},
    {"session.grace", SQ_CFG_DURATION, AT(grace_ms), "30s", 0, HOUR, NULL,
	"How long a session waits for its sidecar after a lost link before its will is published.",
	true},
    {"session.recovery-time", SQ_CFG_DURATION, AT(recovery_ms), "auto", 0, HOUR, automatic,
	"After a start: how long messages are not taken, so that lost subscribers are back first; "
	"0s: "
	"not at all; auto: 5s, with several brokers 2s, after a hand-over not at all."},
    {"session.max-expiry", SQ_CFG_DURATION, AT(session_expiry_max_ms), "168h", 0, 3650 * DAY, NULL,
	"Longest session expiry that is granted.", true},
    {"queue.max-messages", SQ_CFG_UINT, AT(queue_max_msgs), "100000", 1, 100000000, NULL,
	"Messages that wait in one queue."},
    {"queue.max-bytes", SQ_CFG_SIZE, AT(queue_max_bytes), "64Mi", 4096, MIB *MIB, NULL,
	"Bytes that wait in one queue."},
    {"queue.expiry", SQ_CFG_DURATION, AT(queue_expiry_ms), "168h", SECOND, 3650 * DAY, NULL,
	"How long the durable queue of a declared subscription is kept without a member, where its "
	"annotation has no expiry.",
	true},
    {"queue.max-expiry", SQ_CFG_DURATION, AT(queue_expiry_max_ms), "720h", SECOND, 3650 * DAY, NULL,
	"Longest time that any queue is kept without takers; a longer request is cut to it.", true},
    {"queue.lonely-after", SQ_CFG_DURATION, AT(queue_lonely_ms), "1h", 0, 365 * DAY, NULL,
	"How long nobody takes from a queue before it is counted and logged; 0s: never."},
    {"retained.max-messages", SQ_CFG_UINT, AT(retained_max_msgs), "100000", 0, 100000000, NULL,
	"Retained messages.", true},
    {"retained.max-bytes", SQ_CFG_SIZE, AT(retained_max_bytes), "256Mi", 0, MIB *MIB, NULL,
	"Bytes of retained messages.", true},
    {"delayed.max-delay", SQ_CFG_DURATION, AT(delayed_max_ms), "168h", SECOND, 3650 * DAY, NULL,
	"Longest delay that a message may ask for.", true},
    {"delayed.max-messages", SQ_CFG_UINT, AT(delayed_max_msgs), "100000", 0, 100000000, NULL,
	"Messages whose time has not come.", true},
    {"delayed.max-bytes", SQ_CFG_SIZE, AT(delayed_max_bytes), "256Mi", 0, MIB *MIB, NULL,
	"Bytes of those messages; they are kept in memory, too.", true},
    {"dead-letters.max-messages", SQ_CFG_UINT, AT(dead_max_msgs), "100000", 1, 100000000, NULL,
	"Dead letters of a tenant: while there are so many of QoS 3 messages, messages of QoS 3 "
	"are "
	"refused; of other messages half as many are kept, and the oldest leave for newer ones."},
    {"dead-letters.max-bytes", SQ_CFG_SIZE, AT(dead_max_bytes), "64Mi", 4096, MIB *MIB, NULL,
	"Bytes of dead letters of a tenant, by the same two rules."},
    {"dead-letters.total-messages", SQ_CFG_UINT, AT(dead_total_msgs), "1000000", 1, 1000000000,
	NULL, "Dead letters of this broker.", true},
    {"dead-letters.total-bytes", SQ_CFG_SIZE, AT(dead_total_bytes), "1Gi", 4096, MIB *MIB, NULL,
	"Bytes of those.", true},
    {"idempotency.window", SQ_CFG_DURATION, AT(key_window_ms), "24h", SECOND, 3650 * DAY, NULL,
	"How long a QoS 3 message with the same key is taken for a copy."},
    {"idempotency.max-keys", SQ_CFG_UINT, AT(max_keys), "1000000", 0, 100000000, NULL,
	"Keys within the window, at about 72 bytes of memory each; above that, QoS 3 messages with "
	"new keys are refused.",
	true},
    {"pull.max-leases", SQ_CFG_UINT, AT(pull_max_leases), "20000", 1, 1000000, NULL,
	"Messages of a named queue that pullers have leased at a time; with more, 429."},
    {"subscribers.dir", SQ_CFG_STRING, AT(subscribers_dir), NULL, 0, 0, NULL,
	"Folder of YAML files that declare named queues, `{SPACE: {NAME: {...}}}`; read again when "
	"anything in it changes."},
    {"bridges.dir", SQ_CFG_STRING, AT(bridges_dir), NULL, 0, 0, NULL,
	"Folder of YAML files that declare bridges, `bridges: {NAME: {...}}`; read again when "
	"anything "
	"in it changes."},
    {"pull.settle-window", SQ_CFG_DURATION, AT(pull_settle_window_ms), "1h", SECOND, 7 * DAY, NULL,
	"How long it is remembered what pullers have settled, for requests that are repeated."},
    {"push.allow", SQ_CFG_RECORDS, AT(push_allow), NULL, sizeof(struct sq_broker_allow), 0, NULL,
	"Where named queues may push to beside public addresses by https; an item has host, cidr, "
	"or both.",
	true},
    {"push.allow[].host", SQ_CFG_STRING, ALLOW(host), NULL, 0, 0, NULL,
	"Pattern of hosts of URLs, with * and ?, and {space} for the queue's space: they may be "
	"reached by http, and without cidr in private networks, too."},
    {"push.allow[].cidr", SQ_CFG_STRING, ALLOW(cidr), NULL, 0, 0, NULL,
	"Addresses, as 10.0.0.0/8; unset: private ones of that host. Loopback, link-local and what "
	"else is no destination needs a range within theirs, an address of the broker that one."},
    {"push.allow[].spaces", SQ_CFG_LIST, ALLOW(spaces), NULL, 0, 0, NULL,
	"Patterns of the spaces whose queues that counts for; unset: all."},
    {"push.trusted", SQ_CFG_LIST, AT(push_trusted), NULL, 0, 0, NULL,
	"Patterns of hosts, as in push.allow, to which queues that the API declares are pushed "
	"without asking the target for its consent.",
	true},
    {"push.origin", SQ_CFG_STRING, AT(push_origin), NULL, 0, 0, NULL,
	"The name by which targets are asked for their consent and told who pushes; unset: the "
	"machine's."},
    {"push.proxy", SQ_CFG_STRING, AT(push_proxy), NULL, 0, 0, NULL,
	"Proxy that all pushes go through, as http://proxy.example:3128; it then looks names up, "
	"and has to deny addresses. None is taken from the environment."},
    {"push.connections-per-origin", SQ_CFG_UINT, AT(push_per_origin), "64", 1, 1000, NULL,
	"Connections of one space to one scheme, host and port."},
    {"push.secrets-dir", SQ_CFG_STRING, AT(push_secrets_dir), NULL, 0, 0, NULL,
	"Folder of the secrets that queues name, SPACE/NAME, readable by the owner and its group "
	"alone; each is read again when it changes."},
    {"message.unknown-properties", SQ_CFG_ENUM, AT(unknown_properties), "refuse", 0, 0, unknowns,
	"What becomes of a message with a user property of an unknown name that starts with "
	"sqmqos-; refuse: 0x83; warn: it is taken, counted and logged.",
	true},
    {"message.expiry-default", SQ_CFG_DURATION, AT(expiry_default_ms), "0s", 0, 3650 * DAY, NULL,
	"Message expiry of a message that states none, a retained one or a will, too; 0s: none.",
	true},
    {"message.expiry-max", SQ_CFG_DURATION, AT(expiry_max_ms), "0s", 0, 3650 * DAY, NULL,
	"Longest message expiry; a longer one is cut, and a message without one has this; 0s: "
	"any.",
	true},
    {"sys.interval", SQ_CFG_DURATION, AT(sys_interval_ms), "10s", 0, DAY, NULL,
	"Time between two rounds of what the broker says of itself below $SYS/broker, to clients "
	"that have subscribed; 0s: nothing is said."},
    {"drain-timeout", SQ_CFG_DURATION, AT(drain_ms), "10s", 0, HOUR, NULL,
	"How long a broker that ends waits for its queues to empty, and a link that is asked to "
	"move stays."},
    {"tracing.endpoint", SQ_CFG_STRING, AT(trace_endpoint), NULL, 0, 0, NULL,
	"Collector that gets spans of sampled messages by OTLP over HTTP, as "
	"http://otel-collector:4318; unset: no spans are recorded."},
    {"tracing.headers-file", SQ_CFG_STRING, AT(trace_headers_file), NULL, 0, 0, NULL,
	"File with headers for the collector, name: value on each line; read for each request."},
    {"tracing.ca", SQ_CFG_STRING, AT(trace_ca), NULL, 0, 0, NULL,
	"PEM file of the authorities to trust for an https collector; without it the system's."},
    {SQ_DUMPS_KEY, SQ_CFG_BOOL, AT(core_dumps), "false", 0, 0, NULL, SQ_DUMPS_HELP},
    {"metrics.queues", SQ_CFG_UINT, AT(metrics_queues), "200", 0, 10000, NULL,
	"Declared queues whose depth, age and members are in /metrics by name, those that were "
	"there "
	"first; the others are one: other."},
    {"log.level", SQ_CFG_ENUM, AT(log_level), "info", 0, 0, levels, "Least level that is logged.",
	true},
    {"log.format", SQ_CFG_ENUM, AT(log_format), "text", 0, 0, sq_log_format_names,
	"How a line of the log is written; json: an object each."},
};

const size_t sq_broker_config_n = SQ_ARRAY_LEN(sq_broker_config_keys);

static int
config_expiry(const struct sq_broker_config *c, struct sq_buf *err)
{
	if ((c->expiry_default_ms != 0 && c->expiry_default_ms < SECOND) ||
	    (c->expiry_max_ms != 0 && c->expiry_max_ms < SECOND)) {
		sq_buf_printf(err, "message.expiry-%s: below 1s, and not 0s",
		    c->expiry_max_ms != 0 && c->expiry_max_ms < SECOND ? "max" : "default");
		return SQ_EINVAL;
	}
	if (c->expiry_max_ms != 0 && c->expiry_default_ms > c->expiry_max_ms) {
		sq_buf_printf(err, "message.expiry-default is above message.expiry-max");
		return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
config_events_topic(const struct sq_broker_config *c, struct sq_buf *err)
{
	const char *why;

	if (sq_ce_topic_check(c->http_events_topic, &why) == SQ_OK)
		return SQ_OK;
	sq_buf_printf(err, "http.events-topic: %s: %s", c->http_events_topic, why);
	return SQ_EINVAL;
}

static int
config_acl(const struct sq_broker_config *c, struct sq_buf *err)
{
	struct sq_acl *acl = sq_broker_config_acl(c, err);
	bool good = acl != NULL;

	sq_acl_unref(&acl);
	return good ? SQ_OK : SQ_EINVAL;
}

int
sq_broker_config_load(
    struct sq_broker_config *c, int argc, char **argv, char **envp, struct sq_buf *err)
{
	int rc = sq_config_load(
	    c, sq_broker_config_keys, sq_broker_config_n, argc, argv, envp, err);

	if (rc != SQ_OK)
		return rc;
	if (c->tls && !sq_config_is_set(c->tls_cert)) {
		sq_buf_printf(err, "tls.cert-file: needed, or tls.enabled: false for clear text");
		return SQ_EINVAL;
	}
	if (c->tls && !sq_config_is_set(c->tls_key)) {
		sq_buf_printf(err, "tls.key-file: needed with tls.cert-file");
		return SQ_EINVAL;
	}
	if (sq_broker_config_log(c, err) != SQ_OK)
		return SQ_EINVAL;
	if (sq_broker_config_identities(c, err) != SQ_OK)
		return SQ_EINVAL;
	if (config_expiry(c, err) != SQ_OK)
		return SQ_EINVAL;
	if (config_events_topic(c, err) != SQ_OK)
		return SQ_EINVAL;
	if (config_acl(c, err) != SQ_OK)
		return SQ_EINVAL;
	if (sq_broker_config_push_check(c, err) != SQ_OK)
		return SQ_EINVAL;
	if (sq_broker_config_spaces(c, err) != SQ_OK)
		return SQ_EINVAL;
	return sq_broker_config_grants(c, err);
}

bool
sq_broker_config_open(const struct sq_broker_config *c)
{
	return !c->tls && !sq_config_is_set(c->tokens_file) && !c->kubernetes && c->issuers.n == 0;
}

void
sq_broker_config_free(struct sq_broker_config *c)
{
	free(c->shares);
	c->shares = NULL;
	free(c->grants);
	c->grants = NULL;
	c->n_grants = 0;
	c->n_shares = 0;
	sq_config_free(c, sq_broker_config_keys, sq_broker_config_n);
}

struct sq_broker_cfg
sq_broker_config_cfg(const struct sq_broker_config *c)
{
	return (struct sq_broker_cfg){
	    .store_dir = c->store_dir,
	    .durability = (enum sq_durability)c->durability,
	    .sync_interval_ms = c->sync_interval_ms,
	    .store_stall_ms = c->store_stall_ms,
	    .journal_size = c->journal_size,
	    .store_max_size = c->store_max_size,
	    .store_cache_size = c->store_cache_size,
	    .max_packet = (uint32_t)c->max_packet,
	    .grace_ms = c->grace_ms,
	    .sys_interval_ms = c->sys_interval_ms,
	    .recovery_ms = sq_broker_config_recovery_ms(c, false),
	    .session_expiry_max_s = c->session_expiry_max_ms / SECOND,
	    .max_inflight = (uint32_t)c->max_inflight,
	    .queue_max_msgs = (uint32_t)c->queue_max_msgs,
	    .queue_max_bytes = c->queue_max_bytes,
	    .queue_lonely_ms = c->queue_lonely_ms,
	    .metrics_queues = (uint32_t)c->metrics_queues,
	    .queue_expiry_s = (uint32_t)(c->queue_expiry_ms / SECOND),
	    .queue_expiry_max_s = (uint32_t)(c->queue_expiry_max_ms / SECOND),
	    .retained_max_msgs = c->retained_max_msgs,
	    .retained_max_bytes = c->retained_max_bytes,
	    .delayed_max_s = c->delayed_max_ms / SECOND,
	    .delayed_max_msgs = c->delayed_max_msgs,
	    .delayed_max_bytes = c->delayed_max_bytes,
	    .dead_max_msgs = (uint32_t)c->dead_max_msgs,
	    .dead_max_bytes = c->dead_max_bytes,
	    .key_window_ms = c->key_window_ms,
	    .pull_max_leases = (uint32_t)c->pull_max_leases,
	    .pull_settle_window_ms = c->pull_settle_window_ms,
	    .max_keys = c->max_keys,
	    .unknown_properties = c->unknown_properties != 0,
	    .limits = sq_limits_own(&c->limits),
	    .expiry_default_s = (uint32_t)(c->expiry_default_ms / SECOND),
	    .expiry_max_s = (uint32_t)(c->expiry_max_ms / SECOND),
	    .max_sessions = (uint32_t)c->max_sessions,
	    .max_subs_per_session = (uint32_t)c->max_subs,
	    .max_subs = c->total_subs,
	    .max_groups = c->max_groups,
	    .max_connections = c->max_connections,
	    .dead_total_msgs = c->dead_total_msgs,
	    .dead_total_bytes = c->dead_total_bytes,
	    .spaces = c->spaces_kept,
	    .owners = {(enum sq_owner_scope)c->owner, !c->adopt},
	    .max_sub_bytes = c->max_sub_bytes,
	    .max_will = (uint32_t)c->max_will,
	    .max_matches = (uint32_t)c->max_matches,
	    .shares = c->shares,
	    .grants = c->grants,
	    .n_grants = c->n_grants,
	    .n_shares = c->n_shares,
	};
}
