/* Pod annotations: the downward API's file, the subscriptions that
 * sqmqos.io/subscribe declares, and the rules of sqmqos.io/publish.  Pure; the
 * sidecar and the injector share it.
 *
 * The file has a line for each annotation: key="value", the value with the
 * escapes of Go's strconv.Quote.  sqmqos.io/subscribe is a filter, a comma
 * list of filters, or a YAML list whose items are filters or maps.
 * sqmqos.io/client-id is a glob, a comma list of globs, or a YAML list of them.
 * sqmqos.io/publish is a YAML list whose items are filters or maps, or a map of
 * such a list ("rules") and "strict". */
#ifndef SQ_PROTO_ANNOTATIONS_H
#define SQ_PROTO_ANNOTATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "proto/annotations/outbox.h"

#define SQ_ANNOTATION_SUBSCRIBE "sqmqos.io/subscribe"
#define SQ_ANNOTATION_PUBLISH "sqmqos.io/publish"
#define SQ_ANNOTATION_CLIENT_ID "sqmqos.io/client-id"
enum {
	SQ_ANNOTATIONS_SIZE_MAX = 1 << 20, /* bytes of the file */
	SQ_DECLARATIONS_MAX = 512,
	SQ_GROUP_MAX = 255, /* bytes of a group's name */
	SQ_CLIENT_IDS_MAX = 64,
	SQ_CLIENT_ID_MAX = 256, /* bytes of one */
	SQ_RULES_MAX = 256,
	SQ_RULE_TAGS_MAX = 16,           /* of one rule */
	SQ_RULE_PROPERTY_MAX = 255,      /* bytes of a user property's name */
	SQ_RULE_RECEIPT_MAX = 1024,      /* bytes of a receipt's topic */
	SQ_RULE_DELAY_MAX_S = 999999999, /* what a broker takes */
};

/* Options of a queue that an entry names itself. */
enum {
	SQ_NAMED_DURABLE = 1,
	SQ_NAMED_EXPIRY = 2,
	SQ_NAMED_MAX_LENGTH = 4,
	SQ_NAMED_OVERFLOW = 8,
	SQ_NAMED_MAX_ATTEMPTS = 16,
};

/* As its entry says it; merge.h has what other entries of its group say. */
struct sq_declaration {
	char *filter;          /* plain; "#" where only a tag was given */
	char *tag;             /* NULL: any */
	char *group;           /* NULL: the workload's name */
	uint8_t qos;           /* default 1 */
	bool pod;              /* delivery: pod; else group */
	bool durable;          /* default: with delivery group */
	uint8_t overflow;      /* enum sq_overflow of the link */
	uint32_t expiry_s;     /* of the queue, "at once" is 1; 0: not said: the broker's */
	uint32_t max_length;   /* messages; 0: the broker's default */
	uint32_t max_attempts; /* 0: unlimited */
	uint32_t concurrency;  /* unfinished messages of a pod; 0: no limit of its own */
	uint8_t named;         /* SQ_NAMED_...: the options above that are not defaults */
	unsigned line;         /* of the entry within the value, from 1 */
};

/* What is put on the messages of the topics that 'filter' selects. */
struct sq_publish_rule {
	char *filter;       /* plain: no $share, no $tag */
	int8_t qos;         /* 0 to 3: at least this; -1: as published */
	int8_t retain;      /* 0 or 1; -1: as published */
	bool key_generated; /* key: generated */
	char *key_property; /* key: the value of this user property; NULL: not said */
	char *receipt;      /* topic; NULL: none */
	char **tags;
	size_t n_tags;
	uint32_t ttl_s;   /* at most so long; 0: as published */
	uint32_t delay_s; /* 0: none */
};

struct sq_publish_rules {
	struct sq_publish_rule *v; /* in their order */
	size_t n;
	bool strict; /* what no rule selects must not be published */
};

/* sqmqos.io/client-id: globs (core/glob.h), in their order; none: nobody is named. */
struct sq_client_ids {
	char **v;
	size_t n;
};

struct sq_declarations {
	struct sq_declaration *v;
	size_t n;
	unsigned line; /* of sqmqos.io/subscribe in the file; 0: not read from one */
	struct sq_client_ids client_ids;
	struct sq_publish_rules publish;
	struct sq_outbox_annotation outbox;
	char *misspelt; /* for people: an unknown annotation, near to one of ours; or NULL */
};

/* Parses a whole file.  On error returns SQ_EINVAL or SQ_ETOOBIG, '*out' is
 * empty, and 'err' has one line that names the line, the annotation and the
 * reason.  Annotations of others, and unknown ones, are skipped. */
int sq_annotations_parse(
    const char *text, size_t len, struct sq_declarations *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Parses the value of sqmqos.io/subscribe into '*out', which must be empty but
 * for client_ids.  Errors as above, with the line within the value. */
int sq_annotations_subscribe(
    const char *value, size_t len, struct sq_declarations *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Parses the value of sqmqos.io/publish into '*out', which must be empty; free it
 * with sq_publish_rules_free(), also after an error.  Errors as above. */
int sq_annotations_publish(
    const char *value, size_t len, struct sq_publish_rules *out, struct sq_buf *err) SQ_MUST_CHECK;
void sq_publish_rules_free(struct sq_publish_rules *);
/* Parses the value of sqmqos.io/client-id.  On error '*out' is empty; errors as
 * above. */
int sq_annotations_client_id(
    const char *value, size_t len, struct sq_client_ids *out, struct sq_buf *err) SQ_MUST_CHECK;
void sq_client_ids_free(struct sq_client_ids *);
/* Undoes Go's strconv.Quote: 'quoted' starts at the opening quote.  Appends the
 * text to 'out' and returns how many bytes were read, or SQ_EINVAL with a
 * static reason in '*why'. */
long sq_go_unquote(const char *quoted, size_t len, struct sq_buf *out, const char **why);
void sq_declarations_free(struct sq_declarations *);

#endif
