/* Declarations of named queues: what a file, the API or an annotation says that a queue is.
 *
 * One table (declaration.c) has each setting's name, type, default, bounds and help; the JSON of the
 * API (camelCase), the YAML of files (kebab-case) and docs/queues.md all come from it.  Pure. */
#ifndef SQ_PROTO_DECLARATION_DECLARATION_H
#define SQ_PROTO_DECLARATION_DECLARATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "proto/declaration/push.h"
#include "proto/dispatch/dispatch.h"
#include "proto/link/frame.h"

enum {
	SQ_QUEUE_NAME_MAX = 128,     /* bytes of a name: see proto/topic/queue.h */
	SQ_QUEUE_BINDINGS_MAX = 256, /* of one queue */
	SQ_QUEUE_FILTER_MAX = 1024,  /* bytes of a binding's filter */
};

/* A filter, a tag, or both, whose messages come into the queue. */
struct sq_declared_binding {
	char *id;     /* unique in its queue; made of filter and tag where none is given */
	char *filter; /* NULL: any topic of that tag */
	char *tag;    /* NULL: none */
	uint8_t qos;  /* 1 or 2 */
};

struct sq_declaration {
	struct sq_declared_binding *bindings;
	size_t n_bindings;
	enum sq_declared_order {
		SQ_ORDER_NONE,
		SQ_ORDER_TOPIC,  /* lanes by topic */
		SQ_ORDER_KEY,    /* lanes by the message's order key, else its topic */
		SQ_ORDER_STRICT, /* one at a time */
	} order;
	uint64_t lease_ms;
	bool exactly_once;
	uint32_t max_attempts; /* 0: any number */
	struct sq_dispatch_retry retry;
	bool blocks;           /* on-give-up: block, in place of dead-letter */
	uint32_t max_messages; /* 0: the broker's limit */
	uint64_t max_bytes;    /* 0: the broker's limit */
	enum sq_overflow overflow;
	uint32_t ttl_s;    /* of a message in this queue; 0: its own expiry alone */
	uint32_t expiry_s; /* after which a queue that nobody uses ends; 0: never */
	struct sq_declared_push push;
};

#define SQ_QUEUE_OF_BRIDGES "bridge." /* what the names of bridges' own queues begin with */

/* Whether 'name' can be a queue's. */
bool sq_queue_name_good(struct sq_bytes name);

/* Begins with the defaults and no binding. */
void sq_declaration_init(struct sq_declaration *);
void sq_declaration_fini(struct sq_declaration *);
/* Reads the JSON object of the API over 'out', which was begun: what it does not name stays (RFC
 * 7396): a setting or a group that is null has its defaults, and bindings are those that it has.  SQ_EINVAL, with a line in 'err' that names the member (and the
 * nearest name of an unknown one); so is a path of a file, which files of subscribers.dir alone name. */
int sq_declaration_read_json(
    struct sq_declaration *out, struct sq_bytes text, struct sq_buf *err) SQ_MUST_CHECK;
/* The same of an object that sq_declaration_write_push() has written: paths are good, and nothing that
 * depends on several settings is checked. */
int sq_declaration_read_push(
    struct sq_declaration *out, struct sq_bytes text, struct sq_buf *err) SQ_MUST_CHECK;
/* Sets one setting by its kebab-case name, a '.' between a group and its member ("retry.first"), from
 * text as in YAML; of a list, its members with commas between them; of a map, one member
 * more ("push.headers.x-a").  SQ_EINVAL as above. */
int sq_declaration_set(struct sq_declaration *, struct sq_bytes name, struct sq_bytes value,
    struct sq_buf *err) SQ_MUST_CHECK;
/* What a name is of, for those who read a tree. */
enum sq_declared_shape {
	SQ_DECLARED_NOTHING,
	SQ_DECLARED_VALUE,
	SQ_DECLARED_LIST,   /* of values */
	SQ_DECLARED_GROUP,  /* of other settings, or a map */
	SQ_DECLARED_EITHER, /* a value, or a group */
};
enum sq_declared_shape sq_declaration_shape(struct sq_bytes name);
/* Adds a binding; an id of NULL is made: what an MQTT client would subscribe to, as "$tag/TAG/FILTER".
 * The same id with the same filter and tag again sets its QoS.  SQ_EINVAL: filter, tag, QoS or id is
 * wrong, or the id is there with another filter or tag. */
int sq_declaration_bind(
    struct sq_declaration *, const struct sq_declared_binding *, struct sq_buf *err) SQ_MUST_CHECK;
/* Removes a binding; false: there is none of that id. */
bool sq_declaration_unbind(struct sq_declaration *, const char *id);
/* The binding of that id; NULL: there is none. */
const struct sq_declared_binding *
sq_declaration_binding(const struct sq_declaration *, const char *id);
/* Whether both have the same filter and tag. */
bool
sq_declared_binding_equal(const struct sq_declared_binding *, const struct sq_declared_binding *);
void sq_declared_binding_fini(struct sq_declared_binding *);
/* Checks what depends on several settings.  SQ_EINVAL as above. */
int sq_declaration_check(const struct sq_declaration *, struct sq_buf *err) SQ_MUST_CHECK;
/* Checks that no reply of the push, by its template, comes into the queue itself by a filter without
 * a tag: replies have none.  SQ_EINVAL as above. */
int sq_declaration_check_reply(const struct sq_declaration *, const char *space, const char *queue,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Appends the settings as members of a JSON object, without its braces; those of the push where there is
 * one. */
void sq_declaration_write_json(const struct sq_declaration *, struct sq_buf *out);
/* Appends the push as a JSON object for sq_declaration_read_push(); nothing where there is none. */
void sq_declaration_write_push(const struct sq_declaration *, struct sq_buf *out);
/* Whether both say the same, bindings in any order. */
bool sq_declaration_equal(const struct sq_declaration *, const struct sq_declaration *);
/* Whether both say the same of the push; none is equal to none. */
bool sq_declaration_push_equal(const struct sq_declaration *, const struct sq_declaration *);
/* Whether the push names a file, which files of subscribers.dir alone may. */
bool sq_declaration_push_has_files(const struct sq_declaration *);
void sq_declaration_copy(struct sq_declaration *out, const struct sq_declaration *);
/* Why 'now' in place of 'old' would lose messages that may wait: a smaller limit; NULL: it would
 * not.  Static text. */
const char *
sq_declaration_loses(const struct sq_declaration *old, const struct sq_declaration *now);
/* The table of settings as Markdown, for docs/queues.md, and that of the push's for docs/push.md. */
void sq_declaration_markdown(struct sq_buf *out);
void sq_declaration_push_markdown(struct sq_buf *out);

#endif
