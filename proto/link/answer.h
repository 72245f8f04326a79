/* Words of answers on the link (docs/link.md): the reasons for which a request was refused. */
#ifndef SQ_PROTO_LINK_ANSWER_H
#define SQ_PROTO_LINK_ANSWER_H

#include <stddef.h>

/* X(symbol, word).  With 409, in "sqmqos-conflict". */
#define SQ_CONFLICTS(X) \
	X(EPOCH, "epoch")           /* the attachment is not the session's current one */ \
	X(RUN, "run")               /* the numbers are of another run */ \
	X(GAP, "gap")               /* numbers before the first one are missing */ \
	X(SUPERSEDED, "superseded") /* another attachment holds the session */

/* With 403, in "sqmqos-reason". */
#define SQ_DENIALS(X) \
	X(SPACE, "space") /* the caller names another space than its own */ \
	X(POD, "pod")     /* or another pod */ \
	X(OWNER, "owner") /* the session belongs to another identity */ \
	X(WILL, "will")   /* a rule of the broker denies the will */

/* With 429, in "sqmqos-full" beside "sqmqos-reason: full": there is no room for one more session. */
#define SQ_FULLS(X) \
	X(BROKER, "broker") /* the broker has its maximum of sessions */ \
	X(SPACE, "space")   /* the session's space has its share, or its own limit */ \
	X(MEMORY, "memory") \
	X(STORE, "store")

#define SQ_CONFLICT_ENUM(symbol, word) SQ_CONFLICT_##symbol,
#define SQ_DENIED_ENUM(symbol, word) SQ_DENIED_##symbol,
#define SQ_FULL_ENUM(symbol, word) SQ_FULL_##symbol,
enum sq_conflict { SQ_CONFLICT_NONE, SQ_CONFLICTS(SQ_CONFLICT_ENUM) };
enum sq_denied { SQ_DENIED_NONE, SQ_DENIALS(SQ_DENIED_ENUM) };
/* SQ_FULL_UNSAID: "sqmqos-reason: full" without a kind. */
enum sq_full { SQ_FULL_NOT, SQ_FULL_UNSAID, SQ_FULLS(SQ_FULL_ENUM) };
#undef SQ_CONFLICT_ENUM
#undef SQ_DENIED_ENUM
#undef SQ_FULL_ENUM

/* The word of a value, static; "": it has none. */
const char *sq_conflict_name(enum sq_conflict);
const char *sq_denied_name(enum sq_denied);
const char *sq_full_name(enum sq_full);

/* The value of a word of 'len' bytes; 0 (SQ_CONFLICT_NONE, SQ_DENIED_NONE, SQ_FULL_NOT):
 * unknown. */
enum sq_conflict sq_conflict_find(const void *word, size_t len);
enum sq_denied sq_denied_find(const void *word, size_t len);
enum sq_full sq_full_find(const void *word, size_t len);

#endif
