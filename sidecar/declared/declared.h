/* Declared subscriptions: keeps the bindings that the pod's annotations declare at the broker.  The
 * publish rules of the annotations are here too.
 *
 * Watches the annotations; a malformed set leaves the last good one in force.  A keeper session of
 * the pod declares every binding, so messages wait in their queues without the app.  The hold that
 * receiver.h chooses declares the same bindings with consume, and gets the messages.  A change of
 * the annotations changes bindings only, never a client's connection.  On the loop's thread. */
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
struct sq_pod_rules;
struct sq_hold;

#define SQ_KEEPER_ID SQ_KEY_KEEPER /* client id of the keeper session */

/* Reads the annotations, if the configuration names any, and starts to watch them. */
struct sq_declared *sq_declared_new(struct sq_holds *, struct sq_outbox *);
void sq_declared_free(struct sq_declared **dp);
/* Has the keeper leave, because the program shuts down. */
void sq_declared_stop(struct sq_declared *);
/* Checks the annotations and repeats failed declarations; called once a second. */
void sq_declared_sweep(struct sq_declared *, uint64_t now_ms);

/* The receiver of declared messages; NULL: nothing is declared.  'd' may be NULL. */
struct sq_receiver *sq_declared_receiver(const struct sq_declared *d);
/* Whether clients may subscribe to the filter themselves.  'd' may be NULL. */
bool sq_declared_allows(const struct sq_declared *d, const struct sq_topic_filter *);
/* The publish rules for clients; NULL: none.  'd' may be NULL. */
const struct sq_pod_rules *sq_declared_rules(const struct sq_declared *d);

/* A hold of a client has attached, and the broker knows no bindings of it: declares them if the
 * client is the receiver's.  'd' may be NULL. */
void sq_declared_attached(struct sq_declared *d, struct sq_hold *);
/* The broker has answered the declaration 'token' with 'code'; 'note' is its text for people, and
 * may be empty. */
void sq_declared_answer(
    struct sq_declared *d, struct sq_hold *, uint32_t token, uint8_t code, struct sq_bytes note);

/* Whether the annotations are in force and every binding is in place at the broker; else appends a
 * line for each reason. */
bool sq_declared_ready(const struct sq_declared *, struct sq_buf *why);
/* Appends warnings for people, which leave the sidecar ready. */
void sq_declared_notes(const struct sq_declared *, struct sq_buf *out);

#endif
