/* Reasons for which fronts end connections: one table for logs and metrics. */
#ifndef SQ_BROKER_PORT_ENDS_H
#define SQ_BROKER_PORT_ENDS_H

/* A reason for which the front ended or refused a connection: E(X, symbol, name, text). */
#define SQ_ENDS(E, X) \
	E(X, TIME, "time", "neither a link nor a good token in time") \
	E(X, REQUESTS, "requests", "too many open requests before a good token") \
	E(X, BODY, "body", "too much body before a good token") \
	E(X, HEAD, "head", "a request's head is too large") \
	E(X, MEMORY, "memory", \
	    "all strangers together hold too much (http.unauthenticated-total)") \
	E(X, ADDRESS, "address", "too many strangers of one address (link.strangers-per-address)") \
	E(X, FULL, "full", "no place is left (link.max-connections)") \
	E(X, FLOOD, "flood", "too many frames that carry no work") \
	E(X, FRAMING, "framing", \
	    "an HTTP/1.1 request whose length is in doubt, or no request at all") \
	E(X, IDLE, "idle", \
	    "a good token, but neither a link nor a request for link.idle-timeout, or " \
	    "http.idle-timeout") \
	E(X, BODIES, "bodies", \
	    "bodies that never end, or answers not taken, while memory is short (limits.memory)") \
	E(X, SLOW, "slow", \
	    "a request that does not come whole (http.read-timeout), or an answer that is not " \
	    "taken " \
	    "(http.write-timeout)")

#define SQ_END_ENUM(X, symbol, name, text) SQ_END_##symbol,
enum sq_end { SQ_END_NONE, SQ_ENDS(SQ_END_ENUM, ) SQ_END_COUNT };
#undef SQ_END_ENUM

/* A row of the broker's table of metrics for each (core/metrics.h). */
#define SQ_END_METRIC(X, symbol, name, text) \
	X(ENDED_##symbol, "sqmqos_connections_ended_total", "reason=\"" name "\"", SQ_COUNTER, \
	    "Connections that the broker ended, or did not take, by reason.")
#define SQ_END_METRICS(X) SQ_ENDS(SQ_END_METRIC, X)

#endif
