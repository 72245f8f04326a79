/* The sidecar's metrics: the table that code, /metrics and docs/ share. */
#ifndef SQ_SIDECAR_METRICS_METRICS_H
#define SQ_SIDECAR_METRICS_METRICS_H

#include "core/memory.h"
#include "core/metrics.h"
#include "core/reload_metrics.h"
#include "core/spans_metrics.h"
#include "net/h2/counts.h"
#include "proto/link/refusal.h"

/* X(symbol, name, labels, type, help) */
#define SQ_SIDECAR_METRICS(X) \
	X(CLIENTS, "sqmqos_clients", NULL, SQ_GAUGE, "MQTT connections from local apps.") \
	X(FOREIGN_HTTP, "sqmqos_foreign_connections_total", "protocol=\"http\"", SQ_COUNTER, \
	    "Connections to the MQTT port that spoke another protocol.") \
	X(FOREIGN_WEBSOCKET, "sqmqos_foreign_connections_total", "protocol=\"websocket\"", \
	    SQ_COUNTER, "Connections to the MQTT port that spoke another protocol.") \
	X(FOREIGN_TLS, "sqmqos_foreign_connections_total", "protocol=\"tls\"", SQ_COUNTER, \
	    "Connections to the MQTT port that spoke another protocol.") \
	X(CLIENTS_FULL, "sqmqos_clients_refused_total", "reason=\"sessions-full\"", SQ_COUNTER, \
	    "Clients that were sent away, by reason.") \
	X(CLIENTS_PASSWORD, "sqmqos_clients_refused_total", "reason=\"password\"", SQ_COUNTER, \
	    "Clients that were sent away, by reason.") \
	X(CLIENTS_ANONYMOUS, "sqmqos_clients_refused_total", "reason=\"anonymous\"", SQ_COUNTER, \
	    "Clients that were sent away, by reason.") \
	X(CLIENTS_BUSY, "sqmqos_clients_refused_total", "reason=\"passwords-waiting\"", \
	    SQ_COUNTER, "Clients that were sent away, by reason.") \
	X(CLOSED_REFUSED, "sqmqos_clients_closed_total", "reason=\"refused-max\"", SQ_COUNTER, \
	    "Connections that were closed, by reason.") \
	X(CLOSED_MEMORY, "sqmqos_clients_closed_total", "reason=\"memory\"", SQ_COUNTER, \
	    "Connections that were closed, by reason.") \
	X(SESSIONS, "sqmqos_sessions", NULL, SQ_GAUGE, "Sessions of local clients.") \
	X(ATTACHED, "sqmqos_sessions_attached", NULL, SQ_GAUGE, "Sessions attached to a broker.") \
	X(LINKS, "sqmqos_links", NULL, SQ_GAUGE, "Open links to brokers.") \
	X(DECLARED, "sqmqos_declared_subscriptions", "state=\"wanted\"", SQ_GAUGE, \
	    "Subscriptions declared by annotations.") \
	X(DECLARED_OK, "sqmqos_declared_subscriptions", "state=\"in-place\"", SQ_GAUGE, \
	    "Subscriptions declared by annotations.") \
	X(DECLARED_OTHERS, "sqmqos_declared_other_clients", NULL, SQ_GAUGE, \
	    "Clients besides the one that gets the declared messages, where no client-id says " \
	    "who.") \
	X(DECLARED_ERRORS, "sqmqos_annotation_errors_total", NULL, SQ_COUNTER, \
	    "Sets of annotations refused as malformed or unreadable.") \
	X(DECLARED_MALFORMED, "sqmqos_annotations_malformed", NULL, SQ_GAUGE, \
	    "1 while the annotations that are there are malformed or unreadable; the last good " \
	    "set, if there is one, stays in force.") \
	X(RECEIVED_QOS0, "sqmqos_messages_received_total", "qos=\"0\"", SQ_COUNTER, \
	    "Messages taken from local publishers.") \
	X(RECEIVED_QOS1, "sqmqos_messages_received_total", "qos=\"1\"", SQ_COUNTER, \
	    "Messages taken from local publishers.") \
	X(RECEIVED_QOS2, "sqmqos_messages_received_total", "qos=\"2\"", SQ_COUNTER, \
	    "Messages taken from local publishers.") \
	X(REFUSED_STRICT, "sqmqos_publishes_refused_total", "reason=\"strict\"", SQ_COUNTER, \
	    "Publishes of local clients that were not taken.") \
	X(REFUSED_RESERVED, "sqmqos_publishes_refused_total", "reason=\"reserved\"", SQ_COUNTER, \
	    "Publishes of local clients that were not taken.") \
	X(REFUSED_MEMORY, "sqmqos_publishes_refused_total", "reason=\"memory\"", SQ_COUNTER, \
	    "Publishes of local clients that were not taken.") \
	X(REFUSED_BROKER, "sqmqos_publishes_refused_total", "reason=\"broker\"", SQ_COUNTER, \
	    "Publishes of local clients that were not taken.") \
	X(SUBSCRIBE_STRICT, "sqmqos_subscriptions_refused_total", "reason=\"strict\"", SQ_COUNTER, \
	    "Subscriptions of local clients that sqmqos.io/subscribe does not allow.") \
	X(SUBSCRIBE_ENDED, "sqmqos_subscriptions_ended_total", "reason=\"strict\"", SQ_COUNTER, \
	    "Subscriptions of local clients that were ended as sqmqos.io/subscribe does not " \
	    "allow " \
	    "them any more.") \
	SQ_REFUSAL_METRICS(X) \
	X(SENT_QOS0, "sqmqos_messages_sent_total", "qos=\"0\"", SQ_COUNTER, \
	    "Messages written to local subscribers.") \
	X(SENT_QOS1, "sqmqos_messages_sent_total", "qos=\"1\"", SQ_COUNTER, \
	    "Messages written to local subscribers.") \
	X(SENT_QOS2, "sqmqos_messages_sent_total", "qos=\"2\"", SQ_COUNTER, \
	    "Messages written to local subscribers.") \
	X(DROPPED_TOO_LARGE, "sqmqos_messages_dropped_total", "reason=\"too-large\"", SQ_COUNTER, \
	    "Messages not written to a local subscriber.") \
	X(DROPPED_CUT, "sqmqos_messages_dropped_total", "reason=\"qos0-in-flight\"", SQ_COUNTER, \
	    "Messages not written to a local subscriber.") \
	X(BACKLOG, "sqmqos_publish_backlog_bytes", NULL, SQ_GAUGE, \
	    "Bytes of publishes that no broker has accepted yet.") \
	X(OUTBOX_BYTES, "sqmqos_outbox_bytes", NULL, SQ_GAUGE, \
	    "Bytes of publishes in the outbox, in memory or on disk.") \
	X(OUTBOX_TAKEN_UP, "sqmqos_outbox_taken_up_total", NULL, SQ_COUNTER, \
	    "Folders of other pods' disk outboxes that were left behind and taken up here.") \
	X(OUTBOX_PAUSED, "sqmqos_outbox_pauses_total", NULL, SQ_COUNTER, \
	    "Times that a client was not read because the outbox had no room for it.") \
	X(OUTBOX_DROPPED, "sqmqos_outbox_dropped_total", "reason=\"refused\"", SQ_COUNTER, \
	    "Messages in a disk outbox that went to no broker.") \
	X(OUTBOX_DROPPED_QOS0, "sqmqos_outbox_dropped_total", "reason=\"qos0\"", SQ_COUNTER, \
	    "Messages in a disk outbox that went to no broker.") \
	X(OUTBOX_RENEWED, "sqmqos_outbox_sessions_renewed_total", NULL, SQ_COUNTER, \
	    "Times that a disk outbox went on in a new session, as its own was another " \
	    "account's.") \
	X(OUTBOX_ORDER_PASSED, "sqmqos_outbox_order_passed_total", NULL, SQ_COUNTER, \
	    "Subscriptions that lost their place among a client's publishes in a disk outbox, " \
	    "as outbox.order-wait had passed.") \
	X(OUTBOX_STALLED, "sqmqos_outbox_stalled", NULL, SQ_GAUGE, \
	    "1 while the disk of the outbox takes nothing.") \
	SQ_MEMORY_METRICS(X) \
	SQ_RELOAD_METRICS(X) \
	SQ_SPANS_METRICS(X) \
	X(DIALS, "sqmqos_link_dials_total", NULL, SQ_COUNTER, "Connections dialled to brokers.") \
	X(SYSTEM_CALLS, "sqmqos_system_calls_refused_total", NULL, SQ_COUNTER, \
	    "System calls that no sidecar makes and that security.seccomp refused.") \
	X(TRUST_ENDS_FIRST, "sqmqos_certificate_seconds", "certificate=\"authority-first\"", \
	    SQ_GAUGE, \
	    "Seconds until the first and the last of the trusted authorities ends, and the " \
	    "sidecar's own certificate; 0: in the clear, the system's, or none.") \
	X(TRUST_ENDS_LAST, "sqmqos_certificate_seconds", "certificate=\"authority-last\"", \
	    SQ_GAUGE, \
	    "Seconds until the first and the last of the trusted authorities ends, and the " \
	    "sidecar's own certificate; 0: in the clear, the system's, or none.") \
	X(PAIR_ENDS, "sqmqos_certificate_seconds", "certificate=\"own\"", SQ_GAUGE, \
	    "Seconds until the first and the last of the trusted authorities ends, and the " \
	    "sidecar's own certificate; 0: in the clear, the system's, or none.") \
	X(TRUST_CHANGES, "sqmqos_trust_changes_total", NULL, SQ_COUNTER, \
	    "Bundles of authorities that brokers sent and that were taken.") \
	X(LINKS_LOST, "sqmqos_links_lost_total", NULL, SQ_COUNTER, "Links that ended.") \
	X(LINKS_REFUSED_CREDENTIAL, "sqmqos_links_refused_total", "reason=\"credential\"", \
	    SQ_COUNTER, "Links that brokers refused: 401 or 403, 503, or another status.") \
	X(LINKS_REFUSED_BUSY, "sqmqos_links_refused_total", "reason=\"busy\"", SQ_COUNTER, \
	    "Links that brokers refused: 401 or 403, 503, or another status.") \
	X(LINKS_REFUSED_OTHER, "sqmqos_links_refused_total", "reason=\"other\"", SQ_COUNTER, \
	    "Links that brokers refused: 401 or 403, 503, or another status.") \
	X(REDIRECTS, "sqmqos_redirects_total", "result=\"followed\"", SQ_COUNTER, \
	    "Times that a broker said that another one owns the state.") \
	X(REDIRECTS_IGNORED, "sqmqos_redirects_total", "result=\"ignored\"", SQ_COUNTER, \
	    "Times that a broker said that another one owns the state.") \
	X(REQUESTS, "sqmqos_link_requests_total", NULL, SQ_COUNTER, "Requests sent over links.") \
	X(FRAMES_SKIPPED, "sqmqos_link_frames_skipped_total", NULL, SQ_COUNTER, \
	    "Frames of a type that this program does not know.") \
	X(DENIED, "sqmqos_link_denied_total", NULL, SQ_COUNTER, \
	    "Requests answered 403: what is shown is of another space, pod or account.") \
	X(CONFLICTS, "sqmqos_link_conflicts_total", NULL, SQ_COUNTER, "Requests answered 409.") \
	X(TAKEOVERS, "sqmqos_session_takeovers_total", NULL, SQ_COUNTER, \
	    "Clients disconnected because their session was taken over.")

#define SQ_SIDECAR_METRIC_ENUM(sym, name, labels, type, help) SQ_M_##sym,
enum sq_sidecar_metric { SQ_SIDECAR_METRICS(SQ_SIDECAR_METRIC_ENUM) SQ_M_COUNT };

extern const struct sq_metrics sq_sidecar_metrics;
/* Which of them the pool keeps. */
extern const struct sq_net_counts sq_sidecar_net_counts;

#endif
