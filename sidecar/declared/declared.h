/* Declared subscriptions: what the pod's annotations ask for, kept in place; and
 * the publish rules beside them, in holds->rules.
 *
 * Watches the annotations file; keeps the last good set when a new one is
 * malformed.  A keeper session of the pod declares every binding, so messages
 * wait in their queues whether or not the app is there; the session that
 * receiver.h chooses declares them with consume and gets the messages.  A change touches
 * bindings only, never a client's connection. */
#ifndef SQ_SIDECAR_DECLARED_DECLARED_H
#define SQ_SIDECAR_DECLARED_DECLARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"
#include "proto/link/key.h"
#include "proto/topic/topic.h"

struct sq_declared;
struct sq_holds;
struct sq_outbox;
struct sq_receiver;
struct sq_rules;
struct sq_hold;

#define SQ_KEEPER_ID SQ_KEY_KEEPER /* client id of the pod's keeper session */

/* Reads the file, if the configuration names one, and starts watching it. */
struct sq_declared *sq_declared_new(struct sq_holds *, struct sq_outbox *);
void sq_declared_free(struct sq_declared **dp);
/* The program is shutting down: the keeper leaves. */
void sq_declared_stop(struct sq_declared *);
/* Once a second: the file's state, what failed before. */
void sq_declared_sweep(struct sq_declared *, uint64_t now_ms);

/* Who gets what is declared; NULL: there is nothing to get ('d' may be NULL). */
struct sq_receiver *sq_declared_receiver(const struct sq_declared *d);
/* Whether clients may subscribe to that by themselves ('d' may be NULL). */
bool sq_declared_allows(const struct sq_declared *d, const struct sq_topic_filter *);
/* The rules for what clients publish; NULL: none ('d' may be NULL). */
const struct sq_rules *sq_declared_rules(const struct sq_declared *d);

/* From the client that gets what is declared, or any other; 'd' may be NULL.
 * The broker knows nothing of the hold's bindings: declares them. */
void sq_declared_attached(struct sq_declared *d, struct sq_hold *);
/* The binding of 'token' was answered with 'code'; 'note' is what the broker says of it,
 * for people, and may be empty. */
void sq_declared_answer(
    struct sq_declared *d, struct sq_hold *, uint32_t token, uint8_t code, struct sq_bytes note);

/* Whether the file was read well and every binding is in place at the broker;
 * else appends a line per reason. */
bool sq_declared_ready(const struct sq_declared *, struct sq_buf *why);
/* Appends lines for people that don't make it less ready. */
void sq_declared_notes(const struct sq_declared *, struct sq_buf *out);

#endif
