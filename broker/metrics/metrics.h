/* The broker's metrics: the table that code, /metrics and docs/ share. */
#ifndef SQ_BROKER_METRICS_METRICS_H
#define SQ_BROKER_METRICS_METRICS_H

#include "broker/auth/identity/reason.h"
#include "broker/port/ends.h"
#include "core/memory.h"
#include "core/metrics.h"
#include "core/reload_metrics.h"
#include "core/spans_metrics.h"
#include "proto/link/refusal.h"

/* X(symbol, name, labels, type, help) */
#define SQ_BROKER_METRICS(X) \
	X(LINKS, "sqmqos_links", NULL, SQ_GAUGE, "Open links from sidecars.") \
	X(REDIRECTS, "sqmqos_redirects_total", "owner=\"known\"", SQ_COUNTER, \
	    "Requests that were told which other broker owns the state.") \
	X(REDIRECTS_AWAY, "sqmqos_redirects_total", "owner=\"unknown\"", SQ_COUNTER, \
	    "Requests that were told which other broker owns the state.") \
	X(LINKS_TO_COME, "sqmqos_links_to_come", NULL, SQ_GAUGE, \
	    "Connections of sidecars that wait for this broker to own the state.") \
	X(PASSED, "sqmqos_http_passed_connections", NULL, SQ_GAUGE, \
	    "Connections of http.listen that are passed on to the broker that owns the state.") \
	X(CERTIFICATE_ENDS, "sqmqos_certificate_seconds", "certificate=\"link\"", SQ_GAUGE, \
	    "Seconds until the certificate that sidecars are shown ends; 0: in the clear.") \
	X(CLIENT_CRL_ENDS, "sqmqos_certificate_seconds", "certificate=\"client-crl\"", SQ_GAUGE, \
	    "Seconds until a list of auth.client-crl-file ends; 0: none does.") \
	X(SESSIONS, "sqmqos_sessions", NULL, SQ_GAUGE, "Sessions, attached or not.") \
	X(ATTACHED, "sqmqos_sessions_attached", NULL, SQ_GAUGE, "Sessions attached over a link.") \
	X(SUBSCRIPTIONS, "sqmqos_subscriptions", NULL, SQ_GAUGE, "Bindings in the router.") \
	X(GROUPS, "sqmqos_groups", NULL, SQ_GAUGE, "Group queues, shared and declared.") \
	X(GROUPS_DISAGREE, "sqmqos_groups_disagreeing", NULL, SQ_GAUGE, \
	    "Groups whose attached pods declare different options of their queue.") \
	X(GROUPS_WAIT, "sqmqos_groups_durable_waiting", NULL, SQ_GAUGE, \
	    "Groups whose declared durable waits until they have no member.") \
	X(GROUP_OPTIONS, "sqmqos_group_options_changed_total", NULL, SQ_COUNTER, \
	    "Times that the options of a group's queue became others.") \
	X(RETAINED, "sqmqos_retained_messages", NULL, SQ_GAUGE, "Retained messages.") \
	X(QUEUES_LONELY, "sqmqos_queues_lonely", NULL, SQ_GAUGE, \
	    "Queues that nobody has been there to take from for queue.lonely-after.") \
	X(QUEUED, "sqmqos_queued_messages", NULL, SQ_GAUGE, \
	    "Messages that wait in queues or are unsettled.") \
	X(QUEUED_BYTES, "sqmqos_queued_bytes", NULL, SQ_GAUGE, "Image bytes of those messages.") \
	X(RECEIVED_QOS0, "sqmqos_messages_received_total", "qos=\"0\"", SQ_COUNTER, \
	    "Messages accepted from publishers.") \
	X(RECEIVED_QOS1, "sqmqos_messages_received_total", "qos=\"1\"", SQ_COUNTER, \
	    "Messages accepted from publishers.") \
	X(RECEIVED_QOS2, "sqmqos_messages_received_total", "qos=\"2\"", SQ_COUNTER, \
	    "Messages accepted from publishers.") \
	X(SENT_QOS0, "sqmqos_messages_sent_total", "qos=\"0\"", SQ_COUNTER, \
	    "Deliveries sent, redeliveries included.") \
	X(SENT_QOS1, "sqmqos_messages_sent_total", "qos=\"1\"", SQ_COUNTER, \
	    "Deliveries sent, redeliveries included.") \
	X(SENT_QOS2, "sqmqos_messages_sent_total", "qos=\"2\"", SQ_COUNTER, \
	    "Deliveries sent, redeliveries included.") \
	X(MATCHES_LEFT_OUT, "sqmqos_matches_left_out_total", NULL, SQ_COUNTER, \
	    "Subscriptions that a message matched and was not looked up in: above " \
	    "limits.matches of one session or group; it came once all the same.") \
	X(REFUSED, "sqmqos_messages_refused_total", NULL, SQ_COUNTER, \
	    "Messages answered with a reason code of 0x80 or above.") \
	SQ_REFUSAL_METRICS(X) \
	X(UNKNOWN_PROPERTIES, "sqmqos_unknown_properties_total", NULL, SQ_COUNTER, \
	    "Messages accepted with a user property of an unknown name that starts with sqmqos-.") \
	X(DROPPED_FULL, "sqmqos_messages_dropped_total", "reason=\"queue-full\"", SQ_COUNTER, \
	    "Messages not queued or taken out of a queue.") \
	X(DROPPED_EXPIRED, "sqmqos_messages_dropped_total", "reason=\"expired\"", SQ_COUNTER, \
	    "Messages not queued or taken out of a queue.") \
	X(DROPPED_ATTEMPTS, "sqmqos_messages_dropped_total", "reason=\"attempts\"", SQ_COUNTER, \
	    "Messages not queued or taken out of a queue.") \
	X(DROPPED_ABANDONED, "sqmqos_messages_dropped_total", "reason=\"abandoned\"", SQ_COUNTER, \
	    "Messages not queued or taken out of a queue.") \
	X(DROPPED_DELETED, "sqmqos_messages_dropped_total", "reason=\"queue-deleted\"", \
	    SQ_COUNTER, "Messages not queued or taken out of a queue.") \
	X(DROPPED_UNFINISHED, "sqmqos_messages_dropped_total", "reason=\"unfinished\"", \
	    SQ_COUNTER, "Messages not queued or taken out of a queue.") \
	X(QUEUES_ENDING, "sqmqos_queues_ending", NULL, SQ_GAUGE, \
	    "Queues whose group or session is gone, on their way out.") \
	X(DELETED_QUEUE_EXPIRED, "sqmqos_queue_deleted_messages_total", \
	    "reason=\"queue-expired\"", SQ_COUNTER, \
	    "Messages that were in a queue when it ended.") \
	X(DELETED_QUEUE_LEFT, "sqmqos_queue_deleted_messages_total", "reason=\"queue-left\"", \
	    SQ_COUNTER, "Messages that were in a queue when it ended.") \
	X(DELETED_QUEUE_DELETED, "sqmqos_queue_deleted_messages_total", \
	    "reason=\"queue-deleted\"", SQ_COUNTER, \
	    "Messages that were in a queue when it ended.") \
	X(DELETED_SESSION_ENDED, "sqmqos_queue_deleted_messages_total", \
	    "reason=\"session-ended\"", SQ_COUNTER, \
	    "Messages that were in a queue when it ended.") \
	X(DELETED_SESSION_EXPIRED, "sqmqos_queue_deleted_messages_total", \
	    "reason=\"session-expired\"", SQ_COUNTER, \
	    "Messages that were in a queue when it ended.") \
	X(DELAYED, "sqmqos_delayed_messages", NULL, SQ_GAUGE, "Messages whose time has not come.") \
	X(DUPLICATES, "sqmqos_messages_duplicate_total", NULL, SQ_COUNTER, \
	    "QoS 3 messages whose key was stored before.") \
	X(DEAD_LETTERS, "sqmqos_dead_letters_total", NULL, SQ_COUNTER, "Dead letters made.") \
	X(DEAD_LETTERS_DROPPED, "sqmqos_dead_letters_dropped_total", NULL, SQ_COUNTER, \
	    "Dead letters, not of QoS 3, that left for newer ones, untaken.") \
	X(DEAD_LETTERS_REDRIVEN, "sqmqos_dead_letters_redriven_total", NULL, SQ_COUNTER, \
	    "Dead letters that were published again.") \
	X(PURGED, "sqmqos_messages_purged_total", NULL, SQ_COUNTER, \
	    "Messages that an operator has purged.") \
	X(RECEIPTS, "sqmqos_receipts_total", NULL, SQ_COUNTER, "Receipts published.") \
	X(PULL_LEASES, "sqmqos_pull_leases", NULL, SQ_GAUGE, \
	    "Messages of named queues that pullers, or pushes, have.") \
	X(PULL_EXPIRED, "sqmqos_pull_expired_total", NULL, SQ_COUNTER, \
	    "Leases that ended with nothing said of their messages.") \
	X(DISPATCH_LANES, "sqmqos_dispatch_lanes", NULL, SQ_GAUGE, \
	    "Lanes of ordered queues with messages that pullers have or wait for.") \
	X(DISPATCH_STUCK, "sqmqos_dispatch_stuck_lanes", NULL, SQ_GAUGE, \
	    "Lanes whose first message waits to be tried again, or blocks, while others stand " \
	    "behind it.") \
	X(STORE_COMMITS, "sqmqos_store_commits_total", NULL, SQ_COUNTER, \
	    "Records committed to the journal.") \
	X(STORE_CHECKPOINTS, "sqmqos_store_checkpoints_total", NULL, SQ_COUNTER, \
	    "Chunks of the journal written into the tables.") \
	X(STORE_JOURNAL_BYTES, "sqmqos_store_journal_bytes", NULL, SQ_GAUGE, \
	    "Bytes of the journal that are needed.") \
	X(STORE_TABLE_BYTES, "sqmqos_store_table_bytes", NULL, SQ_GAUGE, \
	    "Bytes of the tables in use.") \
	X(STORE_STALLED, "sqmqos_store_stalled", NULL, SQ_GAUGE, \
	    "1 while the store takes nothing more.") \
	X(STORE_HELD, "sqmqos_store_backup", NULL, SQ_GAUGE, \
	    "1 while the tables are held for a backup.") \
	X(STORE_HELD_CUT, "sqmqos_store_backups_cut_total", NULL, SQ_COUNTER, \
	    "Backups that were not waited for any longer, as the store needed the room.") \
	X(STORE_READ_FAILURES, "sqmqos_store_read_failures_total", NULL, SQ_COUNTER, \
	    "Reads of stored messages that failed, and are tried again.") \
	X(STORE_DAMAGED, "sqmqos_store_damaged_total", NULL, SQ_COUNTER, \
	    "Stored messages that did not verify, and were not served.") \
	X(WILLS, "sqmqos_wills_published_total", NULL, SQ_COUNTER, "Will messages published.") \
	X(SESSIONS_REFUSED, "sqmqos_sessions_refused_total", "reason=\"sessions-full\"", \
	    SQ_COUNTER, "Attaches of new sessions that were refused.") \
	X(SESSIONS_REFUSED_MEMORY, "sqmqos_sessions_refused_total", "reason=\"memory\"", \
	    SQ_COUNTER, "Attaches of new sessions that were refused.") \
	X(SESSIONS_ADOPTED, "sqmqos_sessions_adopted_total", NULL, SQ_COUNTER, \
	    "Sessions that were nobody's, and are now theirs who came for them.") \
	X(TAKEOVERS, "sqmqos_session_takeovers_total", NULL, SQ_COUNTER, \
	    "Sessions taken over by another connection of their client.") \
	X(CONFLICTS, "sqmqos_link_conflicts_total", NULL, SQ_COUNTER, \
	    "Link requests answered 409.") \
	X(REQUESTS, "sqmqos_link_requests_total", NULL, SQ_COUNTER, "Link requests taken in.") \
	SQ_AUTH_REASON_METRICS(X) \
	SQ_AUTH_REASON_METRIC(X, SPACE, "space") \
	SQ_AUTH_REASON_METRIC(X, POD, "pod") \
	SQ_AUTH_REASON_METRIC(X, OWNER, "owner") \
	SQ_AUTH_REASON_METRIC(X, WILL, "will") \
	X(ACL_RULES, "sqmqos_acl_rules", NULL, SQ_GAUGE, "Rules of acl in force.") \
	X(ACL_STALE, "sqmqos_acl_stale", NULL, SQ_GAUGE, \
	    "1 while the configuration file is not good, so that the rules are those it had " \
	    "before.") \
	X(ACL_DENIED_PUBLISH, "sqmqos_acl_denied_total", "verb=\"publish\"", SQ_COUNTER, \
	    "What clients asked for and rules of acl deny.") \
	X(ACL_DENIED_SUBSCRIBE, "sqmqos_acl_denied_total", "verb=\"subscribe\"", SQ_COUNTER, \
	    "What clients asked for and rules of acl deny.") \
	X(ACL_DENIED_CONSUME, "sqmqos_acl_denied_total", "verb=\"consume\"", SQ_COUNTER, \
	    "What clients asked for and rules of acl deny.") \
	X(ACL_DENIED_MANAGE, "sqmqos_acl_denied_total", "verb=\"manage\"", SQ_COUNTER, \
	    "What clients asked for and rules of acl deny.") \
	X(ACL_DENIED_PUSH, "sqmqos_acl_denied_total", "verb=\"push\"", SQ_COUNTER, \
	    "What clients asked for and rules of acl deny.") \
	X(ACL_ENDED, "sqmqos_acl_ended_total", NULL, SQ_COUNTER, \
	    "Subscriptions that were there and that rules of acl don't allow any more.") \
	X(AUTH_KEYS, "sqmqos_auth_keys", NULL, SQ_GAUGE, \
	    "Public keys that signed tokens are verified with.") \
	X(AUTH_KEYS_AGE, "sqmqos_auth_keys_age_seconds", NULL, SQ_GAUGE, \
	    "Time since the server of keys that is longest silent said them last; 0 without one.") \
	SQ_MEMORY_METRICS(X) \
	SQ_RELOAD_METRICS(X) \
	SQ_SPANS_METRICS(X) \
	X(AUTH_TOKENS, "sqmqos_auth_tokens", NULL, SQ_GAUGE, "Tokens of auth.tokens-file.") \
	X(AUTH_BAD_FILES, "sqmqos_auth_bad_files", NULL, SQ_GAUGE, \
	    "Files of auth that can't be taken as they are; the last good ones stay.") \
	X(STRANGERS, "sqmqos_strangers", NULL, SQ_GAUGE, \
	    "Connections that have neither a link nor shown a good token.") \
	X(STRANGER_BYTES, "sqmqos_stranger_bytes", NULL, SQ_GAUGE, \
	    "Bytes that their requests hold.") \
	SQ_END_METRICS(X) \
	X(BAD_REQUESTS, "sqmqos_link_bad_requests_total", NULL, SQ_COUNTER, \
	    "Requests refused as malformed or unauthorised.") \
	X(DELIVERY_BYTES, "sqmqos_link_delivery_bytes_total", NULL, SQ_COUNTER, \
	    "Bytes of frames put on deliveries responses.")

#define SQ_BROKER_METRIC_ENUM(sym, name, labels, type, help) SQ_M_##sym,
enum sq_broker_metric { SQ_BROKER_METRICS(SQ_BROKER_METRIC_ENUM) SQ_M_COUNT };

/* X(symbol, name, units per second, shift of the first bound, help); see core/histogram.h */
#define SQ_BROKER_HISTOGRAMS(X) \
	X(COMMIT, "sqmqos_store_commit_seconds", 1000000, 6, \
	    "Time of a record's commit to the journal: its write, and its sync if that is due.") \
	X(QUEUE, "sqmqos_message_queue_seconds", 1000, 0, \
	    "Time of a message in a queue, from its put, commit included, to its first hand-out.") \
	X(END_TO_END, "sqmqos_message_end_to_end_seconds", 1000, 0, \
	    "Time of a message of QoS 1 or 2 from its put into a queue to the receiver's " \
	    "acknowledgement.") \
	X(HTTP, "sqmqos_http_seconds", 1000000, 6, \
	    "Time of a request of the HTTP API, from the whole of it to its answer.") \
	X(PUSH, "sqmqos_push_seconds", 1000000, 6, \
	    "Time of a request of a push, from its start to its answer, or to its failure.")

#define SQ_BROKER_HISTOGRAM_ENUM(sym, name, per_second, shift, help) SQ_H_##sym,
enum sq_broker_histogram { SQ_BROKER_HISTOGRAMS(SQ_BROKER_HISTOGRAM_ENUM) SQ_H_COUNT };

/* The counter of a reason why a credential was refused. */
#define SQ_M_AUTH_REFUSED(reason) \
	((enum sq_broker_metric)((int)SQ_M_AUTH_REFUSED_MISSING + (int)(reason)-SQ_AUTH_MISSING))

/* The counter of a reason why a connection was ended. */
#define SQ_M_ENDED(why) ((enum sq_broker_metric)(SQ_M_ENDED_TIME + (int)(why)-SQ_END_TIME))

/* The row of an enum sq_denied (broker/auth/identity/allowed.h). */
#define SQ_M_DENIED(why) ((enum sq_broker_metric)(SQ_M_AUTH_REFUSED_SPACE + (int)(why)-1))

extern const struct sq_metrics sq_broker_metrics;

#endif
